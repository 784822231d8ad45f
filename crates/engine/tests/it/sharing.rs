//! All transfers of one engine together stay within the limits of the engine.

use std::sync::Arc;
use std::time::Duration;

use haul::pace::RetryPolicy;
use haul::parts::Key;
use haul::remote::Operation as O;
use haul::testing::memory::{Fault, Faults, MemoryStore, Refusal};
use haul::{
    BytesSource, Engine, EngineOptions, ObjectRef, StopRequest, Transfer, UploadOptions,
    UploadReport,
};

use crate::harness::{aws, bucket, bytes, engine, narrow_engine, nothing_left, options};

const MIB: u64 = 1 << 20;

fn upload(
    engine: &Engine,
    key: &str,
    size: usize,
    options: UploadOptions,
) -> Transfer<UploadReport> {
    let object = ObjectRef { bucket: bucket(), key: Key::new(key).unwrap() };
    engine.upload(BytesSource::new(bytes(size)), object, options)
}

fn slow_parts() -> Faults {
    Faults::none().on_every(O::UploadPart, Fault::Delay(Duration::from_secs(1)))
}

async fn both_arrive(engine: &Engine, size: usize, options: &UploadOptions) {
    let one = upload(engine, "one", size, options.clone());
    let two = upload(engine, "two", size, options.clone());
    let (one, two) = tokio::join!(one, two);
    assert_eq!((one.unwrap().size_bytes, two.unwrap().size_bytes), (size as u64, size as u64));
}

#[tokio::test(start_paused = true)]
async fn two_uploads_pass_one_gate() {
    let store = aws(slow_parts());
    both_arrive(&narrow_engine(&store, 5), 60_000, &options()).await;
    assert_eq!(store.parts_in_flight_most(), 5);
}

#[tokio::test(start_paused = true)]
async fn two_uploads_share_one_memory_budget() {
    let store = aws(slow_parts());
    let options = UploadOptions { part_size_bytes: Some(MIB), ..options() };
    both_arrive(&engine(&store, 4 * MIB), 24 << 20, &options).await;
    assert_eq!(store.parts_in_flight_most(), 4, "parts of 1 MiB in 4 MiB of memory");
}

/// A second, small upload does not wait for a large one to end: both get requests by turns.
#[tokio::test(start_paused = true)]
async fn two_uploads_take_turns_at_the_gate() {
    let store = aws(slow_parts());
    let engine = narrow_engine(&store, 2);
    let large = upload(&engine, "large", 1_000_000, options());
    tokio::time::sleep(Duration::from_secs(20)).await;
    let small = upload(&engine, "small", 10_000, options());
    tokio::time::timeout(Duration::from_secs(15), small)
        .await
        .expect("it waits for the large one")
        .unwrap();
    large.stop(StopRequest::Cancel);
    large.await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn slow_down_to_one_upload_slows_the_other_too() {
    let refused = Fault::Answer(Refusal::SLOW_DOWN);
    let store = aws(slow_parts());
    let engine = narrow_engine(&store, 16);
    let one = upload(&engine, "one", 400_000, options());
    let two = upload(&engine, "two", 400_000, options());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(engine.requests_allowed(), 16, "past the slow start");
    store.set_faults(
        Faults::none()
            .on_calls(O::UploadPart, 1..=8, refused)
            .on_every(O::UploadPart, Fault::Delay(Duration::from_secs(1))),
    );
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(engine.requests_allowed() <= 9, "{} requests allowed", engine.requests_allowed());
    let (one, two) = tokio::join!(one, two);
    assert_eq!((one.unwrap().part_count, two.unwrap().part_count), (400, 400));
}

/// Regression: a store that was down got eight requests for each upload, however many uploads there
/// were.
#[tokio::test(start_paused = true)]
async fn two_uploads_share_one_retry_budget() {
    let calls = |uploads: usize| async move {
        let broken = Fault::Answer(Refusal::INTERNAL_ERROR);
        let store = aws(Faults::none().on_every(O::UploadPart, broken));
        let retry = RetryPolicy { attempts_max: 8, budget: 8, ..RetryPolicy::default() };
        let engine = Engine::new(
            Arc::new(store.clone()),
            EngineOptions { concurrency: 1.into(), retry, ..EngineOptions::default() },
        );
        let keys = (0..uploads).map(|index| upload(&engine, &index.to_string(), 5_000, options()));
        for failed in futures_util::future::join_all(keys).await {
            failed.unwrap_err();
        }
        nothing_left(&store);
        store.calls(O::UploadPart)
    };
    assert_eq!(calls(1).await, 8);
    let ten = calls(10).await;
    assert!(ten <= 8 + 10, "{ten} requests: one for each upload and eight that they share");
}

/// Dropping a transfer cannot wait for the abort of its upload, so `Engine::close` waits for it.
#[tokio::test(start_paused = true)]
async fn closing_waits_for_what_dropped_transfers_must_remove() {
    let slow_abort = Faults::none()
        .on_every(O::UploadPart, Fault::Delay(Duration::from_secs(60)))
        .on_every(O::AbortMultipartUpload, Fault::Delay(Duration::from_secs(5)));
    let store: MemoryStore = aws(slow_abort);
    let engine = narrow_engine(&store, 4);
    let running = upload(&engine, "one", 40_000, options());
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(running);
    assert_eq!(store.open_uploads().len(), 1);
    engine.close().await;
    nothing_left(&store);
}
