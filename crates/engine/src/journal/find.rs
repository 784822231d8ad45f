//! Finds the journal of a source and a target.
//!
//! The search compares the file itself first (device, inode, length and mtime), so that a renamed
//! file is found. Then it compares the path, for the same command with another version of the file.
//! The journal of a copy is found by the store and the key of its source. The name of a new journal
//! derives from source and target, so that two processes with the same command open the same file,
//! and only one of them gets its lock.

use std::path::Path;

use haul_parts::{ChecksumAlgorithm, Hasher};
use serde::Serialize;

use super::file::JournalError;
use super::folder::{JournalFolder, JournalSummary};
use crate::remote::ObjectRef;
use crate::source::{FileIdentity, FileRecord, SourceRecord};

/// The journal of an upload, and the related journals of the same user.
#[derive(Clone, Debug)]
pub struct FoundJournal {
    /// The id of the journal, or the id that a new journal of this upload will get.
    pub id: String,
    /// The content of the upload's own journal; `None` if there is no such journal yet.
    pub summary: Option<JournalSummary>,
    /// Other journals of the same key or the same file, each with its [`Relation`].
    pub others: Vec<RelatedJournal>,
}

/// A journal that is related to the upload but not its own.
#[derive(Clone, Debug)]
pub struct RelatedJournal {
    /// The content of the related journal.
    pub summary: JournalSummary,
    /// The relation of that journal to the upload.
    pub relation: Relation,
}

/// The relation of another journal to an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Relation {
    /// The other journal has the same key of the same store, and another source.
    SameKey,
    /// The other journal has the same key of the same store, and its source was moved.
    SameKeySourceMoved,
    /// The other journal has the same key and source, and a store with another address, perhaps
    /// another spelling of the same one.
    OtherStore,
    /// The other journal has another key, and the same file under its earlier path.
    FileMoved,
}

impl JournalFolder {
    /// Returns the id of a new journal of a source and a target, without reading the existing
    /// journals.
    pub fn upload_id(path: &Path, store: &str, object: &ObjectRef) -> String {
        new_id(&[], path.as_os_str().as_encoded_bytes(), store, object)
    }

    /// Finds the journal of a source and a target.
    ///
    /// # Errors
    /// As [`JournalFolder::list`].
    pub fn find(
        &self,
        source: &SourceRecord,
        store: &str,
        object: &ObjectRef,
    ) -> Result<FoundJournal, JournalError> {
        let mut all = self.list()?;
        let own = own(&all, source, store, object).map(|index| all.swap_remove(index));
        let id = match &own {
            Some(own) => own.id.clone(),
            None => new_id(&all, &source.place_bytes(), store, object),
        };
        let others = all
            .into_iter()
            .filter_map(|summary| {
                let relation = relation(&summary, source, store, object)?;
                Some(RelatedJournal { summary, relation })
            })
            .collect();
        Ok(FoundJournal { id, summary: own, others })
    }
}

/// Picks the upload's own journal. The same file is preferred to the same path; among several such
/// journals, the one with most parts is picked.
fn own(
    all: &[JournalSummary],
    source: &SourceRecord,
    store: &str,
    object: &ObjectRef,
) -> Option<usize> {
    let rank = |summary: &JournalSummary| {
        let begun = &summary.beginning;
        if (&begun.object, begun.store.as_str()) != (object, store) {
            return None;
        }
        let same_version = begun.source.is_same_version(source);
        let same_place = begun.source.is_same_place(source);
        (same_version || same_place).then_some((same_version, same_place, summary.parts.len()))
    };
    let ranked =
        all.iter().enumerate().filter_map(|(index, summary)| Some((rank(summary)?, index)));
    ranked.max().map(|(_, index)| index)
}

