//! A user's computer: a file on its disk, and the journals of its uploads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use haul::StopRequest;
use haul::journal::JournalFolder;
use haul::remote::Operation;
use haul::testing::memory::{Fault, Faults, MemoryStore};
use haul::{
    Error, FileSource, JournalChoice, JournalOptions, Transfer, UploadOptions, UploadReport, upload,
};

use crate::harness::{PART_BYTES, bytes, chain, object, options};

/// The size of the file: ten parts and a bit.
pub(crate) const SIZE: usize = 10_500;

pub(crate) struct Machine(tempfile::TempDir);

impl Machine {
    pub(crate) fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        std::fs::write(machine.file(), bytes(SIZE)).unwrap();
        machine
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.path().join("file")
    }

    pub(crate) fn journals(&self) -> JournalFolder {
        JournalFolder::new(self.0.path().join("journals"))
    }

    /// Returns options with a journal and one part at a time, so that it is known which parts
    /// arrived.
    pub(crate) fn options(&self) -> UploadOptions {
        UploadOptions {
            journal: Some(self.journal(JournalChoice::OfSource)),
            concurrency: Some(1),
            ..options()
        }
    }

    /// Returns the options that `haul resume ID` uses.
    pub(crate) fn resuming(&self, id: &str) -> UploadOptions {
        let journal = self.journal(JournalChoice::Given(id.to_owned()));
        UploadOptions { journal: Some(journal), ..self.options() }
    }

    fn journal(&self, choice: JournalChoice) -> JournalOptions {
        let connection = serde_json::Value::Null;
        JournalOptions { folder: self.journals(), store_name: None, connection, choice }
    }

    pub(crate) fn start(&self, store: &MemoryStore) -> Transfer<UploadReport> {
        self.start_with(store, self.options())
    }

    pub(crate) fn start_with(
        &self,
        store: &MemoryStore,
        options: UploadOptions,
    ) -> Transfer<UploadReport> {
        start_file(&self.file(), store, options)
    }

    /// Uploads until this number of parts has arrived, then pauses at once. The store has no faults
    /// afterwards.
    pub(crate) async fn stops_after(&self, store: &MemoryStore, parts: u64) {
        self.stops_after_with(store, parts, self.options()).await;
    }

    /// Does the same as [`Machine::stops_after`], with these options.
    pub(crate) async fn stops_after_with(
        &self,
        store: &MemoryStore,
        parts: u64,
        options: UploadOptions,
    ) {
        store.set_faults(Faults::none().on_calls(
            Operation::UploadPart,
            parts + 1..=u64::MAX,
            Fault::Stall,
        ));
        let running = self.start_with(store, options);
        tokio::time::sleep(Duration::from_secs(60)).await;
        running.stop(StopRequest::PauseNow);
        let error = running.await.unwrap_err();
        let Error::Paused { arrived_bytes, .. } = error else { panic!("{}", chain(&error)) };
        assert_eq!(arrived_bytes, parts * PART_BYTES);
        store.set_faults(Faults::none());
    }
}

/// Uploads a file to the object that all tests use.
pub(crate) fn start_file(
    file: &Path,
    store: &MemoryStore,
    options: UploadOptions,
) -> Transfer<UploadReport> {
    upload(Arc::new(store.clone()), FileSource::open(file).unwrap(), object(), options)
}
