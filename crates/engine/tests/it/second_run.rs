//! The guarantees of the first run also hold in the second: conditions, proof, an unchanged source,
//! the fewest requests.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use haul::StopRequest;
use haul::remote::Operation as O;
use haul::source::Change;
use haul::source::SourceRecord;
use haul::testing::memory::{EtagKind, Fault, Faults, MemoryStore, Quirks, Refusal};
use haul::{
    BytesSource, Error, Source, StoreErrorKind, Transfer, UploadOptions, UploadReport, upload,
};

use crate::harness::{
    PART_BYTES, aws, bytes, chain, differing_parts, heard, identity, nothing_left, object, options,
    start, store, store_kind,
};
use crate::machine::{Machine, SIZE};

/// A file that another program writes to after this number of checks.
struct Wavering {
    bytes: BytesSource,
    version: u64,
    looks_left: AtomicU32,
}

impl Wavering {
    fn new(version: u64, looks: u32) -> Self {
        let mut content = bytes(SIZE);
        if version > 1 {
            content[2500] ^= 1;
        }
        Self { bytes: BytesSource::new(content), version, looks_left: AtomicU32::new(looks) }
    }
}

impl Source for Wavering {
    fn size_bytes(&self) -> u64 {
        self.bytes.size_bytes()
    }

    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.bytes.read_exact_at(offset_bytes, buffer)
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        let one_less = |looks: u32| looks.checked_sub(1);
        let looked = self.looks_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        looked.map(drop).map_err(|_| Change::Modified)
    }

    fn name(&self) -> String {
        "/a/file".into()
    }

    fn identity(&self) -> Option<SourceRecord> {
        identity(self.size_bytes(), self.version)
    }
}

const FOR_EVER: u32 = u32::MAX;

fn start_wavering(
    machine: &Machine,
    store: &MemoryStore,
    version: u64,
    looks: u32,
) -> Transfer<UploadReport> {
    let source = Wavering::new(version, looks);
    upload(Arc::new(store.clone()), source, object(), machine.options())
}

/// Waits for a minute, then pauses the upload at once; returns its error.
async fn paused(running: Transfer<UploadReport>) -> Error {
    tokio::time::sleep(Duration::from_secs(60)).await;
    running.stop(StopRequest::PauseNow);
    running.await.unwrap_err()
}

fn stalls_from(part: u64) -> Faults {
    Faults::none().on_calls(O::UploadPart, part..=u64::MAX, Fault::Stall)
}

/// A condition is checked at Complete: the condition of the last command applies, and every run
/// keeps it.
#[tokio::test(start_paused = true)]
async fn a_condition_of_a_later_run_holds_and_is_remembered() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 5).await;
    let foreign = b"another client's";
    let single =
        UploadOptions { multipart_threshold_bytes: 1 << 20, part_size_bytes: None, ..options() };
    start(&store, foreign, single).await.unwrap();

    store.set_faults(stalls_from(1));
    let careful = UploadOptions { if_none_match: true, ..machine.options() };
    paused(machine.start_with(&store, careful)).await;
    store.set_faults(Faults::none());
    let error = machine.start(&store).await.unwrap_err();
    assert_eq!(store_kind(&error), Some(StoreErrorKind::PreconditionFailed), "{}", chain(&error));
    assert_eq!(store.object(&object()).unwrap(), &foreign[..]);
    nothing_left(&store);
}

/// P1: required proof includes the parts of an earlier run.
#[tokio::test(start_paused = true)]
async fn demanded_proof_is_of_all_parts() {
    let mute = Quirks { echo_checksums: false, etags: EtagKind::Opaque, ..Quirks::AWS };
    let (machine, store) = (Machine::new(), store(mute, Faults::none()));
    machine.stops_after(&store, 5).await;
    let strict = UploadOptions { require_proof: true, ..machine.options() };
    let error = machine.start_with(&store, strict).await.unwrap_err();
    assert!(matches!(error, Error::Unproven { .. }), "{}", chain(&error));
    assert_eq!(store.object(&object()), None);

    // Proof that was required at the beginning stays required.
    let (machine, store) = (Machine::new(), aws(stalls_from(6)));
    let strict = UploadOptions { require_proof: true, ..machine.options() };
    paused(machine.start_with(&store, strict)).await;
    assert!(machine.journals().list().unwrap()[0].beginning.require_proof);
}

