//! `haul doctor`: three stores of three makers give three right and different answers, and no run
//! leaves anything behind, not even a killed one.

use std::net::TcpListener;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::files::MIB;
use haul_testkit::process::{Finished, Running, Signal};
use serde_json::Value;

use crate::event_table::provokes;
use crate::world::{
    LIMIT, World, assert_keys, assert_no_upload_left, event, events, finish, make_bucket, python,
    succeed,
};

/// Counts everything in a bucket: versions, delete markers and uploads.
pub(crate) const LEFT: &str = "v = s3.list_object_versions(Bucket=args[0])\n\
    u = s3.list_multipart_uploads(Bucket=args[0])\n\
    answer(sorted([x['Key'] for x in v.get('Versions', []) + v.get('DeleteMarkers', [])] + \
    [x['Key'] for x in u.get('Uploads', [])]))\n";

fn doctor(world: &World, store: &TestStore, bucket: &str) -> std::process::Command {
    let mut command = world.haul(store);
    command.args(["doctor", &format!("s3://{bucket}/some/where"), "--json"]);
    command
}

pub(crate) fn report(finished: &Finished) -> Value {
    event(finished, "doctor")
}

pub(crate) fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("no check {name}: {report:#}"))
}

pub(crate) fn verdict<'a>(report: &'a Value, name: &str) -> &'a str {
    check(report, name)["verdict"].as_str().unwrap()
}

/// Examines a store, and asserts that nothing is left and that transfers work.
fn examine(world: &World, store: &TestStore, bucket: &str) -> Value {
    let report = report(&succeed(&mut doctor(world, store, bucket)));
    assert_eq!(report["usable"], true, "{report:#}");
    for name in NAMES_OF_USE {
        assert_eq!(verdict(&report, name), "ok", "{name}: {report:#}");
    }
    for name in ["up, 1 connection", "down, 8 connections"] {
        assert!(check(&report, name)["measured"]["value"].as_f64().unwrap() > 0.0);
    }
    assert_keys(store, bucket, &[]);
    assert_no_upload_left(store, bucket);
    report
}

const NAMES_OF_USE: [&str; 10] = [
    "PutObject",
    "GetObject",
    "HeadObject",
    "DeleteObject",
    "CreateMultipartUpload",
    "UploadPart",
    "ListParts",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "scratch",
];

#[test]
fn haul_serve_verifies_everything() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let report = examine(&world, server.store(), &bucket);
    assert_eq!(report["profile"], "haul-serve");
    let found = &report["findings"];
    for algorithm in ["CRC64NVME", "CRC32C", "CRC32", "SHA1", "SHA256", "MD5"] {
        assert_eq!(found["checksums"][algorithm], "yes", "{report:#}");
    }
    for name in ["trailers", "checksum_mode", "upload_part_copy", "part_number_head"] {
        assert_eq!(found[name], "yes", "{name}: {report:#}");
    }
    let both = serde_json::json!({"if_none_match": "yes", "if_match": "yes"});
    assert_eq!((&found["on_put"], &found["on_complete"]), (&both, &both), "{report:#}");
    assert_eq!(found["equal_parts"], false);
    assert_eq!(report["choice"]["streamed"], true);
    assert_eq!(report["choice"]["checksum"], "CRC64NVME");
}

/// Ceph RGW 16.2 takes wrong checksums, refuses trailers and overwrites in spite of conditions on
/// Complete; the Content-MD5 is all that it verifies.
#[test]
fn ceph_rgw_takes_wrong_checksums_and_ignores_conditions() {
    let (world, store) = (World::new(), TestStore::shared("RGW"));
    let bucket = make_bucket(&world, &store);
    let report = examine(&world, &store, &bucket);
    assert_eq!(report["profile"], "ceph-rgw");
    let found = &report["findings"];
    assert_eq!(found["checksums"]["CRC64NVME"], "ignored", "{report:#}");
    assert_eq!(found["checksums"]["MD5"], "yes", "{report:#}");
    assert_eq!(found["trailers"], "no", "{report:#}");
    assert_eq!(found["on_complete"]["if_none_match"], "ignored", "{report:#}");
    assert_eq!(report["choice"]["streamed"], false);
    assert_eq!(report["choice"]["checksum"], Value::Null);
}

#[test]
fn localstack_verifies_checksums_and_conditions() {
    let (world, store) = (World::new(), TestStore::shared("LOCALSTACK"));
    let bucket = make_bucket(&world, &store);
    let report = examine(&world, &store, &bucket);
    assert_eq!(report["profile"], "localstack");
    let found = &report["findings"];
    assert_eq!(found["checksums"]["CRC64NVME"], "yes", "{report:#}");
    assert_eq!(found["on_complete"]["if_none_match"], "yes", "{report:#}");
    assert_eq!(found["part_number_head"], "yes", "{report:#}");
}

