//! Copies that stop and are resumed: parts that have arrived are not copied again, and no object is
//! made of two versions of its source (P2, P3, P4).

use std::sync::Arc;
use std::time::Duration;

use haul::journal::{JournalFolder, JournalSummary};
use haul::parts::PartNumber;
use haul::remote::{
    CompleteRequest, CompletedPart, CreateRequest, Operation as O, Store, UploadRef,
};
use haul::source::SourceRecord;
use haul::testing::memory::{Fault, Faults, MemoryStore, Quirks};
use haul::{
    CopyMethod, CopyOptions, CopyProof, CopyReport, Engine, EngineOptions, Error, Event,
    JournalChoice, JournalOptions, OnChange, StopRequest, Transfer, abandon,
};

use crate::copying::{copy_options, put_source, target, upload_source};
use crate::harness::{aws, bytes, chain, object, part_request, put_request, store};

const SIZE: usize = 10_500;

/// A store with a source, and the journals of a user.
pub(crate) struct Desk {
    pub(crate) store: MemoryStore,
    folder: tempfile::TempDir,
    /// The store of the source, if it is not `store`.
    elsewhere: Option<MemoryStore>,
}

impl Desk {
    pub(crate) fn new(store: MemoryStore) -> Self {
        Self { store, folder: tempfile::tempdir().unwrap(), elsewhere: None }
    }

    pub(crate) fn journals(&self) -> JournalFolder {
        JournalFolder::new(self.folder.path())
    }

    fn options(&self, choice: JournalChoice) -> CopyOptions {
        let (store_name, connection) = (None, serde_json::Value::Null);
        let journal = JournalOptions { folder: self.journals(), store_name, connection, choice };
        CopyOptions { journal: Some(journal), ..copy_options() }
    }

    fn start(&self, options: CopyOptions) -> Transfer<CopyReport> {
        let limits = EngineOptions { concurrency: 2.into(), ..EngineOptions::default() };
        let engine = Engine::new(Arc::new(self.store.clone()), limits);
        match &self.elsewhere {
            Some(elsewhere) => {
                engine.copy_from(Arc::new(elsewhere.clone()), object(), target(), options)
            }
            None => engine.copy(object(), target(), options),
        }
    }

