//! A stdout that is full or closed stops the printing and nothing else.
//!
//! `haul --json cp big s3://b/k | head -1` once ended with 0 and no object: the first line that
//! could not be printed ended the transfer, and with `--no-journal` its parts stayed at the store
//! without any record. With stdout on a full disk, the command ended with 1 and "nothing is left",
//! although an upload was left.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use haul_testkit::TestStore;
use haul_testkit::files::MIB;
use haul_testkit::servers::HaulServe;

use crate::world::{Sample, World, assert_keys, assert_no_upload_left, make_bucket, read_back};

/// Large enough that the events of its parts do not fit into a pipe of 4 KiB.
const FILE_BYTES: u64 = 60 * MIB;

struct Scene {
    world: World,
    store: TestStore,
    bucket: String,
    sample: Sample,
    _server: Option<HaulServe>,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let server = world.serve();
        let store = server.store().clone();
        Self::of(world, store, Some(server))
    }

    /// Creates a scene at the Ceph RGW that all tests share.
    fn at_rgw() -> Self {
        Self::of(World::new(), TestStore::shared("RGW"), None)
    }

    fn of(world: World, store: TestStore, server: Option<HaulServe>) -> Self {
        let bucket = make_bucket(&world, &store);
        let sample = world.sample("big", FILE_BYTES);
        Self { world, store, bucket, sample, _server: server }
    }

    fn copy(&self, more: &[&str]) -> Command {
        let mut command = self.world.haul(&self.store);
        let target = format!("s3://{}/key", self.bucket);
        command
            .arg("cp")
            .arg(&self.sample.path)
            .arg(target)
            .args(["--part-size", "5MiB"])
            .args(more);
        command
    }

    fn assert_arrived(&self) {
        assert_eq!(read_back(&self.store, &self.bucket, "key").sha256, self.sample.sha256);
        assert_no_upload_left(&self.store, &self.bucket);
    }

    /// Returns a device that is always full. It is a device node of the test, never the machine's
    /// own `/dev/full`.
    fn full(&self) -> File {
        let node: PathBuf = self.world.path("full");
        let made = Command::new("mknod").arg(&node).args(["c", "1", "7"]).status().unwrap();
        assert!(made.success(), "mknod needs root: run the tests as root, as CI does");
        File::options().write(true).open(node).unwrap()
    }
}

/// Runs the command with a stdout whose reader was closed before the first line.
fn into_closed_pipe(command: &mut Command) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    ended(command.stdout(writer))
}

fn ended(command: &mut Command) -> (Option<i32>, String) {
    let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn upload_into_closed_pipes(scene: fn() -> Scene) {
    for more in [&["--json"][..], &["--json", "--no-journal"], &[]] {
        let scene = scene();
        let (code, stderr) = into_closed_pipe(&mut scene.copy(more));
        assert_eq!(code, Some(0), "{more:?}: {stderr}");
        scene.assert_arrived();
    }
}

fn upload_into_full_disks(scene: fn() -> Scene) {
    for more in [&["--json"][..], &["--json", "--no-journal"], &[]] {
        let scene = scene();
        let (code, stderr) = ended(scene.copy(more).stdout(scene.full()));
        assert_eq!(code, Some(0), "{more:?}: {stderr}");
        assert_eq!(
            stderr.matches("cannot write to standard output").count(),
            1,
            "{more:?}: {stderr}"
        );
        scene.assert_arrived();
    }
}

#[test]
fn a_closed_stdout_does_not_stop_an_upload() {
    upload_into_closed_pipes(Scene::new);
}

#[test]
fn a_closed_stdout_does_not_stop_an_upload_to_ceph_rgw() {
    upload_into_closed_pipes(Scene::at_rgw);
}

#[test]
fn a_full_stdout_does_not_stop_an_upload() {
    upload_into_full_disks(Scene::new);
}

#[test]
fn a_full_stdout_does_not_stop_an_upload_to_ceph_rgw() {
    upload_into_full_disks(Scene::at_rgw);
}

#[test]
fn a_closed_stdout_keeps_the_exit_code_of_a_failure() {
    let scene = Scene::new();
    let mut command = scene.world.haul(&scene.store);
    command.args(["--json", "cp"]).arg(&scene.sample.path).arg("s3://no-such-bucket-here/key");
    let (code, stderr) = into_closed_pipe(&mut command);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("NoSuchBucket") || stderr.contains("bucket"), "{stderr}");
}

#[test]
fn a_closed_stdout_does_not_stop_a_download_or_a_removal() {
    let scene = Scene::new();
    assert_eq!(into_closed_pipe(&mut scene.copy(&["--json"])).0, Some(0));
    let source = format!("s3://{}/key", scene.bucket);
    let target = scene.world.path("back");
    let mut download = scene.world.haul(&scene.store);
    download.args(["--json", "cp", &source]).arg(&target);
    assert_eq!(into_closed_pipe(&mut download).0, Some(0));
    assert_eq!(std::fs::metadata(&target).unwrap().len(), FILE_BYTES);
    let mut remove = scene.world.haul(&scene.store);
    remove.args(["--json", "rm", &source]);
    assert_eq!(into_closed_pipe(&mut remove).0, Some(0));
    assert_keys(&scene.store, &scene.bucket, &[]);
}

#[test]
fn a_report_fails_on_a_full_disk_and_not_on_a_closed_pipe() {
    let scene = Scene::new();
    let list = || {
        let mut command = scene.world.haul(&scene.store);
        command.arg("ls");
        command
    };
    let (code, stderr) = ended(list().stdout(scene.full()));
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("error: cannot write to standard output"), "{stderr}");
    assert_eq!(into_closed_pipe(&mut list()), (Some(0), String::new()));
}

#[test]
fn logs_into_a_closed_stderr_do_not_panic() {
    let scene = Scene::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = scene.copy(&["-vv"]);
    let status =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
    scene.assert_arrived();
}
