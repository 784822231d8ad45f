//! `haul cp -` and `haul cp --from-command`: every byte of the stream arrives, or neither an object
//! nor an upload is left.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use haul_testkit::TestStore;
use haul_testkit::files::{MIB, sha256};
use haul_testkit::process::{Finished, Running, Signal};
use haul_testkit::servers::HaulServe;

use crate::world::{
    LIMIT, World, assert_keys, assert_no_upload_left, event, finish, make_bucket, read_back,
    succeed,
};

/// Starts a process that prints the file; returns it and the pipe to read from.
fn pipe(world: &World, file: &str) -> (Child, Stdio) {
    let mut cat = Command::new("cat").arg(world.path(file)).stdout(Stdio::piped()).spawn().unwrap();
    let output = cat.stdout.take().unwrap();
    (cat, output.into())
}

fn copy_pipe(world: &World, file: &str, command: &mut Command) -> Finished {
    let (mut cat, output) = pipe(world, file);
    let finished = Running::start_with_input(command, output).unwrap().finish(LIMIT).unwrap();
    cat.wait().unwrap();
    finished
}

fn pipe_arrives(world: &World, store: &TestStore) {
    let bucket = make_bucket(world, store);
    // The lengths are no whole number of slices, of parts or of the steps in which parts grow.
    for (name, length_bytes, parts) in
        [("large", 100 * MIB + 77, 13), ("small", 12 * MIB + 1, 1), ("empty", 0, 1)]
    {
        let sample = world.sample(name, length_bytes);
        let url = format!("s3://{bucket}/{name}");
        let finished = copy_pipe(world, name, world.haul(store).args(["cp", "-", &url, "--json"]))
            .success()
            .unwrap();
        let uploaded = event(&finished, "uploaded");
        assert_eq!(
            (&uploaded["size_bytes"], &uploaded["part_count"]),
            (&length_bytes.into(), &parts.into())
        );
        assert_eq!(read_back(store, &bucket, name).sha256, sample.sha256);
    }
    assert_no_upload_left(store, &bucket);
}

#[test]
fn haul_serve_takes_100_mib_from_a_pipe() {
    let world = World::new();
    let server = world.serve();
    pipe_arrives(&world, server.store());
}

#[test]
fn ceph_rgw_takes_100_mib_from_a_pipe() {
    pipe_arrives(&World::new(), &TestStore::shared("RGW"));
}

#[test]
fn localstack_takes_100_mib_from_a_pipe() {
    pipe_arrives(&World::new(), &TestStore::shared("LOCALSTACK"));
}

#[test]
fn local_takes_a_pipe_and_the_output_of_a_command() {
    let world = World::new();
    let sample = world.sample("file", 20 * MIB + 5);
    let cp = |words: &[&str]| {
        let mut command = world.haul_without_store();
        command.arg("cp").args(words);
        command
    };
    copy_pipe(&world, "file", &mut cp(&["-", "local://demo/piped"])).success().unwrap();
    succeed(&mut cp(&["--from-command", "local://demo/printed", "--", "cat", "file"]));
    for key in ["piped", "printed"] {
        succeed(&mut cp(&[&format!("local://demo/{key}"), key]));
        assert_eq!(sha256(&world.path(key)).unwrap(), sample.sha256);
    }
}

/// Asserts that the bucket has neither objects nor unfinished uploads.
fn assert_nothing(store: &TestStore, bucket: &str) {
    assert_keys(store, bucket, &[]);
    assert_no_upload_left(store, bucket);
}

