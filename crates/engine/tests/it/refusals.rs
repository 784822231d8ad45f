//! The effect of a refusal on an upload with a journal: no part is lost, unless the upload can
//! never complete.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use haul::StopRequest;
use haul::remote::Operation as O;
use haul::source::Change;
use haul::source::SourceRecord;
use haul::testing::memory::{Fault, Faults, MemoryStore, Refusal};
use haul::{BytesSource, Error, Source, StoreErrorKind, UploadOptions, upload};

use crate::harness::{
    aws, bytes, chain, fails, identity, nothing_left, object, options, store_kind,
};
use crate::machine::{Machine, SIZE};

/// Answers of stores to a caller whose credentials were valid before.
const OF_THE_CALLER: [Refusal; 9] = [
    Refusal::new(403, Some("InvalidAccessKeyId")),
    Refusal::new(403, Some("InvalidTokenId")),
    Refusal::new(403, Some("SignatureDoesNotMatch")),
    Refusal::new(403, Some("RequestExpired")),
    Refusal::new(400, Some("ExpiredToken")),
    Refusal::new(403, Some("RequestTimeTooSkewed")),
    Refusal::new(403, Some("AccessDenied")),
    Refusal::new(403, None),
    Refusal::new(401, None),
];

async fn paused(machine: &Machine, store: &MemoryStore, arrived: u64, what: &Refusal) {
    let error = machine.start(store).await.expect_err("it was refused");
    let Error::Paused { arrived_bytes, source: Some(cause), .. } = &error else {
        panic!("{what:?}: {}", chain(&error))
    };
    assert_eq!(*arrived_bytes, arrived, "{what:?}");
    assert!(matches!(**cause, Error::Store { .. }), "{}", chain(&error));
    assert_eq!(
        store.calls(O::AbortMultipartUpload),
        0,
        "{what:?}: only its user gives an upload up"
    );
}

/// Runs the same command again, at a store without faults.
async fn resumes(machine: &Machine, store: &MemoryStore, arrived: u64) {
    store.set_faults(Faults::none());
    let report = machine.start(store).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(report.resumed_bytes, arrived);
    assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));
    assert_eq!(machine.journals().list().unwrap().len(), 0);
    nothing_left(store);
}

/// Regression: MinIO answers an expired session with 403 InvalidAccessKeyId, other stores differ,
/// and policies are edited while uploads run. One such answer to one part aborted the upload, so a
/// typing error removed hours of transfer.
#[tokio::test(start_paused = true)]
async fn a_refused_caller_loses_nothing_that_arrived() {
    for refusal in OF_THE_CALLER {
        for (operation, from, arrived) in [
            (O::UploadPart, 1, 0),
            (O::UploadPart, 6, 5000),
            (O::CompleteMultipartUpload, 1, SIZE as u64),
        ] {
            let refused = Fault::Answer(refusal.clone());
            let (machine, store) = (Machine::new(), aws(Faults::none()));
            store.set_faults(Faults::none().on_calls(operation, from..=u64::MAX, refused));
            paused(&machine, &store, arrived, &refusal).await;
            resumes(&machine, &store, arrived).await;
        }
    }
}

/// A full store, a quota, a proxy with a limit, an unknown code: the user can resolve each.
#[tokio::test(start_paused = true)]
async fn no_refusal_removes_what_arrived() {
    for refusal in [
        Refusal::new(507, None),
        Refusal::new(403, Some("QuotaExceeded")),
        Refusal::new(413, None),
        Refusal::new(404, None),
        Refusal::new(404, Some("NoSuchBucket")),
        Refusal::new(400, Some("InvalidArgument")),
        Refusal::new(501, Some("NotImplemented")),
        Refusal::new(418, None),
    ] {
        let (machine, store) = (Machine::new(), aws(Faults::none()));
        store.set_faults(Faults::none().on_calls(
            O::UploadPart,
            6..=u64::MAX,
            Fault::Answer(refusal.clone()),
        ));
        paused(&machine, &store, 5000, &refusal).await;
        resumes(&machine, &store, 5000).await;
    }
    for code in ["InvalidPart", "MalformedXML", "InvalidRequest"] {
        let refusal = Refusal::new(400, Some(code));
        let (machine, store) = (Machine::new(), aws(Faults::none()));
        store.set_faults(Faults::none().on(
            O::CompleteMultipartUpload,
            1,
            Fault::Answer(refusal.clone()),
        ));
        paused(&machine, &store, SIZE as u64, &refusal).await;
        resumes(&machine, &store, SIZE as u64).await;
    }
}