/// Returns the id of a new journal: the same id for the same command, unless an existing journal
/// already has that id.
fn new_id(all: &[JournalSummary], place: &[u8], store: &str, object: &ObjectRef) -> String {
    let taken = |id: &String| all.iter().any(|summary| summary.id == *id);
    let mut ids = (0..).map(|nth: u32| {
        let mut hasher = Hasher::new(ChecksumAlgorithm::Sha256);
        hasher.update(place);
        hasher.update(format!("\0{store}\0{}\0{}", object.bucket, object.key).as_bytes());
        if nth > 0 {
            hasher.update(&nth.to_le_bytes());
        }
        hasher.finish().bytes().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    });
    ids.find(|id| !taken(id)).unwrap_or_default()
}

fn relation(
    other: &JournalSummary,
    source: &SourceRecord,
    store: &str,
    object: &ObjectRef,
) -> Option<Relation> {
    let begun = &other.beginning;
    let same_file = begun.source.is_same_version(source);
    let same_place = begun.source.is_same_place(source);
    let moved = || !same_place && begun.source.file().is_some_and(|file| !is_there(file));
    match (begun.object == *object, begun.store == store) {
        (true, true) if moved() => Some(Relation::SameKeySourceMoved),
        (true, true) => Some(Relation::SameKey),
        (true, false) if !other.running && (same_file || same_place) => Some(Relation::OtherStore),
        (false, true) if !other.running && same_file && moved() => Some(Relation::FileMoved),
        _ => None,
    }
}

/// Returns whether the recorded path still leads to the recorded file or a later version of it.
fn is_there(source: &FileRecord) -> bool {
    let place = |identity: FileIdentity| identity.place;
    let now = std::fs::metadata(&source.path).ok().map(|metadata| FileIdentity::of(&metadata));
    now.is_some_and(|now| place(now) == source.identity.place)
}

#[cfg(test)]
mod tests {
    use haul_parts::{Limits, PartPlan};

    use super::*;
    use crate::journal::Beginning;
    use crate::remote::ObjectAttributes;

    const STORE: &str = "http://h";

    /// The journals of a user for a test.
    struct Desk {
        root: tempfile::TempDir,
        journals: JournalFolder,
    }

    impl Desk {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let journals = JournalFolder::new(root.path().join("uploads"));
            Self { root, journals }
        }

        /// Creates a file of this name and returns it as a source.
        fn file(&self, name: &str, content: &[u8]) -> SourceRecord {
            std::fs::write(self.root.path().join(name), content).unwrap();
            self.source(name)
        }

        fn source(&self, name: &str) -> SourceRecord {
            let path = self.root.path().join(name);
            let identity = FileIdentity::of(&std::fs::metadata(&path).unwrap());
            SourceRecord::File(FileRecord { path, identity })
        }

        fn rename(&self, from: &str, to: &str) {
            std::fs::rename(self.root.path().join(from), self.root.path().join(to)).unwrap();
        }

        fn find(&self, source: &SourceRecord, store: &str, key: &str) -> FoundJournal {
            self.journals.find(source, store, &object(key)).unwrap()
        }

        /// Records an upload that started and stopped; returns its id.
        fn begun(&self, source: &SourceRecord, store: &str, key: &str) -> String {
            let id = self.find(source, store, key).id;
            let mut opened = self.journals.open(&id).unwrap();
            opened.journal.restart(beginning(source, store, key)).unwrap();
            id
        }