/// With `pg_dump db | haul cp - …` Haul cannot know that pg_dump failed, because the pipe just
/// ends; with `--from-command` it can.
#[test]
fn a_producer_that_fails_leaves_no_object_and_no_upload() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    world.sample("file", 40 * MIB);
    let url = format!("s3://{bucket}/key");
    for (script, word) in [
        ("cat file; echo dump failed >&2; exit 3", "it failed with exit code 3"),
        ("echo dump failed >&2; exit 1", "it failed with exit code 1"),
        ("echo dump failed >&2; cat file; kill -9 $$", "it was ended by signal 9"),
    ] {
        let mut command = world.haul(server.store());
        let finished =
            finish(command.args(["cp", "--from-command", &url, "--", "sh", "-c", script]));
        assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
        assert!(finished.stderr.contains(word), "{}", finished.stderr);
        assert!(
            finished.stderr.contains("dump failed"),
            "its stderr passes through: {}",
            finished.stderr
        );
        assert_nothing(server.store(), &bucket);
    }
    let mut command = world.haul(server.store());
    let finished = finish(command.args(["cp", "--from-command", &url, "--", "no-such-program"]));
    assert_eq!(finished.code(), Some(2), "{}", finished.stderr);
    assert_nothing(server.store(), &bucket);
}

#[test]
fn another_length_than_promised_leaves_nothing() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let url = format!("s3://{bucket}/key");
    for length_bytes in [5, 30 * MIB] {
        world.sample("file", length_bytes);
        for promised in [length_bytes - 1, length_bytes + 1] {
            let promised = promised.to_string();
            let mut command = world.haul(server.store());
            let finished =
                copy_pipe(&world, "file", command.args(["cp", "-", &url, "--size", &promised]));
            assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
            assert!(
                finished.stderr.contains(&format!("instead of {promised}")),
                "{}",
                finished.stderr
            );
            assert_nothing(server.store(), &bucket);
        }
        let mut command = world.haul(server.store());
        let promised = length_bytes.to_string();
        copy_pipe(&world, "file", command.args(["cp", "-", &url, "--size", &promised]))
            .success()
            .unwrap();
        succeed(world.haul(server.store()).args(["rm", &url]));
    }
}

/// The producer writes its process id to a file, prints bytes, then sleeps until a signal ends it.
#[test]
fn a_signal_leaves_nothing_and_ends_the_producer() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    world.sample("file", 40 * MIB);
    let url = format!("s3://{bucket}/key");
    for signal in [Signal::INT, Signal::TERM] {
        let script = "echo $$ > pid; cat file; exec sleep 1000";
        let mut command = world.haul(server.store());
        let command =
            command.args(["cp", "--json", "--from-command", &url, "--", "sh", "-c", script]);
        let running = Running::start(command).unwrap();
        wait_for_begin(&server, &bucket);
        running.signal(signal).unwrap();
        let finished = running.finish(LIMIT).unwrap();
        assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
        let pid = std::fs::read_to_string(world.path("pid")).unwrap();
        assert!(
            !std::path::Path::new(&format!("/proc/{}", pid.trim())).exists(),
            "the producer still runs"
        );
        assert_nothing(server.store(), &bucket);
    }
}

/// Returns whether boto3 lists an unfinished upload in the bucket.
fn begun(server: &HaulServe, bucket: &str) -> bool {
    let uploads = crate::world::python(server.store(), include_str!("py/uploads.py"), &[bucket]);
    uploads.as_array().is_some_and(|uploads| !uploads.is_empty())
}

