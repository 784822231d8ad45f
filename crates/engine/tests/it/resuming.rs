//! The same command again: stopped in the middle of finding out where it was.

use std::sync::Arc;
use std::time::Duration;

use haul::journal::JournalFolder;
use haul::memory::{Fault, Faults, MemoryStore};
use haul::store::Operation as O;
use haul::{Error, FileSource, JournalOptions, Upload, UploadOptions, upload};

use crate::harness::{aws, bytes, chain, nothing_left, object, options};

/// A file on disk and a place for journals.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), bytes(10_500)).unwrap();
        Self { folder }
    }

    fn journals(&self) -> JournalFolder {
        JournalFolder::new(self.folder.path().join("journals"))
    }

    fn start(&self, store: &MemoryStore) -> Upload {
        let journal =
            JournalOptions { folder: self.journals(), store_name: None, connection: serde_json::Value::Null };
        let options = UploadOptions { journal: Some(journal), concurrency: 1, ..options() };
        let source = FileSource::open(self.folder.path().join("file")).unwrap();
        upload(Arc::new(store.clone()), source, object(), options)
    }

    /// Five parts arrive, then it is paused.
    async fn paused(&self, store: &MemoryStore) {
        store.set_faults(Faults::none().on_calls(O::UploadPart, 6..=u64::MAX, Fault::Stall));
        let running = self.start(store);
        tokio::time::sleep(Duration::from_secs(60)).await;
        running.canceller().pause_now();
        let error = running.await.unwrap_err();
        assert!(matches!(error, Error::Paused { arrived_bytes: 5000, .. }), "{}", chain(&error));
        store.set_faults(Faults::none());
    }
}

#[tokio::test(start_paused = true)]
async fn what_arrived_before_is_not_sent_again() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.paused(&store).await;
    let before = store.bytes_received();
    let report = machine.start(&store).await.unwrap();
    assert_eq!(report.resumed_bytes, 5000);
    assert_eq!(store.bytes_received() - before, 5500);
    assert_eq!(store.object(&object()).unwrap(), bytes(10_500));
    assert_eq!(machine.journals().list().unwrap().len(), 0);
    nothing_left(&store);
}

/// The store does not answer ListParts: a pause, a cancel and a drop end it all the same.
#[tokio::test(start_paused = true)]
async fn a_resume_that_is_still_looking_can_be_stopped() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.paused(&store).await;

    store.set_faults(Faults::none().on(O::ListParts, 1, Fault::Stall));
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(60)).await;
    running.canceller().pause();
    let error = tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Paused { arrived_bytes: 5000, .. }), "{}", chain(&error));

    store.set_faults(Faults::none().on(O::ListParts, 1, Fault::Stall));
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(running);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(store.open_uploads().len(), 1);

    store.set_faults(Faults::none().on(O::ListParts, 1, Fault::Stall));
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(60)).await;
    running.canceller().cancel();
    let error = tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{}", chain(&error));
    assert_eq!(machine.journals().list().unwrap().len(), 0);
    nothing_left(&store);
}

/// Two processes with the same command: the second one is told, and touches nothing.
#[tokio::test(start_paused = true)]
async fn a_second_process_on_the_same_upload_is_refused() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    store.set_faults(Faults::none().on_every(O::UploadPart, Fault::Delay(Duration::from_secs(10))));
    let first = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(15)).await;
    let calls = store.history().len();
    let error = machine.start(&store).await.unwrap_err();
    assert!(chain(&error).contains(&std::process::id().to_string()), "{}", chain(&error));
    assert_eq!(store.history().len(), calls);
    first.await.unwrap();
    nothing_left(&store);
}
