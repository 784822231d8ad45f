//! Downloads into pipes: ranges in parallel, bytes in order, verified before the last ones are
//! written.

use std::fs::File;
use std::io::{PipeReader, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use haul::parts::{ChecksumAlgorithm, ChecksumType, CompletedPart, Hasher, PartNumber};
use haul::remote::{CompleteRequest, CreateRequest, Operation as O, PartRequest, Store, UploadRef};
use haul::testing::memory::{Fault, Faults, MemoryStore, Quirks, Refusal};
use haul::transfer::download::Verified;
use haul::{
    DownloadOptions, DownloadReport, DownloadTarget, Engine, EngineOptions, Error, UploadOptions,
};

use crate::harness::{aws, bytes, chain, engine, object, options, part_request, run, store};

const SIZE: usize = 20_500;
const RANGE_BYTES: u64 = 1000;
const SLICE_BYTES: u64 = 256 * 1024;

fn ranges() -> DownloadOptions {
    DownloadOptions { part_size_bytes: Some(RANGE_BYTES), ..DownloadOptions::default() }
}

fn pipe() -> (PipeReader, DownloadTarget) {
    let (reader, writer) = std::io::pipe().unwrap();
    let file = File::from(OwnedFd::from(writer));
    (reader, DownloadTarget::Open { file, name: "the pipe".into() })
}

fn read_all(mut reader: PipeReader) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut read = vec![];
        reader.read_to_end(&mut read).unwrap();
        read
    })
}

/// Returns the result of the download, and the bytes that came out of the pipe.
async fn fetch(store: &MemoryStore) -> (Result<DownloadReport, Error>, Vec<u8>) {
    let (reader, target) = pipe();
    let reader = read_all(reader);
    let engine = Engine::new(Arc::new(store.clone()), EngineOptions::default());
    let report = engine.download(object(), target, ranges()).await;
    (report, reader.join().unwrap())
}

async fn arrives(store: &MemoryStore) -> Verified {
    let (report, read) = fetch(store).await;
    let report = report.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert!(read == bytes(SIZE), "{} bytes", read.len());
    report.verified
}

/// Asserts that the download fails, and that some bytes came out of the pipe but not the last ones.
async fn fails(store: &MemoryStore) -> Error {
    let (report, read) = fetch(store).await;
    assert!(read.len() < SIZE, "all of it came out");
    report.expect_err("it must not succeed")
}

async fn with_object(store: MemoryStore, options: UploadOptions) -> MemoryStore {
    run(&store, SIZE, options).await.unwrap();
    store
}

fn composite(algorithm: ChecksumAlgorithm) -> UploadOptions {
    UploadOptions { checksum: Some(algorithm), ..options() }
}

fn in_one_piece() -> UploadOptions {
    UploadOptions {
        part_size_bytes: None,
        multipart_threshold_bytes: 1 << 20,
        checksum: None,
        ..options()
    }
}

#[tokio::test(start_paused = true)]
async fn ranges_that_arrive_in_any_order_leave_in_order() {
    let store = with_object(aws(Faults::none()), options()).await;
    // The first ranges arrive last.
    let slow = |call: u64| Fault::DelayAnswer(Duration::from_millis(10_000 - 100 * call));
    store.set_faults(
        (1..=20).fold(Faults::none(), |faults, call| faults.on(O::GetObject, call, slow(call))),
    );
    assert_eq!(arrives(&store).await, Verified::Checksum(ChecksumAlgorithm::Crc64Nvme));
    assert_eq!(store.calls(O::GetObject), 21);
}

#[tokio::test(start_paused = true)]
async fn hashes_of_every_kind_are_compared_in_order() {
    let parts = with_object(store(Quirks::CEPH_RGW_16, Faults::none()), options()).await;
    assert_eq!(arrives(&parts).await, Verified::PartMd5s(21));
    let single = with_object(store(Quirks::CEPH_RGW_16, Faults::none()), in_one_piece()).await;
    assert_eq!(arrives(&single).await, Verified::Md5);
    assert_eq!(single.calls(O::GetObject), 21);
    let sha = with_object(aws(Faults::none()), composite(ChecksumAlgorithm::Sha256)).await;
    let head = sha.head_object(&object()).await.unwrap();
    assert_eq!(head.composite.unwrap().part_count(), 21);
    assert_eq!(arrives(&sha).await, Verified::PartChecksums(ChecksumAlgorithm::Sha256, 21));
}

#[tokio::test(start_paused = true)]
async fn the_last_bytes_of_a_damaged_object_are_not_written() {
    let stores = [
        with_object(aws(Faults::none()), options()).await,
        with_object(aws(Faults::none()), composite(ChecksumAlgorithm::Sha1)).await,
        with_object(store(Quirks::CEPH_RGW_16, Faults::none()), in_one_piece()).await,
    ];
    for store in stores {
        for call in [1, 7, 21] {
            store.set_faults(Faults::none().on(O::GetObject, call, Fault::FlipInTransit));
            let error = fails(&store).await;
            assert!(matches!(error, Error::Corrupt { .. }), "{}", chain(&error));
        }
    }
}