/// No part has arrived and none ever will: there is nothing to keep, and a script must not retry
/// forever.
#[tokio::test(start_paused = true)]
async fn an_upload_of_which_the_store_takes_nothing_is_removed() {
    let refused = Fault::Answer(Refusal::new(400, Some("InvalidArgument")));
    let (machine, store) = (Machine::new(), aws(Faults::none().on_every(O::UploadPart, refused)));
    let error = machine.start(&store).await.unwrap_err();
    assert_eq!(store_kind(&error), Some(StoreErrorKind::Rejected), "{}", chain(&error));
    assert_eq!(machine.journals().list().unwrap().len(), 0);
    nothing_left(&store);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_can_never_complete_is_removed() {
    for (status, code) in [(400, "EntityTooSmall"), (412, "PreconditionFailed"), (404, "NoSuchKey")]
    {
        let refused = Fault::Answer(Refusal::new(status, Some(code)));
        let (machine, store) = (Machine::new(), aws(Faults::none()));
        store.set_faults(Faults::none().on_every(O::CompleteMultipartUpload, refused));
        let error = machine.start(&store).await.unwrap_err();
        assert!(matches!(error, Error::Store { .. }), "{code}: {}", chain(&error));
        assert_eq!(machine.journals().list().unwrap().len(), 0, "{code}");
        nothing_left(&store);
    }
}

/// The keys are wrong, so no upload was created, and the error reports only that.
#[tokio::test(start_paused = true)]
async fn a_caller_who_may_not_create_fails_at_once() {
    for refusal in OF_THE_CALLER.into_iter().filter(|refusal| refusal.code != Some("ExpiredToken"))
    {
        let refused = Fault::Answer(refusal.clone());
        let (machine, store) =
            (Machine::new(), aws(Faults::none().on_every(O::CreateMultipartUpload, refused)));
        let error = machine.start(&store).await.unwrap_err();
        assert!(matches!(error, Error::Store { .. }), "{refusal:?}: {}", chain(&error));
        assert_eq!(machine.journals().list().unwrap().len(), 0);
        nothing_left(&store);
    }
}

/// Without a journal no later run could find the upload. It is removed, as far as the store lets a
/// refused caller remove it.
#[tokio::test(start_paused = true)]
async fn without_a_journal_a_refused_upload_is_removed_or_named() {
    let refused = || Fault::Answer(Refusal::new(403, Some("InvalidAccessKeyId")));
    fails(&aws(Faults::none().on(O::UploadPart, 5, refused()))).await;

    let faults = [O::UploadPart, O::AbortMultipartUpload, O::ListParts]
        .into_iter()
        .fold(Faults::none(), |faults, operation| faults.on_every(operation, refused()));
    let store = aws(faults);
    let error = crate::harness::run(&store, SIZE, options()).await.unwrap_err();
    let Error::LeftBehind { upload_id, .. } = &error else { panic!("{}", chain(&error)) };
    assert_eq!(crate::harness::upload_ids(&store), std::slice::from_ref(upload_id));
}

/// A file whose disk fails after this number of reads, and whose metadata stays the same.
struct Failing {
    bytes: BytesSource,
    reads_left: AtomicU32,
}

impl Source for Failing {
    fn size_bytes(&self) -> u64 {
        self.bytes.size_bytes()
    }

    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let one_less = |reads: u32| reads.checked_sub(1);
        match self.reads_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => self.bytes.read_exact_at(offset_bytes, buffer),
            Err(_) => Err(io::Error::other("the disk was pulled out")),
        }
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        Ok(())
    }

    fn name(&self) -> String {
        "/a/file".into()
    }

    fn identity(&self) -> Option<SourceRecord> {
        identity(self.size_bytes(), 1)
    }
}

