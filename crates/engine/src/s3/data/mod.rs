//! The data plane: transfers the bytes of UploadPart, PutObject and GetObject.
//!
//! A request is signed just before it is sent (credentials expire, clocks drift), its body consists
//! of views of pooled buffers, and this module owns and monitors the connection. hyper sends bodies
//! ([`connection`]); [`receive`] reads them. The SDK resolves host, path and region ([`address`]).

pub(super) mod address;
mod answer;
mod connection;
#[cfg(any(test, feature = "testing"))]
mod counted;
mod exchange;
mod forwarding;
mod judge;
mod object;
mod pool;
mod raw;
mod receive;
mod request;
mod sign;
mod speed;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::address::{Address, AddressBook};
use self::answer::Answer;
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::answer::check_answer;
use self::connection::SendConnection;
#[cfg(any(test, feature = "testing"))]
pub use self::counted::PartToSign;
use self::object::object_body;
use self::pool::Pools;
pub(crate) use self::raw::{ProbeAnswer, ProbeBody, ProbeRequest, ProbeTarget};
use self::receive::GetConnection;
use self::request::DataRequest;
use super::clock::Clock;
use super::credentials::CredentialCache;
use super::profile::{CHECKSUM_MODE, KnownProfile};
use super::regional_client::RegionalClient;
use super::transport::Transport;
use super::{RequestHeaders, S3Options};
use crate::remote::{
    GetRequest, ObjectBody, ObjectRef, Operation, PartRequest, PutRequest, StoreError,
    StoreErrorKind, Support, UploadRef, UploadedPart,
};

/// Time-outs of one request.
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    connect: Duration,
    idle: Duration,
    answer: Duration,
}

/// The data plane of one store.
pub(super) struct DataPlane {
    credentials: CredentialCache,
    clock: Clock,
    profile: KnownProfile,
    request_headers: RequestHeaders,
    timeouts: Timeouts,
    transport: Arc<Transport>,
    senders: Pools<SendConnection>,
    receivers: Pools<GetConnection>,
    addresses: AddressBook,
}

impl DataPlane {
    pub(super) fn new(
        credentials: CredentialCache,
        clock: Clock,
        transport: Arc<Transport>,
        profile: KnownProfile,
        options: &S3Options,
    ) -> Self {
        Self {
            credentials,
            clock,
            profile,
            request_headers: options.request_headers.clone(),
            timeouts: Timeouts {
                connect: options.connect_timeout,
                idle: options.idle_timeout,
                answer: options.answer_timeout,
            },
            transport,
            senders: Pools::new(),
            receivers: Pools::new(),
            addresses: AddressBook::default(),
        }
    }

    pub(super) async fn upload_part(
        &self,
        place: &RegionalClient,
        upload: &UploadRef,
        part: PartRequest,
    ) -> Result<UploadedPart, StoreError> {
        let address = self.addresses.of(place, &upload.object).await?;
        self.send(&address, DataRequest::upload_part(upload, part)).await
    }

    pub(super) async fn put_object(
        &self,
        place: &RegionalClient,
        object: &ObjectRef,
        request: PutRequest,
    ) -> Result<UploadedPart, StoreError> {
        let address = self.addresses.of(place, object).await?;
        self.send(&address, DataRequest::put_object(request)).await
    }

    /// Sends GetObject. The bytes are read from the connection when the caller requests them.
    pub(super) async fn get_object(
        &self,
        place: &RegionalClient,
        object: &ObjectRef,
        request: &GetRequest,
    ) -> Result<ObjectBody, StoreError> {
        let address = self.addresses.of(place, object).await?;
        match self.get(&address, request, false).await {
            // The store had closed the idle connection; a GET can be repeated at once.
            Err(error) if error.reused_connection => self.get(&address, request, true).await,
            answered => answered,
        }
    }