    async fn copy(&self) -> CopyReport {
        let running = self.start(self.options(JournalChoice::OfSource));
        running.await.unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    /// Pauses after this number of parts; returns the id of the journal.
    async fn pause_after(&self, parts: usize) -> String {
        let mut running = self.start(self.options(JournalChoice::OfSource));
        let mut events = running.take_events().unwrap();
        let mut arrived = 0;
        while arrived < parts {
            let event = events.next().await.expect("it still runs");
            arrived += usize::from(matches!(event, Event::PartSent { .. }));
        }
        running.stop(StopRequest::PauseNow);
        match running.await.unwrap_err() {
            Error::Paused { id, .. } => id,
            other => panic!("{}", chain(&other)),
        }
    }

    fn only(&self) -> JournalSummary {
        let mut found = self.journals().list().unwrap();
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    fn nothing_left(&self) {
        assert_eq!(self.store.open_uploads(), vec![], "an upload is left (P3)");
        assert_eq!(self.journals().list().unwrap().len(), 0, "a journal is left");
        assert_eq!(self.store.bytes_received_again(), 0, "a part was copied again (P2)");
    }

    fn arrived(&self) {
        assert_eq!(self.store.object(&target()), self.store.object(&object()));
        self.nothing_left();
    }
}

fn slow() -> Faults {
    Faults::none().on_every(O::UploadPartCopy, Fault::DelayAnswer(Duration::from_millis(100)))
}

/// Creates a source of unequal parts, as an upload of a stream leaves them.
pub(crate) async fn compose_source(store: &MemoryStore, content: &[u8], sizes: &[usize]) {
    let created =
        store.create_multipart_upload(&object(), &CreateRequest::default()).await.unwrap();
    let upload = UploadRef { object: object(), upload_id: created.upload_id };
    let (mut offset, mut parts) = (0, vec![]);
    for (number, size) in (1..).zip(sizes) {
        let number = PartNumber::new(number).unwrap();
        let request = part_request(number, &content[offset..offset + size]);
        let sent = store.upload_part(&upload, request).await.unwrap();
        parts.push(CompletedPart { number, etag: sent.etag, checksum: None });
        offset += size;
    }
    let request = CompleteRequest { parts, ..CompleteRequest::default() };
    store.complete_multipart_upload(&upload, &request).await.unwrap();
}

/// Regression: a copy in parts had no journal. `kill -9` left an upload that no command listed, and
/// the same command copied every part again.
#[tokio::test(start_paused = true)]
async fn a_paused_copy_is_continued_by_the_same_command() {
    for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16] {
        let desk = Desk::new(store(quirks, slow()));
        upload_source(&desk.store, &bytes(SIZE)).await;
        desk.pause_after(4).await;
        let listed = desk.only();
        assert!(matches!(&listed.beginning.source, SourceRecord::Object(source)
            if source.object == object() && !source.streamed));
        assert!(listed.parts.len() >= 4);
        let report = desk.copy().await;
        assert_eq!((report.method, report.part_count), (CopyMethod::UploadPartCopy, 11));
        assert_ne!(report.proof, CopyProof::Unproven);
        assert_eq!(desk.store.calls(O::CreateMultipartUpload), 2, "the source's and one copy's");
        desk.arrived();
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_copy_of_unequal_parts_is_continued() {
    let desk = Desk::new(aws(slow()));
    compose_source(&desk.store, &bytes(SIZE), &[1000, 1000, 3000, 5000, 500]).await;
    desk.pause_after(2).await;
    let report = desk.copy().await;
    assert_eq!(report.part_count, 5);
    assert_eq!(report.etag, desk.store.head_object(&object()).await.unwrap().etag);
    desk.arrived();
}

/// The copy is resumed by the id of its journal, without any argument of the first command.
#[tokio::test(start_paused = true)]
async fn a_paused_copy_is_continued_by_its_id() {
    let desk = Desk::new(aws(slow()));
    upload_source(&desk.store, &bytes(SIZE)).await;
    let mut begun = desk.options(JournalChoice::OfSource);
    begun.attributes.content_type = Some("image/png".into());
    let running = desk.start(begun);
    tokio::time::sleep(Duration::from_millis(350)).await;
    running.stop(StopRequest::PauseNow);
    let Error::Paused { id, .. } = running.await.unwrap_err() else { panic!("it was paused") };
    desk.start(desk.options(JournalChoice::Given(id))).await.unwrap();
    let head = desk.store.head_object(&target()).await.unwrap();
    assert_eq!(head.attributes.content_type.as_deref(), Some("image/png"));
    desk.arrived();
}

/// This test has no paused clock, because blocking threads read the bytes.
#[tokio::test]
async fn a_streamed_copy_is_continued_as_it_was_begun() {
    for between_stores in [false, true] {
        let quirks = Quirks { copies_parts: between_stores, ..Quirks::AWS };
        let delayed =
            Faults::none().on_every(O::UploadPart, Fault::DelayAnswer(Duration::from_millis(20)));
        let mut desk = Desk::new(store(quirks, Faults::none()));
        let source = if between_stores { aws(Faults::none()) } else { desk.store.clone() };
        upload_source(&source, &bytes(SIZE)).await;
        desk.elsewhere = between_stores.then(|| source.clone());
        desk.store.set_faults(delayed);
        desk.pause_after(4).await;
        assert!(matches!(&desk.only().beginning.source, SourceRecord::Object(source)
            if source.streamed));
        let report = desk.copy().await;
        assert_eq!((report.method, report.part_count), (CopyMethod::Streamed, 11));
        assert_eq!(desk.store.object(&target()), source.object(&object()));
        assert_eq!(report.etag, source.head_object(&object()).await.unwrap().etag);
        desk.nothing_left();
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_changed_between_runs_restarts_the_copy() {
    for (quirks, in_parts) in
        [(Quirks::AWS, true), (Quirks::AWS, false), (Quirks::CEPH_RGW_16, true)]
    {
        let desk = Desk::new(store(quirks, slow()));
        upload_source(&desk.store, &bytes(SIZE)).await;
        desk.pause_after(4).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let other: Vec<u8> = bytes(SIZE).iter().map(|byte| !byte).collect();
        if in_parts {
            upload_source(&desk.store, &other).await;
        } else {
            put_source(&desk.store, &other).await;
        }
        let failing =
            CopyOptions { on_change: OnChange::Fail, ..desk.options(JournalChoice::OfSource) };
        let error = desk.start(failing).await.unwrap_err();
        assert!(matches!(error, Error::SourceChangedSince { .. }), "{}", chain(&error));
        assert_eq!(desk.only().parts.len(), 4, "nothing is given up by a run that fails");

        let report = desk.copy().await;
        assert_eq!(report.upload_id.is_some(), in_parts);
        assert_eq!(desk.store.object(&target()).unwrap(), other);
        assert_eq!(desk.store.open_uploads(), vec![]);
        assert_eq!(desk.journals().list().unwrap().len(), 0);
    }
}

/// A copy whose source is overwritten while it runs cannot be resumed.
#[tokio::test(start_paused = true)]
async fn a_source_that_changes_within_a_run_leaves_nothing() {
    for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16] {
        let desk = Desk::new(store(quirks, slow()));
        upload_source(&desk.store, &bytes(SIZE)).await;
        let running = desk.start(desk.options(JournalChoice::OfSource));
        tokio::time::sleep(Duration::from_millis(250)).await;
        put_source(&desk.store, b"another version").await;
        let error = running.await.unwrap_err();
        assert!(matches!(error, Error::ObjectChanged { .. }), "{}", chain(&error));
        assert_eq!(desk.store.object(&target()), None);
        desk.nothing_left();
    }
}

/// If the journal lacks the answer to a part, the part is kept if a checksum proves the whole
/// object, and copied again otherwise.
#[tokio::test(start_paused = true)]
async fn an_unrecorded_part_counts_only_if_the_object_is_proven() {
    for proves in [true, false] {
        let opaque = Quirks {
            echo_checksums: false,
            etags: haul::testing::memory::EtagKind::Opaque,
            ..Quirks::AWS
        };
        let quirks = if proves { Quirks::AWS } else { opaque };
        let desk = Desk::new(store(quirks, slow()));
        upload_source(&desk.store, &bytes(SIZE)).await;
        desk.pause_after(4).await;
        let upload_id = desk.only().upload_id.unwrap();
        // Sends the part as a process does that is killed before it writes the record.
        let upload = UploadRef { object: target(), upload_id };
        let nine = haul::remote::PartCopyRequest {
            number: PartNumber::new(9).unwrap(),
            source: object(),
            source_if_match: None,
            range: Some(8000..9000),
        };
        desk.store.upload_part_copy(&upload, &nine).await.unwrap();
        desk.copy().await;
        assert_eq!(desk.store.object(&target()), desk.store.object(&object()));
        let history = desk.store.history();
        let times = history.iter().filter(|call| {
            call.operation == O::UploadPartCopy && call.part == Some(PartNumber::new(9).unwrap())
        });
        assert_eq!(times.count(), if proves { 1 } else { 2 });
        assert_eq!(desk.store.open_uploads(), vec![]);
    }
}

/// Another client wrote a part into our upload: no object may be made of it.
#[tokio::test(start_paused = true)]
async fn a_foreign_part_in_a_paused_copy_makes_no_object() {
    for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16] {
        let desk = Desk::new(store(quirks, slow()));
        upload_source(&desk.store, &bytes(SIZE)).await;
        desk.pause_after(4).await;
        let upload_id = desk.only().upload_id.unwrap();
        let upload = UploadRef { object: target(), upload_id };
        let foreign = part_request(PartNumber::new(9).unwrap(), &[7; 1000]);
        desk.store.upload_part(&upload, foreign).await.unwrap();
        let ended = desk.start(desk.options(JournalChoice::OfSource)).await;
        let there = desk.store.object(&target());
        match ended {
            Ok(_) => assert_eq!(there, desk.store.object(&object())),
            Err(Error::Corrupt { .. }) => assert_eq!(there, None),
            Err(error) => panic!("{}", chain(&error)),
        }
        assert_eq!(desk.store.open_uploads(), vec![]);
        desk.copy().await;
        assert_eq!(desk.store.object(&target()), desk.store.object(&object()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_copy_is_removed_by_abandon_and_by_cancel() {
    let desk = Desk::new(aws(slow()));
    upload_source(&desk.store, &bytes(SIZE)).await;
    let id = desk.pause_after(4).await;
    abandon(Arc::new(desk.store.clone()), &desk.journals(), &id).await.unwrap();
    desk.nothing_left();

    desk.pause_after(4).await;
    let running = desk.start(desk.options(JournalChoice::OfSource));
    running.stop(StopRequest::Cancel);
    assert!(matches!(running.await.unwrap_err(), Error::Cancelled { .. }));
    desk.nothing_left();
    assert_eq!(desk.store.object(&target()), None);
}

/// The source has become small, and the target must not exist.
#[tokio::test(start_paused = true)]
async fn a_copy_with_a_condition_keeps_it_when_it_is_continued() {
    let desk = Desk::new(aws(slow()));
    upload_source(&desk.store, &bytes(SIZE)).await;
    let guarded = || CopyOptions { if_none_match: true, ..desk.options(JournalChoice::OfSource) };
    let running = desk.start(guarded());
    tokio::time::sleep(Duration::from_millis(350)).await;
    running.stop(StopRequest::PauseNow);
    running.await.unwrap_err();
    desk.store.put_object(&target(), put_request(b"theirs")).await.unwrap();
    let error = desk.start(desk.options(JournalChoice::OfSource)).await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{}", chain(&error));
    assert_eq!(desk.store.object(&target()).unwrap(), b"theirs".as_slice());
    assert_eq!(desk.store.open_uploads(), vec![]);
}
