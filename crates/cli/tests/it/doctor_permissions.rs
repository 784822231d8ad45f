//! `haul doctor` under a real policy: Ceph RGW denies operations by the policy of the bucket, also
//! to its owner. The report names each denied operation and no other, and nothing is left behind.

use std::collections::BTreeSet;
use std::process::Command;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::process::{Finished, Running};
use serde_json::{Value, json};

use crate::doctor::{LEFT, MAKE_VERSIONED, check, report, verdict};
use crate::world::{LIMIT, World, finish, make_bucket, python, succeed};

/// Denies the actions in `args[1:]`.
const DENY: &str = "arn = 'arn:aws:s3:::' + args[0]\n\
    s3.put_bucket_policy(Bucket=args[0], Policy=json.dumps({'Version': '2012-10-17', \
    'Statement': [{'Effect': 'Deny', 'Principal': '*', 'Action': args[1:], \
    'Resource': [arn, arn + '/*']}]}))\nanswer(1)\n";

const ALLOW: &str = "s3.delete_bucket_policy(Bucket=args[0])\nanswer(1)\n";

const ASKING_FOR_VERSIONS: [&str; 2] = ["s3:ListBucketVersions", "s3:GetBucketVersioning"];

fn doctor(world: &World, store: &TestStore, bucket: &str) -> Command {
    let mut command = world.haul(store);
    command.args(["doctor", &format!("s3://{bucket}/below"), "--no-throughput", "--json"]);
    command
}

fn deny(store: &TestStore, bucket: &str, actions: &[&str]) {
    python(store, DENY, &[&[bucket], actions].concat());
}

/// Runs the doctor while the actions are denied, and asserts that nothing is left afterwards.
fn under_a_policy(world: &World, store: &TestStore, bucket: &str, actions: &[&str]) -> Finished {
    deny(store, bucket, actions);
    let finished = finish(&mut doctor(world, store, bucket));
    python(store, ALLOW, &[bucket]);
    assert_eq!(python(store, LEFT, &[bucket]), json!([]), "{actions:?}: {}", finished.stdout);
    finished
}

/// The names of the operations that the report calls denied.
fn denied(report: &Value) -> BTreeSet<&str> {
    let checks = report["checks"].as_array().unwrap().iter();
    let denied = checks.filter(|check| {
        check["group"] == "permissions" && check["detail"].as_str().unwrap().starts_with("denied")
    });
    denied.map(|check| check["name"].as_str().unwrap()).collect()
}

#[test]
fn each_operation_that_a_policy_denies_is_named() {
    let (world, store) = (World::new(), TestStore::shared("RGW"));
    let bucket = make_bucket(&world, &store);
    for (action, names) in [
        ("s3:ListBucketMultipartUploads", &["ListMultipartUploads"][..]),
        ("s3:ListMultipartUploadParts", &["ListParts"]),
        ("s3:GetLifecycleConfiguration", &["GetBucketLifecycleConfiguration"]),
        ("s3:GetBucketLocation", &["GetBucketLocation"]),
        ("s3:ListBucketVersions", &["ListObjectVersions"]),
        ("s3:GetObjectTagging", &["GetObjectTagging"]),
    ] {
        let finished = under_a_policy(&world, &store, &bucket, &[action]);
        let report = report(&finished);
        assert_eq!(denied(&report), names.iter().copied().collect(), "{action}: {report:#}");
        for name in names {
            assert_eq!(verdict(&report, name), "no", "{action}: {report:#}");
        }
        assert_eq!(report["usable"], true, "no transfer needs {action}: {report:#}");
        assert_eq!(finished.code(), Some(0), "{action}: {}", finished.stderr);
    }
}

