//! The body of a request between the socket and `s3s`: patience, framing, and a polite end.
//!
//! Three things happen here because nobody behind can do them. A sender that stops (or drips) is given up after
//! [`stall_timeout`](crate::Limits::stall_timeout) of *waiting*: time in which we do not ask for bytes is not held
//! against it. aws-chunked framing passes [`Reframer`]. And a body that was refused half-way is read on for a while
//! after it is dropped, for a client that is still sending would otherwise see a reset instead of the answer.
//!
//! Documents (Complete, DeleteObjects, bucket settings) are compared with the hash that was signed and with their checksums
//! here too: of the first `s3s` has only an internal error to say, and it gives the operations the parsed document and not its
//! bytes. Objects and parts are not: the store hashes those while it writes.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use haul_parts::{Checksum, MultiHasher};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use s3s::S3ErrorCode;
use tokio::time::{Instant, Sleep};

use crate::Limits;
use crate::admin::metrics::Metrics;
use crate::answer::refusal::Refusal;
use crate::answer::store_refusals::bad_digest;
use crate::body::aws_chunked::{BadFraming, Chunks, Reframer};
use crate::body::payload_hash;
use crate::body::room::{Room, Taken};

/// How long a refused body is read on.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// What broke a body off. Whoever was reading it sees an opaque error of `s3s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BrokenBody {
    #[error("the sender made no progress")]
    Stalled,
    #[error("bad aws-chunked framing: {0:?}")]
    Framing(BadFraming),
    #[error("the connection ended before the body did")]
    CutShort,
    #[error("the {} of the document is another", claimed.algorithm())]
    Digest { claimed: Checksum, computed: Checksum },
    #[error("the document is another than the signed one")]
    Payload { claimed: Checksum, computed: Checksum },
}

impl BrokenBody {
    /// What the client is told.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::Stalled => Refusal::new(S3ErrorCode::RequestTimeout),
            Self::Framing(BadFraming::ChunkTooLarge) => {
                Refusal::invalid_request("A signed chunk of your request is larger than the server holds.")
            }
            Self::Framing(BadFraming::NoFinalChunk) => Refusal::new(S3ErrorCode::IncompleteBody),
            Self::Framing(_) => {
                Refusal::invalid_request("The body of your request is not well-formed aws-chunked data.")
            }
            Self::CutShort => Refusal::new(S3ErrorCode::IncompleteBody),
            Self::Digest { claimed, computed } => bad_digest(&claimed, &computed),
            Self::Payload { claimed, computed } => payload_hash::mismatch(claimed, computed),
        }
    }
}

/// Shared between a body and the front, which answers for it when it broke off.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyFate {
    broken: Arc<OnceLock<BrokenBody>>,
    left_unread: Arc<AtomicBool>,
}

impl BodyFate {
    /// What broke the body off, if it did.
    pub(crate) fn broken(&self) -> Option<BrokenBody> {
        self.broken.get().copied()
    }

    /// Whether the body was dropped and nobody reads it on: the connection cannot go on behind it, and the client has to be
    /// told, or its next request on it would find it closed.
    pub(crate) fn is_left_unread(&self) -> bool {
        self.left_unread.load(Relaxed)
    }

    fn set(&self, broken: BrokenBody) -> BrokenBody {
        *self.broken.get_or_init(|| broken)
    }
}

/// The guarded body.
pub(crate) struct RequestBody {
    incoming: Option<Incoming>,
    reframer: Option<Reframer>,
    patience: Patience,
    fate: BodyFate,
    document: Option<DocumentCheck>,
    /// Asked for with the first byte of a document: `s3s` reads none before it knows who sends it.
    room_wanted: Option<Pin<Box<dyn Future<Output = Taken> + Send + Sync>>>,
    held: Held,
    /// Whether reading on after a refusal makes sense: not if the client still waits for `100 Continue`.
    client_is_sending: bool,
    drain_bytes: u64,
    metrics: Arc<Metrics>,
}

impl RequestBody {
    pub(crate) fn new(
        incoming: Incoming,
        chunks: Option<Chunks>,
        expects_continue: ExpectsContinue,
        limits: &Limits,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            incoming: Some(incoming),
            reframer: chunks.map(Reframer::new),
            patience: Patience::new(limits.stall_timeout, limits.slow_sender_bytes),
            fate: BodyFate::default(),
            document: None,
            room_wanted: None,
            held: Held::default(),
            client_is_sending: expects_continue == ExpectsContinue::No,
            drain_bytes: limits.drain_bytes,
            metrics,
        }
    }

    /// Reads a document once there is room for it, and compares the whole of it with what was said of it, at its end; an empty
    /// one now, because nobody may come to ask for its end.
    ///
    /// # Errors
    /// The refusal of an empty body that has another hash.
    pub(crate) fn expect_document(&mut self, document: Document, room: &Room) -> Result<(), Refusal> {
        if !self.is_end_stream() {
            self.room_wanted = Some(Box::pin(room.clone().take(document.length_bytes)));
        }
        let claims = document.claims;
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

    /// The room that a document takes, for whoever lets it go when it is answered.
    pub(crate) fn held(&self) -> Held {
        Held(Arc::clone(&self.held.0))
    }

    /// A handle that outlives the body.
    pub(crate) fn fate(&self) -> BodyFate {
        self.fate.clone()
    }
}

