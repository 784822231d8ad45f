//! A tree whose store goes away pauses as a whole; a file that fails by itself does not pause it.

use haul::remote::Operation as O;
use haul::testing::memory::{Fault, Faults, MemoryStore, Refusal};
use haul::transfer::tree::{TreeOptions, TreeReport};

use crate::harness::{narrow_engine, store_kind};
use crate::trees::{Folder, below, folder_source, journal, memory_store, objects, options};

const FILES: usize = 200;
/// At most so many files are in flight: two for each of sixteen requests.
const IN_FLIGHT: u64 = 32;
const ATTEMPTS: u64 = 8;

fn folder() -> Folder {
    let folder = Folder::new();
    (0..FILES).for_each(|number| folder.write(&format!("{number:03}"), 10));
    folder
}

async fn run(store: &MemoryStore, folder: &Folder, with: TreeOptions) -> TreeReport {
    let engine = narrow_engine(store, 16);
    engine.tree(folder_source(folder.path()), below(""), with).await.unwrap()
}

/// Every request fails from the 51st PutObject on.
fn away(fault: &Fault) -> Faults {
    let faults = Faults::none().on_calls(O::PutObject, 51..=u64::MAX, fault.clone());
    let faults = faults.on_every(O::ListObjectsV2, fault.clone());
    faults.on_every(O::HeadObject, fault.clone())
}

#[tokio::test(start_paused = true)]
async fn a_tree_pauses_when_its_store_goes_away() {
    let refused = |refusal| Fault::Answer(refusal);
    for fault in [
        Fault::LoseRequest,
        Fault::TimeOut(std::time::Duration::from_secs(30)),
        refused(Refusal::BAD_GATEWAY),
        refused(Refusal::SLOW_DOWN),
    ] {
        let (store, folder) = (memory_store(), folder());
        let journals = tempfile::tempdir().unwrap();
        let recorded = || TreeOptions { journal: journal(journals.path()), ..options() };
        store.set_faults(away(&fault));
        let report = run(&store, &folder, recorded()).await;
        assert!(report.paused, "{fault:?}: {report:?}");
        assert_eq!((report.failed, report.failures.len()), (0, 0), "{fault:?}");
        assert!(report.ended_by.is_some(), "{fault:?}");
        assert!(report.copied.files >= 10 && report.copied.files <= 50, "{report:?}");
        let puts = store.calls(O::PutObject);
        assert!(puts <= 50 + 2 * IN_FLIGHT * ATTEMPTS, "{fault:?}: {puts} requests");

        store.set_faults(Faults::none());
        let again = run(&store, &folder, recorded()).await;
        assert!(again.ended_by.is_none() && again.failed == 0, "{fault:?}: {again:?}");
        assert_eq!(objects(&store, "").await, folder.read(), "{fault:?}");
    }
}

/// Nothing was ever accepted: the tree ends with the error of the store instead of one for each
/// file, and is not paused, because the address may be wrong.
#[tokio::test(start_paused = true)]
async fn a_tree_that_never_reaches_its_store_ends_with_its_error() {
    let (store, folder) = (memory_store(), folder());
    let journals = tempfile::tempdir().unwrap();
    let lost = || Fault::LoseRequest;
    let faults = Faults::none().on_every(O::PutObject, lost()).on_every(O::ListObjectsV2, lost());
    store.set_faults(faults.on_every(O::HeadObject, lost()));
    let with = TreeOptions { journal: journal(journals.path()), ..options() };
    let report = run(&store, &folder, with).await;
    assert!(!report.paused && report.failed == 0, "{report:?}");
    assert!(report.ended_by.is_some(), "{report:?}");
}

/// The store answers everything but the files: each of them fails by itself.
#[tokio::test(start_paused = true)]
async fn files_that_fail_by_themselves_do_not_pause_the_tree() {
    let (store, folder) = (memory_store(), folder());
    let journals = tempfile::tempdir().unwrap();
    let refused = Fault::Answer(Refusal::INTERNAL_ERROR);
    store.set_faults(Faults::none().on_every(O::PutObject, refused));
    let with = TreeOptions { journal: journal(journals.path()), ..options() };
    let report = run(&store, &folder, with).await;
    assert!(!report.paused && report.ended_by.is_none(), "{report:?}");
    assert_eq!(report.failed, FILES as u64);
    let kind = store_kind(&report.failures[0].error);
    assert_eq!(kind, Some(haul::StoreErrorKind::Server));
}
