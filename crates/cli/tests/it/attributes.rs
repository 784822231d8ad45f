//! The attributes of objects: every flag reaches the object by every way into a store, an
//! unfinished upload keeps its attributes, and another attribute is refused.

use std::fs;
use std::process::Command;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::files::{MIB, random_hex};
use haul_testkit::process::{Finished, Running};
use serde_json::{Value, json};

use crate::scene::{KEY, PARTS, Scene, all_arrived_but};
use crate::world::{LIMIT, World, copy, events, finish, make_bucket, python, succeed};

/// Flags of what nearly every store keeps.
const SIMPLE: [&str; 14] = [
    "--content-type",
    "text/x-test",
    "--content-language",
    "de",
    "--content-disposition",
    "attachment",
    "--cache-control",
    "no-cache",
    "--expires",
    "2999-01-31T12:00:00Z",
    "--metadata",
    "owner=me",
    "--tag",
    "team=a b",
];

/// Kills the command when only the last part is missing. The store sees nothing of that part: after
/// a beginning of it, LocalStack would not accept the part again.
pub(crate) fn kill_before_the_last_part(
    scene: &Scene,
    command: &mut Command,
    meanwhile: impl FnOnce(&Running),
) -> Finished {
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Hold).part(PARTS));
    let running = Running::start(command).unwrap();
    scene.wait_for(|seen| all_arrived_but(PARTS, seen));
    meanwhile(&running);
    running.kill(LIMIT).unwrap()
}

pub(crate) fn described(store: &TestStore, bucket: &str, key: &str) -> Value {
    python(store, include_str!("py/attributes.py"), &[bucket, key])
}

fn assert_simple(shown: &Value) {
    assert_eq!(shown["Tags"], json!({"team": "a b"}));
    assert_eq!(shown["ContentType"], "text/x-test");
    assert_eq!(shown["ContentLanguage"], "de");
    assert_eq!(shown["ContentDisposition"], "attachment");
    assert_eq!(shown["CacheControl"], "no-cache");
    assert_eq!(shown["Expires"], "Thu, 31 Jan 2999 12:00:00 GMT");
    assert_eq!(shown["Metadata"]["owner"], "me");
}

/// Kills an upload with these flags before its last part. Another attribute is then refused, by the
/// name of its flag; without flags the upload is resumed. Returns the attributes of the object.
fn killed_and_resumed(scene: &Scene, flags: &[&str], other: [&str; 2]) -> Value {
    kill_before_the_last_part(scene, scene.command().args(flags), |_| {});
    let refused = finish(scene.command().args(other));
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    let message = format!("an unfinished upload of this file was begun with another {}", other[0]);
    assert!(refused.stderr.contains(&message), "{}", refused.stderr);
    let resumed = succeed(&mut scene.command());
    assert!(events(&resumed).iter().any(|event| event["event"] == "resumed"), "{}", resumed.stdout);
    scene.assert_arrived();
    described(&scene.real, &scene.bucket, KEY)
}

#[test]
fn localstack_headers_tags_and_acl_survive_a_kill() {
    let scene = Scene::at("LOCALSTACK");
    let acl = ["--acl", "public-read", "--website-redirect", "/elsewhere"];
    let flags = [&SIMPLE[..], &acl, &["--storage-class", "STANDARD_IA"]].concat();
    let shown = killed_and_resumed(&scene, &flags, ["--acl", "private"]);
    assert_simple(&shown);
    assert_eq!(shown["WebsiteRedirectLocation"], "/elsewhere");
    assert_eq!(shown["StorageClass"], "STANDARD_IA");
    let everyone = json!(["READ", "http://acs.amazonaws.com/groups/global/AllUsers"]);
    assert!(shown["Grants"].as_array().unwrap().contains(&everyone), "{shown}");
}

#[test]
fn ceph_rgw_headers_tags_and_acl_survive_a_kill() {
    let scene = Scene::at("RGW");
    let flags = [&SIMPLE[..], &["--acl", "public-read"]].concat();
    let shown = killed_and_resumed(&scene, &flags, ["--content-language", "fr"]);
    assert_simple(&shown);
    let everyone = json!(["READ", "http://acs.amazonaws.com/groups/global/AllUsers"]);
    assert!(shown["Grants"].as_array().unwrap().contains(&everyone), "{shown}");
}

