//! Uploads of streams: whole or absent although nothing can be read again, in bounded memory
//! whatever the length.

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use haul::parts::{GrowingPlan, Key, Limits};
use haul::remote::Operation as O;
use haul::testing::memory::{Fault, Faults, MemoryStore};
use haul::{
    BytesSource, Concurrency, Engine, EngineOptions, Error, Event, ObjectRef, StopRequest,
    StreamOptions, UploadOptions, UploadReport,
};

use crate::harness::{aws, bucket, bytes, chain, engine, heard, nothing_left, object, options};

const MIB: u64 = 1 << 20;

/// A reader that returns an error at the end of its bytes, like a producer that died.
pub(crate) struct Breaking(Cursor<Vec<u8>>);

impl Breaking {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(Cursor::new(bytes.to_vec()))
    }
}

impl Read for Breaking {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self.0.read(space)? {
            0 => Err(io::Error::other("the producer died")),
            read_bytes => Ok(read_bytes),
        }
    }
}

/// A reader that counts the bytes read and returns a few at a time, as a pipe does.
struct Counting {
    bytes: Cursor<Vec<u8>>,
    read_bytes: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let most = space.len().min(64 * 1024);
        let read_bytes = self.bytes.read(&mut space[..most])?;
        self.read_bytes.fetch_add(read_bytes as u64, Ordering::Relaxed);
        Ok(read_bytes)
    }
}

/// Returns options with first parts of [`crate::harness::PART_BYTES`].
fn in_parts() -> StreamOptions {
    StreamOptions { upload: options(), ..StreamOptions::default() }
}

