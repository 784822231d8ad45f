//! What is printed where, and how the process ends: what scripts rely on.

use haul_testkit::files::MIB;

use crate::world::{World, copy, event, events, finish, make_bucket, succeed};

#[test]
fn json_is_one_event_per_line_in_order() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", 25 * MIB);
    let url = format!("s3://{bucket}/file");
    let finished =
        succeed(copy(&world, server.store(), &sample.path, &url).args(["--part-size", "8MiB", "--json"]));

    assert_eq!(finished.stderr, "");
    let names: Vec<String> =
        events(&finished).iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        names,
        [
            "started",
            "upload-created",
            "part-sent",
            "part-sent",
            "part-sent",
            "part-sent",
            "completing",
            "completed",
            "uploaded"
        ]
    );
    let sent: u64 = events(&finished)
        .iter()
        .filter(|e| e["event"] == "part-sent")
        .map(|e| e["size_bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(sent, 25 * MIB);
}

#[test]
fn quiet_says_nothing_but_errors() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", 20 * MIB);

    let url = format!("s3://{bucket}/file");
    let finished = succeed(copy(&world, server.store(), &sample.path, &url).arg("--quiet"));
    assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("", ""));

    let finished =
        finish(copy(&world, server.store(), &sample.path, "s3://no-such-bucket-here/file").arg("--quiet"));
    assert_eq!((finished.code(), finished.stdout.as_str()), (Some(1), ""));
    assert!(finished.stderr.starts_with("error: "), "{}", finished.stderr);
}

#[test]
fn a_plain_run_ends_with_a_line_that_says_what_arrived() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", 20 * MIB);
    let url = format!("s3://{bucket}/file");
    let finished = succeed(&mut copy(&world, server.store(), &sample.path, &url));
    let line = finished.stdout.trim_end();
    assert!(line.lines().count() == 1 && line.contains(&url) && line.contains("20.0 MiB"), "{line}");
    assert!(line.contains("proven by checksum"), "{line}");
}

#[test]
fn a_failure_in_json_is_the_last_line_and_carries_the_exit_code() {
    let world = World::new();
    let server = world.serve();
    let sample = world.sample("file", 20 * MIB);
    let mut command = copy(&world, server.store(), &sample.path, "s3://no-such-bucket-here/file");
    let finished = finish(command.arg("--json"));
    assert_eq!(finished.code(), Some(1));
    let failed = event(&finished, "failed");
    assert_eq!(Some(&failed), events(&finished).last());
    assert_eq!((&failed["exit_code"], &failed["code"]), (&1.into(), &"NoSuchBucket".into()));
    assert!(failed["hint"].as_str().unwrap().contains("haul mb"), "{failed}");
}

#[test]
fn wrong_usage_ends_with_2() {
    let world = World::new();
    let usages: [&[&str]; 6] = [
        &["cp", "file"],
        &["cp", "file", "other-file"],
        &["cp", "file", "s3://bucket/file", "--part-size", "many"],
        &["cp", "file", "s3://bucket/file", "--concurrency", "0"],
        &["mb", "s3://bucket/key"],
        &["fly"],
    ];
    for usage in usages {
        let finished = finish(world.haul_without_store().args(usage));
        assert_eq!(finished.code(), Some(2), "{usage:?}: {}", finished.stderr);
        assert!(!finished.stderr.is_empty() && finished.stdout.is_empty(), "{usage:?}");
    }
}

#[test]
fn the_secret_is_never_said() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", 20 * MIB);
    let url = format!("s3://{bucket}/file");
    let finished = succeed(copy(&world, server.store(), &sample.path, &url).args(["-v", "-v"]));
    let missing = finish(
        copy(&world, server.store(), &sample.path, "s3://no-such-bucket-here/file").args(["-v", "-v"]),
    );
    for said in [finished.stdout, finished.stderr, missing.stdout, missing.stderr] {
        assert!(!said.contains(&server.store().secret_key), "{said}");
    }
    // The server says it once, where it is asked for it.
    assert_eq!(server.said().matches(&server.store().secret_key).count(), 1);
}