/// Regression: when a disk was removed or a network share disappeared, the parts that had arrived
/// were removed.
#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_be_read_keeps_what_arrived() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let source =
        |reads| Failing { bytes: BytesSource::new(bytes(SIZE)), reads_left: AtomicU32::new(reads) };
    let run = |reads| upload(Arc::new(store.clone()), source(reads), object(), machine.options());
    let error = run(5).await.unwrap_err();
    let Error::Paused { arrived_bytes: 5000, source: Some(cause), .. } = &error else {
        panic!("{}", chain(&error))
    };
    assert!(matches!(**cause, Error::SourceUnreadable { .. }), "{}", chain(&error));
    assert_eq!(run(u32::MAX).await.unwrap().resumed_bytes, 5000);
    nothing_left(&store);
}

/// Regression: a 503 of an hour before, long resolved, was reported as the reason of a Ctrl-C.
#[tokio::test(start_paused = true)]
async fn a_repaired_failure_is_not_the_reason_of_a_pause() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    store.set_faults(
        Faults::none().on(O::UploadPart, 1, Fault::Answer(Refusal::SLOW_DOWN)).on_calls(
            O::UploadPart,
            7..=u64::MAX,
            Fault::Stall,
        ),
    );
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    running.stop(StopRequest::Pause);
    let error = running.await.unwrap_err();
    assert!(
        matches!(error, Error::Paused { arrived_bytes: 5000, source: None, .. }),
        "{}",
        chain(&error)
    );
}

/// A part that fails after the Ctrl-C is not its reason either.
#[tokio::test(start_paused = true)]
async fn a_failure_during_a_pause_is_not_its_reason() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let late = Fault::TimeOut(Duration::from_secs(4));
    store.set_faults(Faults::none().on_calls(O::UploadPart, 6..=u64::MAX, late));
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.stop(StopRequest::Pause);
    let error = running.await.unwrap_err();
    assert!(
        matches!(error, Error::Paused { arrived_bytes: 5000, source: None, .. }),
        "{}",
        chain(&error)
    );
}

/// Regression: after `Retry-After: 120` at Create, Ctrl-C was handled two minutes later, as a
/// failure.
#[tokio::test(start_paused = true)]
async fn a_pause_does_not_wait_for_the_next_try_of_create() {
    let busy = Refusal { retry_after: Some(Duration::from_secs(120)), ..Refusal::SLOW_DOWN };
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    store.set_faults(Faults::none().on_every(O::CreateMultipartUpload, Fault::Answer(busy)));
    let begun = tokio::time::Instant::now();
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.stop(StopRequest::Pause);
    let error = running.await.unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{}", chain(&error));
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert_eq!(machine.journals().list().unwrap().len(), 0);
}

/// Regression: the store lost the upload with five parts in it. All eleven parts are sent again,
/// but sixteen were counted.
#[tokio::test(start_paused = true)]
async fn progress_counts_no_part_twice_after_a_restart() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    store.set_faults(Faults::none().on(O::UploadPart, 6, Fault::ExpireUpload));
    let running = machine.start(&store);
    let progress = running.progress();
    running.await.unwrap();
    assert_eq!(store.calls(O::CreateMultipartUpload), 2);
    assert_eq!(progress.arrived_bytes(), SIZE as u64);
}

/// Regression: PutObject dropped a metadata name that no header can carry, and the object was
/// created without it.
#[tokio::test(start_paused = true)]
async fn a_metadata_name_that_no_header_carries_is_refused() {
    for (name, threshold) in [("a name", 1), ("a name", 1 << 20), ("größe", 1 << 20), ("", 1 << 20)]
    {
        let store = aws(Faults::none());
        let mut options = UploadOptions {
            part_size_bytes: None,
            multipart_threshold_bytes: threshold,
            ..options()
        };
        options.attributes.metadata.insert(name.into(), "value".into());
        let error = crate::harness::run(&store, 500, options).await.unwrap_err();
        assert!(
            matches!(&error, Error::MetadataName { name: named } if named == name),
            "{}",
            chain(&error)
        );
        assert_eq!(store.history(), vec![]);
    }
}
