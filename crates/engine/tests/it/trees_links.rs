//! Trees with links to folders: what they copy, and that nothing behind such a link is removed.

use std::fs;
use std::os::unix::fs::symlink;

use haul::Event;
use haul::transfer::tree::{CompareBy, DeleteExtra, TreeOptions, TreeReport, TreeTarget};

use crate::trees::{Folder, below, engine, folder_source, memory_store, objects, options};

/// Runs a move of the folder to `p/`; returns the report and the warnings.
async fn moved(
    store: &haul::testing::memory::MemoryStore,
    folder: &Folder,
) -> (TreeReport, Vec<String>) {
    let moving = TreeOptions { remove_sources: true, ..options() };
    let mut tree = engine(store).tree(folder_source(folder.path()), below("p/"), moving);
    let mut events = tree.take_events().unwrap();
    let report = tree.await.unwrap();
    let mut warnings = vec![];
    while let Some(event) = events.next().await {
        if let Event::Warning { message } = event {
            warnings.push(message.replace(&folder.path().display().to_string(), ""));
        }
    }
    assert!(report.failures.is_empty() && report.ended_by.is_none(), "{report:?}");
    (report, warnings)
}

/// A folder with a link to another folder: `haul mv -r` followed it, as `aws s3 mv --recursive`
/// does, and removed the files of the other folder, which the command had not named.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_removes_nothing_behind_a_link_to_a_folder() {
    let (store, folder) = (memory_store(), Folder::of(&[("a", 3), ("z", 4)]));
    let outside = Folder::of(&[("kept", 5), ("below/kept", 6)]);
    symlink(outside.path(), folder.path().join("link")).unwrap();
    let before = outside.read();
    let (report, warnings) = moved(&store, &folder).await;
    assert_eq!(report.copied.files, 4);
    assert_eq!(outside.read(), before);
    let names: Vec<_> = objects(&store, "p/").await.into_keys().collect();
    assert_eq!(names, ["a", "link/below/kept", "link/kept", "z"]);
    let left: Vec<_> = folder.read().into_keys().collect();
    assert_eq!(left, ["link/below/kept", "link/kept"], "the link and what is behind it");
    let what = "/link is a link to a folder; the files in it are copied and not removed";
    assert_eq!(warnings, [what]);
}

/// Both names lead to one file: it is moved under the name that is not a link's.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_skips_a_link_to_a_folder_that_it_moves() {
    let (store, folder) = (memory_store(), Folder::of(&[("a/b", 3), ("c", 4)]));
    symlink("a", folder.path().join("first")).unwrap();
    symlink("a", folder.path().join("0")).unwrap();
    let (report, warnings) = moved(&store, &folder).await;
    assert_eq!(report.copied.files, 2);
    let names: Vec<_> = objects(&store, "p/").await.into_keys().collect();
    assert_eq!(names, ["a/b", "c"]);
    assert!(folder.read().is_empty());
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().all(|it| it.ends_with("is moved itself, and is skipped")));
}

/// A link to a file is removed by a move, and the file that it leads to stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_removes_a_link_to_a_file_and_not_the_file() {
    let (store, folder) = (memory_store(), Folder::new());
    let outside = Folder::of(&[("kept", 5)]);
    symlink(outside.path().join("kept"), folder.path().join("link")).unwrap();
    let (report, warnings) = moved(&store, &folder).await;
    assert_eq!((report.copied.files, warnings.len()), (1, 0));
    assert_eq!((folder.read().len(), outside.read().len()), (0, 1));
    assert_eq!(objects(&store, "p/").await["link"], outside.read()["kept"]);
}

/// The same for files that only the target of a sync has.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_removes_no_extra_file_behind_a_link_to_a_folder() {
    let (store, folder) = (memory_store(), Folder::of(&[("a", 3)]));
    let (back, outside) = (Folder::of(&[("extra", 1)]), Folder::of(&[("kept", 5)]));
    engine(&store).tree(folder_source(folder.path()), below("p/"), options()).await.unwrap();
    symlink(outside.path(), back.path().join("link")).unwrap();
    let deleting = TreeOptions {
        compare: CompareBy::SizeAndTime,
        delete: Some(DeleteExtra::default()),
        ..options()
    };
    let source = vec![haul::transfer::tree::TreeSource::Prefix {
        bucket: crate::harness::bucket(),
        prefix: "p/".into(),
        before: String::new(),
    }];
    let target = TreeTarget::Folder(back.path().to_owned());
    let report = engine(&store).tree(source, target, deleting).await.unwrap();
    assert_eq!((report.copied.files, report.removed, report.failed), (1, 1, 0));
    assert_eq!(outside.read().len(), 1);
    assert!(!fs::exists(back.path().join("extra")).unwrap());
}