/// P4: the source is written to while parts of it are compared with those at the store.
#[tokio::test(start_paused = true)]
async fn a_source_that_changes_while_it_is_compared_is_not_completed() {
    let (machine, store) = (Machine::new(), aws(stalls_from(11)));
    paused(start_wavering(&machine, &store, 1, FOR_EVER)).await;
    store.set_faults(Faults::none());
    let error = start_wavering(&machine, &store, 2, 3).await.unwrap_err();
    assert!(matches!(error, Error::SourceChanged { .. }), "{}", chain(&error));
    assert_eq!(store.calls(O::CompleteMultipartUpload), 0);
    assert_eq!(store.open_uploads().len(), 1);
    let (ended, said) = heard(start_wavering(&machine, &store, 2, FOR_EVER)).await;
    ended.unwrap();
    assert_eq!(differing_parts(&said).len(), 1);
    assert_eq!(store.object(&object()).unwrap()[2500], bytes(SIZE)[2500] ^ 1);
}

/// P4: every part is present and known; only the check before Complete is left.
#[tokio::test(start_paused = true)]
async fn a_source_that_changed_before_complete_is_not_completed() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    store.set_faults(Faults::none().on(
        O::UploadPart,
        11,
        Fault::DelayAnswer(Duration::from_secs(3)),
    ));
    let running = start_wavering(&machine, &store, 1, FOR_EVER);
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.stop(StopRequest::Pause);
    let error = running.await.unwrap_err();
    assert!(matches!(error, Error::Paused { arrived_bytes: 10_500, .. }), "{}", chain(&error));
    let error = start_wavering(&machine, &store, 1, 0).await.unwrap_err();
    let Error::Paused { source: Some(cause), .. } = &error else { panic!("{}", chain(&error)) };
    assert!(matches!(**cause, Error::SourceChanged { .. }), "{}", chain(&error));
    assert_eq!(store.calls(O::CompleteMultipartUpload), 0);
    start_wavering(&machine, &store, 1, FOR_EVER).await.unwrap();
    nothing_left(&store);
}

/// P4 and P2: the source is written to during the run. The parts stay, and the next run sends only
/// differences.
#[tokio::test(start_paused = true)]
async fn a_source_that_changes_during_a_run_keeps_what_arrived() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let error = start_wavering(&machine, &store, 1, 6).await.unwrap_err();
    let Error::Paused { arrived_bytes, source: Some(cause), .. } = &error else {
        panic!("{}", chain(&error))
    };
    assert!(matches!(**cause, Error::SourceChanged { .. }), "{}", chain(&error));
    assert_eq!(*arrived_bytes, 6 * PART_BYTES);
    let before = store.bytes_received();
    start_wavering(&machine, &store, 2, FOR_EVER).await.unwrap();
    assert_eq!(
        store.bytes_received() - before,
        4500 + PART_BYTES,
        "the rest, and the part that differs"
    );
    assert_eq!(store.object(&object()).unwrap()[2500], bytes(SIZE)[2500] ^ 1);
    assert_eq!(machine.journals().list().unwrap().len(), 0);
}

/// ListParts fails: the upload and its journal stay, and the error names the next step.
#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_list_leaves_the_upload_paused() {
    for refusal in [Refusal::ACCESS_DENIED, Refusal::EXPIRED_TOKEN, Refusal::BAD_GATEWAY] {
        let (machine, store) = (Machine::new(), aws(Faults::none()));
        machine.stops_after(&store, 5).await;
        store.set_faults(Faults::none().on_every(O::ListParts, Fault::Answer(refusal)));
        let error = machine.start(&store).await.unwrap_err();
        assert!(
            matches!(error, Error::Paused { arrived_bytes: 5000, source: Some(_), .. }),
            "{}",
            chain(&error)
        );
        store.set_faults(Faults::none());
        assert_eq!(machine.start(&store).await.unwrap().resumed_bytes, 5000);
        nothing_left(&store);
    }
}

