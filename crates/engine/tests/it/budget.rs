//! Memory and requests in flight stay within their limits for objects of any size (P5).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use haul::remote::Operation as O;
use haul::source::Change;
use haul::testing::memory::{Fault, Faults};
use haul::{BytesSource, Source, StopRequest, UploadOptions};

use crate::harness::{
    arrives_on, aws, bytes, engine, narrow_engine, nothing_left, object, options, run_on,
};

const MIB: u64 = 1 << 20;

/// A source that counts the bytes that are read from it.
struct CountingSource {
    bytes: BytesSource,
    read_bytes: Arc<AtomicU64>,
}

impl Source for CountingSource {
    fn size_bytes(&self) -> u64 {
        self.bytes.size_bytes()
    }

    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_bytes.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.bytes.read_exact_at(offset_bytes, buffer)
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        Ok(())
    }

    fn name(&self) -> String {
        "counted".into()
    }
}

/// From part 13 on the store accepts nothing more, so all bytes read after the first 12 parts are
/// held in memory: no more than the budget allows.
#[tokio::test(start_paused = true)]
async fn no_more_is_read_than_the_budget_holds() {
    // The first 12 parts take the upload past the slow start, in which fewer than six parts are in
    // flight.
    let store = aws(Faults::none().on_calls(O::UploadPart, 13..=u64::MAX, Fault::Stall));
    let read_bytes = Arc::new(AtomicU64::new(0));
    let source = CountingSource {
        bytes: BytesSource::new(bytes(32 << 20)),
        read_bytes: Arc::clone(&read_bytes),
    };
    let options = UploadOptions { part_size_bytes: Some(MIB), ..options() };
    let running = engine(&store, 6 * MIB + 1000).upload(source, object(), options);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(read_bytes.load(Ordering::Relaxed), (12 + 6) * MIB);
    assert_eq!(store.parts_in_flight_most(), 6);
    running.stop(StopRequest::Cancel);
    running.await.unwrap_err();
    nothing_left(&store);
}

/// With a budget smaller than one part, the parts are read twice instead of held in memory, and
/// arrive.
#[tokio::test(start_paused = true)]
async fn parts_larger_than_the_budget_arrive() {
    let faults = Faults::none()
        .on(O::UploadPart, 2, Fault::CutBody)
        .on(O::UploadPart, 3, Fault::FlipInTransit)
        .on(O::UploadPart, 4, Fault::FlipAtRest);
    let store = aws(faults);
    let read_bytes = Arc::new(AtomicU64::new(0));
    let content = bytes(5 << 20);
    let source = CountingSource {
        bytes: BytesSource::new(content.clone()),
        read_bytes: Arc::clone(&read_bytes),
    };
    let options = UploadOptions { part_size_bytes: Some(MIB + 17), ..options() };
    engine(&store, MIB).upload(source, object(), options).await.unwrap();
    assert!(store.object(&object()).unwrap() == content);
    assert!(
        read_bytes.load(Ordering::Relaxed) >= 10 * MIB,
        "each part is read to hash it and to send it"
    );
    // The budget has four slices and each part takes two of them, so at most two parts are in
    // flight.
    assert!(store.parts_in_flight_most() <= 2);
    nothing_left(&store);
}

/// The smallest budget is one slice.
#[tokio::test(start_paused = true)]
async fn the_smallest_budget_still_moves() {
    let store = aws(Faults::none());
    arrives_on(&engine(&store, 0), &store, options()).await;
    assert_eq!(store.parts_in_flight_most(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_parts_are_in_flight_than_asked_for() {
    for concurrency in [0, 1, 3, 16] {
        let faults = Faults::none().on_every(O::UploadPart, Fault::Delay(Duration::from_secs(1)));
        let store = aws(faults);
        run_on(&narrow_engine(&store, concurrency), 100_000, options()).await.unwrap();
        assert_eq!(store.parts_in_flight_most(), concurrency.max(1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_impossible_plan_sends_nothing() {
    let store = aws(Faults::none());
    let options = UploadOptions { part_size_bytes: Some(1), ..options() };
    let error = crate::harness::run(&store, 10_001, options).await.unwrap_err();
    assert!(matches!(error, haul::Error::Plan { .. }));
    assert_eq!(store.history(), vec![]);
}
