//! A Create without an answer: the process was killed while the request was in flight (P3).

use std::sync::Arc;
use std::time::Duration;

use haul::remote::Operation as O;
use haul::testing::memory::{Fault, Faults, MemoryStore, Refusal};
use haul::{Abandoned, abandon};
use haul::{Error, UploadOptions};

use crate::harness::{aws, chain, foreign_upload, heard, nothing_left, upload_ids, warned};
use crate::machine::Machine;

/// Returns a machine whose process was killed after its Create was carried out and before the
/// answer: a journal that records when Create began, and an empty upload at the store.
async fn killed_within_create() -> (Machine, MemoryStore, String) {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 1).await;
    let id = machine.journals().list().unwrap()[0].id.clone();
    let mut opened = machine.journals().open(&id).unwrap();
    let haul::journal::Record::Begun(beginning) = opened.records.remove(0) else { panic!() };
    opened.journal.restart(*beginning).unwrap();
    drop(opened);
    assert!(store.expire_upload(&upload_ids(&store)[0]));
    (machine, store, id)
}

async fn aborted(machine: &Machine, store: &MemoryStore, id: &str) -> Abandoned {
    abandon(Arc::new(store.clone()), &machine.journals(), id).await.unwrap()
}

/// Regression: `haul abort ID` reported after 0.03 s that nothing was there, without asking the
/// store; the upload stayed forever.
#[tokio::test(start_paused = true)]
async fn abort_asks_for_what_an_unheard_create_left() {
    let (machine, store, id) = killed_within_create().await;
    foreign_upload(&store).await;
    assert_eq!(aborted(&machine, &store, &id).await, Abandoned::Removed);
    nothing_left(&store);
    assert_eq!(machine.journals().list().unwrap().len(), 0);

    // The Create never arrived: the store was asked, more than once.
    let (machine, store, id) = killed_within_create().await;
    let before = store.calls(O::ListMultipartUploads);
    assert_eq!(aborted(&machine, &store, &id).await, Abandoned::NothingThere);
    assert!(store.calls(O::ListMultipartUploads) > before + 1);
    assert_eq!(machine.journals().list().unwrap().len(), 0);
}

/// The journal stays if the store cannot be asked.
#[tokio::test(start_paused = true)]
async fn abort_keeps_the_journal_when_the_store_does_not_say() {
    let (machine, store, id) = killed_within_create().await;
    store.set_faults(
        Faults::none().on_every(O::ListMultipartUploads, Fault::Answer(Refusal::ACCESS_DENIED)),
    );
    let error = abandon(Arc::new(store.clone()), &machine.journals(), &id).await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{}", chain(&error));
    assert_eq!(machine.journals().list().unwrap().len(), 1);
}

/// Trap 26: there are two empty uploads of that minute, and only one answer was lost. Neither is
/// removed, and the user has to choose.
#[tokio::test(start_paused = true)]
async fn abort_removes_nothing_that_may_be_another_clients() {
    let (machine, store, id) = killed_within_create().await;
    foreign_upload(&store).await;
    foreign_upload(&store).await;
    let Abandoned::Unclear(uploads) = aborted(&machine, &store, &id).await else { panic!() };
    assert_eq!(uploads.len(), 2);
    assert_eq!(store.open_uploads().len(), 2);
    assert_eq!(machine.journals().list().unwrap().len(), 1);

    // An upload that is hours older is not ours, whatever it holds.
    let (machine, store, id) = killed_within_create().await;
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
    foreign_upload(&store).await;
    assert_eq!(aborted(&machine, &store, &id).await, Abandoned::NothingThere);
    assert_eq!(store.open_uploads().len(), 1);
}

/// The next run restarts the upload, and removes the upload of the first run before Complete.
#[tokio::test(start_paused = true)]
async fn the_next_run_removes_what_an_unheard_create_left() {
    let (machine, store, _) = killed_within_create().await;
    foreign_upload(&store).await;
    machine.start(&store).await.unwrap();
    nothing_left(&store);

    // The same if that run stops earlier, and a third one reaches the end.
    let (machine, store, id) = killed_within_create().await;
    foreign_upload(&store).await;
    machine.stops_after(&store, 5).await;
    assert_eq!(store.open_uploads().len(), 2);
    machine.start_with(&store, machine.resuming(&id)).await.unwrap();
    nothing_left(&store);
}

/// All answers to Create were lost: the journal stays, and leads to the uploads that they created.
#[tokio::test(start_paused = true)]
async fn a_create_that_is_never_answered_stays_remembered() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let refused = Fault::Answer(Refusal::ACCESS_DENIED);
    let lost = Faults::none().on(O::CreateMultipartUpload, 1, Fault::LoseAnswer);
    store.set_faults(lost.on_calls(O::CreateMultipartUpload, 2..=9, refused));
    let (ended, _) = heard(machine.start(&store)).await;
    let error = ended.unwrap_err();
    let Error::Paused { id, arrived_bytes: 0, source: Some(_), .. } = &error else {
        panic!("{}", chain(&error))
    };
    assert_eq!(store.open_uploads().len(), 1);
    assert_eq!(aborted(&machine, &store, id).await, Abandoned::Removed);
    nothing_left(&store);

    // Without a journal the upload can only be reported.
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    store.set_faults(Faults::none().on_every(O::CreateMultipartUpload, Fault::LoseAnswer));
    let forgetful = UploadOptions { journal: None, ..machine.options() };
    let (ended, said) = heard(machine.start_with(&store, forgetful)).await;
    ended.unwrap_err();
    assert!(warned(&said));
}
