//! `haul resume ID` resumes the journal with that id, and a moved file finds its own journal.

use haul::journal::{JournalError, Relation};
use haul::remote::{Operation as O, Store};
use haul::testing::memory::{Faults, MemoryStore};
use haul::{Error, Event, ObjectAttributes, Unfinished, UploadOptions};

use crate::harness::{PART_BYTES, aws, bytes, chain, heard, nothing_left, object, upload_ids};
use crate::machine::{Machine, SIZE, start_file};

fn id(machine: &Machine) -> String {
    let journals = machine.journals().list().unwrap();
    assert_eq!(journals.len(), 1);
    journals[0].id.clone()
}

/// The second run lacks one option of the first; the parts that had arrived still count.
#[tokio::test(start_paused = true)]
async fn a_given_journal_resumes_with_a_moved_file() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 5).await;
    // A file moved to another disk has another inode and other times.
    let moved = machine.file().with_file_name("moved");
    std::fs::copy(machine.file(), &moved).unwrap();
    std::fs::remove_file(machine.file()).unwrap();
    let report = start_file(&moved, &store, machine.resuming(&id(&machine))).await.unwrap();
    assert_eq!(report.resumed_bytes, 5 * PART_BYTES);
    assert_eq!(store.calls(O::CreateMultipartUpload), 1);
    assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));
    assert_eq!(machine.journals().list().unwrap().len(), 0);
    nothing_left(&store);
}

/// The store has really lost the upload: the new one has the attributes, the condition and the part
/// size of the first run, although the second run was given none of them.
#[tokio::test(start_paused = true)]
async fn a_given_journal_begins_again_as_it_was_begun() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let attributes = ObjectAttributes {
        content_type: Some("application/x-mine".into()),
        metadata: [("owner".to_owned(), "me".to_owned())].into(),
        ..ObjectAttributes::default()
    };
    let first = UploadOptions { attributes, if_none_match: true, ..machine.options() };
    machine.stops_after_with(&store, 5, first).await;
    assert!(store.expire_upload(&upload_ids(&store)[0]));
    let plain = UploadOptions { part_size_bytes: None, ..machine.resuming(&id(&machine)) };
    let report = start_file(&machine.file(), &store, plain).await.unwrap();
    assert_eq!((store.calls(O::CreateMultipartUpload), report.part_count), (2, 11));
    let head = store.head_object(&object()).await.unwrap();
    assert_eq!(head.attributes.content_type.as_deref(), Some("application/x-mine"));
    assert_eq!(head.attributes.metadata["owner"], "me");

    // The condition is the first run's too.
    machine
        .stops_after_with(&store, 5, UploadOptions { if_none_match: false, ..machine.options() })
        .await;
    let without = id(&machine);
    start_file(&machine.file(), &store, machine.resuming(&without)).await.unwrap();
}

/// The upload ended in another process after the user listed the journals.
#[tokio::test(start_paused = true)]
async fn a_given_journal_that_is_gone_sends_nothing() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let error =
        start_file(&machine.file(), &store, machine.resuming("0e50c57f2f7a")).await.unwrap_err();
    assert!(matches!(error, Error::Journal(JournalError::Missing { .. })), "{}", chain(&error));
    assert_eq!(store.history().len(), 0);
}

/// Regression: a renamed file was silently sent again from its first byte, beside the parts that
/// had arrived.
#[tokio::test(start_paused = true)]
async fn a_renamed_file_resumes_where_it_stopped() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 5).await;
    let renamed = machine.file().with_file_name("renamed");
    std::fs::rename(machine.file(), &renamed).unwrap();
    let (ended, said) = heard(start_file(&renamed, &store, machine.options())).await;
    assert_eq!(ended.unwrap().resumed_bytes, 5 * PART_BYTES);
    assert_eq!(store.calls(O::CreateMultipartUpload), 1);
    let old_name = machine.file().display().to_string();
    let names_it =
        |event: &Event| matches!(event, Event::Warning { message } if message.contains(&old_name));
    assert!(said.iter().any(names_it), "{said:?}");
}

/// Returns the relation in each event about another journal.
fn relations(said: &[Event]) -> Vec<Relation> {
    let relation = |event: &Event| match event {
        Event::RelatedJournal { relation, .. } => Some(*relation),
        _ => None,
    };
    said.iter().filter_map(relation).collect()
}

async fn copy_of_the_file(machine: &Machine, store: &MemoryStore) -> std::path::PathBuf {
    machine.stops_after(store, 5).await;
    let copy = machine.file().with_file_name("copy");
    std::fs::copy(machine.file(), &copy).unwrap();
    copy
}

/// Regression: when one machine had an unfinished upload of a key, a second one was begun without a
/// report.
#[tokio::test(start_paused = true)]
async fn a_second_upload_of_one_key_is_reported() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let copy = copy_of_the_file(&machine, &store).await;
    let (ended, said) = heard(start_file(&copy, &store, machine.options())).await;
    ended.unwrap();
    assert_eq!(relations(&said), [Relation::SameKey]);
    std::fs::remove_file(machine.file()).unwrap();
    let (ended, said) = heard(start_file(&copy, &store, machine.options())).await;
    ended.unwrap();
    assert_eq!(relations(&said), [Relation::SameKeySourceMoved]);
    assert_eq!(id(&machine).len(), 12, "it is left as it is");
}

/// Regression: `--adopt` refused the upload of a moved file because a journal contained it. Only a
/// running process is a reason to refuse.
#[tokio::test(start_paused = true)]
async fn adopt_takes_an_upload_over_from_an_idle_journal() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let copy = copy_of_the_file(&machine, &store).await;
    let adopt = UploadOptions { unfinished: Unfinished::Adopt, ..machine.options() };
    let locked = machine.journals().open(&id(&machine)).unwrap();
    let (ended, _) = heard(start_file(&copy, &store, adopt.clone())).await;
    assert_eq!(ended.unwrap().resumed_bytes, 0, "another process has it");
    drop(locked);

    let report = start_file(&copy, &store, adopt).await.unwrap();
    assert_eq!(report.resumed_bytes, 5 * PART_BYTES);
    assert_eq!(machine.journals().list().unwrap().len(), 0, "the other journal is given up");
    nothing_left(&store);
}