        fn relations(&self, source: &SourceRecord, store: &str, key: &str) -> Vec<Relation> {
            self.find(source, store, key).others.into_iter().map(|other| other.relation).collect()
        }
    }

    fn object(key: &str) -> ObjectRef {
        format!("s3://bucket/{key}").parse().unwrap()
    }

    fn beginning(source: &SourceRecord, store: &str, key: &str) -> Beginning {
        Beginning {
            source: source.clone(),
            object: object(key),
            store: store.into(),
            plan: PartPlan::new(20 << 20, &Limits::AWS, None).unwrap().into(),
            part_size_bytes: None,
            checksum: None,
            attributes: ObjectAttributes::default(),
            if_none_match: false,
            if_match: None,
            require_proof: false,
            token: "00112233".into(),
            connection: serde_json::Value::Null,
            begun_at: 1_700_000_000,
            unanswered: vec![],
        }
    }

    /// Regression: a renamed file was sent again from its first byte, and no hint said that most of
    /// it had arrived.
    #[test]
    fn a_renamed_file_finds_its_journal() {
        let desk = Desk::new();
        let id = desk.begun(&desk.file("old", b"film"), STORE, "key");
        desk.rename("old", "new");
        let found = desk.find(&desk.source("new"), STORE, "key");
        assert_eq!((found.id.as_str(), found.others.len()), (id.as_str(), 0));
        assert!(found.summary.is_some());
    }

    #[test]
    fn the_same_path_finds_its_journal_with_another_version() {
        let desk = Desk::new();
        let id = desk.begun(&desk.file("file", b"film"), STORE, "key");
        std::fs::remove_file(desk.root.path().join("file")).unwrap();
        let other = desk.file("file", b"another film");
        assert_eq!(desk.find(&other, STORE, "key").id, id);
    }

    /// The journal of the file takes precedence over the one that was started at the file's new
    /// path.
    #[test]
    fn the_file_itself_wins_over_its_path() {
        let desk = Desk::new();
        let first = desk.begun(&desk.file("a", b"first"), STORE, "key");
        let second = desk.begun(&desk.file("b", b"second"), STORE, "key");
        desk.rename("b", "a");
        let found = desk.find(&desk.source("a"), STORE, "key");
        assert_eq!(found.id, second);
        assert_eq!(found.others[0].summary.id, first);
    }

    /// A journal keeps its id when its file is moved: a new file at the old path gets another id.
    #[test]
    fn a_new_journal_takes_no_name_that_is_in_use() {
        let desk = Desk::new();
        let id = desk.begun(&desk.file("a", b"first"), STORE, "key");
        desk.rename("a", "b");
        let moved = desk.source("b");
        let mut opened = desk.journals.open(&id).unwrap();
        opened.journal.append(&crate::journal::Record::SourceMoved { source: moved }).unwrap();
        drop(opened);
        let found = desk.find(&desk.file("a", b"a new one"), STORE, "key");
        assert_ne!(found.id, id);
        assert_eq!(found.summary.map(|summary| summary.id), None);
        assert_eq!(found.others[0].relation, Relation::SameKey);
        assert_eq!(desk.find(&desk.source("b"), STORE, "key").id, id);
    }

    #[test]
    fn the_id_is_of_source_store_and_key() {
        let desk = Desk::new();
        let (a, b) = (desk.file("a", b"a"), desk.file("b", b"bb"));
        let id = |source, store, key| desk.find(source, store, key).id;
        assert_eq!(id(&a, STORE, "key"), id(&a, STORE, "key"));
        assert_eq!(id(&a, STORE, "key").len(), 12);
        for other in [id(&b, STORE, "key"), id(&a, "http://i", "key"), id(&a, STORE, "key2")] {
            assert_ne!(other, id(&a, STORE, "key"));
        }
    }

    #[test]
    fn what_concerns_an_upload_is_named_and_nothing_else() {
        let desk = Desk::new();
        let file = desk.file("file", b"film");
        desk.begun(&file, STORE, "key");
        let copy = desk.file("copy", b"a film");
        // Two uploads of one key.
        assert_eq!(desk.relations(&copy, STORE, "key"), [Relation::SameKey]);
        // The same file at another spelling of the store's address.
        assert_eq!(desk.relations(&file, "http://localhost", "key"), [Relation::OtherStore]);
        // One file for several keys, or several files for one store, are not related.
        assert_eq!(desk.relations(&file, STORE, "other-key"), []);
        assert_eq!(desk.relations(&copy, "http://i", "key"), []);
        // The file is not related under its old name.
        desk.rename("file", "moved");
        assert_eq!(desk.relations(&desk.source("moved"), STORE, "moved"), [Relation::FileMoved]);
        assert_eq!(desk.relations(&copy, STORE, "key"), [Relation::SameKeySourceMoved]);
    }
}
