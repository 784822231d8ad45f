//! A cancelled upload is removed from the store (P3), at any moment and however it is cancelled.

use std::time::Duration;

use haul::StopRequest;
use haul::remote::Operation as O;
use haul::testing::memory::{Fault, Faults};
use haul::{Error, Event};

use crate::harness::{arrives, aws, bytes, chain, heard, nothing_left, object, options, start};

/// Delays every request for a while, so that there are moments to cancel at.
fn slow() -> Faults {
    [O::CreateMultipartUpload, O::UploadPart, O::CompleteMultipartUpload, O::AbortMultipartUpload]
        .into_iter()
        .fold(Faults::none(), |faults, operation| {
            faults.on_every(operation, Fault::Delay(Duration::from_millis(100)))
        })
}

/// Waits long enough for every task that an upload left running.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(600)).await;
}

/// Every async client has this problem: a dropped future cannot await its abort.
#[tokio::test(start_paused = true)]
async fn dropping_the_upload_aborts_it() {
    let store = aws(slow());
    let running = start(&store, &bytes(10_500), options());
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(store.open_uploads().len(), 1);
    drop(running);
    settle().await;
    nothing_left(&store);
    assert_eq!(store.object(&object()), None);
}

/// A timeout drops the upload, as `tokio::select!` and `tokio::time::timeout` in a caller do.
#[tokio::test(start_paused = true)]
async fn a_timeout_of_the_caller_aborts_it() {
    let store = aws(Faults::none().on_every(O::UploadPart, Fault::Stall));
    let running = start(&store, &bytes(10_500), options());
    assert!(tokio::time::timeout(Duration::from_secs(5), running).await.is_err());
    settle().await;
    nothing_left(&store);
}

#[tokio::test(start_paused = true)]
async fn dropping_before_the_first_poll_leaves_nothing() {
    let store = aws(slow());
    drop(start(&store, &bytes(10_500), options()));
    settle().await;
    nothing_left(&store);
    assert_eq!(store.object(&object()), None);
}

/// Cancels at every millisecond of an upload: it either succeeds, or is cancelled and leaves
/// nothing.
#[tokio::test(start_paused = true)]
async fn cancelling_at_any_moment_leaves_nothing() {
    let (mut cancelled, mut completed) = (0, 0);
    for moment in 0..70 {
        let store = aws(slow());
        let running = start(&store, &bytes(10_500), options());
        let stopper = running.stopper();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(moment * 10)).await;
            stopper.stop(StopRequest::Cancel);
        });
        match running.await {
            Ok(_) => {
                completed += 1;
                assert_eq!(store.object(&object()).unwrap(), bytes(10_500));
            }
            Err(Error::Cancelled { .. }) => {
                cancelled += 1;
                assert_eq!(store.object(&object()), None);
            }
            Err(error) => panic!("at {moment}: {}", chain(&error)),
        }
        nothing_left(&store);
    }
    assert!(cancelled > 5 && completed > 5, "{cancelled} cancelled, {completed} completed");
}

/// The caller leaves before Create is answered: the upload that the answer names is removed.
#[tokio::test(start_paused = true)]
async fn cancelling_during_create_removes_what_it_made() {
    let store = aws(slow());
    let running = start(&store, &bytes(10_500), options());
    tokio::time::sleep(Duration::from_millis(50)).await;
    running.stop(StopRequest::Cancel);
    assert!(matches!(running.await, Err(Error::Cancelled { .. })));
    assert_eq!((store.calls(O::CreateMultipartUpload), store.calls(O::UploadPart)), (1, 0));
    nothing_left(&store);
}

/// The same when the store has carried out Create, and only its answer is still on its way.
#[tokio::test(start_paused = true)]
async fn cancelling_before_the_answer_to_create_removes_what_it_made() {
    let late = Fault::DelayAnswer(Duration::from_secs(10));
    let store = aws(Faults::none().on(O::CreateMultipartUpload, 1, late));
    let running = start(&store, &bytes(10_500), options());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(store.open_uploads().len(), 1);
    drop(running);
    settle().await;
    nothing_left(&store);
}

/// Parts that stall forever do not delay the abort.
#[tokio::test(start_paused = true)]
async fn stalled_parts_are_stopped() {
    let store = aws(Faults::none().on_calls(O::UploadPart, 5..=u64::MAX, Fault::Stall));
    let running = start(&store, &bytes(10_500), options());
    let stopper = running.stopper();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    stopper.stop(StopRequest::Cancel);
    stopper.stop(StopRequest::Cancel);
    let (ended, said) = heard(running).await;
    assert!(matches!(ended, Err(Error::Cancelled { .. })));
    nothing_left(&store);
    assert!(matches!(said.last(), Some(Event::Aborted)), "{:?}", said.last());
}

/// P6: Complete is in flight, so its outcome decides, and the abort never overtakes it.
#[tokio::test(start_paused = true)]
async fn cancelling_during_complete_waits_for_its_outcome() {
    let faults =
        Faults::none().on_every(O::CompleteMultipartUpload, Fault::Delay(Duration::from_secs(300)));
    let store = aws(faults);
    let running = start(&store, &bytes(10_500), options());
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(store.calls(O::CompleteMultipartUpload), 1);
    running.stop(StopRequest::Cancel);
    running.await.unwrap();
    assert_eq!(store.object(&object()).unwrap(), bytes(10_500));
    assert_eq!(store.calls(O::AbortMultipartUpload), 0);
}

#[tokio::test(start_paused = true)]
async fn cancelling_after_the_end_changes_nothing() {
    let store = aws(Faults::none());
    let mut running = start(&store, &bytes(10_500), options());
    let stopper = running.stopper();
    (&mut running).await.unwrap();
    stopper.stop(StopRequest::Cancel);
    drop(running);
    settle().await;
    assert_eq!(store.object(&object()).unwrap(), bytes(10_500));
    arrives(&store).await;
}