/// The object is short, so it is one stream: its end is withheld all the same.
#[tokio::test(start_paused = true)]
async fn the_last_bytes_of_one_stream_are_withheld_too() {
    let store = with_object(aws(Faults::none()), options()).await;
    store.set_faults(Faults::none().on(O::GetObject, 1, Fault::FlipInTransit));
    let (reader, target) = pipe();
    let reader = read_all(reader);
    let engine = Engine::new(Arc::new(store), EngineOptions::default());
    let error = engine.download(object(), target, DownloadOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{}", chain(&error));
    assert!(reader.join().unwrap().len() < SIZE);
}

#[tokio::test(start_paused = true)]
async fn single_ranges_are_fetched_again_where_they_broke() {
    let store = with_object(aws(Faults::none()), options()).await;
    let faults = Faults::none()
        .on(O::GetObject, 1, Fault::Answer(Refusal::SLOW_DOWN))
        .on(O::GetObject, 2, Fault::LoseRequest)
        .on(O::GetObject, 3, Fault::Answer(Refusal::INTERNAL_ERROR))
        .on(O::GetObject, 4, Fault::TimeOut(Duration::from_secs(20)))
        .on_calls(O::GetObject, 5..=9, Fault::CutBody);
    store.set_faults(faults);
    arrives(&store).await;
    assert_eq!(store.calls(O::GetObject), 30);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_changes_is_not_mixed_in_a_pipe() {
    let store = with_object(aws(Faults::none()), options()).await;
    store.set_faults(Faults::none().on_every(O::GetObject, Fault::Delay(Duration::from_secs(1))));
    let (reader, target) = pipe();
    let reader = read_all(reader);
    let narrow = EngineOptions { concurrency: 2.into(), ..EngineOptions::default() };
    let engine = Engine::new(Arc::new(store.clone()), narrow);
    let running = engine.download(object(), target, ranges());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let changed = haul::BytesSource::new(vec![7; SIZE]);
    haul::upload(Arc::new(store), changed, object(), options()).await.unwrap();
    let error = running.await.unwrap_err();
    assert!(matches!(error, Error::ObjectChanged { .. }), "{}", chain(&error));
    let read = reader.join().unwrap();
    assert!(read.len() < SIZE && bytes(SIZE).starts_with(&read));
}

/// Ranges that arrive before their turn wait in memory, within the budget.
#[tokio::test]
async fn a_reader_that_does_not_read_holds_no_more_than_the_budget() {
    const RANGES: usize = 64;
    let range_bytes = 64 * 1024;
    let size_bytes = RANGES * range_bytes;
    let store = aws(Faults::none());
    let parts = UploadOptions { part_size_bytes: Some(range_bytes as u64), ..options() };
    run(&store, size_bytes, parts).await.unwrap();
    let (reader, target) = pipe();
    let few = engine(&store, 8 * SLICE_BYTES);
    let options =
        DownloadOptions { part_size_bytes: Some(range_bytes as u64), ..DownloadOptions::default() };
    let running = few.download(object(), target, options);
    while store.calls(O::GetObject) < 8 {
        tokio::task::yield_now().await;
    }
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    // Eight ranges in memory, and those that the pipe has taken.
    let asked = store.calls(O::GetObject);
    assert!((8..=10).contains(&asked), "{asked} ranges were asked for");
    let reader = read_all(reader);
    running.await.unwrap();
    assert!(reader.join().unwrap() == bytes(size_bytes));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_the_download() {
    let store = with_object(aws(Faults::none()), options()).await;
    let (reader, target) = pipe();
    drop(reader);
    let engine = Engine::new(Arc::new(store), EngineOptions::default());
    let error = engine.download(object(), target, ranges()).await.unwrap_err();
    let Error::TargetUnwritable { source, .. } = &error else { panic!("{}", chain(&error)) };
    assert_eq!(source.kind(), std::io::ErrorKind::BrokenPipe);
}

/// The type of a store's checksum tells whether it covers the whole object or is made of checksums
/// of parts.
#[tokio::test(start_paused = true)]
async fn a_full_object_checksum_is_no_composite_one() {
    let store = with_object(aws(Faults::none()), options()).await;
    let head = store.head_object(&object()).await.unwrap();
    assert!(matches!(head.checksum, Some((_, ChecksumType::FullObject))));
    assert_eq!(head.composite, None);
}

/// Parts of 1000, 700 and 500 bytes are as many as equal parts of 1000 would be. A checksum of
/// other parts is no sign of damage.
#[tokio::test(start_paused = true)]
async fn parts_that_are_not_equal_are_not_called_damaged() {
    let (store, algorithm) = (aws(Faults::none()), ChecksumAlgorithm::Sha256);
    let declared = Some((algorithm, ChecksumType::Composite));
    let request = CreateRequest { checksum: declared, ..CreateRequest::default() };
    let created = store.create_multipart_upload(&object(), &request).await.unwrap();
    let upload = UploadRef { object: object(), upload_id: created.upload_id };
    let (content, mut parts) = (bytes(2200), vec![]);
    for (number, range) in [(1, 0..1000), (2, 1000..1700), (3, 1700..2200)] {
        let (number, content) = (PartNumber::new(number).unwrap(), &content[range]);
        let checksum = Some(Hasher::checksum(algorithm, content));
        let part = PartRequest { checksum, ..part_request(number, content) };
        let etag = store.upload_part(&upload, part).await.unwrap().etag;
        parts.push(CompletedPart { number, etag, checksum });
    }
    let complete = CompleteRequest { parts, ..CompleteRequest::default() };
    store.complete_multipart_upload(&upload, &complete).await.unwrap();
    let (reader, target) = pipe();
    let reader = read_all(reader);
    let engine = Engine::new(Arc::new(store), EngineOptions::default());
    let report = engine.download(object(), target, ranges()).await.unwrap();
    assert!(matches!(report.verified, Verified::OnlySize(_)), "{}", report.verified);
    assert!(reader.join().unwrap() == content);
}