/// Kills a doctor at several requests; the second run removes what is left, and says so.
fn survives_kills(world: &World, real: &TestStore, bucket: &str) {
    for (kind, skipped) in [
        (Kind::PutObject, 3),
        (Kind::UploadPart, 0),
        (Kind::CompleteMultipartUpload, 1),
        (Kind::UploadPart, 6),
    ] {
        let proxy = ChaosProxy::start(&real.endpoint).unwrap();
        let store = real.at(proxy.endpoint());
        proxy.add(Rule::on(kind, Fault::Hold).after(skipped));
        let running = Running::start(doctor(world, &store, bucket).arg("--no-throughput")).unwrap();
        assert!(
            proxy.wait_until(LIMIT, |seen| { seen.iter().any(|it| it.fault == Some(Fault::Hold)) })
        );
        running.kill(LIMIT).unwrap();
        let left = python(real, LEFT, &[bucket]);
        assert!(!left.as_array().unwrap().is_empty(), "killed at {kind:?}: nothing to remove");

        let second = succeed(doctor(world, real, bucket).arg("--no-throughput"));
        assert_eq!(verdict(&report(&second), "earlier runs"), "ok");
        assert_eq!(python(real, LEFT, &[bucket]), serde_json::json!([]), "killed at {kind:?}");
    }
}

#[test]
fn a_killed_run_is_removed_by_the_next_at_haul_serve() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    survives_kills(&world, server.store(), &bucket);
}

pub(crate) const MAKE_VERSIONED: &str = "s3.put_bucket_versioning(Bucket=args[0], \
    VersioningConfiguration={'Status': 'Enabled'})\nanswer(1)\n";

#[test]
fn a_killed_run_leaves_no_version_at_localstack() {
    let (world, store) = (World::new(), TestStore::shared("LOCALSTACK"));
    let bucket = make_bucket(&world, &store);
    python(&store, MAKE_VERSIONED, &[&bucket]);
    survives_kills(&world, &store, &bucket);
}

#[test]
fn a_killed_run_leaves_no_version_at_ceph_rgw() {
    let (world, store) = (World::new(), TestStore::shared("RGW"));
    let bucket = make_bucket(&world, &store);
    python(&store, MAKE_VERSIONED, &[&bucket]);
    survives_kills(&world, &store, &bucket);
}

/// A doctor that is running is no leftover: a second one must not remove its scratch, nor any key
/// that only looks like one.
#[test]
fn the_scratch_of_a_running_doctor_is_kept() {
    let world = World::new();
    let server = world.serve();
    let real = server.store();
    let bucket = make_bucket(&world, real);
    let foreign = "some/where/.haul-doctor-20200101T000000Z-notes/keep";
    python(real, "s3.put_object(Bucket=args[0], Key=args[1])\nanswer(1)\n", &[&bucket, foreign]);
    let proxy = ChaosProxy::start(&real.endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::Hold));
    let store = real.at(proxy.endpoint());
    let running = Running::start(doctor(&world, &store, &bucket).arg("--no-throughput")).unwrap();
    assert!(proxy.wait_until(LIMIT, |seen| seen.iter().any(|it| it.fault == Some(Fault::Hold))));
    let second = succeed(doctor(&world, real, &bucket).arg("--no-throughput"));
    assert_eq!(verdict(&report(&second), "running runs"), "ok");
    proxy.release();
    let first = running.finish(LIMIT).unwrap().success().unwrap();
    assert_eq!(report(&first)["usable"], true);
    assert_keys(real, &bucket, &[foreign]);
    assert_no_upload_left(real, &bucket);
}

#[test]
fn a_bucket_with_default_retention_is_not_written_to() {
    let (world, store) = (World::new(), TestStore::shared("LOCALSTACK"));
    let bucket = format!("{}-lock", make_bucket(&world, &store));
    let locked = "s3.create_bucket(Bucket=args[0], ObjectLockEnabledForBucket=True)\n\
        rule = {'DefaultRetention': {'Mode': 'GOVERNANCE', 'Days': 3}}\n\
        s3.put_object_lock_configuration(Bucket=args[0], ObjectLockConfiguration=\
        {'ObjectLockEnabled': 'Enabled', 'Rule': rule})\nanswer(1)\n";
    python(&store, locked, &[&bucket]);
    let proxy = ChaosProxy::start(&store.endpoint).unwrap();
    let finished = finish(&mut doctor(&world, &store.at(proxy.endpoint()), &bucket));
    assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
    let report = report(&finished);
    let put = check(&report, "PutObject");
    assert_eq!(put["verdict"], "not-tested");
    assert!(put["detail"].as_str().unwrap().contains("3 days (GOVERNANCE)"), "{put}");
    assert!(!proxy.seen().iter().any(|it| it.kind.changes_the_store()));
    assert_eq!(python(&store, LEFT, &[&bucket]), serde_json::json!([]));
}

