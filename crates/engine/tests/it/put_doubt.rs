//! A single PutObject can have an unknown outcome too (P6): once its bytes have been sent, it
//! cannot be undone.

use std::time::Duration;

use haul::remote::Operation as O;
use haul::testing::memory::{Fault, Faults, MemoryStore, Refusal};
use haul::{Error, Event, StopRequest, Transfer, UploadOptions, UploadReport};
use tokio::time::Instant;

use crate::harness::{aws, bytes, chain, heard, object, options, start};

const SIZE: usize = 500;

fn single() -> UploadOptions {
    UploadOptions { part_size_bytes: None, multipart_threshold_bytes: 1 << 20, ..options() }
}

fn put(store: &MemoryStore) -> Transfer<UploadReport> {
    start(store, &bytes(SIZE), single())
}

/// Sends a stop request after a second and returns the result.
async fn stopped(store: &MemoryStore, request: StopRequest) -> Result<UploadReport, Error> {
    let running = put(store);
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.stop(request);
    running.await
}

fn is_there(store: &MemoryStore) {
    assert_eq!(store.object(&object()).expect("it was carried out"), bytes(SIZE));
}

#[tokio::test(start_paused = true)]
async fn a_put_whose_answers_are_all_lost_is_found() {
    let store = aws(Faults::none().on_every(O::PutObject, Fault::LoseAnswer));
    put(&store).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
    is_there(&store);
}

/// Regression: at a slow store, Ctrl-C reported "nothing is left of it", although the old object
/// had been replaced.
#[tokio::test(start_paused = true)]
async fn a_put_cancelled_after_it_took_effect_is_reported_as_done() {
    for request in [StopRequest::Cancel, StopRequest::Pause, StopRequest::PauseNow] {
        let slow =
            Faults::none().on_every(O::PutObject, Fault::DelayAnswer(Duration::from_secs(3600)));
        let store = aws(slow);
        let report =
            stopped(&store, request).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
        is_there(&store);
        assert_eq!((report.size_bytes, report.proof.unproven), (SIZE as u64, 0));
    }
}

/// A cancelled PutObject waits for its answer as long as parts in flight do.
#[tokio::test(start_paused = true)]
async fn a_cancelled_put_takes_an_answer_that_is_on_its_way() {
    let store =
        aws(Faults::none().on_every(O::PutObject, Fault::DelayAnswer(Duration::from_secs(3))));
    stopped(&store, StopRequest::Cancel).await.unwrap();
    assert_eq!(store.calls(O::HeadObject), 0);
    is_there(&store);
}

/// The store does not answer the question whether the object exists.
#[tokio::test(start_paused = true)]
async fn a_cancelled_put_that_cannot_be_looked_at_is_in_doubt() {
    let faults = Faults::none()
        .on_every(O::PutObject, Fault::DelayAnswer(Duration::from_secs(3600)))
        .on_every(O::HeadObject, Fault::Answer(Refusal::ACCESS_DENIED));
    let store = aws(faults);
    let error = stopped(&store, StopRequest::Cancel).await.unwrap_err();
    assert!(matches!(error, Error::PutInDoubt { .. }), "{}", chain(&error));
}

/// The object is absent at the first HEAD, and present a minute later.
#[tokio::test(start_paused = true)]
async fn a_put_that_may_still_land_is_in_doubt() {
    let late = Fault::LandLate(Duration::from_secs(120));
    let store = aws(Faults::none().on_every(O::PutObject, late));
    let (ended, said) = heard(put(&store)).await;
    let error = ended.unwrap_err();
    assert!(matches!(error, Error::PutInDoubt { .. }), "{}", chain(&error));
    assert!(said.iter().any(|event| matches!(event, Event::InDoubt { .. })));
    assert_eq!(store.object(&object()), None, "it was right not to say that it is there");
    tokio::time::sleep(Duration::from_secs(300)).await;
    is_there(&store);
}

/// A PutObject that was stopped in the middle of its body can never be carried out: nothing has to
/// be settled.
#[tokio::test(start_paused = true)]
async fn a_put_that_is_cancelled_before_its_bytes_have_left_is_undone() {
    for request in [StopRequest::Cancel, StopRequest::Pause, StopRequest::PauseNow] {
        let store =
            aws(Faults::none().on_every(O::PutObject, Fault::Delay(Duration::from_secs(3600))));
        let begun = Instant::now();
        let error = stopped(&store, request).await.unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{}", chain(&error));
        assert_eq!((begun.elapsed().as_secs(), store.calls(O::HeadObject)), (1, 0));
        tokio::time::sleep(Duration::from_secs(7200)).await;
        assert_eq!(store.object(&object()), None);
    }
}

/// A refusal is definite, however often it is repeated.
#[tokio::test(start_paused = true)]
async fn a_put_that_is_refused_is_not_in_doubt() {
    for refusal in [Refusal::ACCESS_DENIED, Refusal::INTERNAL_ERROR, Refusal::SLOW_DOWN] {
        let store = aws(Faults::none().on_every(O::PutObject, Fault::Answer(refusal)));
        let error = put(&store).await.unwrap_err();
        assert!(matches!(error, Error::Store { .. }), "{}", chain(&error));
    }
}

/// Between two attempts no request is in flight, so there is nothing to wait for.
#[tokio::test(start_paused = true)]
async fn a_put_that_waits_for_its_next_try_is_cancelled_at_once() {
    let busy = Refusal { retry_after: Some(Duration::from_secs(120)), ..Refusal::SLOW_DOWN };
    let store = aws(Faults::none().on_every(O::PutObject, Fault::Answer(busy)));
    let begun = Instant::now();
    let error = stopped(&store, StopRequest::Pause).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{}", chain(&error));
    assert_eq!(begun.elapsed().as_secs(), 1);
}

/// With If-None-Match, an object of another client prevents any request still in flight.
#[tokio::test(start_paused = true)]
async fn a_condition_that_does_not_hold_any_more_settles_the_doubt() {
    let store = aws(Faults::none().on_every(O::PutObject, Fault::LoseRequest));
    let guarded = UploadOptions { if_none_match: true, ..single() };
    let running = start(&store, &bytes(SIZE), guarded);
    tokio::time::sleep(Duration::from_millis(1)).await;
    store.set_faults(Faults::none());
    start(&store, b"of another client", single()).await.unwrap();
    let error = running.await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{}", chain(&error));
    assert_eq!(store.object(&object()).unwrap(), &b"of another client"[..]);
}
