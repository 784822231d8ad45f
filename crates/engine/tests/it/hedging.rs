//! Hedges: the last pieces of a transfer are requested once more if they are slow, within a budget,
//! and never mixed.

use std::fs::File;
use std::io::{Cursor, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use haul::parts::PartNumber;
use haul::remote::{Operation as O, Store};
use haul::testing::memory::{EtagKind, Fault, Faults, MemoryStore, Quirks};
use haul::{
    Bandwidth, BytesSource, DownloadOptions, DownloadReport, DownloadTarget, Engine, EngineOptions,
    Error, StreamOptions, UploadOptions, UploadReport,
};
use tokio::time::Instant;

use crate::harness::{aws, bytes, chain, nothing_left, object, options, put_request, store};

const MIB: u64 = 1 << 20;
const PIECE_BYTES: u64 = MIB;
const COUNT: u64 = 24;
const SIZE_BYTES: u64 = COUNT * PIECE_BYTES;
/// A piece takes a second.
const USUAL: Fault = Fault::Slow(MIB);
/// A piece takes a minute and a half.
const SLOW: Fault = Fault::Slow(MIB / 90);

fn content() -> Vec<u8> {
    bytes(usize::try_from(SIZE_BYTES).unwrap())
}

fn engine(store: &MemoryStore) -> Engine {
    Engine::new(
        Arc::new(store.clone()),
        EngineOptions { concurrency: 4.into(), ..EngineOptions::default() },
    )
}

fn parts() -> UploadOptions {
    UploadOptions { part_size_bytes: Some(PIECE_BYTES), ..options() }
}

async fn with_object(store: MemoryStore) -> MemoryStore {
    engine(&store).upload(BytesSource::new(content()), object(), parts()).await.unwrap();
    store
}

/// Downloads the object; returns the bytes that were received besides the report.
async fn fetch(engine: &Engine, target: &Path) -> (Result<DownloadReport, Error>, u64) {
    let options =
        DownloadOptions { part_size_bytes: Some(PIECE_BYTES), ..DownloadOptions::default() };
    let running = engine.download(object(), target, options);
    let progress = running.progress();
    let ended = tokio::time::timeout(Duration::from_secs(86_400), running).await;
    (ended.expect("the download hangs"), progress.moved_bytes())
}

/// Asserts that the download arrives within `limit`; returns the bytes that were received.
async fn downloads_within(store: &MemoryStore, limit: Duration) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("file");
    let began = Instant::now();
    let (report, received_bytes) = fetch(&engine(store), &target).await;
    report.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert!(std::fs::read(&target).unwrap() == content());
    assert!(began.elapsed() < limit, "it took {:?}", began.elapsed());
    received_bytes
}

/// Uploads the object, and asserts that it arrives within `limit`.
async fn uploads_within(store: &MemoryStore, limit: Duration) -> UploadReport {
    let began = Instant::now();
    let running = engine(store).upload(BytesSource::new(content()), object(), parts());
    let report = tokio::time::timeout(Duration::from_secs(86_400), running).await;
    let report =
        report.expect("the upload hangs").unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert!(store.object(&object()).unwrap() == content());
    assert!(began.elapsed() < limit, "it took {:?}", began.elapsed());
    nothing_left(store);
    report
}

fn last_part() -> PartNumber {
    PartNumber::new(u32::try_from(COUNT).unwrap()).unwrap()
}

/// Without a hedge the last range takes a minute and a half.
#[tokio::test(start_paused = true)]
async fn a_slow_last_range_is_taken_over() {
    let store = with_object(aws(Faults::none())).await;
    let faults = Faults::none().on(O::GetObject, COUNT, SLOW).on_every(O::GetObject, USUAL);
    store.set_faults(faults);
    let received_bytes = downloads_within(&store, Duration::from_secs(20)).await;
    assert_eq!(store.calls(O::GetObject), COUNT + 1);
    let extra_bytes = received_bytes - SIZE_BYTES;
    assert!(extra_bytes <= SIZE_BYTES / 20, "{extra_bytes} bytes were received twice");
}

/// The ranges of a pipe are kept in memory until it is their turn.
#[tokio::test(start_paused = true)]
async fn the_slow_last_range_of_a_pipe_is_taken_over() {
    let store = with_object(aws(Faults::none())).await;
    let faults = Faults::none().on(O::GetObject, COUNT, SLOW).on_every(O::GetObject, USUAL);
    store.set_faults(faults);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let read = std::thread::spawn(move || {
        let mut read = vec![];
        reader.read_to_end(&mut read).unwrap();
        read
    });
    let file = File::from(OwnedFd::from(writer));
    let target = DownloadTarget::Open { file, name: "the pipe".into() };
    let options =
        DownloadOptions { part_size_bytes: Some(PIECE_BYTES), ..DownloadOptions::default() };
    let began = Instant::now();
    engine(&store).download(object(), target, options).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
    assert!(read.join().unwrap() == content());
    assert_eq!(store.calls(O::GetObject), COUNT + 1);
}

