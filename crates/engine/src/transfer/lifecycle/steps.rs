//! The inputs and actions of an upload's state machine.

use std::time::Duration;

use haul_parts::PartNumber;

use crate::advice::Advice;
use crate::pace::FailedAttempt;

/// An event for the state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Starts the upload.
    Start,
    /// CreateMultipartUpload was answered.
    Created,
    /// CreateMultipartUpload failed.
    CreateFailed(FailedAttempt),
    /// The gate has granted a pass for one part, as requested by
    /// [`Lifecycle::wants_pass`](super::Lifecycle::wants_pass).
    Admitted,
    /// The next part of a stream was read, as requested by
    /// [`Lifecycle::wants_part`](super::Lifecycle::wants_part).
    PartRead,
    /// The stream has no more parts.
    StreamEnded,
    /// A part has arrived and its proof was checked.
    PartSent(PartNumber),
    /// An attempt to send a part failed.
    PartFailed(PartNumber, FailedAttempt),
    /// This run can never send a part: proof was required, or, with [`Advice::Resume`], the source
    /// has changed or cannot be read, and another run can resume. The driver also reports this
    /// instead of sending Complete.
    PartImpossible(PartNumber, Advice),
    /// A wait is over.
    Woke(Waiting),
    /// Complete was answered.
    Completed,
    /// Complete failed.
    CompleteFailed(FailedAttempt),
    /// The object was examined after a lost answer.
    Examined(Finding),
    /// The caller requests that the upload ends with nothing left at the store.
    Cancel,
    /// The caller requests a pause: parts in flight may still arrive.
    Pause,
    /// The caller no longer waits for the parts in flight.
    PauseNow,
    /// The abort is confirmed.
    Aborted,
    /// The abort could not be confirmed in time.
    AbortFailed,
}

/// The result of examining the object and the upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The object is ours.
    Ours,
    /// The object is not ours and the upload is still open: Complete had no effect.
    UploadOpen,
    /// The object is not ours and the upload is gone.
    UploadGone,
    /// The upload is gone and there is no object of this key: it was aborted or has expired.
    NothingThere,
    /// The store did not answer the query.
    Unknown(FailedAttempt),
}

/// The request or part that a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The wait before Create is repeated.
    Create,
    /// The wait before this part is sent again.
    Part(PartNumber),
    /// The wait before Complete is repeated.
    Complete,
    /// The wait before the object is examined again.
    Examine,
}

/// An action for the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send CreateMultipartUpload.
    Create,
    /// Read, hash and send a part. The second value is the attempt, counted from 1.
    SendPart(PartNumber, u32),
    /// Report `Input::Woke` after this duration; `u32` is the attempt that failed.
    Wait(Waiting, u32, Duration),
    /// Send CompleteMultipartUpload with every part.
    Complete,
    /// Send HEAD for the object, then ListParts, to determine whether the object is ours and
    /// whether the upload is still open.
    Examine,
    /// Stop the parts in flight, wait until they have stopped, then repeat the abort until
    /// ListParts reports that the upload is gone.
    Abort,
    /// Stop the parts in flight and the waits, without a request to the store.
    Stop,
    /// End with this outcome.
    Finish(Outcome),
}

/// The outcome of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The object exists.
    Done,
    /// The upload failed; nothing is left at the store.
    Failed,
    /// The upload was cancelled; nothing is left at the store.
    Cancelled,
    /// The upload failed, and its parts could not be removed.
    LeftBehind,
    /// The upload stopped and can be resumed; the parts that arrived stay at the store.
    Paused,
    /// The store lost the upload before Complete, or requires a new upload (409): nothing is left,
    /// and all parts must be sent again.
    Restart,
    /// The outcome was in doubt: the upload is gone, and the object is not ours.
    UploadGone,
    /// It is unknown whether Complete took effect.
    InDoubt,
}

/// What to do when the store cannot be reached or accepts no parts, after all attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenExhausted {
    /// Remove the parts, because no later run could find them.
    Abort,
    /// Keep the parts: a journal records the upload. An upload is removed only if it can never
    /// complete, or if no part has arrived and none will.
    Pause,
    /// Keep the parts in any case: a journal records the upload, and another client began it.
    Keep,
}
