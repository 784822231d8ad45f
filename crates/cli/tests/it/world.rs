//! Shared fixtures of these tests: a temporary folder, the `haul` command without this user's
//! environment, and independent checks by boto3.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use haul_testkit::TestStore;
use haul_testkit::files::{MIB, random_hex, write_random};
use haul_testkit::process::{Finished, run};
use haul_testkit::python::Venv;
use haul_testkit::servers::HaulServe;
use serde_json::Value;
use tempfile::TempDir;

/// The time limit of every command in these tests; a command that takes longer hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// The size of one part in most uploads of these tests.
pub(crate) const PART: u64 = 8 * MIB;

/// The binary under test.
pub(crate) fn haul_binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_haul"))
}

/// A temporary folder, removed on drop. It is the home and the working folder of the commands.
pub(crate) struct World {
    folder: TempDir,
}

/// A file of random bytes.
pub(crate) struct Sample {
    pub(crate) path: PathBuf,
    pub(crate) sha256: String,
}

/// The properties of an object as Python reads them from a store.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) sha256: String,
    pub(crate) etag: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Creates a file of random bytes, which differ for each name.
    pub(crate) fn sample(&self, name: &str, length_bytes: u64) -> Sample {
        let path = self.path(name);
        let seed = name
            .bytes()
            .fold(length_bytes, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        let sha256 = write_random(&path, length_bytes, seed).unwrap();
        Sample { path, sha256 }
    }

    /// Starts `haul serve` with its data in this folder.
    pub(crate) fn serve(&self) -> HaulServe {
        HaulServe::start(haul_binary(), &self.path("data")).unwrap()
    }

    /// Returns a `haul` command whose environment has only `PATH`, the endpoint and keys of
    /// `store`, and this folder as its home.
    pub(crate) fn haul(&self, store: &TestStore) -> Command {
        let mut command = self.haul_without_store();
        command.envs(store.client_variables()).env("AWS_ENDPOINT_URL", &store.endpoint);
        command
    }

    /// Returns a `haul` command whose environment has only `PATH`, and this folder as its home.
    pub(crate) fn haul_without_store(&self) -> Command {
        let mut command = Command::new(haul_binary());
        command.env_clear().current_dir(self.folder.path()).env("HOME", self.folder.path());
        command.envs(
            ["PATH", "LLVM_PROFILE_FILE"]
                .into_iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        command
    }
}

/// Returns the same command, run as on a machine whose clock is wrong by `offset`: `+20m`, `-20m`.
pub(crate) fn at_another_time(command: &Command, offset: &str) -> Command {
    let mut shifted = Command::new("faketime");
    shifted
        .args(["--exclude-monotonic", "-f", offset])
        .arg(command.get_program())
        .args(command.get_args());
    shifted.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // Timestamps of files are not shifted.
    shifted.env("NO_FAKE_STAT", "1");
    if let Some(folder) = command.get_current_dir() {
        shifted.current_dir(folder);
    }
    shifted
}

/// Runs a command under the time limit; it may end with any exit code.
pub(crate) fn finish(command: &mut Command) -> Finished {
    run(command, LIMIT).unwrap()
}

/// Runs a command under the time limit; panics unless it succeeds.
pub(crate) fn succeed(command: &mut Command) -> Finished {
    finish(command).success().unwrap()
}

/// Creates a bucket with a random name, which no other test uses.
pub(crate) fn make_bucket(world: &World, store: &TestStore) -> String {
    let bucket = format!("it-{}", random_hex(8).unwrap());
    succeed(world.haul(store).args(["mb", &format!("s3://{bucket}")]));
    bucket
}

/// Uploads a file in parts of [`PART`] bytes; panics unless that succeeds.
pub(crate) fn upload(world: &World, store: &TestStore, file: &Path, to: &str) -> Finished {
    succeed(copy(world, store, file, to).args(["--part-size", "8MiB"]))
}

/// Returns the command `haul cp FILE TO`.
pub(crate) fn copy(world: &World, store: &TestStore, file: impl AsRef<OsStr>, to: &str) -> Command {
    let mut command = world.haul(store);
    command.arg("cp").arg(file).arg(to);
    command
}

/// Runs a Python script against a store and returns its answer.
pub(crate) fn python(store: &TestStore, script: &str, arguments: &[&str]) -> Value {
    Venv::shared().run(script, store, arguments, LIMIT).unwrap()
}

/// Reads an object with boto3.
pub(crate) fn read_back(store: &TestStore, bucket: &str, key: &str) -> Found {
    let read = python(store, include_str!("py/read_back.py"), &[bucket, key]);
    let field = |name: &str| read[name].as_str().unwrap().to_owned();
    Found { sha256: field("sha256"), etag: field("etag") }
}

/// Computes, in Python, the ETag that S3 gives to the file in parts of this size.
pub(crate) fn expected_etag(store: &TestStore, file: &Path, part_size_bytes: u64) -> String {
    let arguments = [file.to_str().unwrap(), &part_size_bytes.to_string()];
    python(store, include_str!("py/expected_etag.py"), &arguments).as_str().unwrap().to_owned()
}

/// Asserts that the bucket holds no unfinished upload, by boto3.
pub(crate) fn assert_no_upload_left(store: &TestStore, bucket: &str) {
    let left = python(store, include_str!("py/uploads.py"), &[bucket]);
    assert_eq!(left, serde_json::json!([]), "unfinished uploads were left in {bucket}");
}

/// Asserts that the bucket holds exactly these keys, by boto3.
pub(crate) fn assert_keys(store: &TestStore, bucket: &str, keys: &[&str]) {
    let found = python(store, include_str!("py/keys.py"), &[bucket]);
    assert_eq!(found, serde_json::json!(keys), "the keys in {bucket}");
}

/// Returns the events that a command with `--json` printed, each checked against its schema.
pub(crate) fn events(finished: &Finished) -> Vec<Value> {
    let parse = |line: &str| {
        let line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        crate::event_schema::check(&line);
        line
    };
    finished.stdout.lines().map(parse).collect()
}

/// Returns the first event of this name; panics if there is none.
pub(crate) fn event(finished: &Finished, name: &str) -> Value {
    let found = events(finished).into_iter().find(|event| event["event"] == name);
    found.unwrap_or_else(|| panic!("no event {name} in:\n{}", finished.stdout))
}
