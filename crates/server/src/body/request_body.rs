//! The body of a request between the socket and `s3s`: limits slow senders, checks framing, and
//! drains refused bodies.
//!
//! Four things happen here because the layers behind this one cannot do them. A sender that stops,
//! or is slower than the minimum rate, is given up ([`Patience`]). aws-chunked framing passes
//! through [`Reframer`]. Bytes that later layers hold as a whole (documents, signed chunks) take
//! room as they arrive ([`Holding`]). And a body that was refused half-way is read for a while
//! after it is dropped, because a client that is still sending would otherwise see a reset instead
//! of the response.
//!
//! Documents (Complete, DeleteObjects, bucket settings) are also compared here with their signed
//! hash and their checksums: `s3s` reports a wrong hash as an internal error, and passes the parsed
//! document to the operations instead of its bytes. Objects and parts are not compared here: the
//! store hashes them while it writes.

use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use haul_parts::{Checksum, MultiHasher};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;
use crate::answer::store_refusals::bad_digest;
use crate::auth::requester::Requester;
use crate::body::aws_chunked::{BadFraming, Chunks, Reframer};
use crate::body::holding::{Displaced, HeldRoom, Holding};
use crate::body::patience::Patience;
use crate::body::payload_hash;
use crate::body::room::Taken;
use crate::metrics::Metrics;
use crate::options::Limits;

/// The maximum time to read a refused body.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// The maximum time to wait for the next bytes of a refused body.
const DRAIN_IDLE_TIME: Duration = Duration::from_secs(2);

/// The reason why a body broke off. The reader sees only an opaque error of `s3s`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BrokenBody {
    #[error("the sender was too slow")]
    Stalled,
    #[error("it held room that others waited for, and did not send")]
    Displaced,
    #[error("bad aws-chunked framing: {0:?}")]
    Framing(BadFraming),
    #[error("the connection ended before the body did")]
    CutShort,
    #[error("the {} of the document is another", claimed.algorithm())]
    Digest { claimed: Checksum, computed: Box<Checksum> },
    #[error("the document is another than the signed one")]
    Payload { claimed: Checksum, computed: Box<Checksum> },
}

impl BrokenBody {
    /// Returns the refusal for the client.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::Stalled => Refusal::new(S3ErrorCode::RequestTimeout),
            Self::Displaced => Refusal::new(S3ErrorCode::SlowDown),
            Self::Framing(BadFraming::ChunkTooLarge) => Refusal::invalid_request(
                "A signed chunk of your request is larger than the server holds.",
            ),
            Self::Framing(BadFraming::NoFinalChunk) => Refusal::new(S3ErrorCode::IncompleteBody),
            Self::Framing(_) => Refusal::invalid_request(
                "The body of your request is not well-formed aws-chunked data.",
            ),
            Self::CutShort => Refusal::new(S3ErrorCode::IncompleteBody),
            Self::Digest { claimed, computed } => bad_digest(&claimed, &computed),
            Self::Payload { claimed, computed } => payload_hash::mismatch(claimed, *computed),
        }
    }
}

/// The outcome of a body, shared with the front, which responds if the body broke off.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyFate {
    broken: Arc<OnceLock<BrokenBody>>,
    left_unread: Arc<AtomicBool>,
}

impl BodyFate {
    /// Returns the reason why the body broke off, if it did.
    pub(crate) fn broken(&self) -> Option<BrokenBody> {
        self.broken.get().cloned()
    }

    /// Returns whether the body was dropped and is not being drained. The connection cannot be
    /// reused then, and the client must be told, or its next request would find the connection
    /// closed.
    pub(crate) fn is_left_unread(&self) -> bool {
        self.left_unread.load(Relaxed)
    }

    fn set(&self, broken: BrokenBody) -> BrokenBody {
        self.broken.get_or_init(|| broken).clone()
    }
}

/// A request body with all guards applied.
pub(crate) struct RequestBody {
    incoming: Option<Incoming>,
    reframer: Option<Reframer>,
    patience: Patience,
    fate: BodyFate,
    document: Option<DocumentCheck>,
    /// The room for bytes that later layers hold as a whole. `s3s` reads none before it knows the
    /// sender.
    holding: Option<Holding>,
    /// Bytes that have arrived and wait for room.
    came: Option<Bytes>,
    requester: Requester,
    held: Held,
    /// Whether draining after a refusal makes sense, which it does not if the client still waits
    /// for `100 Continue`.
    client_is_sending: bool,
    drain_bytes: u64,
    metrics: Arc<Metrics>,
}

