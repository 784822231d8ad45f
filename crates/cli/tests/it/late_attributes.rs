//! Ceph RGW 16.2 drops the tags and the lock of CreateMultipartUpload without an error: Haul sets
//! them afterwards, and warns if that fails.

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::files::random_hex;
use haul_testkit::process::Running;
use serde_json::{Value, json};

use crate::scene::{KEY, PARTS, Scene};
use crate::world::{LIMIT, events, finish, python, succeed};

fn described(scene: &Scene) -> Value {
    python(&scene.real, include_str!("py/attributes.py"), &[&scene.bucket, KEY])
}

fn warnings(printed: &haul_testkit::process::Finished) -> Vec<String> {
    let of = |event: &Value| event["message"].as_str().map(str::to_owned);
    events(printed).iter().filter(|it| it["event"] == "warning").filter_map(of).collect()
}

fn scene_with_lock() -> Scene {
    let mut scene = Scene::at("RGW");
    scene.bucket = format!("it-{}", random_hex(8).unwrap());
    scene.python("s3.create_bucket(Bucket=args[0], ObjectLockEnabledForBucket=True)\nanswer(1)\n");
    scene
}

#[test]
fn ceph_rgw_gets_the_tags_of_an_upload_afterwards() {
    let scene = Scene::at("RGW");
    let sent = succeed(scene.command().args(["--tag", "team=a b", "--tag", "x=1"]));
    assert_eq!(warnings(&sent), [""; 0]);
    assert_eq!(described(&scene)["Tags"], json!({"team": "a b", "x": "1"}));
    let tagging = |target: &str| target.contains("?tagging");
    let count = scene.proxy.seen().iter().filter(|it| tagging(&it.target)).count();
    assert_eq!(count, 1, "one request more");
    succeed(&mut scene.command());
    let count = scene.proxy.seen().iter().filter(|it| tagging(&it.target)).count();
    assert_eq!(count, 1, "and none where no tags are asked for");
}

/// RGW 16.2 keeps an end of the retention in 32 bits: one after 2106 would be long past.
#[test]
fn ceph_rgw_gets_the_lock_of_an_upload_afterwards() {
    let scene = scene_with_lock();
    let lock = ["--object-lock-mode", "governance", "--object-lock-retain-until", "2035-01-31"];
    let sent = succeed(scene.command().args(lock).args(["--legal-hold", "on"]));
    assert_eq!(warnings(&sent), [""; 0]);
    let shown = described(&scene);
    assert_eq!(shown["ObjectLockMode"], "GOVERNANCE");
    assert_eq!(shown["ObjectLockRetainUntilDate"], "2035-01-31T00:00:00Z");
    assert_eq!(shown["ObjectLockLegalHoldStatus"], "ON");
}

/// The object exists when the process is killed, and its tags are still missing.
#[test]
fn a_kill_after_complete_costs_no_tags() {
    let scene = Scene::at("RGW");
    let flags = ["--tag", "team=a"];
    scene.proxy.add(Rule::on(Kind::HeadObject, Fault::Hold).always());
    let running = Running::start(scene.command().args(flags)).unwrap();
    scene.wait_for(|seen| {
        let complete = |it: &&haul_testkit::chaos::Seen| it.kind == Kind::CompleteMultipartUpload;
        seen.iter().find(complete).is_some_and(|it| it.status == Some(200))
    });
    running.kill(LIMIT).unwrap();
    scene.proxy.release();
    assert_eq!(described(&scene)["Tags"], json!({}), "the store dropped them");
    succeed(scene.command().args(flags));
    assert_eq!(described(&scene)["Tags"], json!({"team": "a"}));
    assert_eq!(scene.proxy.count(Kind::UploadPart), PARTS as usize, "no part is sent again");
}

/// A store that shows no tags and takes none: the object is there, and the run says what it lacks.
#[test]
fn tags_that_cannot_be_set_afterwards_are_reported() {
    let scene = Scene::at("RGW");
    // PutObjectTagging is a PUT of the object; the parts are sent by UploadPart.
    scene.proxy.add(Rule::on(Kind::PutObject, Fault::error(403, "AccessDenied")).always());
    let sent = finish(scene.command().args(["--tag", "team=a"]));
    assert_eq!(sent.code(), Some(0), "{}", sent.stderr);
    let said = warnings(&sent);
    assert!(said.iter().any(|it| it.contains("the store shows no tags")), "{said:?}");
    scene.assert_arrived();
}