#[test]
fn localstack_encryption_survives_a_kill() {
    let scene = Scene::at("LOCALSTACK");
    let shown = killed_and_resumed(&scene, &["--sse"], ["--sse", "aws:kms"]);
    assert_eq!(shown["ServerSideEncryption"], "AES256");
}

#[test]
fn localstack_object_lock_survives_a_kill() {
    let mut scene = Scene::at("LOCALSTACK");
    scene.bucket = format!("it-{}", random_hex(8).unwrap());
    scene.python("s3.create_bucket(Bucket=args[0], ObjectLockEnabledForBucket=True)\nanswer(1)\n");
    let mode = ["--object-lock-mode", "governance", "--object-lock-retain-until"];
    let flags = [&mode[..], &["2999-01-31", "--legal-hold", "on"]].concat();
    kill_before_the_last_part(&scene, scene.command().args(&flags), |_| {});
    let refused = finish(scene.command().args(mode).arg("2999-02-01"));
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("another --object-lock-retain-until"), "{}", refused.stderr);
    succeed(scene.command().args(&flags));
    let shown = described(&scene.real, &scene.bucket, KEY);
    assert_eq!(shown["ObjectLockMode"], "GOVERNANCE");
    assert_eq!(shown["ObjectLockRetainUntilDate"], "2999-01-31T00:00:00Z");
    assert_eq!(shown["ObjectLockLegalHoldStatus"], "ON");
}

/// `haul resume` needs neither flag again: both belong to the way to the store.
#[test]
fn payer_and_owner_are_in_every_request_and_in_the_journal() {
    let scene = Scene::at("LOCALSTACK");
    let flags = ["--request-payer", "requester", "--expected-bucket-owner", "000000000000"];
    kill_before_the_last_part(&scene, scene.command().args(flags), |_| {});
    let listed = succeed(scene.world.haul(&scene.store).args(["transfers", "--json"]));
    let id = events(&listed)[0]["id"].as_str().unwrap().to_owned();
    let other = ["resume", &id, "--expected-bucket-owner", "111122223333"];
    let refused = finish(scene.world.haul(&scene.store).args(other));
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    succeed(scene.world.haul(&scene.store).args(["resume", &id]));
    let seen = scene.proxy.seen();
    for kind in [Kind::CreateMultipartUpload, Kind::UploadPart, Kind::CompleteMultipartUpload] {
        assert!(seen.iter().any(|request| request.kind == kind), "{kind:?}");
    }
    for request in &seen {
        let shown = format!("{} {}", request.method, request.target);
        assert_eq!(request.header("x-amz-request-payer"), Some("requester"), "{shown}");
        assert_eq!(request.header("x-amz-expected-bucket-owner"), Some("000000000000"), "{shown}");
    }
}

