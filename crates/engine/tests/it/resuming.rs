//! The same command again, stopped while it determines the state that an earlier run left.

use std::time::Duration;

use haul::Error;
use haul::StopRequest;
use haul::remote::Operation as O;
use haul::testing::memory::{Fault, Faults};

use crate::harness::{aws, bytes, chain, nothing_left, object};
use crate::machine::{Machine, SIZE};

#[tokio::test(start_paused = true)]
async fn what_arrived_before_is_not_sent_again() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 5).await;
    let before = store.bytes_received();
    let report = machine.start(&store).await.unwrap();
    assert_eq!(report.resumed_bytes, 5000);
    assert_eq!(store.bytes_received() - before, 5500);
    assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));
    assert_eq!(machine.journals().list().unwrap().len(), 0);
    nothing_left(&store);
}

/// The store does not answer ListParts: a pause, a cancel and a drop stop the upload nevertheless.
#[tokio::test(start_paused = true)]
async fn a_resume_that_is_still_looking_can_be_stopped() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 5).await;

    store.set_faults(Faults::none().on(O::ListParts, 1, Fault::Stall));
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(60)).await;
    running.stop(StopRequest::Pause);
    let error = tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Paused { arrived_bytes: 5000, .. }), "{}", chain(&error));

    store.set_faults(Faults::none().on(O::ListParts, 1, Fault::Stall));
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(running);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(store.open_uploads().len(), 1);

    store.set_faults(Faults::none().on(O::ListParts, 1, Fault::Stall));
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(60)).await;
    running.stop(StopRequest::Cancel);
    let error = tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{}", chain(&error));
    assert_eq!(machine.journals().list().unwrap().len(), 0);
    nothing_left(&store);
}

/// Two processes with the same command: the second one gets an error, and changes nothing.
#[tokio::test(start_paused = true)]
async fn a_second_process_on_the_same_upload_is_refused() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    store.set_faults(Faults::none().on_every(O::UploadPart, Fault::Delay(Duration::from_secs(10))));
    let first = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(15)).await;
    let calls = store.history().len();
    let error = machine.start(&store).await.unwrap_err();
    assert!(chain(&error).contains(&std::process::id().to_string()), "{}", chain(&error));
    assert_eq!(store.history().len(), calls);
    first.await.unwrap();
    nothing_left(&store);
}
