//! Uploads that cannot succeed end, report the reason, and leave nothing behind.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::files::MIB;
use haul_testkit::process::Finished;
use haul_testkit::servers::HaulServe;

use crate::world::{
    PART, World, assert_keys, assert_no_upload_left, copy, finish, haul_binary, make_bucket,
    read_back, succeed, upload,
};

/// Asserts that the first line of stderr says what failed, and names the object and the store's own
/// error code.
fn assert_clear_error(finished: &Finished, exit_code: i32, words: &[&str]) {
    assert_eq!(finished.code(), Some(exit_code), "{}", finished.stderr);
    assert!(finished.stderr.starts_with("error: "), "{}", finished.stderr);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    for word in words {
        assert!(finished.stderr.contains(word), "{word} is missing in:\n{}", finished.stderr);
    }
}

#[test]
fn a_store_that_refuses_parts_is_not_asked_twice() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::error(403, "AccessDenied")).part(2).always());
    let store = server.store().at(proxy.endpoint());
    let sample = world.sample("file", 6 * PART);

    let url = format!("s3://{bucket}/file");
    let finished = finish(copy(&world, &store, &sample.path, &url).args([
        "--part-size",
        "8MiB",
        "--no-journal",
    ]));

    assert_clear_error(&finished, 1, &["AccessDenied", "part 2", "hint: "]);
    let struck = proxy.seen().iter().filter(|request| request.fault.is_some()).count();
    assert_eq!(struck, 1, "a 403 is final");
    assert_keys(server.store(), &bucket, &[]);
    assert_no_upload_left(server.store(), &bucket);
}

#[test]
fn wrong_keys_are_refused_by_haul_serve_and_ceph_rgw() {
    let world = World::new();
    let server = world.serve();
    for store in [server.store().clone(), TestStore::shared("RGW")] {
        let bucket = make_bucket(&world, &store);
        let sample = world.sample("file", 20 * MIB);
        let stranger = TestStore { secret_key: "not the secret".to_owned(), ..store.clone() };
        let finished =
            finish(&mut copy(&world, &stranger, &sample.path, &format!("s3://{bucket}/file")));
        assert_clear_error(&finished, 1, &["SignatureDoesNotMatch", "hint: "]);
        assert!(!finished.stderr.contains("not the secret"), "{}", finished.stderr);
        assert_no_upload_left(&store, &bucket);
    }
}

#[test]
fn a_bucket_that_does_not_exist() {
    let world = World::new();
    let server = world.serve();
    for store in [server.store().clone(), TestStore::shared("RGW"), TestStore::shared("LOCALSTACK")]
    {
        for length_bytes in [1000, 20 * MIB] {
            let sample = world.sample("file", length_bytes);
            let finished =
                finish(&mut copy(&world, &store, &sample.path, "s3://no-such-bucket-here/file"));
            assert_clear_error(&finished, 1, &["NoSuchBucket", "haul mb s3://no-such-bucket-here"]);
        }
    }
}

/// The kernel reports a length of 0 bytes for every file in /proc, and of one page for every file
/// in /sys. Once, a file in /proc became an empty object, "proven by checksum", with exit code 0,
/// and a file in /sys failed with an error that blamed the disk.
#[test]
fn files_with_a_wrong_length_arrive_whole_or_are_refused() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    for (path, key) in [("/proc/version", "version"), ("/sys/class/net/lo/mtu", "mtu")] {
        succeed(&mut copy(&world, server.store(), path, &format!("s3://{bucket}/{key}")));
        std::fs::write(world.path(key), std::fs::read(path).unwrap()).unwrap();
        let expected = haul_testkit::files::sha256(&world.path(key)).unwrap();
        assert_eq!(read_back(server.store(), &bucket, key).sha256, expected, "{path}");
    }
    let pagemap = "/proc/self/pagemap";
    let finished =
        finish(&mut copy(&world, server.store(), pagemap, &format!("s3://{bucket}/pagemap")));
    assert_clear_error(&finished, 2, &["announces 0 bytes", pagemap, "hint: "]);
    assert_keys(server.store(), &bucket, &["mtu", "version"]);
}

#[test]
fn a_file_that_cannot_be_read() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("secret", 20 * MIB);
    std::fs::set_permissions(&sample.path, PermissionsExt::from_mode(0o000)).unwrap();
    let url = format!("s3://{bucket}/secret");

    let finished =
        finish(&mut without_root_privilege(&copy(&world, server.store(), &sample.path, &url)));
    assert_clear_error(&finished, 1, &["secret", "Permission denied"]);

    let finished = finish(&mut copy(&world, server.store(), "does-not-exist", &url));
    assert_clear_error(&finished, 1, &["does-not-exist", "No such file"]);
    assert_keys(server.store(), &bucket, &[]);
    assert_no_upload_left(server.store(), &bucket);
}