#[test]
fn every_way_into_a_store_carries_the_attributes() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    let url = |key: &str| format!("s3://{bucket}/{key}");
    for folder in ["tree", "synced"] {
        fs::create_dir(world.path(folder)).unwrap();
        fs::write(world.path(folder).join("file"), folder).unwrap();
    }
    fs::write(world.path("one"), "one").unwrap();
    fs::write(world.path("moved"), "moved").unwrap();
    let flags = SIMPLE.map(|flag| format!("'{flag}'")).join(" ");
    fs::write(world.path("lines"), format!("cp one {} {flags}\n", url("by-run"))).unwrap();
    let haul = |words: &[&str]| {
        let mut command = world.haul(store);
        command.args(words);
        command
    };
    succeed(haul(&["cp", "one", &url("by-cp")]).args(SIMPLE));
    succeed(haul(&["cp", "--require-proof", "one", &url("in-parts")]).args(SIMPLE));
    succeed(haul(&["cp", "-r", "tree", &url("by-tree/")]).args(SIMPLE));
    succeed(haul(&["sync", "synced", &url("by-sync/")]).args(SIMPLE));
    succeed(haul(&["mv", "moved", &url("by-mv")]).args(SIMPLE));
    succeed(&mut haul(&["run", "lines"]));
    let of_command = url("by-command");
    let mut command = haul(&["cp", "--from-command", &of_command]);
    succeed(command.args(SIMPLE).args(["--", "echo", "from a command"]));
    let mut command = haul(&["cp", "-", &url("by-stdin")]);
    let input = fs::File::open(world.path("one")).unwrap();
    let piped = Running::start_with_input(command.args(SIMPLE), input.into()).unwrap();
    piped.finish(LIMIT).unwrap().success().unwrap();
    succeed(haul(&["cp", &url("by-cp"), &url("copied")]).args(SIMPLE));
    succeed(&mut haul(&["cp", &url("by-cp"), &url("kept")]));
    for key in [
        "by-cp",
        "in-parts",
        "by-tree/file",
        "by-sync/file",
        "by-mv",
        "by-run",
        "by-command",
        "by-stdin",
        "copied",
        "kept",
    ] {
        let shown = described(store, &bucket, key);
        assert_eq!(shown["ContentLanguage"], "de", "{key}: {shown}");
        assert_simple(&shown);
    }
}

/// The attributes of a stream go through Create (in parts) and PutObject, as those of a file.
fn a_stream_carries_its_attributes(store: &TestStore) {
    let world = World::new();
    let bucket = make_bucket(&world, store);
    for (key, length_bytes) in [("long", 21 * MIB), ("short", 1000)] {
        world.sample(key, length_bytes);
        let mut command = world.haul(store);
        command.args(["cp", "-", &format!("s3://{bucket}/{key}"), "--part-size", "5MiB"]);
        let input = fs::File::open(world.path(key)).unwrap();
        let piped = Running::start_with_input(command.args(SIMPLE), input.into()).unwrap();
        piped.finish(LIMIT).unwrap().success().unwrap();
        assert_simple(&described(store, &bucket, key));
    }
}

#[test]
fn ceph_rgw_keeps_the_attributes_of_a_stream() {
    a_stream_carries_its_attributes(&TestStore::shared("RGW"));
}

#[test]
fn localstack_keeps_the_attributes_of_a_stream() {
    a_stream_carries_its_attributes(&TestStore::shared("LOCALSTACK"));
}

/// A flag of a copy replaces one attribute, and the others stay those of the source.
#[test]
fn flags_of_a_copy_override_single_attributes() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    let [from, to] = ["source", "copy"].map(|key| format!("s3://{bucket}/{key}"));
    fs::write(world.path("file"), "file").unwrap();
    succeed(copy(&world, store, "file", &from).args(SIMPLE));
    let flags = ["--content-language", "fr", "--tag", "team=c", "--website-redirect", "/x"];
    succeed(copy(&world, store, &from, &to).args(flags));
    let shown = described(store, &bucket, "copy");
    assert_eq!(shown["ContentLanguage"], "fr");
    assert_eq!(shown["Tags"], json!({"team": "c"}));
    assert_eq!(shown["WebsiteRedirectLocation"], "/x");
    assert_eq!(shown["CacheControl"], "no-cache");
    assert_eq!(shown["Metadata"]["owner"], "me");
}

/// A copy with an ACL, an encryption or a lock of its own keeps the metadata of its source, which
/// `REPLACE` would drop where it is not repeated.
#[test]
fn protection_of_a_copy_replaces_no_metadata() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    let store = server.store().at(proxy.endpoint());
    let [from, to] = ["source", "copy"].map(|key| format!("s3://{bucket}/{key}"));
    fs::write(world.path("file"), "file").unwrap();
    succeed(copy(&world, &store, "file", &from).args(SIMPLE));
    succeed(copy(&world, &store, &from, &to).args(["--acl", "private"]));
    let seen = proxy.seen();
    let copied = seen.iter().find(|request| request.kind == Kind::CopyObject).unwrap();
    assert_eq!(copied.header("x-amz-acl"), Some("private"));
    assert_eq!(copied.header("x-amz-metadata-directive"), None);
    assert_simple(&described(server.store(), &bucket, "copy"));
}

