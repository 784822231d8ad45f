//! P4 on real files: a new version with restored times is detected, between two runs and within
//! one.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use haul::parts::PartNumber;
use haul::remote::Operation as O;
use haul::source::Change;
use haul::testing::memory::{EtagKind, Fault, Faults, Quirks};
use haul::{Error, FileSource, OnChange, Source, UploadOptions};
use haul_testkit::TestStore;
use haul_testkit::python::{Talk, Venv};

use crate::harness::{PART_BYTES, aws, bytes, chain, differing_parts, heard, object, store};
use crate::machine::{Machine, SIZE};

/// Flips a byte and restores the modification time, as `touch -r`, `rsync -t` and VeraCrypt do.
fn rewrite_with_its_time_restored(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[!byte[0]], at).unwrap();
    file.set_modified(modified).unwrap();
    assert_eq!(file.metadata().unwrap().modified().unwrap(), modified);
}

fn part(number: u32) -> PartNumber {
    PartNumber::new(number).unwrap()
}

/// Regression: an encrypted container was changed in one place between two runs, with its length
/// and mtime restored. The second run trusted all recorded parts and completed an object of two
/// versions, reported as "every part proven".
#[tokio::test(start_paused = true)]
async fn a_rewrite_with_restored_times_between_runs_is_compared() {
    let opaque = Quirks { echo_checksums: false, etags: EtagKind::Opaque, ..Quirks::AWS };
    // This includes stores that return nothing to compare with: the journal has the checksums.
    for quirks in [Quirks::AWS, opaque] {
        let (machine, store) = (Machine::new(), store(quirks, Faults::none()));
        machine.stops_after(&store, 5).await;
        rewrite_with_its_time_restored(&machine.file(), 2 * PART_BYTES + 17);
        let before = store.bytes_received();
        let (ended, said) = heard(machine.start(&store)).await;
        ended.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(differing_parts(&said), [part(3)]);
        assert_eq!(store.object(&object()).unwrap(), std::fs::read(machine.file()).unwrap());
        assert_eq!(
            store.bytes_received() - before,
            SIZE as u64 - 4 * PART_BYTES,
            "the rest, and part 3 again"
        );
    }
}

/// The same while the parts are in flight: the run stops, and the next one sends the parts that
/// differ.
#[tokio::test(start_paused = true)]
async fn a_rewrite_with_restored_times_within_a_run_stops_it() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    store.set_faults(Faults::none().on_every(O::UploadPart, Fault::Delay(Duration::from_secs(10))));
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(35)).await;
    rewrite_with_its_time_restored(&machine.file(), 17);
    let error = running.await.unwrap_err();
    let Error::Paused { source: Some(cause), .. } = &error else { panic!("{}", chain(&error)) };
    assert!(
        matches!(&**cause, Error::SourceChanged { change: Change::Inode, .. }),
        "{}",
        chain(&error)
    );
    assert_eq!(store.calls(O::CompleteMultipartUpload), 0);

    store.set_faults(Faults::none());
    let (ended, said) = heard(machine.start(&store)).await;
    ended.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(differing_parts(&said), [part(1)]);
    assert_eq!(store.object(&object()).unwrap(), std::fs::read(machine.file()).unwrap());
}

/// A new name, another link or other permissions change the inode but no byte: everything is
/// compared, nothing is sent again, and `--on-change fail` has no reason to fail.
#[tokio::test(start_paused = true)]
async fn a_new_link_is_compared_and_costs_nothing_that_arrived() {
    for on_change in [OnChange::Resend, OnChange::Fail] {
        let (machine, store) = (Machine::new(), aws(Faults::none()));
        machine.stops_after(&store, 5).await;
        std::fs::hard_link(machine.file(), machine.file().with_file_name("link")).unwrap();
        let report = machine
            .start_with(&store, UploadOptions { on_change, ..machine.options() })
            .await
            .unwrap();
        assert_eq!(report.resumed_bytes, 5 * PART_BYTES);
        assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));
    }
    // A part that differs is still recognised as another version.
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 5).await;
    rewrite_with_its_time_restored(&machine.file(), 17);
    let strict = UploadOptions { on_change: OnChange::Fail, ..machine.options() };
    let error = machine.start_with(&store, strict).await.unwrap_err();
    assert!(
        matches!(error, Error::SourceChangedSince { change: Change::Inode, .. }),
        "{}",
        chain(&error)
    );
}

const WRITES_THROUGH_A_MAPPING: &str = r#"
import mmap, sys
file = open(args[0], "r+b")
view = mmap.mmap(file.fileno(), 0)
for number in (1, 2):
    view[0] = number
    print("written", flush=True)
    sys.stdin.readline()
"#;

/// Regression: a database wrote through a mapping. Its page was dirty before Haul opened the file,
/// so a later write to that page moved no time: an object mixed the part that had been read before
/// the write with parts that were read after it.
#[test]
fn a_write_through_a_dirty_mapping_is_noticed() {
    // The file is not in memory, because tmpfs never writes back.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("database");
    std::fs::write(&path, [0; 8192]).unwrap();
    File::open(&path).unwrap().sync_all().unwrap();
    let nowhere = TestStore {
        endpoint: "http://127.0.0.1:1".into(),
        region: "us-east-1".into(),
        access_key: "none".into(),
        secret_key: "none".into(),
    };
    let mut writer =
        Talk::start(&Venv::shared(), WRITES_THROUGH_A_MAPPING, &nowhere, &[path.to_str().unwrap()])
            .unwrap();
    assert_eq!(writer.line().unwrap(), "written");
    let source = FileSource::open(&path).unwrap();
    source.check_unchanged().unwrap();
    writer.say("again").unwrap();
    assert_eq!(writer.line().unwrap(), "written");
    assert!(source.check_unchanged().is_err(), "the second write was not noticed");
}