/// The upload is cancelled before it sends anything, and the store refuses to remove the parts.
#[tokio::test(start_paused = true)]
async fn a_cancel_that_cannot_remove_the_parts_says_so() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 5).await;
    store.set_faults(
        Faults::none()
            .on(O::ListParts, 1, Fault::Stall)
            .on_every(O::AbortMultipartUpload, Fault::Answer(Refusal::ACCESS_DENIED)),
    );
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(60)).await;
    running.stop(StopRequest::Cancel);
    let error = running.await.unwrap_err();
    assert!(matches!(error, Error::LeftBehind { .. }), "{}", chain(&error));
    assert_eq!(machine.journals().list().unwrap().len(), 1);
}

/// Every Complete is answered with 409: each upload was removed before the next one was created,
/// and the error names the condition.
#[tokio::test(start_paused = true)]
async fn a_conflict_that_never_ends_is_reported_and_forgotten() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let conflict = Fault::Answer(Refusal::new(409, Some("ConditionalRequestConflict")));
    store.set_faults(Faults::none().on_every(O::CompleteMultipartUpload, conflict));
    let careful = UploadOptions { if_none_match: true, ..machine.options() };
    let error = machine.start_with(&store, careful).await.unwrap_err();
    assert_eq!(store_kind(&error), Some(StoreErrorKind::ConditionalConflict), "{}", chain(&error));
    assert_eq!(machine.journals().list().unwrap().len(), 0);
    assert!(store.open_uploads().is_empty());
}

/// Parts of an older version of the file do not count as arrived.
#[tokio::test(start_paused = true)]
async fn the_figure_of_a_pause_counts_no_part_twice() {
    let (machine, store) = (Machine::new(), aws(stalls_from(6)));
    paused(start_wavering(&machine, &store, 1, FOR_EVER)).await;
    store.set_faults(stalls_from(1));
    paused(start_wavering(&machine, &store, 2, FOR_EVER)).await;
    store.set_faults(Faults::none().on_every(O::ListParts, Fault::Stall));
    let error = paused(start_wavering(&machine, &store, 2, FOR_EVER)).await;
    assert!(matches!(error, Error::Paused { arrived_bytes: 4000, .. }), "{}", chain(&error));
    assert_eq!(machine.journals().list().unwrap()[0].parts.len(), 4);
}

/// The file now needs only one request: the upload that was created for its parts is still removed.
#[tokio::test(start_paused = true)]
async fn a_file_that_shrank_below_the_threshold_leaves_no_parts() {
    for size in [300, 0] {
        let (machine, store) = (Machine::new(), aws(Faults::none()));
        machine.stops_after(&store, 5).await;
        std::fs::write(machine.file(), bytes(size)).unwrap();
        let usual = UploadOptions {
            multipart_threshold_bytes: 1 << 20,
            part_size_bytes: None,
            ..machine.options()
        };
        machine.start_with(&store, usual).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(store.object(&object()).unwrap(), bytes(size));
        assert_eq!(machine.journals().list().unwrap().len(), 0);
        nothing_left(&store);
    }
}

/// A Complete that always fails is retried as often as any other request.
#[tokio::test(start_paused = true)]
async fn a_complete_that_always_fails_pauses_in_the_end() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    store.set_faults(
        Faults::none().on_every(O::CompleteMultipartUpload, Fault::Answer(Refusal::INTERNAL_ERROR)),
    );
    let error = machine.start(&store).await.unwrap_err();
    assert!(matches!(error, Error::Paused { source: Some(_), .. }), "{}", chain(&error));
    let tries = u64::from(haul::pace::RetryPolicy::default().attempts_max);
    assert_eq!(store.calls(O::CompleteMultipartUpload), tries);
    store.set_faults(Faults::none());
    let sent = store.bytes_received();
    machine.start(&store).await.unwrap();
    assert_eq!(store.bytes_received(), sent);
}