#[test]
fn a_denied_operation_of_transfers_fails_the_examination() {
    let (world, store) = (World::new(), TestStore::shared("RGW"));
    let bucket = make_bucket(&world, &store);
    for (action, name) in [("s3:PutObject", "PutObject"), ("s3:GetObject", "GetObject")] {
        let finished = under_a_policy(&world, &store, &bucket, &[action]);
        let report = report(&finished);
        assert!(denied(&report).contains(name), "{action}: {report:#}");
        assert_eq!(finished.code(), Some(1), "{action}: {}", finished.stderr);
    }
}

/// An upload that cannot be aborted, and an object that cannot be removed, are not created.
#[test]
fn without_the_right_to_remove_a_policy_leaves_nothing() {
    let (world, store) = (World::new(), TestStore::shared("RGW"));
    let bucket = make_bucket(&world, &store);
    for (action, name) in
        [("s3:AbortMultipartUpload", "AbortMultipartUpload"), ("s3:DeleteObject", "DeleteObject")]
    {
        let finished = under_a_policy(&world, &store, &bucket, &[action]);
        let report = report(&finished);
        assert_eq!(denied(&report), BTreeSet::from([name]), "{report:#}");
        let put = check(&report, "PutObject");
        assert_eq!(put["verdict"], "not-tested", "{put}");
        assert!(put["detail"].as_str().unwrap().contains("nothing was written"), "{put}");
    }
}

/// Regression: a bucket whose versions may not be asked for was treated as one without versions.
/// Plain removals then hid the scratch behind delete markers and removed nothing of it.
#[test]
fn versions_that_may_not_be_asked_for_are_removed_by_their_id() {
    let (world, store) = (World::new(), TestStore::shared("RGW"));
    for status in ["Enabled", "Suspended", ""] {
        let bucket = make_bucket(&world, &store);
        if !status.is_empty() {
            python(&store, MAKE_VERSIONED, &[&bucket]);
            let set = "s3.put_bucket_versioning(Bucket=args[0], \
                VersioningConfiguration={'Status': args[1]})\nanswer(1)\n";
            python(&store, set, &[&bucket, status]);
        }
        let finished = under_a_policy(&world, &store, &bucket, &ASKING_FOR_VERSIONS);
        assert_eq!(finished.code(), Some(0), "{status}: {}", finished.stderr);
        let report = report(&finished);
        let versions = check(&report, "versions");
        assert_eq!(versions["verdict"], "not-tested", "{status}: {versions}");
        let words = if status.is_empty() { "no answer has" } else { "its answers have" };
        assert!(versions["detail"].as_str().unwrap().contains(words), "{status}: {versions}");
        assert_eq!(verdict(&report, "scratch"), "ok", "{status}");
    }
}

/// The next run of a killed one knows no VersionId: HeadObject names them one after the other.
#[test]
fn a_killed_run_leaves_no_version_that_may_not_be_listed() {
    let (world, store) = (World::new(), TestStore::shared("RGW"));
    let bucket = make_bucket(&world, &store);
    python(&store, MAKE_VERSIONED, &[&bucket]);
    deny(&store, &bucket, &ASKING_FOR_VERSIONS);
    for (kind, skipped) in [(Kind::PutObject, 9), (Kind::CompleteMultipartUpload, 2)] {
        let proxy = ChaosProxy::start(&store.endpoint).unwrap();
        proxy.add(Rule::on(kind, Fault::Hold).after(skipped));
        let behind = store.at(proxy.endpoint());
        let running = Running::start(&mut doctor(&world, &behind, &bucket)).unwrap();
        assert!(proxy.wait_until(LIMIT, |seen| {
            seen.iter().any(|request| request.fault == Some(Fault::Hold))
        }));
        running.kill(LIMIT).unwrap();
        let second = succeed(&mut doctor(&world, &store, &bucket));
        assert_eq!(verdict(&report(&second), "earlier runs"), "ok");
    }
    python(&store, ALLOW, &[&bucket]);
    assert_eq!(python(&store, LEFT, &[&bucket]), json!([]));
}