/// Room taken by a document, until its last handle is gone.
#[derive(Debug, Default)]
pub(crate) struct Held(Arc<OnceLock<Taken>>);

/// A document in the body of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    /// As declared; the body cannot have more.
    pub(crate) length_bytes: usize,
    /// Whether it is XML, as all but bucket policies.
    pub(crate) is_xml: bool,
    pub(crate) claims: DocumentClaims,
}

/// What a request says of the document in its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct DocumentClaims {
    /// `x-amz-content-sha256`.
    pub(crate) payload_sha256: Option<Checksum>,
    /// Content-MD5 and `x-amz-checksum-*`.
    pub(crate) checksums: Vec<Checksum>,
}

impl DocumentClaims {
    fn all(&self) -> impl Iterator<Item = Checksum> {
        self.payload_sha256.into_iter().chain(self.checksums.iter().copied())
    }
}

/// A document being hashed, and what it should come to.
struct DocumentCheck {
    hasher: MultiHasher,
    claims: DocumentClaims,
}

impl DocumentCheck {
    /// The first claim that is wrong.
    fn finish(self) -> Result<(), BrokenBody> {
        let computed = self.hasher.finish();
        let wrong = self.claims.all().find(|claimed| !computed.contains(claimed));
        let Some(claimed) = wrong else { return Ok(()) };
        let same_algorithm = |computed: &&Checksum| computed.algorithm() == claimed.algorithm();
        match computed.iter().find(same_algorithm) {
            Some(&computed) if self.claims.payload_sha256 == Some(claimed) => {
                Err(BrokenBody::Payload { claimed, computed })
            }
            Some(&computed) => Err(BrokenBody::Digest { claimed, computed }),
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
        if let Some(room_wanted) = this.room_wanted.as_mut() {
            let taken = ready!(room_wanted.as_mut().poll(cx));
            this.room_wanted = None;
            this.held.0.set(taken).expect("room is taken once");
        }
        loop {
            if let Some(ready) = this.reframer.as_mut().and_then(Reframer::next_ready) {
                return Poll::Ready(Some(Ok(Frame::data(ready))));
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
                    if let Some(bad) = this.reframer.as_ref().and_then(|reframer| reframer.finish().err()) {
                        return Poll::Ready(Some(Err(this.fate.set(BrokenBody::Framing(bad)))));
                    }
                    let checked = this.document.take().map_or(Ok(()), DocumentCheck::finish);
                    return Poll::Ready(checked.err().map(|broken| Err(this.fate.set(broken))));
                }
                Poll::Pending if this.patience.poll_out(cx).is_ready() => {
                    this.incoming = None;
                    return Poll::Ready(Some(Err(this.fate.set(BrokenBody::Stalled))));
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
                    // With the last bytes: s3s does not ask for the end when it finds them wrong itself.
                    return Poll::Ready(Some(Err(this.fate.set(broken))));
                }
            }
            let Some(reframer) = this.reframer.as_mut() else {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            };
            if let Err(bad) = reframer.push(data) {
                return Poll::Ready(Some(Err(this.fate.set(BrokenBody::Framing(bad)))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match (&self.incoming, &self.reframer) {
            (None, None) => true,
            (Some(incoming), None) => incoming.is_end_stream(),
            (_, Some(_)) => false,
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
    while let Some(Ok(frame)) = incoming.frame().await {
        drained += frame.data_ref().map_or(0, |data| data.len() as u64);
        if drained > limit_bytes {
            return;
        }
    }
}

/// Runs only while we wait: each `span` of waiting must bring `least` bytes.
struct Patience {
    span: Duration,
    least: u64,
    got: u64,
    deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(span: Duration, least: u64) -> Self {
        Self { span, least, got: 0, deadline: None, timer: None }
    }

    fn progress(&mut self, bytes: usize) {
        self.got += bytes as u64;
        if self.got >= self.least {
            self.got = 0;
            self.deadline = None;
        }
    }

    /// Ready when patience has run out; otherwise the task is woken when it does. The timer is not touched per
    /// piece of body: it fires at the deadline of some earlier wait and is moved then.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.span);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
