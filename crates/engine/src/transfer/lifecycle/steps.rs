//! What an upload's state machine is given and what it asks for.

use std::time::Duration;

use haul_parts::PartNumber;

use crate::advice::Advice;
use crate::pace::Failure;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Begin.
    Start,
    /// CreateMultipartUpload was answered.
    Created,
    /// CreateMultipartUpload failed.
    CreateFailed(Failure),
    /// There is a pass of the gate for one part, asked for as
    /// [`Lifecycle::wants_pass`](super::Lifecycle::wants_pass) said.
    Admitted,
    /// The next part of a stream was read, asked for as
    /// [`Lifecycle::wants_part`](super::Lifecycle::wants_part) said.
    PartRead,
    /// The stream has no more parts.
    StreamEnded,
    /// A part is at the store, judged.
    PartSent(PartNumber),
    /// An attempt to send a part failed.
    PartFailed(PartNumber, Failure),
    /// A part can never be sent by this run: proof was required; or, with [`Advice::Resume`], the
    /// source has changed or cannot be read, and another run can go on. Also instead of Complete,
    /// which was not sent then.
    PartImpossible(PartNumber, Advice),
    /// A wait is over.
    Woke(Waiting),
    /// Complete was answered.
    Completed,
    /// Complete failed.
    CompleteFailed(Failure),
    /// The object was examined after a lost answer.
    Examined(Finding),
    /// The caller wants it to end with nothing left at the store.
    Cancel,
    /// The caller wants it to stop and be resumable: parts in flight may still arrive.
    Pause,
    /// The caller waits no longer for the parts in flight.
    PauseNow,
    /// The abort is confirmed.
    Aborted,
    /// The abort could not be confirmed within its own patience.
    AbortFailed,
}

/// What an examination of the object and the upload showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The object is ours.
    Ours,
    /// The object is not ours and the upload is still open: Complete was never carried out.
    UploadOpen,
    /// The object is not ours and the upload is gone.
    UploadGone,
    /// The upload is gone and there is no object of this key: it was aborted or has expired.
    NothingThere,
    /// The store would not say.
    Unknown(Failure),
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// To create again.
    Create,
    /// To send this part again.
    Part(PartNumber),
    /// To complete again.
    Complete,
    /// To examine again.
    Examine,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// CreateMultipartUpload.
    Create,
    /// Read, hash and send a part. Attempts count from 1.
    SendPart(PartNumber, u32),
    /// Give `Input::Woke` after this long; `u32` is the attempt that failed.
    Wait(Waiting, u32, Duration),
    /// CompleteMultipartUpload with every part.
    Complete,
    /// HEAD the object, then ListParts: whose is it, and is the upload still open?
    Examine,
    /// Stop the parts in flight, wait until they have stopped, then abort until ListParts says it
    /// is gone.
    Abort,
    /// Stop the parts in flight and the waits; nothing is told to the store.
    Stop,
    /// The end.
    Finish(Outcome),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The object is there.
    Done,
    /// It failed; nothing is left at the store.
    Failed,
    /// It was cancelled; nothing is left at the store.
    Cancelled,
    /// It failed, and what is at the store could not be removed.
    LeftBehind,
    /// It stopped and can go on later; what arrived stays at the store.
    Paused,
    /// The store lost the upload before Complete, or wants a new one (409): nothing is left, all
    /// parts must be sent again.
    Restart,
    /// After a doubt: the upload is gone, and the object is not ours.
    UploadGone,
    /// It is not known whether Complete was carried out.
    InDoubt,
}

/// What to do when the store cannot be reached or will not take parts, however often they are
/// tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenExhausted {
    /// Remove what is there: nobody could find it again.
    Abort,
    /// Keep it: a journal remembers it. Removed is only what can never complete, and an upload of
    /// which nothing has arrived and nothing will.
    Pause,
    /// Keep it whatever happens: a journal remembers it, and somebody else had begun it.
    Keep,
}
