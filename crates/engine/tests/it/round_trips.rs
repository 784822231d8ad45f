//! Part sizes that follow the round trip to the store.

use std::sync::Arc;
use std::time::Duration;

use haul::parts::Limits;
use haul::parts::limits::MIB;
use haul::remote::Operation as O;
use haul::testing::memory::{Fault, Faults, MemoryStore, Quirks};
use haul::{BytesSource, Engine, EngineOptions, StopRequest, StreamOptions, UploadOptions};

use crate::harness::{aws, bucket, bytes, object};
use crate::machine::Machine;

const LONG: Duration = Duration::from_millis(150);
const SIZE: usize = 33 << 20;

fn far_away() -> MemoryStore {
    let store = MemoryStore::new(Quirks::AWS).with_bucket(&bucket());
    store.set_round_trip(LONG);
    store
}

/// The parts of this store are held, so that memory for sixteen parts of 16 MiB is needed.
fn engine(store: &MemoryStore) -> Engine {
    let options = EngineOptions { memory_budget_bytes: 256 * MIB, ..EngineOptions::default() };
    Engine::new(Arc::new(store.clone()), options)
}

fn by_round_trip() -> UploadOptions {
    UploadOptions { part_size_by_round_trip: true, ..UploadOptions::default() }
}

async fn part_count(store: &MemoryStore, options: UploadOptions) -> u32 {
    let source = BytesSource::new(bytes(SIZE));
    engine(store).upload(source, object(), options).await.unwrap().part_count
}

#[tokio::test(start_paused = true)]
async fn a_long_round_trip_makes_larger_parts_on_request() {
    let store = far_away();
    assert_eq!(part_count(&store, by_round_trip()).await, 3, "16 MiB each");
    assert_eq!(part_count(&store, UploadOptions::default()).await, 5, "8 MiB without the option");
    let given = UploadOptions { part_size_bytes: Some(6 * MIB), ..by_round_trip() };
    assert_eq!(part_count(&store, given).await, 6, "a given size is kept");
    store.set_round_trip(Duration::from_millis(20));
    assert_eq!(part_count(&store, by_round_trip()).await, 5, "8 MiB on a short link");
}

#[tokio::test(start_paused = true)]
async fn parts_of_streams_follow_the_round_trip_too() {
    let store = far_away();
    let options = StreamOptions { upload: by_round_trip(), ..StreamOptions::default() };
    let stream = std::io::Cursor::new(bytes(SIZE));
    let report = engine(&store).upload_stream(stream, object(), options).await.unwrap();
    assert_eq!(report.part_count, 3);
}

/// The part size is recorded: a laptop that moves to another link continues the upload that it
/// began, and the object is the same.
#[tokio::test(start_paused = true)]
async fn a_resumed_upload_keeps_the_parts_of_the_first_link() {
    const SIZE: usize = 7 << 19;
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    std::fs::write(machine.file(), bytes(SIZE)).unwrap();
    let limits = Limits { part_size_default_bytes: MIB, part_size_min_bytes: 1, ..Limits::AWS };
    let options = || UploadOptions {
        part_size_bytes: None,
        part_size_by_round_trip: true,
        limits: Some(limits),
        ..machine.options()
    };
    store.set_faults(Faults::none().on_calls(O::UploadPart, 3..=u64::MAX, Fault::Stall));
    let running = machine.start_with(&store, options());
    tokio::time::sleep(Duration::from_secs(60)).await;
    running.stop(StopRequest::PauseNow);
    running.await.unwrap_err();
    store.set_faults(Faults::none());
    store.set_round_trip(LONG);
    let report = machine.start_with(&store, options()).await.unwrap();
    assert_eq!((report.resumed_bytes, report.part_count), (2 * MIB, 4));
    assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));
}
