//! Clients that share no code with those of `clients.rs`: minio-py, the AWS SDKs for C++ (in
//! pyarrow) and JavaScript, and restic. Each of them uploads, also in parts, lists 1,100 objects,
//! reads back, and deletes in batches.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use haul_testkit::files::{MIB, sha256};
use haul_testkit::process::run;
use haul_testkit::servers::required_variable;
use serde_json::{Value, json};

use crate::scene::Scene;
use crate::world::{assert_keys, assert_no_upload_left};

const FILE_BYTES: u64 = 24 * MIB;

/// Maximum time that one client may take for its whole run.
const PATIENCE: Duration = Duration::from_secs(60);

fn venv(program: &str) -> PathBuf {
    Path::new(&required_variable("HAUL_TEST_CLIENTS")).join("bin").join(program)
}

/// Runs a client with the keys of the scene, and returns its output.
fn client(scene: &Scene, command: &mut Command) -> String {
    command.envs(scene.real.client_variables()).current_dir(scene.world.path(""));
    run(command, PATIENCE).unwrap().success().unwrap().stdout
}

fn told(scene: &Scene, command: &mut Command) -> Value {
    let file = scene.world.path("file");
    let stdout = client(scene, command.args([&scene.real.endpoint, &scene.bucket]).arg(file));
    serde_json::from_str(stdout.lines().last().unwrap())
        .unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

fn python(scene: &Scene, script: &str) -> Value {
    told(scene, Command::new(venv("python")).args(["-c", script]))
}

fn assert_nothing_left(scene: &Scene) {
    assert_keys(&scene.real, &scene.bucket, &[]);
    assert_no_upload_left(&scene.real, &scene.bucket);
}

#[test]
fn minio_py() {
    let scene = Scene::of_file(FILE_BYTES);
    let told = python(&scene, include_str!("py/minio_trip.py"));
    let expected = json!({
        "all_listed": true, "sha256": scene.sample.sha256, "small": true, "parts": 5,
        "errors": [], "left": []
    });
    assert_eq!(told, expected);
    assert_nothing_left(&scene);
}

#[test]
fn pyarrow() {
    let scene = Scene::of_file(FILE_BYTES);
    let told = python(&scene, include_str!("py/pyarrow_trip.py"));
    let expected =
        json!({"all_listed": true, "sha256": scene.sample.sha256, "small": true, "left": []});
    assert_eq!(told, expected);
    assert_no_upload_left(&scene.real, &scene.bucket);
}

/// Browsers were once answered 400 `BadDigest`: the SDK presigns with the checksum of an empty
/// body.
#[test]
fn aws_sdk_for_javascript() {
    let scene = Scene::of_file(FILE_BYTES);
    let folder = required_variable("HAUL_TEST_JS");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/js/trip.mjs");
    let told = told(&scene, Command::new(venv("node")).arg(script).arg(folder));
    let expected = json!({
        "all_listed": true, "pages": 2, "sha256": scene.sample.sha256,
        "small": [true, true, true, true], "parts": 5,
        "presigned": [true, 200, 200, 200], "conditions": [200, 412], "errors": [], "left": 0
    });
    assert_eq!(told, expected);
    assert_nothing_left(&scene);
}

#[test]
fn restic() {
    let scene = Scene::of_file(FILE_BYTES);
    let source = scene.world.path("source");
    std::fs::create_dir(&source).unwrap();
    for n in 0..1100 {
        std::fs::write(source.join(format!("{n:04}")), format!("file {n}")).unwrap();
    }
    std::fs::copy(scene.world.path("file"), source.join("large")).unwrap();
    let restic = |arguments: &[&str]| {
        let mut command = Command::new("restic");
        command.env("RESTIC_PASSWORD", "test").args(["--no-cache", "--repo"]);
        command.arg(format!("s3:{}/{}/repository", scene.real.endpoint, scene.bucket));
        client(&scene, command.args(arguments))
    };
    restic(&["init"]);
    restic(&["backup", "source"]);
    let listed = restic(&["ls", "latest"]);
    assert_eq!(listed.lines().filter(|line| line.contains("/source/")).count(), 1101, "{listed}");
    restic(&["check", "--read-data"]);
    restic(&["restore", "latest", "--target", "back"]);
    let back = scene.world.path("back");
    let large = find(&back, "large").expect("the large file is back");
    assert_eq!(sha256(&large).unwrap(), scene.sample.sha256);
    let small = find(&back, "0042").expect("the small files are back");
    assert_eq!(std::fs::read_to_string(small).unwrap(), "file 42");
    // A second backup finds everything present; forgetting both snapshots removes it.
    restic(&["backup", "source"]);
    let told = restic(&["forget", "--prune", "--keep-last", "1"]);
    assert!(told.contains("remove 1 snapshots"), "{told}");
    assert_no_upload_left(&scene.real, &scene.bucket);
}

/// Returns the path of the file with this name below a folder: restic restores the full path of its
/// source.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders = Vec::new();
    for path in entries {
        if path.is_dir() {
            folders.push(path);
        } else if path.file_name().is_some_and(|found| found == name) {
            return Some(path);
        }
    }
    folders.iter().find_map(|folder| find(folder, name))
}