/// Regression: a tree silently finished an upload that an earlier run had begun without the lock or
/// the encryption that this run requests.
#[test]
fn a_tree_refuses_an_unfinished_upload_with_another_attribute() {
    let scene = Scene::at("LOCALSTACK");
    fs::create_dir(scene.world.path("tree")).unwrap();
    fs::rename(&scene.sample.path, scene.world.path("tree").join(KEY)).unwrap();
    let tree = |flags: &[&str]| {
        let mut command = scene.world.haul(&scene.store);
        command.args(["cp", "-r", "tree", &format!("s3://{}/", scene.bucket)]);
        command.args(["--part-size", "5MiB", "--concurrency", "3", "--json"]).args(flags);
        command
    };
    kill_before_the_last_part(&scene, &mut tree(&["--acl", "private"]), |_| {});
    let refused = finish(&mut tree(&["--acl", "public-read"]));
    assert_ne!(refused.code(), Some(0));
    assert!(refused.stdout.contains("begun with another acl"), "{}", refused.stdout);
    succeed(&mut tree(&["--acl", "private"]));
    scene.assert_arrived();
}

/// `haul serve` refuses protection that it does not give; an object that looks protected would be
/// worse.
#[test]
fn haul_serve_refuses_protection_that_it_does_not_give() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    fs::write(world.path("file"), "file").unwrap();
    fs::write(world.path("key"), [7; 32]).unwrap();
    let lock = ["--object-lock-mode", "COMPLIANCE", "--object-lock-retain-until", "2999-01-31"];
    let cases: [&[&str]; 8] = [
        &["--sse", "AES256"],
        &["--sse", "aws:kms"],
        &["--sse", "aws:kms", "--sse-kms-key-id", "key"],
        &["--sse-c-key-file", "key"],
        &["--acl", "public-read"],
        &["--grant-read", "uri=http://acs.amazonaws.com/groups/global/AllUsers"],
        &lock,
        &["--legal-hold", "ON"],
    ];
    for flags in cases {
        for more in [&[][..], &["--require-proof"]] {
            let to = format!("s3://{bucket}/file");
            let refused = finish(copy(&world, store, "file", &to).args(flags).args(more));
            assert_eq!(refused.code(), Some(1), "{flags:?}: {}", refused.stderr);
        }
    }
    crate::world::assert_keys(store, &bucket, &[]);
    crate::world::assert_no_upload_left(store, &bucket);
}

#[test]
fn stat_shows_attributes_and_protection() {
    let scene = Scene::at("LOCALSTACK");
    let flags = ["--acl", "public-read", "--sse", "AES256", "--website-redirect", "/x"];
    succeed(scene.command().args(SIMPLE).args(flags));
    let stat = |more: &[&str]| {
        let mut command = scene.world.haul(&scene.real);
        succeed(command.args(["stat", &scene.url()]).args(more)).stdout
    };
    let shown: Value = serde_json::from_str(&stat(&["--json"])).unwrap();
    assert_eq!(shown["content_language"], "de");
    assert_eq!(shown["website_redirect_location"], "/x");
    assert_eq!(shown["tags"], json!({"team": "a b"}));
    assert_eq!(shown["encryption"]["algorithm"], "AES256");
    assert_eq!(shown["part_count"], PARTS);
    assert_eq!(shown["checksum"]["type"], "FULL_OBJECT");
    let grants = shown["acl"]["grants"].as_array().unwrap();
    assert!(grants.iter().any(|grant| grant["permission"] == "READ"), "{shown}");
    let names: Vec<String> = stat(&[])
        .lines()
        .skip(1)
        .map(|row| row.chars().take(22).collect::<String>().trim().to_owned())
        .collect();
    for name in ["Parts", "Tag", "Owner", "Grant", "Encryption", "Redirect", "Expires", "Checksum"]
    {
        assert!(names.iter().any(|shown| shown == name), "{name} in {names:?}");
    }
}