fn wait_for_begin(server: &HaulServe, bucket: &str) {
    let deadline = Instant::now() + LIMIT;
    while !begun(server, bucket) {
        assert!(Instant::now() < deadline, "it does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Parts that do not fit into `--memory` pass through files. Memory stays small with and without
/// such files.
#[test]
fn memory_stays_small_whatever_the_length() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", 300 * MIB);
    for (memory, most_bytes) in [("128MiB", 256 * MIB), ("8MiB", 96 * MIB)] {
        let url = format!("s3://{bucket}/key");
        let mut command = world.haul(server.store());
        let finished =
            copy_pipe(&world, "file", command.args(["cp", "-", &url, "--memory", memory]))
                .success()
                .unwrap();
        let peak_bytes = finished.usage.peak_memory_bytes;
        assert!(peak_bytes < most_bytes, "{} MiB with {memory}", peak_bytes / MIB);
        assert_eq!(
            finished.stderr.contains("pass through /var/tmp"),
            memory == "8MiB",
            "{}",
            finished.stderr
        );
        assert_eq!(read_back(server.store(), &bucket, "key").sha256, sample.sha256);
    }
    assert_no_upload_left(server.store(), &bucket);
}

/// Starts `haul cp -` with a file of this length as standard input.
fn start_from_file(
    world: &World,
    store: &TestStore,
    length_bytes: u64,
    words: &[&str],
) -> (Running, String) {
    let bucket = make_bucket(world, store);
    File::create(world.path("file")).unwrap().set_len(length_bytes).unwrap();
    let mut command = world.haul(store);
    command.args(["cp", "-", &format!("s3://{bucket}/key"), "--json"]).args(words);
    let input = File::open(world.path("file")).unwrap();
    (Running::start_with_input(&mut command, input.into()).unwrap(), bucket)
}

/// Parts of an unknown length grow after a hundred of them, and so does the memory for them: 72 MiB
/// were taken for a file of 1 GiB, whose length can be seen.
#[test]
fn a_file_as_standard_input_is_cut_into_equal_parts() {
    let world = World::new();
    let server = world.serve();
    let (running, _) = start_from_file(&world, server.store(), 816 * MIB, &[]);
    let finished = running.finish(LIMIT).unwrap().success().unwrap();
    let part_count = event(&finished, "uploaded")["part_count"].as_u64().unwrap();
    assert_eq!(part_count, 102, "of a pipe, the 101st part has 16 MiB and is the last");
}

/// Regression: with parts of a given size, the length of the file was refused although parts grow.
#[test]
fn a_file_as_standard_input_may_exceed_the_parts_of_a_given_size() {
    let world = World::new();
    let server = world.serve();
    // 10,000 parts of 5 MiB hold less.
    let words = ["--part-size", "5MiB", "--bandwidth", "20MiB"];
    let (running, bucket) = start_from_file(&world, server.store(), 50_001 * MIB, &words);
    wait_for_begin(&server, &bucket);
    running.signal(Signal::INT).unwrap();
    let finished = running.finish(LIMIT).unwrap();
    event(&finished, "stream-started");
    assert_nothing(server.store(), &bucket);
}

#[test]
fn what_makes_no_sense_with_a_stream_is_refused() {
    let world = World::new();
    let refused = |words: &[&str]| {
        let mut command = world.haul_without_store();
        let input = Stdio::from(File::open("/dev/null").unwrap());
        let finished = Running::start_with_input(command.arg("cp").args(words), input)
            .unwrap()
            .finish(LIMIT)
            .unwrap();
        assert_eq!(finished.code(), Some(2), "{words:?}: {}", finished.stderr);
        finished.stderr
    };
    world.sample("file", 10);
    assert!(refused(&["-", "local://demo/key", "--adopt"]).contains("--adopt is for files"));
    assert!(
        refused(&["-", "local://demo/key", "--on-change", "fail"])
            .contains("--on-change is for files")
    );
    assert!(refused(&["-", "local://demo/folder/"]).contains("write the whole key"));
    assert!(refused(&["-", "local://demo"]).contains("write the whole key"));
    assert!(refused(&["-", "file"]).contains("a stream goes into a store"));
    assert!(
        refused(&["file", "local://demo/key", "--size", "10"]).contains("--size is for streams")
    );
    assert!(refused(&["--from-command", "local://demo/key"]).contains("COMMAND"));
    assert!(
        refused(&["--from-command", "file", "local://demo/key", "--", "cat"])
            .contains("takes one address")
    );
    assert!(refused(&["-", "local://demo/key", "--part-size", "1MiB"]).contains("5 MiB"));
    // After `--` come file names, as with every program, unless `--from-command` is given.
    succeed(world.haul_without_store().args(["cp", "--", "file", "local://demo/key"]));
}