/// Returns the same command without root's privilege to read every file, if the test has it.
fn without_root_privilege(command: &Command) -> Command {
    if std::fs::read("/proc/1/mem").is_err() && std::fs::File::open("/etc/shadow").is_err() {
        let mut same = Command::new(command.get_program());
        same.args(command.get_args());
        return with_surroundings_of(same, command);
    }
    let mut unprivileged = Command::new("setpriv");
    unprivileged.args(["--bounding-set", "-dac_override,-dac_read_search", "--"]);
    unprivileged.arg(command.get_program()).args(command.get_args());
    with_surroundings_of(unprivileged, command)
}

fn with_surroundings_of(mut command: Command, other: &Command) -> Command {
    command.env_clear().envs(other.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(other.get_current_dir().unwrap_or(Path::new("/")));
    command
}

/// With a journal, the next run compares the parts that arrived; with `--no-journal` nothing is
/// left.
#[test]
fn a_file_that_is_cut_short_while_it_is_sent() {
    for words in [&[][..], &["--no-journal"]] {
        cut_short_while_it_is_sent(words);
    }
}

fn cut_short_while_it_is_sent(words: &[&str]) {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    // The upload sends one part at a time, and the first one stalls, so that no byte of the file's
    // end has been read when the file is cut short.
    proxy.add(Rule::on(Kind::UploadPart, Fault::Delay(std::time::Duration::from_secs(2))).part(1));
    let sample = world.sample("file", 12 * PART);
    let store = server.store().at(proxy.endpoint());
    let url = format!("s3://{bucket}/file");
    let mut command = copy(&world, &store, &sample.path, &url);
    let running = haul_testkit::process::Running::start(
        command.args(["--part-size", "8MiB", "--concurrency", "1"]).args(words),
    )
    .unwrap();
    assert!(proxy.wait_until(crate::world::LIMIT, |seen| {
        seen.iter().any(|request| request.kind == Kind::UploadPart)
    }));
    std::fs::File::options().write(true).open(&sample.path).unwrap().set_len(6 * PART).unwrap();

    let finished = running.finish(crate::world::LIMIT).unwrap();
    assert_clear_error(&finished, 6, &["file"]);
    assert_keys(server.store(), &bucket, &[]);
    if words.is_empty() {
        succeed(copy(&world, &store, &sample.path, &url).args(["--part-size", "8MiB"]));
        assert_eq!(std::fs::metadata(&sample.path).unwrap().len(), 6 * PART);
        let expected = haul_testkit::files::sha256(&sample.path).unwrap();
        assert_eq!(read_back(server.store(), &bucket, "file").sha256, expected);
    }
    assert_no_upload_left(server.store(), &bucket);
}

#[test]
fn a_full_disk_at_the_endpoint() {
    let world = World::new();
    let server =
        HaulServe::start_on_small_disk(haul_binary(), &world.path("small"), 64 * MIB).unwrap();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    let sample = world.sample("file", 128 * MIB);

    let url = format!("s3://{bucket}/file");
    let command = || {
        let mut command = copy(&world, store, &sample.path, &url);
        command.args(["--part-size", "8MiB"]);
        command
    };
    // With a journal, the parts that fitted stay until the user aborts the upload.
    let finished = finish(&mut command());
    assert_clear_error(&finished, 3, &["file", "haul abort"]);
    succeed(world.haul(store).args(["abort", &id_in(&finished)]));
    assert_no_upload_left(store, &bucket);

    let finished = finish(command().arg("--no-journal"));
    assert_clear_error(&finished, 1, &["file"]);
    assert_keys(store, &bucket, &[]);
    assert_no_upload_left(store, &bucket);

    // The endpoint still works, and the space of the aborted parts is free again.
    let small = world.sample("small-file", 24 * MIB);
    upload(&world, store, &small.path, &format!("s3://{bucket}/small-file"));
    assert_eq!(read_back(store, &bucket, "small-file").sha256, small.sha256);
}

/// Returns the upload id that the hint names.
fn id_in(finished: &Finished) -> String {
    let (_, rest) = finished.stderr.split_once("haul abort ").expect("a hint");
    rest.split_whitespace().next().expect("an id").to_owned()
}

#[test]
fn an_endpoint_that_is_not_there() {
    let world = World::new();
    let port = haul_testkit::servers::free_port().unwrap();
    let store = TestStore {
        endpoint: format!("http://127.0.0.1:{port}"),
        region: "us-east-1".to_owned(),
        access_key: "key".to_owned(),
        secret_key: "secret".to_owned(),
    };
    let sample = world.sample("file", 20 * MIB);
    let finished = finish(
        copy(&world, &store, &sample.path, "s3://bucket/file").args(["--max-attempts", "3"]),
    );
    assert_clear_error(&finished, 1, &["Connection refused", "endpoint", "hint: "]);
}
