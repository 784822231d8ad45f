//! Output streams and exit codes that scripts rely on.

use std::time::Duration;

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::files::MIB;

use crate::event_table::provokes;
use crate::scene::Scene;
use crate::world::{World, copy, event, events, finish, make_bucket, succeed};

#[test]
fn json_is_one_event_per_line_in_order() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", 25 * MIB);
    let url = format!("s3://{bucket}/file");
    let finished = succeed(copy(&world, server.store(), &sample.path, &url).args([
        "--part-size",
        "8MiB",
        "--json",
    ]));

    assert_eq!(finished.stderr, "");
    let names: Vec<String> =
        events(&finished).iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    // On a busy machine the upload may take more than a second, and then it reports its progress.
    let names: Vec<_> = names.into_iter().filter(|name| name != "progress").collect();
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
    provokes("output::json_is_one_event_per_line_in_order", &events(&finished));
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

    let finished = finish(
        copy(&world, server.store(), &sample.path, "s3://no-such-bucket-here/file").arg("--quiet"),
    );
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
    assert!(
        line.lines().count() == 1 && line.contains(&url) && line.contains("20.0 MiB"),
        "{line}"
    );
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

/// On a slow link, `--json` was once silent between two parts, for minutes, which a supervisor took
/// for a hang.
#[test]
fn json_reports_progress_every_second_of_a_slow_part() {
    let scene = Scene::at_haul_serve();
    let late = Fault::Delay(Duration::from_millis(3500));
    scene.proxy.add(Rule::on(Kind::UploadPart, late).part(2));
    let finished = succeed(&mut scene.command());
    let test = "output::json_reports_progress_every_second_of_a_slow_part";
    provokes(test, &events(&finished));
    let progress: Vec<_> =
        events(&finished).into_iter().filter(|event| event["event"] == "progress").collect();
    assert!((2..=6).contains(&progress.len()), "{progress:?}");
    let last = progress.last().unwrap();
    assert_eq!(last["size_bytes"], scene.sample_bytes());
    assert!(last["arrived_bytes"].as_u64().unwrap() > 0, "{last}");
}

#[test]
fn without_progress_there_are_no_events_of_it() {
    let scene = Scene::at_haul_serve();
    let late = Fault::Delay(Duration::from_millis(2500));
    scene.proxy.add(Rule::on(Kind::UploadPart, late).part(2));
    let finished = succeed(scene.command().arg("--no-progress"));
    assert!(events(&finished).iter().all(|event| event["event"] != "progress"));
    assert_eq!(event(&finished, "uploaded")["size_bytes"], scene.sample_bytes());
}

/// A program that reads `--json` once got no event at all when the command line was wrong, or when
/// `ls` found nothing.
#[test]
fn every_failure_with_json_has_its_event() {
    let world = World::new();
    let usage = finish(world.haul_without_store().args(["--json", "cp", "file"]));
    assert_eq!(usage.code(), Some(2));
    let failed = event(&usage, "failed");
    assert_eq!((&failed["code"], &failed["exit_code"]), (&"Usage".into(), &2.into()));
    assert_eq!(failed["message"], "the following required arguments were not provided: <TARGET>");

    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let nothing = finish(
        world.haul(server.store()).args(["ls", "--json"]).arg(format!("s3://{bucket}/none")),
    );
    assert_eq!(nothing.code(), Some(1));
    assert_eq!(event(&nothing, "failed")["code"], "NothingFound");
}

/// `haul abort` once printed nothing for 56 s while the endpoint was down.
#[test]
fn a_command_that_waits_for_the_store_reports_it() {
    let scene = Scene::at_haul_serve();
    scene.kill_before_the_last_part();
    let id = event(&succeed(scene.world.haul(&scene.store).args(["uploads", "--json"])), "upload")
        ["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let late = Fault::Delay(Duration::from_millis(4000));
    scene.proxy.add(Rule::on(Kind::AbortMultipartUpload, late));
    let aborted = succeed(scene.world.haul(&scene.store).args(["abort", &id]));
    assert!(aborted.stderr.contains("still waiting for the store after 3 s"), "{}", aborted.stderr);
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

/// `-v` and `-vv` once printed nothing at all for `cp` and `ls`.
#[test]
fn verbose_logs_requests_then_decisions() {
    let scene = Scene::at_haul_serve();
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).part(2));
    let mut upload = copy(&scene.world, &scene.store, &scene.sample.path, &scene.url());
    let once = succeed(upload.args(["--part-size", "5MiB", "-v"])).stderr;
    let count = |what: &str| once.matches(what).count();
    assert_eq!((count("CreateMultipartUpload s3://"), count(" part 3: ok in ")), (1, 1), "{once}");
    assert!(once.contains("503 SlowDown"), "{once}");
    assert_eq!(count("haul::decision"), 0, "{once}");

    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).part(2));
    let twice = succeed(upload.arg("-v")).stderr;
    assert!(twice.contains("haul::decision") && twice.contains("Retrying"), "{twice}");
    let thrice = succeed(upload.arg("-v")).stderr;
    assert!(
        thrice.contains("haul::wire") && thrice.contains("authorization: (hidden)"),
        "{thrice}"
    );
    assert!(thrice.contains("> PUT ") && thrice.contains("< 200 OK"), "{thrice}");
    assert!(!thrice.contains("Signature=") && !thrice.contains(&scene.store.secret_key));
    let list = succeed(
        scene.world.haul(&scene.store).args(["ls", "-v"]).arg(format!("s3://{}", scene.bucket)),
    );
    assert!(list.stderr.contains("ListObjectsV2 "), "{}", list.stderr);
    assert!(!(once + &twice).contains(&scene.store.secret_key));
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
        copy(&world, server.store(), &sample.path, "s3://no-such-bucket-here/file")
            .args(["-v", "-v"]),
    );
    for said in [finished.stdout, finished.stderr, missing.stdout, missing.stderr] {
        assert!(!said.contains(&server.store().secret_key), "{said}");
    }
    // The output of the server is no terminal here, so the server does not show the key either.
    assert_eq!(server.said().matches(&server.store().secret_key).count(), 0);
}
