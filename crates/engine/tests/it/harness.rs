//! Helpers of all tests: a small upload, a store with faults, and the checks that hold after any
//! end.

use std::sync::Arc;
use std::time::Duration;

use haul::body::Payload;
use haul::parts::{Bucket, Key, Limits, PartNumber, UploadId};
use haul::remote::{
    CreateRequest, Meter, ObjectAttributes, Operation, PartRequest, PutRequest, Store,
    StoreErrorKind, UploadRef,
};
use haul::source::{FileIdentity, FileRecord, SourceRecord};
use haul::testing::memory::{Call, EtagKind, Fate, Faults, MemoryStore, Quirks};
use haul::{
    BytesSource, Engine, EngineOptions, Error, Event, ObjectRef, Transfer, UploadOptions,
    UploadReport, upload,
};

pub(crate) const PART_BYTES: u64 = 1000;

pub(crate) fn bucket() -> Bucket {
    Bucket::new("bucket").unwrap()
}

pub(crate) fn object() -> ObjectRef {
    ObjectRef { bucket: bucket(), key: Key::new("folder/key").unwrap() }
}

/// Returns bytes without a period that a part size could hide.
pub(crate) fn bytes(size_bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(size_bytes).collect()
}

/// Creates a store that takes parts of any size.
#[allow(clippy::needless_pass_by_value, reason = "a preset reads better without a borrow")]
pub(crate) fn store(quirks: Quirks, faults: Faults) -> MemoryStore {
    let quirks = Quirks { part_size_min_bytes: 1, page_max: 3, ..quirks };
    MemoryStore::new(quirks).with_bucket(&bucket()).with_faults(faults)
}

pub(crate) fn aws(faults: Faults) -> MemoryStore {
    store(Quirks::AWS, faults)
}

/// Returns options with parts of [`PART_BYTES`], whatever the size.
pub(crate) fn options() -> UploadOptions {
    UploadOptions {
        part_size_bytes: Some(PART_BYTES),
        multipart_threshold_bytes: 1,
        limits: Some(Limits { part_size_min_bytes: 1, ..Limits::AWS }),
        ..UploadOptions::default()
    }
}

/// Creates an engine with this memory budget in bytes.
pub(crate) fn engine(store: &MemoryStore, memory_budget_bytes: u64) -> Engine {
    Engine::new(
        Arc::new(store.clone()),
        EngineOptions { memory_budget_bytes, ..EngineOptions::default() },
    )
}

/// Creates an engine with this number of requests in flight.
pub(crate) fn narrow_engine(store: &MemoryStore, concurrency: u32) -> Engine {
    Engine::new(
        Arc::new(store.clone()),
        EngineOptions { concurrency: concurrency.into(), ..EngineOptions::default() },
    )
}

pub(crate) fn start(
    store: &MemoryStore,
    bytes: &[u8],
    options: UploadOptions,
) -> Transfer<UploadReport> {
    upload(Arc::new(store.clone()), BytesSource::new(bytes.to_vec()), object(), options)
}

/// Uploads this number of bytes. Panics if the upload hangs for a day of the paused clock.
pub(crate) async fn run(
    store: &MemoryStore,
    size_bytes: usize,
    options: UploadOptions,
) -> Result<UploadReport, Error> {
    run_on(&Engine::new(Arc::new(store.clone()), EngineOptions::default()), size_bytes, options)
        .await
}

pub(crate) async fn run_on(
    engine: &Engine,
    size_bytes: usize,
    options: UploadOptions,
) -> Result<UploadReport, Error> {
    let running = engine.upload(BytesSource::new(bytes(size_bytes)), object(), options);
    tokio::time::timeout(Duration::from_secs(86_400), running).await.expect("the upload hangs")
}

/// Returns the result, and all events before it.
pub(crate) async fn heard(
    mut running: Transfer<UploadReport>,
) -> (Result<UploadReport, Error>, Vec<Event>) {
    let mut events = running.take_events().unwrap();
    let mut said = vec![];
    while let Some(event) = events.next().await {
        said.push(event);
    }
    (running.await, said)
}

/// Returns whether a warning was reported.
pub(crate) fn warned(said: &[Event]) -> bool {
    said.iter().any(|event| matches!(event, Event::Warning { .. }))
}

/// Returns the parts that a resumed upload found to differ from the source.
pub(crate) fn differing_parts(said: &[Event]) -> Vec<PartNumber> {
    let named = said.iter().find_map(|event| match event {
        Event::Resumed { differing_parts, .. } => Some(differing_parts.clone()),
        _ => None,
    });
    named.expect("it was resumed")
}

/// Uploads a little more than ten parts and asserts success.
pub(crate) async fn arrives(store: &MemoryStore) -> UploadReport {
    arrives_with(store, options()).await
}

pub(crate) async fn arrives_with(store: &MemoryStore, options: UploadOptions) -> UploadReport {
    let engine = Engine::new(Arc::new(store.clone()), EngineOptions::default());
    arrives_on(&engine, store, options).await
}