#[tokio::test(start_paused = true)]
async fn a_last_range_whose_answer_is_late_is_taken_over() {
    let store = with_object(aws(Faults::none())).await;
    let late = Fault::Delay(Duration::from_secs(90));
    let faults = Faults::none().on(O::GetObject, COUNT, late).on_every(O::GetObject, USUAL);
    store.set_faults(faults);
    downloads_within(&store, Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_first_range_that_is_slow_is_taken_over_at_the_end() {
    let store = with_object(aws(Faults::none())).await;
    let faults = Faults::none().on(O::GetObject, 1, SLOW).on_every(O::GetObject, USUAL);
    store.set_faults(faults);
    // The others take eight seconds on three connections.
    downloads_within(&store, Duration::from_secs(30)).await;
    assert_eq!(store.calls(O::GetObject), COUNT + 1);
}

#[tokio::test(start_paused = true)]
async fn ranges_that_are_all_slow_are_not_hedged() {
    let store = with_object(aws(Faults::none())).await;
    store.set_faults(Faults::none().on_every(O::GetObject, SLOW));
    assert_eq!(downloads_within(&store, Duration::from_secs(900)).await, SIZE_BYTES);
    assert_eq!(store.calls(O::GetObject), COUNT);
}

/// The two last ranges are slow, and so is everything that is requested after them.
#[tokio::test(start_paused = true)]
async fn hedged_ranges_stay_within_the_budget() {
    let store = with_object(aws(Faults::none())).await;
    let faults = Faults::none()
        .on_calls(O::GetObject, COUNT - 1..=u64::MAX, SLOW)
        .on_every(O::GetObject, USUAL);
    store.set_faults(faults);
    let received_bytes = downloads_within(&store, Duration::from_secs(300)).await;
    assert!(received_bytes > SIZE_BYTES, "nothing was hedged");
    let extra_bytes = received_bytes - SIZE_BYTES;
    assert!(extra_bytes <= SIZE_BYTES / 20, "{extra_bytes} bytes were received twice");
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_fails_costs_the_range_nothing() {
    let store = with_object(aws(Faults::none())).await;
    let faults = Faults::none()
        .on(O::GetObject, COUNT, SLOW)
        .on(O::GetObject, COUNT + 1, Fault::LoseAnswer)
        .on_every(O::GetObject, USUAL);
    store.set_faults(faults);
    downloads_within(&store, Duration::from_secs(120)).await;
    assert_eq!(store.calls(O::GetObject), COUNT + 1, "one hedge for each attempt");
}

/// Replaces the object once every range has been requested, and before one is hedged.
fn replace_once_all_is_requested(store: &MemoryStore) {
    let store = store.clone();
    tokio::spawn(async move {
        while store.calls(O::GetObject) < COUNT {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        store.put_object(&object(), put_request(&vec![7; 24 << 20])).await.unwrap();
    });
}

/// The object is replaced between the two requests of a range.
#[tokio::test(start_paused = true)]
async fn two_versions_are_never_mixed_by_a_hedge() {
    let store = with_object(aws(Faults::none())).await;
    let faults = Faults::none().on(O::GetObject, COUNT, SLOW).on_every(O::GetObject, USUAL);
    store.set_faults(faults);
    replace_once_all_is_requested(&store);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("file");
    let (ended, _) = fetch(&engine(&store), &target).await;
    assert_eq!(store.calls(O::GetObject), COUNT + 1, "the hedge was refused");
    // The first request continues with the version that it began with.
    ended.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert!(std::fs::read(&target).unwrap() == content());
}

/// The first request breaks after the object was replaced: the download fails.
#[tokio::test(start_paused = true)]
async fn a_version_that_is_gone_ends_the_download() {
    let store = with_object(aws(Faults::none())).await;
    let faults = Faults::none()
        .on(O::GetObject, COUNT, Fault::TimeOut(Duration::from_secs(20)))
        .on_every(O::GetObject, USUAL);
    store.set_faults(faults);
    replace_once_all_is_requested(&store);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("file");
    let error = fetch(&engine(&store), &target).await.0.unwrap_err();
    assert!(matches!(error, Error::ObjectChanged { .. }), "{}", chain(&error));
    assert!(!target.exists());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_twice_under_a_bandwidth_limit() {
    let store = with_object(aws(Faults::none())).await;
    let faults = Faults::none().on(O::GetObject, COUNT, SLOW).on_every(O::GetObject, USUAL);
    store.set_faults(faults);
    let bandwidth = Bandwidth::default();
    bandwidth.set(Some(100 * MIB));
    let limits = EngineOptions { bandwidth, concurrency: 4.into(), ..EngineOptions::default() };
    let engine = Engine::new(Arc::new(store.clone()), limits);
    let folder = tempfile::tempdir().unwrap();
    let (ended, received_bytes) = fetch(&engine, &folder.path().join("file")).await;
    ended.unwrap();
    assert_eq!((received_bytes, store.calls(O::GetObject)), (SIZE_BYTES, COUNT));
}

#[tokio::test(start_paused = true)]
async fn a_slow_last_part_is_sent_once_more() {
    let faults = Faults::none().on_part(last_part(), 1..=1, SLOW).on_every(O::UploadPart, USUAL);
    let store = aws(faults);
    let report = uploads_within(&store, Duration::from_secs(20)).await;
    assert_eq!(store.calls(O::UploadPart), COUNT + 1);
    assert!(store.bytes_received() <= SIZE_BYTES + SIZE_BYTES / 20);
    assert_eq!(u64::from(report.proof.checksum), COUNT);
    assert_eq!(store.bytes_received_again(), 0, "a part was sent that had been acknowledged");
}

/// The bytes of the part are in memory, and cannot be read again.
#[tokio::test(start_paused = true)]
async fn the_slow_last_part_of_a_stream_is_sent_once_more() {
    let faults = Faults::none().on_part(last_part(), 1..=1, SLOW).on_every(O::UploadPart, USUAL);
    let store = aws(faults);
    let stream =
        StreamOptions { upload: parts(), size_bytes: Some(SIZE_BYTES), ..StreamOptions::default() };
    let began = Instant::now();
    let running = engine(&store).upload_stream(Cursor::new(content()), object(), stream);
    running.await.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
    assert!(store.object(&object()).unwrap() == content());
    assert_eq!(store.calls(O::UploadPart), COUNT + 1);
    nothing_left(&store);
}

#[tokio::test(start_paused = true)]
async fn an_upload_of_few_parts_is_not_hedged() {
    let last = PartNumber::new(10).unwrap();
    let store = aws(Faults::none().on_part(last, 1..=1, SLOW).on_every(O::UploadPart, USUAL));
    let content = bytes(10 << 20);
    let running = engine(&store).upload(BytesSource::new(content), object(), parts());
    running.await.unwrap();
    assert_eq!(store.calls(O::UploadPart), 10, "one part is more than a twentieth");
}

/// The budget of 24 parts is one part, so that only one of two slow ones is sent again.
#[tokio::test(start_paused = true)]
async fn hedged_parts_stay_within_the_budget() {
    // The store has all bytes of these parts before they are hedged, so that each hedge moves a
    // whole part twice; the budget is that of one.
    let late = Fault::DelayAnswer(Duration::from_secs(90));
    let mut faults = Faults::none();
    for number in COUNT - 2..=COUNT {
        let part = PartNumber::new(u32::try_from(number).unwrap()).unwrap();
        faults = faults.on_part(part, 1..=1, late.clone());
    }
    let store = aws(faults.on_every(O::UploadPart, USUAL));
    uploads_within(&store, Duration::from_secs(120)).await;
    assert!(store.bytes_received() > SIZE_BYTES, "nothing was hedged");
    let extra_bytes = store.bytes_received() - SIZE_BYTES;
    assert!(extra_bytes <= SIZE_BYTES / 20, "{extra_bytes} bytes were received twice");
}

/// The store has the whole part of the first request, and carries that out 30 s later: after the
/// second one, and before Complete, which waits for another slow part. If the ETags differ, the one
/// of the second request is wrong by then.
#[tokio::test(start_paused = true)]
async fn the_recorded_etag_is_that_of_the_part_the_store_keeps() {
    // The budget is two parts.
    let count: u32 = 44;
    let [before, last] = [count - 1, count].map(|number| PartNumber::new(number).unwrap());
    let content = bytes(count as usize * usize::try_from(PIECE_BYTES).unwrap());
    let late = Duration::from_secs(30);
    for etags in [EtagKind::Md5, EtagKind::Encrypted, EtagKind::Random] {
        for fault in [Fault::LandSlowly(late), Fault::DelayAnswer(late)] {
            let faults = Faults::none()
                .on_part(last, 1..=1, fault)
                .on_part(before, 1..=u64::MAX, SLOW)
                .on_every(O::UploadPart, USUAL)
                .on(O::ListParts, 1, Fault::LoseAnswer);
            let store = store(Quirks { etags, ..Quirks::AWS }, faults);
            let source = BytesSource::new(content.clone());
            let ended = engine(&store).upload(source, object(), parts()).await;
            ended.unwrap_or_else(|error| panic!("{}", chain(&error)));
            assert!(store.object(&object()).unwrap() == content);
            assert_eq!(store.calls(O::CreateMultipartUpload), 1, "it restarted");
            assert_eq!(store.calls(O::UploadPart), u64::from(count) + 2);
            nothing_left(&store);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_upload_leaves_nothing_of_a_hedge() {
    let faults =
        Faults::none().on_part(last_part(), 1..=u64::MAX, SLOW).on_every(O::UploadPart, USUAL);
    let store = aws(faults);
    let running = engine(&store).upload(BytesSource::new(content()), object(), parts());
    let stop = running.stopper();
    tokio::spawn(async move {
        // Both requests are in flight.
        tokio::time::sleep(Duration::from_secs(12)).await;
        stop.stop(haul::StopRequest::Cancel);
    });
    running.await.unwrap_err();
    assert_eq!(store.calls(O::UploadPart), COUNT + 1);
    nothing_left(&store);
}