async fn send(
    store: &MemoryStore,
    content: &[u8],
    options: StreamOptions,
) -> Result<UploadReport, Error> {
    let engine = Engine::new(Arc::new(store.clone()), EngineOptions::default());
    let running = engine.upload_stream(Cursor::new(content.to_vec()), object(), options);
    tokio::time::timeout(Duration::from_secs(86_400), running).await.expect("the stream hangs")
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_makes_an_empty_object() {
    for size_bytes in [None, Some(0)] {
        let store = aws(Faults::none());
        let report = send(&store, b"", StreamOptions { size_bytes, ..in_parts() }).await.unwrap();
        assert_eq!((report.size_bytes, report.upload_id), (0, None));
        assert_eq!(store.object(&object()).unwrap(), b"".as_slice());
        nothing_left(&store);
    }
}

/// Regression: 12 MiB were read as two parts before the end was seen.
#[tokio::test(start_paused = true)]
async fn a_stream_below_the_threshold_is_one_request() {
    for size in [1, 100_000, 8 << 20, 12 << 20] {
        let store = aws(Faults::none().on(O::PutObject, 1, Fault::CutBody));
        let content = bytes(size);
        let report = send(&store, &content, StreamOptions::default()).await.unwrap();
        assert_eq!((report.size_bytes, report.upload_id), (size as u64, None));
        assert!(store.object(&object()).unwrap() == content);
        nothing_left(&store);
    }
    let store = aws(Faults::none());
    let report = send(&store, &bytes(16 << 20), StreamOptions::default()).await.unwrap();
    assert_eq!(report.part_count, 2);
}

#[tokio::test(start_paused = true)]
async fn proof_that_is_demanded_makes_parts_of_a_short_stream() {
    let store = aws(Faults::none());
    let upload = UploadOptions { require_proof: true, ..UploadOptions::default() };
    let report =
        send(&store, b"short", StreamOptions { upload, ..StreamOptions::default() }).await.unwrap();
    assert_eq!((report.part_count, report.upload_id.is_some()), (1, true));
    assert_eq!(store.object(&object()).unwrap(), b"short".as_slice());
}

#[tokio::test(start_paused = true)]
async fn parts_grow_along_the_stream_and_arrive_in_order() {
    let store = aws(Faults::none().on(O::UploadPart, 7, Fault::CutBody).on(
        O::UploadPart,
        9,
        Fault::FlipAtRest,
    ));
    let content = bytes(350_500);
    let report = send(&store, &content, in_parts())
        .await
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    let limits = Limits { part_size_min_bytes: 1, ..Limits::AWS };
    let plan = GrowingPlan::new(&limits, None, Some(1000)).unwrap();
    let planned = plan.parts().take_while(|part| part.offset_bytes < 350_500).count();
    assert_eq!((report.part_count as usize, report.size_bytes), (planned, 350_500));
    assert!(planned < 250, "{planned} parts would be all equal");
    assert!(store.object(&object()).unwrap() == content);
    nothing_left(&store);
}

/// A stream with a promised length is split into parts like a file.
#[tokio::test(start_paused = true)]
async fn a_promised_length_is_kept_or_there_is_no_object() {
    let content = bytes(10_500);
    let store = aws(Faults::none());
    let exact = StreamOptions { size_bytes: Some(10_500), ..in_parts() };
    assert_eq!(send(&store, &content, exact).await.unwrap().part_count, 11);
    for (promised_bytes, read_bytes) in
        [(10_501, Some(10_500)), (10_499, None), (10_000, None), (11_000, Some(10_500)), (0, None)]
    {
        for whole in [in_parts(), StreamOptions::default()] {
            let store = aws(Faults::none());
            let error =
                send(&store, &content, StreamOptions { size_bytes: Some(promised_bytes), ..whole })
                    .await
                    .unwrap_err();
            let Error::StreamLength { promised_bytes: said, read_bytes: read, .. } = error else {
                panic!("{}", chain(&error))
            };
            assert_eq!((said, read), (promised_bytes, read_bytes));
            assert_eq!(store.object(&object()), None);
            nothing_left(&store);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_fails_makes_no_object() {
    for after in [0, 1, 999, 1000, 1001, 10_500] {
        for options in [in_parts(), StreamOptions::default()] {
            let store = aws(Faults::none());
            let engine = Engine::new(Arc::new(store.clone()), EngineOptions::default());
            let error = engine
                .upload_stream(Breaking::new(&bytes(after)), object(), options)
                .await
                .unwrap_err();
            assert!(chain(&error).ends_with("the producer died"), "{}", chain(&error));
            assert_eq!(store.object(&object()), None);
            nothing_left(&store);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_its_parts_do_not_hold_is_refused() {
    let limits =
        Limits { part_size_min_bytes: 1, part_count_max: 5, equal_parts: true, ..Limits::AWS };
    let upload = UploadOptions { limits: Some(limits), ..options() };
    let store = aws(Faults::none());
    let stream = |expected_size_bytes| StreamOptions {
        expected_size_bytes,
        upload: upload.clone(),
        ..in_parts()
    };
    assert_eq!(send(&store, &bytes(5000), stream(None)).await.unwrap().part_count, 5);
    let store = aws(Faults::none());
    let error = send(&store, &bytes(5001), stream(None)).await.unwrap_err();
    assert!(
        matches!(error, Error::StreamTooLong { capacity_bytes: 5000, .. }),
        "{}",
        chain(&error)
    );
    nothing_left(&store);
    // A stream that is expected to be too long is refused before anything is read or sent.
    let store = aws(Faults::none());
    let error = send(&store, &bytes(5001), stream(Some(5001))).await.unwrap_err();
    assert!(matches!(error, Error::Plan { .. }), "{}", chain(&error));
    assert_eq!(store.history(), vec![]);
}

#[tokio::test(start_paused = true)]
async fn parts_beyond_the_memory_pass_through_the_spool() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let faults =
        Faults::none().on(O::UploadPart, 2, Fault::CutBody).on(O::UploadPart, 4, Fault::FlipAtRest);
    let store = aws(faults);
    let content = bytes(5 << 20);
    let upload = UploadOptions { part_size_bytes: Some(MIB + 17), ..options() };
    let stream =
        StreamOptions { spool_dir: folder.path().to_owned(), upload, ..StreamOptions::default() };
    let (ended, said) =
        heard(engine(&store, MIB).upload_stream(Cursor::new(content.clone()), object(), stream))
            .await;
    assert_eq!(ended.unwrap_or_else(|error| panic!("{}", chain(&error))).part_count, 5);
    assert!(store.object(&object()).unwrap() == content);
    let spooling = said.iter().filter(|event| matches!(event, Event::Spooling { .. })).count();
    assert_eq!(spooling, 1, "it is announced once");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "its files have no names");
    nothing_left(&store);
}

/// A file in a folder in memory would use the memory that a spool is meant to save.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_spool_in_memory_or_nowhere_is_refused() {
    for folder in ["/dev/shm", "/nowhere"] {
        let upload = UploadOptions { part_size_bytes: Some(MIB), ..options() };
        let unknown =
            StreamOptions { spool_dir: folder.into(), upload, ..StreamOptions::default() };
        let store = aws(Faults::none());
        let small = engine(&store, MIB);
        let error = small
            .upload_stream(Cursor::new(bytes(3 << 20)), object(), unknown.clone())
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Spool { .. }), "{}", chain(&error));
        assert_eq!(store.object(&object()), None);
        nothing_left(&store);
        // If the length is known from the start, the refusal comes before anything is sent.
        let expected = StreamOptions { expected_size_bytes: Some(3 * MIB), ..unknown.clone() };
        let store = aws(Faults::none());
        let small = engine(&store, MIB);
        small.upload_stream(Cursor::new(bytes(3 << 20)), object(), expected).await.unwrap_err();
        assert_eq!(store.history(), vec![]);
        // A stream that fits into memory needs no spool.
        let expected = StreamOptions { expected_size_bytes: Some(1000), ..unknown.clone() };
        for options in [unknown, expected] {
            let small = engine(&store, MIB);
            small.upload_stream(Cursor::new(bytes(1000)), object(), options).await.unwrap();
        }
    }
}

/// The store stops taking parts: the bytes read from then on stay in memory, and are no more than
/// the budget.
#[tokio::test(start_paused = true)]
async fn no_more_of_a_stream_is_read_than_the_budget_holds() {
    let store = aws(Faults::none().on_calls(O::UploadPart, 13..=u64::MAX, Fault::Stall));
    let read_bytes = Arc::new(AtomicU64::new(0));
    let counting =
        Counting { bytes: Cursor::new(bytes(32 << 20)), read_bytes: Arc::clone(&read_bytes) };
    let upload = UploadOptions { part_size_bytes: Some(MIB), ..options() };
    let running = engine(&store, 6 * MIB + 1000).upload_stream(
        counting,
        object(),
        StreamOptions { upload, ..in_parts() },
    );
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(read_bytes.load(Ordering::Relaxed), (12 + 6) * MIB);
    running.stop(StopRequest::Cancel);
    running.await.unwrap_err();
    nothing_left(&store);
}

/// A part of a stream is held until the store has it. Sixteen of them were, which filled the
/// budget although three keep a fast link busy.
#[tokio::test(start_paused = true)]
async fn three_parts_of_a_stream_are_held_at_first() {
    for (concurrency, held_parts) in [(Concurrency::default(), 3), (5.into(), 5)] {
        let store = aws(Faults::none().on_calls(O::UploadPart, 5..=u64::MAX, Fault::Stall));
        let read_bytes = Arc::new(AtomicU64::new(0));
        let counting =
            Counting { bytes: Cursor::new(bytes(96 << 20)), read_bytes: Arc::clone(&read_bytes) };
        let upload = UploadOptions { part_size_bytes: Some(8 * MIB), ..options() };
        let limits = EngineOptions { concurrency, ..EngineOptions::default() };
        let running = Engine::new(Arc::new(store.clone()), limits).upload_stream(
            counting,
            object(),
            StreamOptions { upload, ..in_parts() },
        );
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(read_bytes.load(Ordering::Relaxed), (4 + held_parts) * 8 * MIB);
        running.stop(StopRequest::Cancel);
        running.await.unwrap_err();
    }
}

/// Streams hold memory while they wait for their turn, and files hold their turn while they wait
/// for memory. Neither may hold the last of what the other needs, or both hang.
#[tokio::test(start_paused = true)]
async fn streams_and_files_of_one_engine_do_not_wait_for_each_other() {
    for concurrency in [1, 2, 5] {
        let faults =
            Faults::none().on_every(O::UploadPart, Fault::Delay(Duration::from_millis(10)));
        let store =
            aws(faults.on(O::UploadPart, 9, Fault::CutBody).on(O::UploadPart, 23, Fault::CutBody));
        let limits = EngineOptions {
            concurrency: concurrency.into(),
            memory_budget_bytes: 4 * MIB,
            ..EngineOptions::default()
        };
        let engine = Engine::new(Arc::new(store.clone()), limits);
        let content = bytes(10 << 20);
        let upload = UploadOptions { part_size_bytes: Some(MIB), ..options() };
        let key = |name: String| ObjectRef { bucket: bucket(), key: Key::new(name).unwrap() };
        let running = (0..6).map(|index| match index % 2 {
            0 => engine.upload(
                BytesSource::new(content.clone()),
                key(index.to_string()),
                upload.clone(),
            ),
            _ => {
                let stream = StreamOptions { upload: upload.clone(), ..StreamOptions::default() };
                engine.upload_stream(Cursor::new(content.clone()), key(index.to_string()), stream)
            }
        });
        let all = futures_util::future::join_all(running.collect::<Vec<_>>());
        let ended =
            tokio::time::timeout(Duration::from_secs(86_400), all).await.expect("they hang");
        ended.into_iter().for_each(|ended| drop(ended.unwrap()));
        (0..6).for_each(|index| assert!(store.object(&key(index.to_string())).unwrap() == content));
        nothing_left(&store);
    }
}

/// Deadlock: streams whose attempt has failed hold all memory, and each gives up its pass while it
/// waits for its next attempt; files take those passes and wait for memory.
#[tokio::test(start_paused = true)]
async fn a_part_that_holds_memory_keeps_its_pass_between_attempts() {
    let warming = 20;
    let store =
        aws(Faults::none().on_calls(O::UploadPart, warming + 1..=warming + 4, Fault::CutBody));
    let limits = EngineOptions {
        concurrency: 5.into(),
        memory_budget_bytes: 4 * MIB,
        ..EngineOptions::default()
    };
    let engine = Engine::new(Arc::new(store.clone()), limits);
    let upload = UploadOptions { part_size_bytes: Some(MIB), ..options() };
    let key = |name: &str| ObjectRef { bucket: bucket(), key: Key::new(name).unwrap() };
    // Get past the slow start.
    engine.upload(BytesSource::new(bytes(20 << 20)), key("warm"), upload.clone()).await.unwrap();
    let content = bytes(3 << 20);
    let streams = (0..4).map(|index| {
        let stream = StreamOptions { upload: upload.clone(), ..StreamOptions::default() };
        engine.upload_stream(Cursor::new(content.clone()), key(&format!("stream {index}")), stream)
    });
    let files = (0..6).map(|index| {
        engine.upload(
            BytesSource::new(content.clone()),
            key(&format!("file {index}")),
            upload.clone(),
        )
    });
    let all = futures_util::future::join_all(streams.chain(files).collect::<Vec<_>>());
    let ended = tokio::time::timeout(Duration::from_secs(86_400), all).await.expect("they hang");
    ended.into_iter().for_each(|ended| drop(ended.unwrap()));
    nothing_left(&store);
}

/// A producer that produces nothing until it is released.
struct Silent(mpsc::Receiver<()>, Cursor<Vec<u8>>);

impl Read for Silent {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let read_bytes = self.1.read(space)?;
        if read_bytes == 0 {
            let _ = self.0.recv();
        }
        Ok(read_bytes)
    }
}

#[tokio::test]
async fn a_silent_producer_does_not_hold_up_a_cancel() {
    for before in [0, 100, 2500] {
        let store = aws(Faults::none());
        let engine = Engine::new(Arc::new(store.clone()), EngineOptions::default());
        let (let_go, silent) = mpsc::channel();
        let mut running =
            engine.upload_stream(Silent(silent, Cursor::new(bytes(before))), object(), in_parts());
        if before > 1000 {
            let mut events = running.take_events().unwrap();
            while !matches!(events.next().await, Some(Event::PartSent { .. })) {}
        }
        running.stop(StopRequest::Cancel);
        let error = running.await.unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{}", chain(&error));
        engine.close().await;
        nothing_left(&store);
        drop(let_go);
    }
}
