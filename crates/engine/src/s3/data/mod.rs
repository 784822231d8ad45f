//! The data plane: the bytes of UploadPart and PutObject.
//!
//! A request is signed just before it is sent (credentials expire, clocks drift), its body is made of views
//! of pooled buffers, and the connection is one that we own and watch. What a request needs beyond that –
//! host, path, region – is resolved by the SDK ([`address`]).

pub(super) mod address;
mod answer;
mod connection;
mod credentials;
mod pool;
mod progress;
mod request;
mod sign;
mod tls;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;

use self::address::{Address, Origin};
pub(crate) use self::answer::judge;
use self::credentials::CredentialCache;
use self::pool::ConnectionPool;
use self::request::DataRequest;
use self::sign::Clock;
use super::S3Options;
use crate::error::Error;
use crate::store::{
    ObjectRef, Operation, PartRequest, PutRequest, StoreError, StoreErrorKind, UploadRef, UploadedPart,
};

/// Time-outs of one request.
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    connect: Duration,
    idle: Duration,
    answer: Duration,
}

/// Sends bytes to one store.
pub(super) struct DataPlane {
    credentials: CredentialCache,
    clock: Clock,
    timeouts: Timeouts,
    tls: Arc<rustls::ClientConfig>,
    pools: Mutex<HashMap<Origin, Arc<ConnectionPool>>>,
    /// The address of the last object: all parts of an upload share it.
    last: Mutex<Option<(ObjectRef, Arc<Address>)>>,
}

impl DataPlane {
    pub(super) fn new(provider: SharedCredentialsProvider, options: &S3Options) -> Result<Self, Error> {
        Ok(Self {
            credentials: CredentialCache::new(provider),
            clock: Clock::default(),
            timeouts: Timeouts {
                connect: options.connect_timeout,
                idle: options.idle_timeout,
                answer: options.answer_timeout,
            },
            tls: tls::client_config()?,
            pools: Mutex::default(),
            last: Mutex::default(),
        })
    }

    pub(super) async fn upload_part(
        &self,
        client: &aws_sdk_s3::Client,
        upload: &UploadRef,
        part: PartRequest,
    ) -> Result<UploadedPart, StoreError> {
        let address = self.address(client, &upload.object).await?;
        self.send(&address, DataRequest::upload_part(upload, part)).await
    }

    pub(super) async fn put_object(
        &self,
        client: &aws_sdk_s3::Client,
        object: &ObjectRef,
        request: PutRequest,
    ) -> Result<UploadedPart, StoreError> {
        let address = self.address(client, object).await?;
        self.send(&address, DataRequest::put_object(request)).await
    }

    async fn send(&self, address: &Address, request: DataRequest) -> Result<UploadedPart, StoreError> {
        let operation = request.operation;
        let credentials = self.credentials.get(operation).await?;
        let algorithm = request.checksum_algorithm();
        let mut connection = self.pool(address).checkout(operation, request.fresh_connection).await?;
        let signed = sign::signed(address, request, &credentials, &self.clock)?;
        let answer = connection.send(operation, signed, self.timeouts).await?;
        self.pool(address).check_in(connection);
        let result = answer.uploaded(operation, algorithm);
        if let Err(error) = &result {
            self.learn_from(error, answer.date());
        }
        result
    }

    /// What an error teaches for the next try.
    fn learn_from(&self, error: &StoreError, date: Option<jiff::Timestamp>) {
        match error.kind {
            StoreErrorKind::ExpiredCredentials | StoreErrorKind::BadCredentials => self.credentials.forget(),
            StoreErrorKind::ClockSkew => {
                if let Some(date) = date {
                    self.clock.learn(date);
                }
            }
            _ => {}
        }
    }

    async fn address(
        &self,
        client: &aws_sdk_s3::Client,
        object: &ObjectRef,
    ) -> Result<Arc<Address>, StoreError> {
        if let Some((known, address)) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
            && known == object
        {
            return Ok(Arc::clone(address));
        }
        let address = Arc::new(Address::resolve(client, object).await?);
        let entry = Some((object.clone(), Arc::clone(&address)));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = entry;
        Ok(address)
    }

    fn pool(&self, address: &Address) -> Arc<ConnectionPool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pools.entry(address.origin.clone()).or_insert_with(|| {
            Arc::new(ConnectionPool::new(address.origin.clone(), Arc::clone(&self.tls), self.timeouts))
        });
        Arc::clone(pool)
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
