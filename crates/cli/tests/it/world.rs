//! What every test needs: a folder of its own, the `haul` command with nothing of this user's in
//! its environment, and a second opinion from Python.

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

/// No command in these tests may take longer: it hangs then, which is never right.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// One part of most uploads here.
pub(crate) const PART: u64 = 8 * MIB;

/// The binary under test.
pub(crate) fn haul_binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_haul"))
}

/// A folder that is removed in the end.
pub(crate) struct World {
    folder: TempDir,
}

/// A file of random bytes.
pub(crate) struct Sample {
    pub(crate) path: PathBuf,
    pub(crate) sha256: String,
}

/// What Python found in a store under a key.
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

    /// A file of so many bytes, other bytes for every name.
    pub(crate) fn sample(&self, name: &str, length_bytes: u64) -> Sample {
        let path = self.path(name);
        let seed = name
            .bytes()
            .fold(length_bytes, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        let sha256 = write_random(&path, length_bytes, seed).unwrap();
        Sample { path, sha256 }
    }

    /// `haul serve` with its data in this folder.
    pub(crate) fn serve(&self) -> HaulServe {
        HaulServe::start(haul_binary(), &self.path("data")).unwrap()
    }

    /// A command that knows the keys of `store` and this folder as its home, and nothing else.
    pub(crate) fn haul(&self, store: &TestStore) -> Command {
        let mut command = self.haul_without_store();
        command.envs(store.client_variables()).env("AWS_ENDPOINT_URL", &store.endpoint);
        command
    }

    /// A command that knows this folder as its home, and nothing else.
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

/// The same command on a machine whose clock is off by this much: `+20m`, `-20m`.
pub(crate) fn at_another_time(command: &Command, offset: &str) -> Command {
    let mut shifted = Command::new("faketime");
    shifted
        .args(["--exclude-monotonic", "-f", offset])
        .arg(command.get_program())
        .args(command.get_args());
    shifted.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // Times of files are what they are.
    shifted.env("NO_FAKE_STAT", "1");
    if let Some(folder) = command.get_current_dir() {
        shifted.current_dir(folder);
    }
    shifted
}

/// Runs it under the time limit, whatever it ends with.
pub(crate) fn finish(command: &mut Command) -> Finished {
    run(command, LIMIT).unwrap()
}

/// Runs it, and it must end well.
pub(crate) fn succeed(command: &mut Command) -> Finished {
    finish(command).success().unwrap()
}

/// A new bucket with a name that no other test has.
pub(crate) fn make_bucket(world: &World, store: &TestStore) -> String {
    let bucket = format!("it-{}", random_hex(8).unwrap());
    succeed(world.haul(store).args(["mb", &format!("s3://{bucket}")]));
    bucket
}

/// Uploads with parts of [`PART`], and must succeed.
pub(crate) fn upload(world: &World, store: &TestStore, file: &Path, to: &str) -> Finished {
    succeed(copy(world, store, file, to).args(["--part-size", "8MiB"]))
}

/// `haul cp` of a file.
pub(crate) fn copy(world: &World, store: &TestStore, file: impl AsRef<OsStr>, to: &str) -> Command {
    let mut command = world.haul(store);
    command.arg("cp").arg(file).arg(to);
    command
}

/// Runs one of our scripts against a store.
pub(crate) fn python(store: &TestStore, script: &str, arguments: &[&str]) -> Value {
    Venv::shared().run(script, store, arguments, LIMIT).unwrap()
}

/// Reads an object with boto3.
pub(crate) fn read_back(store: &TestStore, bucket: &str, key: &str) -> Found {
    let read = python(store, include_str!("py/read_back.py"), &[bucket, key]);
    let field = |name: &str| read[name].as_str().unwrap().to_owned();
    Found { sha256: field("sha256"), etag: field("etag") }
}

/// The ETag that S3 gives to these parts of the file, by a few lines of Python.
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

/// The lines of `--json` as values.
pub(crate) fn events(finished: &Finished) -> Vec<Value> {
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    finished.stdout.lines().map(parse).collect()
}

/// The event of this name, which must be there.
pub(crate) fn event(finished: &Finished, name: &str) -> Value {
    let found = events(finished).into_iter().find(|event| event["event"] == name);
    found.unwrap_or_else(|| panic!("no event {name} in:\n{}", finished.stdout))
}
