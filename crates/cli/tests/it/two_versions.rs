//! No object mixes two versions of a file, even if a writer hides its changes during the upload.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::files::sha256;
use haul_testkit::process::Running;
use haul_testkit::python::{Talk, Venv};
use serde_json::json;

use crate::scene::{KEY, PART_BYTES, PARTS, Scene, all_arrived_but};
use crate::world::{LIMIT, assert_no_upload_left, copy, event, read_back, succeed};

const WRITES_THROUGH_A_MAPPING: &str = r#"
import mmap, sys
file = open(args[0], "r+b")
view = mmap.mmap(file.fileno(), 0)
for number in (1, 2):
    view[int(args[1])] ^= number
    print("written", flush=True)
    sys.stdin.readline()
"#;

fn at_both(test: fn(&Scene)) {
    test(&Scene::at_haul_serve());
    test(&Scene::at("RGW"));
}

/// Uploads the file, and calls `write` to change it when all parts but the last have arrived. The
/// run must stop with exit code 6; the next one must send part 2 again and complete the current
/// version of the file.
fn assert_noticed(scene: &Scene, file: &Path, write: impl FnOnce()) {
    let command = || {
        let mut command = copy(&scene.world, &scene.store, file, &scene.url());
        command.args(["--part-size", "5MiB", "--concurrency", "3", "--json"]);
        command
    };
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Hold).part(PARTS).always());
    let running = Running::start(&mut command()).unwrap();
    scene.wait_for(|seen| all_arrived_but(PARTS, seen));
    write();
    scene.proxy.release();
    let stopped = running.finish(LIMIT).unwrap();
    assert_eq!(stopped.code(), Some(6), "{}{}", stopped.stdout, stopped.stderr);
    assert_eq!(scene.proxy.count(Kind::CompleteMultipartUpload), 0);

    let finished = succeed(&mut command());
    assert_eq!(event(&finished, "resumed")["differing_parts"], json!([2]));
    assert_eq!(read_back(&scene.real, &scene.bucket, KEY).sha256, sha256(file).unwrap());
    assert_no_upload_left(&scene.real, &scene.bucket);
}

/// The object was once completed from two versions, "every part proven", when the file was
/// rewritten and its length and time were restored, as VeraCrypt does by default.
fn a_hidden_rewrite_stops_the_run(scene: &Scene) {
    assert_noticed(scene, &scene.sample.path, || {
        let file = OpenOptions::new().write(true).open(&scene.sample.path).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.write_all_at(b"another version", PART_BYTES + 17).unwrap();
        file.set_modified(modified).unwrap();
    });
}

#[test]
fn a_rewrite_within_a_run_with_its_time_restored_stops_it() {
    at_both(a_hidden_rewrite_stops_the_run);
}

/// A database writes through a memory mapping. Its page was already dirty before the upload began,
/// so a write to the page did not change the file's time until the system wrote the page back.
fn a_write_through_a_dirty_page_stops_the_run(scene: &Scene) {
    // The file must not be in memory: tmpfs never writes pages back.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = folder.path().join("database");
    fs::copy(&scene.sample.path, &file).unwrap();
    File::open(&file).unwrap().sync_all().unwrap();
    let offset = (PART_BYTES + 17).to_string();
    let arguments = [file.to_str().unwrap(), &offset];
    let mut writer =
        Talk::start(&Venv::shared(), WRITES_THROUGH_A_MAPPING, &scene.real, &arguments).unwrap();
    assert_eq!(writer.line().unwrap(), "written");
    assert_noticed(scene, &file, || {
        writer.say("again").unwrap();
        assert_eq!(writer.line().unwrap(), "written");
    });
}

#[test]
fn a_write_through_a_mapping_within_a_run_stops_it() {
    at_both(a_write_through_a_dirty_page_stops_the_run);
}