#[test]
fn a_denied_permission_is_named_and_the_exit_code_says_so() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    let denied = Fault::error(403, "AccessDenied");
    proxy.add(Rule::on(Kind::CreateMultipartUpload, denied).always());
    let store = server.store().at(proxy.endpoint());
    let finished = finish(doctor(&world, &store, &bucket).arg("--no-throughput"));
    assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
    let report = report(&finished);
    assert_eq!(verdict(&report, "PutObject"), "ok");
    let create = check(&report, "CreateMultipartUpload");
    assert_eq!(create["detail"], "denied (403 AccessDenied)");
    assert_eq!(verdict(&report, "UploadPart"), "not-tested");
    assert_keys(server.store(), &bucket, &[]);
}

/// A caller that may not delete could never clean up.
#[test]
fn without_the_permission_to_delete_nothing_is_written() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    let denied = Fault::error(403, "AccessDenied");
    proxy.add(Rule::on(Kind::DeleteObject, denied).always());
    let finished = finish(&mut doctor(&world, &server.store().at(proxy.endpoint()), &bucket));
    assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
    assert_eq!(verdict(&report(&finished), "PutObject"), "not-tested");
    assert_eq!(proxy.count(Kind::PutObject), 0);
    assert_eq!(proxy.count(Kind::CreateMultipartUpload), 0);
}

#[test]
fn an_endpoint_without_a_listener_is_unreachable() {
    let world = World::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = world.serve();
    let store = server.store().at(format!("http://{closed}"));
    let finished = finish(&mut doctor(&world, &store, "bucket"));
    assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
    assert_eq!(event(&finished, "failed")["code"], "Connection");
    assert_eq!(verdict(&report(&finished), &format!("address {closed}")), "no");
    provokes("doctor::an_endpoint_without_a_listener_is_unreachable", &events(&finished));
}

#[test]
fn a_missing_bucket_is_named() {
    let world = World::new();
    let server = world.serve();
    let finished = finish(&mut doctor(&world, server.store(), "missing-bucket"));
    assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
    assert_eq!(event(&finished, "failed")["code"], "NoSuchBucket");
}

#[test]
fn secrets_are_in_no_report_and_findings_are_recorded() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    let mut command = world.haul(store);
    command.args(["doctor", &format!("s3://{bucket}"), "--no-throughput"]);
    let finished = succeed(&mut command);
    assert!(finished.stdout.contains("profile: haul-serve"), "{}", finished.stdout);
    assert!(finished.stdout.contains("from the environment"), "{}", finished.stdout);
    let secret = store
        .client_variables()
        .into_iter()
        .find(|(name, _)| *name == "AWS_SECRET_ACCESS_KEY")
        .unwrap()
        .1;
    assert!(
        !finished.stdout.contains(secret.as_str()) && !finished.stderr.contains(secret.as_str())
    );
    let log = succeed(world.haul(store).args(["-v", "ls", &format!("s3://{bucket}")])).stderr;
    assert!(log.contains("an earlier probe of the store"), "{log}");
}

#[test]
fn an_interrupted_run_cleans_up() {
    let world = World::new();
    let server = world.serve();
    let real = server.store();
    let bucket = make_bucket(&world, real);
    let proxy = ChaosProxy::start(&real.endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::Hold));
    let store = real.at(proxy.endpoint());
    let running = Running::start(doctor(&world, &store, &bucket).arg("--no-throughput")).unwrap();
    assert!(proxy.wait_until(LIMIT, |seen| seen.iter().any(|it| it.fault == Some(Fault::Hold))));
    running.signal(Signal::INT).unwrap();
    proxy.release();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
    assert_eq!(python(real, LEFT, &[&bucket]), serde_json::json!([]));
}

/// A link on which nothing arrives: the run ends within the time of its measurements, and reports
/// what it could not test.
#[test]
fn a_stalled_link_delays_no_run_by_minutes() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: MIB }).always());
    let store = server.store().at(proxy.endpoint());
    let finished = finish(&mut doctor(&world, &store, &bucket));
    assert!(finished.wall.as_secs() < 120, "it took {:?}", finished.wall);
    let report = report(&finished);
    assert_eq!(verdict(&report, "unequal parts"), "not-tested");
    assert_ne!(verdict(&report, "up, 1 connection"), "ok", "{report:#}");
    assert_eq!(verdict(&report, "down, 1 connection"), "not-tested");
    assert_eq!(verdict(&report, "scratch"), "ok");
    assert_keys(server.store(), &bucket, &[]);
    assert_no_upload_left(server.store(), &bucket);
}