impl RequestBody {
    pub(crate) fn new(
        incoming: Incoming,
        chunks: Option<Chunks>,
        expects_continue: ExpectsContinue,
        (room, requester): (&HeldRoom, Requester),
        limits: &Limits,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            incoming: Some(incoming),
            holding: matches!(chunks, Some(Chunks::Signed { .. }))
                .then(|| room.holding(limits.signed_chunk_bytes)),
            reframer: chunks.map(Reframer::new),
            patience: Patience::new(limits.stall_timeout, limits.slow_sender_bytes_per_second),
            fate: BodyFate::default(),
            document: None,
            came: None,
            requester,
            held: Held::default(),
            client_is_sending: expects_continue == ExpectsContinue::No,
            drain_bytes: limits.drain_bytes,
            metrics,
        }
    }

    /// Takes room for a document as it arrives, and compares it with the declared values at its
    /// end. An empty document is compared at once, because its end may never be read.
    ///
    /// # Errors
    /// The refusal of an empty body whose hash differs.
    pub(crate) fn expect_document(
        &mut self,
        document: Document,
        room: &HeldRoom,
    ) -> Result<(), Refusal> {
        if !self.is_end_stream() {
            let announced_bytes =
                self.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
            self.holding = Some(room.holding(announced_bytes.unwrap_or(usize::MAX)));
        }
        self.compare(document.claims)
    }

    /// Compares an object or part with its hash at its end, for requests whose bytes `s3s` does not
    /// compare.
    ///
    /// # Errors
    /// The refusal of an empty body whose hash differs.
    pub(crate) fn expect_payload(&mut self, sha256: Checksum) -> Result<(), Refusal> {
        if self.document.is_some() {
            return Ok(()); // A document, which is compared already, with its checksums too.
        }
        self.compare(DocumentClaims { payload_sha256: Some(sha256), checksums: Vec::new() })
    }

    fn compare(&mut self, claims: DocumentClaims) -> Result<(), Refusal> {
        let mut algorithms = claims.all().map(|claimed| claimed.algorithm()).peekable();
        if algorithms.peek().is_none() {
            return Ok(());
        }
        let check = DocumentCheck { hasher: MultiHasher::new(algorithms), claims };
        if self.is_end_stream() {
            return check.finish().map_err(BrokenBody::refusal);
        }
        self.document = Some(check);
        Ok(())
    }

    /// Returns the handle on a document's room, to be released after the response.
    pub(crate) fn held(&self) -> Held {
        Held(Arc::clone(&self.held.0))
    }

    /// Takes room for bytes that have arrived, if later layers hold them.
    fn take_room(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<Result<(), Displaced>> {
        match self.holding.as_mut() {
            Some(holding) => holding.poll_take(&self.requester.access_key_id(), bytes, cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn is_displaced(&mut self, cx: &mut Context<'_>) -> bool {
        self.holding.as_mut().is_some_and(|holding| holding.poll_displaced(cx).is_ready())
    }

    /// Marks that all bytes have arrived: the room is kept until the response.
    fn keep_room(&mut self) {
        if let Some(mut holding) = self.holding.take() {
            self.held.keep(holding.finish());
        }
    }

    /// Breaks off the body without waiting for the rest, which also ends the connection.
    fn give_up(&mut self, broken: BrokenBody) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        self.incoming = None;
        self.holding = None;
        self.fate.left_unread.store(true, Relaxed);
        Poll::Ready(Some(Err(self.fate.set(broken))))
    }

    /// Returns a handle on the outcome that outlives the body.
    pub(crate) fn fate(&self) -> BodyFate {
        self.fate.clone()
    }
}

/// The room of a document, released when its last handle is dropped.
#[derive(Debug, Default)]
pub(crate) struct Held(Arc<Mutex<Option<Taken>>>);

impl Held {
    fn keep(&self, taken: Option<Taken>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = taken;
    }
}

/// A document in the body of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    /// Whether the document is XML, as all are except bucket policies.
    pub(crate) is_xml: bool,
    pub(crate) claims: DocumentClaims,
}

/// The declared hashes of the document in a request's body.
#[derive(Clone, Debug, Default)]
pub(crate) struct DocumentClaims {
    /// The value of `x-amz-content-sha256`.
    pub(crate) payload_sha256: Option<Checksum>,
    /// The values of Content-MD5 and `x-amz-checksum-*`.
    pub(crate) checksums: Vec<Checksum>,
}

impl DocumentClaims {
    fn all(&self) -> impl Iterator<Item = Checksum> {
        self.payload_sha256.into_iter().chain(self.checksums.iter().copied())
    }
}

/// The hashes of a document in progress, with their expected values.
struct DocumentCheck {
    hasher: MultiHasher,
    claims: DocumentClaims,
}

impl DocumentCheck {
    /// Returns an error for the first value that does not match.
    fn finish(self) -> Result<(), BrokenBody> {
        let computed = self.hasher.finish();
        let wrong = self.claims.all().find(|claimed| !computed.contains(claimed));
        let Some(claimed) = wrong else { return Ok(()) };
        let same_algorithm = |computed: &&Checksum| computed.algorithm() == claimed.algorithm();
        match computed.iter().find(same_algorithm) {
            Some(&computed) if self.claims.payload_sha256 == Some(claimed) => {
                Err(BrokenBody::Payload { claimed, computed: Box::new(computed) })
            }
            Some(&computed) => Err(BrokenBody::Digest { claimed, computed: Box::new(computed) }),
            None => unreachable!("every claim has its hash computed"),
        }
    }
}

/// Whether the client sends its body only after `100 Continue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpectsContinue {
    Yes,
    No,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        let this = &mut *self;
        loop {
            if let Some(came) = this.came.take() {
                match this.take_room(came.len(), cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(Displaced)) => return this.give_up(BrokenBody::Displaced),
                    Poll::Pending => {
                        this.came = Some(came);
                        return Poll::Pending;
                    }
                }
                let Some(reframer) = this.reframer.as_mut() else {
                    // Finish with the last bytes, because the end of the stream may never be read.
                    if this.incoming.as_ref().is_none_or(Incoming::is_end_stream) {
                        this.keep_room();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(came))));
                };
                if let Err(bad) = reframer.push(came) {
                    return Poll::Ready(Some(Err(this.fate.set(BrokenBody::Framing(bad)))));
                }
            }
            if let Some(ready) = this.reframer.as_mut().and_then(Reframer::next_ready) {
                return Poll::Ready(Some(Ok(Frame::data(ready))));
            }
            if let (Some(holding), Some(reframer)) = (this.holding.as_mut(), this.reframer.as_ref())
                && reframer.is_between_chunks()
            {
                // A request for more bytes means that the previous chunks were checked and passed
                // on.
                holding.release();
            }
            let Some(incoming) = this.incoming.as_mut() else { return Poll::Ready(None) };
            this.client_is_sending = true;
            let frame = match Pin::new(incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(_))) => {
                    this.incoming = None;
                    return Poll::Ready(Some(Err(this.fate.set(BrokenBody::CutShort))));
                }
                Poll::Ready(None) => {
                    this.incoming = None;
                    if let Some(bad) =
                        this.reframer.as_ref().and_then(|reframer| reframer.finish().err())
                    {
                        return Poll::Ready(Some(Err(this.fate.set(BrokenBody::Framing(bad)))));
                    }
                    this.keep_room();
                    let checked = this.document.take().map_or(Ok(()), DocumentCheck::finish);
                    return Poll::Ready(checked.err().map(|broken| Err(this.fate.set(broken))));
                }
                Poll::Pending if this.patience.poll_out(cx).is_ready() => {
                    return this.give_up(BrokenBody::Stalled);
                }
                Poll::Pending if this.is_displaced(cx) => {
                    return this.give_up(BrokenBody::Displaced);
                }
                Poll::Pending => return Poll::Pending,
            };
            let Ok(data) = frame.into_data() else { continue };
            this.patience.progress(data.len());
            this.metrics.received_bytes.fetch_add(data.len() as u64, Relaxed);
            if let Some(mut document) = this.document.take() {
                document.hasher.update(&data);
                if !this.incoming.as_ref().is_some_and(Incoming::is_end_stream) {
                    this.document = Some(document);
                } else if let Err(broken) = document.finish() {
                    // Report with the last bytes: s3s does not read the end if it detects wrong
                    // bytes itself.
                    return Poll::Ready(Some(Err(this.fate.set(broken))));
                }
            }
            this.came = Some(data);
        }
    }

    fn is_end_stream(&self) -> bool {
        match (&self.incoming, &self.reframer) {
            (_, Some(_)) => false,
            _ if self.came.is_some() => false,
            (None, None) => true,
            (Some(incoming), None) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.incoming, &self.reframer) {
            (Some(incoming), None) => incoming.size_hint(),
            (None, None) => SizeHint::with_exact(0),
            (_, Some(_)) => SizeHint::default(),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take() else { return };
        if incoming.is_end_stream() {
            return;
        }
        if !self.client_is_sending || incoming.size_hint().lower() > self.drain_bytes {
            self.fate.left_unread.store(true, Relaxed);
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(DRAIN_TIME, drain(incoming, self.drain_bytes)));
        }
    }
}

async fn drain(mut incoming: Incoming, limit_bytes: u64) {
    let mut drained = 0;
    // A client that stopped sending has had time to read the response; free its connection for
    // others.
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(DRAIN_IDLE_TIME, incoming.frame()).await {
        drained += frame.data_ref().map_or(0, |data| data.len() as u64);
        if drained > limit_bytes {
            return;
        }
    }
}