/// With versions neither told nor removable, nothing is written unless the user knows better.
#[test]
fn versions_neither_told_nor_removable_stop_the_writing() {
    let (world, store) = (World::new(), TestStore::shared("RGW"));
    let bucket = make_bucket(&world, &store);
    let actions = [&ASKING_FOR_VERSIONS[..], &["s3:DeleteObjectVersion"]].concat();
    let finished = under_a_policy(&world, &store, &bucket, &actions);
    let first = report(&finished);
    assert_eq!(verdict(&first, "DeleteObjectVersion"), "no", "{first:#}");
    let put = check(&first, "PutObject");
    assert!(put["detail"].as_str().unwrap().contains("--assume-no-versions"), "{put}");
    deny(&store, &bucket, &actions);
    let second = succeed(doctor(&world, &store, &bucket).arg("--assume-no-versions"));
    python(&store, ALLOW, &[&bucket]);
    assert_eq!(report(&second)["usable"], true);
    assert_eq!(python(&store, LEFT, &[&bucket]), json!([]));
}

/// Regression: a store that fails was reported as one that has no checksums and no conditions, and
/// the findings turned later transfers away from them.
#[test]
fn a_failure_of_the_store_is_never_a_no() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    for kind in [Kind::HeadObject, Kind::UploadPartCopy, Kind::ListParts] {
        proxy.add(Rule::on(kind, Fault::error(500, "InternalError")).always());
    }
    // After the marker, each PutObject with a checksum or a condition fails.
    proxy.add(Rule::on(Kind::PutObject, Fault::error(500, "InternalError")).after(1).always());
    let finished = finish(&mut doctor(&world, &server.store().at(proxy.endpoint()), &bucket));
    let found = report(&finished);
    let no = found["checks"].as_array().unwrap().iter().filter(|check| check["verdict"] == "no");
    let no: Vec<_> = no.map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(no, ["TLS"], "{found:#}");
    assert_eq!(found["findings"]["checksums"]["CRC64NVME"], "unknown", "{found:#}");
    assert_eq!(found["findings"]["on_put"]["if_none_match"], "unknown", "{found:#}");
    assert_eq!(verdict(&found, "HeadObject"), "not-tested");
    assert_eq!(python(server.store(), LEFT, &[&bucket]), json!([]));
}

/// Regression: a store that refuses to remove a version which never existed was reported as one
/// that does not allow the removal of versions.
#[test]
fn a_refused_bogus_version_is_no_denied_permission() {
    let (world, store) = (World::new(), TestStore::shared("LOCALSTACK"));
    let bucket = make_bucket(&world, &store);
    python(&store, MAKE_VERSIONED, &[&bucket]);
    for (status, code) in
        [(400, "InvalidArgument"), (501, "NotImplemented"), (500, "InternalError")]
    {
        let proxy = ChaosProxy::start(&store.endpoint).unwrap();
        // Only the bogus version is refused; the delete marker that follows is removed.
        proxy.add(Rule::on(Kind::DeleteObject, Fault::error(status, code)));
        let behind = store.at(proxy.endpoint());
        let found = report(&succeed(&mut doctor(&world, &behind, &bucket)));
        assert_eq!(verdict(&found, "DeleteObjectVersion"), "ok", "{code}: {found:#}");

        let proxy = ChaosProxy::start(&store.endpoint).unwrap();
        proxy.add(Rule::on(Kind::DeleteObject, Fault::error(status, code)));
        proxy.add(Rule::on(Kind::DeleteObject, Fault::error(status, code)).after(1));
        let finished = finish(&mut doctor(&world, &store.at(proxy.endpoint()), &bucket));
        let found = report(&finished);
        let version = check(&found, "DeleteObjectVersion");
        assert_eq!(version["verdict"], "not-tested", "{version}");
        let detail = version["detail"].as_str().unwrap();
        assert!(detail.starts_with("unknown: could not be tested"), "{detail}");
        assert_eq!(verdict(&found, "PutObject"), "not-tested", "{found:#}");
    }
    assert_eq!(python(&store, LEFT, &[&bucket]), json!([]));
}