pub(crate) async fn arrives_on(
    engine: &Engine,
    store: &MemoryStore,
    options: UploadOptions,
) -> UploadReport {
    let report =
        run_on(engine, 10_500, options).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(store.object(&object()).expect("the object is there"), bytes(10_500));
    assert_eq!(report.size_bytes, 10_500);
    assert_eq!(report.part_count, 11);
    nothing_left(store);
    report
}

/// Uploads a little more than ten parts; asserts a failure that leaves nothing.
pub(crate) async fn fails(store: &MemoryStore) -> Error {
    fails_with(store, options()).await
}

pub(crate) async fn fails_with(store: &MemoryStore, options: UploadOptions) -> Error {
    let error = run(store, 10_500, options).await.expect_err("it must not succeed");
    assert_eq!(store.object(&object()), None);
    nothing_left(store);
    assert!(!matches!(error, Error::Internal(_)), "{}", chain(&error));
    error
}

/// Asserts P2, P3 and P6 as far as they are visible at the store.
pub(crate) fn nothing_left(store: &MemoryStore) {
    assert_eq!(store.open_uploads(), vec![], "uploads are left behind (P3)");
    assert_eq!(
        store.bytes_received_again(),
        0,
        "a part was sent again after it was acknowledged (P2)"
    );
    never_aborted_in_doubt(&store.history());
}

/// Asserts P6: no Abort while Complete is in flight, none while its outcome is unknown, none after
/// it succeeded.
pub(crate) fn never_aborted_in_doubt(history: &[Call]) {
    for abort in history.iter().filter(|call| call.operation == Operation::AbortMultipartUpload) {
        let of_upload = |call: &&Call| {
            call.operation == Operation::CompleteMultipartUpload
                && call.upload_id == abort.upload_id
        };
        for complete in
            history.iter().filter(of_upload).filter(|complete| complete.began < abort.began)
        {
            assert!(complete.ended < abort.began, "an abort while Complete was under way (P6)");
            match complete.fate {
                Fate::Succeeded => panic!("an abort after Complete had succeeded (P6)"),
                Fate::Unknown | Fate::Abandoned => assert!(
                    history.iter().any(|call| settles(call)
                        && call.began > complete.ended
                        && call.ended < abort.began),
                    "an abort before a lost Complete was looked into (P6)"
                ),
                Fate::Failed(_) => {}
            }
        }
    }
}

/// Returns whether an answer shows that the object exists, or that the upload is still open.
fn settles(call: &Call) -> bool {
    match call.operation {
        Operation::HeadObject => {
            matches!(call.fate, Fate::Succeeded | Fate::Failed(StoreErrorKind::NoSuchKey))
        }
        Operation::ListParts => call.fate == Fate::Succeeded,
        _ => false,
    }
}

/// Creates an upload of the same key by another client (trap 26).
pub(crate) async fn foreign_upload(store: &MemoryStore) -> UploadRef {
    let created =
        store.create_multipart_upload(&object(), &CreateRequest::default()).await.unwrap();
    UploadRef { object: object(), upload_id: created.upload_id }
}

pub(crate) fn upload_ids(store: &MemoryStore) -> Vec<UploadId> {
    store.open_uploads().into_iter().map(|upload| upload.upload_id).collect()
}

/// Returns the kind of the store's error, if the error is one.
pub(crate) fn store_kind(error: &Error) -> Option<StoreErrorKind> {
    match error {
        Error::Store { source, .. } => Some(source.kind),
        _ => None,
    }
}

/// Formats the error as the command prints it.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Returns whether a store with these quirks can prove parts that are sent with these options.
pub(crate) fn provable(quirks: &Quirks, options: &UploadOptions) -> bool {
    let echoes = quirks.echo_checksums
        && options
            .checksum
            .is_some_and(|algorithm| algorithm != haul::parts::ChecksumAlgorithm::Md5);
    echoes || quirks.etags == EtagKind::Md5
}

/// Returns the identity of a file that exists only in a test; the version replaces the modification
/// time.
pub(crate) fn identity(size_bytes: u64, version: u64) -> Option<SourceRecord> {
    let identity = FileIdentity {
        place: Some((1, 2)),
        size_bytes,
        modified_ns: Some(version),
        changed_ns: Some(version),
    };
    Some(SourceRecord::File(FileRecord { path: "/a/file".into(), identity }))
}

/// Creates a PutObject of this content, without the engine.
pub(crate) fn put_request(content: &[u8]) -> PutRequest {
    PutRequest {
        payload: Payload::from_bytes(content.to_vec().into()),
        attributes: ObjectAttributes::default(),
        checksum: None,
        md5: None,
        if_none_match: false,
        if_match: None,
        fresh_connection: false,
        wire: Meter::default(),
    }
}

/// Creates an UploadPart, without the engine.
pub(crate) fn part_request(number: PartNumber, content: &[u8]) -> PartRequest {
    PartRequest {
        number,
        payload: Payload::from_bytes(content.to_vec().into()),
        checksum: None,
        fresh_connection: false,
        wire: Meter::default(),
    }
}