    /// Returns how long a packet takes to the store and back, measured when a connection was
    /// opened; if there was none, opens one, which the next part is sent on. `None` behind a proxy,
    /// and if nothing answers.
    pub(super) async fn round_trip(
        &self,
        place: &RegionalClient,
        object: &ObjectRef,
    ) -> Option<Duration> {
        let address = self.addresses.of(place, object).await.ok()?;
        if self.transport.proxy_of(&address.origin).is_some() {
            return None;
        }
        if self.transport.round_trip(&address.origin).is_none() {
            let pool = self.senders.of(&address.origin, &self.transport, self.timeouts);
            pool.check_in(pool.checkout(Operation::UploadPart, true).await.ok()?);
        }
        self.transport.round_trip(&address.origin)
    }

    async fn get(
        &self,
        address: &Address,
        request: &GetRequest,
        fresh_connection: bool,
    ) -> Result<ObjectBody, StoreError> {
        let operation = Operation::GetObject;
        let credentials = self.credentials.get(operation).await?;
        let pool = self.receivers.of(&address.origin, &self.transport, self.timeouts);
        let mut connection = pool.checkout(operation, fresh_connection).await?;
        let mut data =
            DataRequest::get_object(request, fresh_connection).with(&self.request_headers);
        if self.profile.get().checksum_mode == Support::No {
            data = data.without(CHECKSUM_MODE);
        }
        let signed = sign::signed(address, data, &credentials, &self.clock)?;
        let answer = match connection.ask(operation, signed, self.timeouts).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.blamed(address, error).await),
        };
        if answer.parts.status.is_success() {
            self.transport.heard(&address.origin);
            self.profile.heard(|name| answer.parts.headers.get(name)?.to_str().ok());
            return object_body(answer, request, (connection, pool), self.timeouts.idle);
        }
        let answer = connection.read_whole(operation, answer, self.timeouts).await?;
        pool.check_in(connection);
        self.learn(address, &answer, operation)?;
        Err(answer.error(operation))
    }

    async fn send(
        &self,
        address: &Address,
        request: DataRequest,
    ) -> Result<UploadedPart, StoreError> {
        let operation = request.operation;
        let credentials = self.credentials.get(operation).await?;
        let algorithm = request.checksum_algorithm();
        let pool = self.senders.of(&address.origin, &self.transport, self.timeouts);
        let mut connection = pool.checkout(operation, request.fresh_connection).await?;
        let wire = request.wire.clone();
        let request = request.with(&self.request_headers);
        let signed = sign::signed(address, request, &credentials, &self.clock)?;
        if !wire.begin() {
            return Err(broken(operation, "the request was stopped"));
        }
        let answer = match connection.send(operation, signed, self.timeouts).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.blamed(address, error).await),
        };
        pool.check_in(connection);
        self.learn(address, &answer, operation)?;
        let mut uploaded = answer.uploaded(operation, algorithm)?;
        // An echo proves nothing if the store takes wrong checksums: the ETag decides.
        if algorithm.is_some_and(|algorithm| !self.profile.get().trusts(algorithm)) {
            uploaded.checksum = None;
        }
        Ok(uploaded)
    }

    /// Updates the store's profile from an answer. Fails if the answer shows that the URL's scheme
    /// is wrong.
    fn learn(
        &self,
        address: &Address,
        answer: &Answer,
        operation: Operation,
    ) -> Result<(), StoreError> {
        if let Some(cause) = answer.wrong_scheme(&address.origin) {
            return Err(cause.to_store_error(operation));
        }
        self.transport.heard(&address.origin);
        self.profile.heard(|name| answer.header(name));
        Ok(())
    }

    /// Returns the error, or its cause if the scheme is wrong: a plain request to a TLS port often
    /// ends without an answer.
    async fn blamed(&self, address: &Address, error: StoreError) -> StoreError {
        if error.kind != StoreErrorKind::Connection || address.origin.tls {
            return error;
        }
        match self.transport.diagnose(&address.origin).await {
            Some(cause) => cause.to_store_error(error.operation),
            None => error,
        }
    }
}

impl fmt::Debug for DataPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataPlane").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

fn broken(operation: Operation, message: impl Into<String>) -> StoreError {
    StoreError::local(operation, StoreErrorKind::Connection, message)
}
