//! Keys of the customer (SSE-C): they reach the store, and nothing else; an unfinished transfer
//! needs the same key again.

use std::fs;
use std::path::Path;
use std::process::Command;

use haul_testkit::chaos::{Fault, Kind, Rule, Seen};
use haul_testkit::process::{Finished, Running};

use crate::attributes::kill_before_the_last_part;
use crate::scene::{KEY, PARTS, Scene};
use crate::world::{LIMIT, copy, event, events, finish, make_bucket, python, read_back, succeed};

const RAW: &[u8; 32] = b"a key of 32 bytes: 0123456789abc";
const BASE64: &str = "YSBrZXkgb2YgMzIgYnl0ZXM6IDAxMjM0NTY3ODlhYmM=";
const HEX: &str = "61206b6579206f662033322062797465733a2030313233343536373839616263";
const OTHER: &[u8; 32] = b"another key of 32 bytes: 0123456";

/// Fails if the text contains the key in any of its usual forms.
fn assert_without_key(what: &str, text: &[u8]) {
    let lower = text.to_ascii_lowercase();
    let contains = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|found| found == part);
    let unpadded = BASE64.trim_end_matches('=').as_bytes();
    let found = contains(text, RAW) || contains(text, unpadded) || contains(&lower, HEX.as_bytes());
    assert!(!found, "the key is in {what}");
}

/// Searches every file below a folder, except for the key files.
fn assert_no_file_with_key(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_file_with_key(&path);
        } else if path.extension().is_none_or(|extension| extension != "key") {
            assert_without_key(&path.display().to_string(), &fs::read(&path).unwrap());
        }
    }
}

fn assert_silent(finished: &Finished) {
    assert_without_key("stdout", finished.stdout.as_bytes());
    assert_without_key("stderr", finished.stderr.as_bytes());
}

/// Creates a scene at LocalStack with two key files.
fn scene() -> Scene {
    scene_at("LOCALSTACK")
}

fn scene_at(store: &str) -> Scene {
    let scene = Scene::at(store);
    fs::write(scene.world.path("mine.key"), RAW).unwrap();
    fs::write(scene.world.path("other.key"), OTHER).unwrap();
    scene
}

fn upload_with(scene: &Scene, key: &str) -> Command {
    let mut command = scene.command();
    command.args(["--sse-c-key-file", key, "-vvv"]);
    command
}

/// Reads an object with boto3 and a key in base64, and returns its SHA-256.
fn read_with(scene: &Scene, key: &str, secret: &[u8]) -> String {
    let script = "import hashlib\n\
        body = s3.get_object(Bucket=args[0], Key=args[1], SSECustomerAlgorithm='AES256', \
        SSECustomerKey=args[2].encode())['Body'].read()\n\
        answer(hashlib.sha256(body).hexdigest())\n";
    let secret = std::str::from_utf8(secret).unwrap();
    let read = python(&scene.real, script, &[&scene.bucket, key, secret]);
    read.as_str().unwrap().to_owned()
}

#[test]
fn a_customers_key_reaches_the_store_and_nothing_else() {
    let scene = scene();
    let killed =
        kill_before_the_last_part(&scene, &mut upload_with(&scene, "mine.key"), |running| {
            for name in ["cmdline", "environ"] {
                let text = fs::read(format!("/proc/{}/{name}", running.id())).unwrap();
                assert_without_key(name, &text);
            }
        });
    assert!(killed.stderr.contains("customer-key: (hidden)"), "the wire is in the log");
    assert_silent(&killed);
    assert_no_file_with_key(&scene.world.path(""));

    let listed = succeed(scene.world.haul(&scene.store).args(["transfers", "--json"]));
    let id = events(&listed)[0]["id"].as_str().unwrap().to_owned();
    let resume = |more: &[&str]| {
        let finished = finish(scene.world.haul(&scene.store).args(["resume", &id]).args(more));
        assert_silent(&finished);
        finished
    };
    let without = resume(&[]);
    assert_eq!(without.code(), Some(2), "{}", without.stderr);
    assert!(without.stderr.contains("was begun with a customer's key"), "{}", without.stderr);
    assert!(without.stderr.contains("add --sse-c-key-file FILE"), "{}", without.stderr);
    let other = resume(&["--sse-c-key-file", "other.key"]);
    assert_eq!(other.code(), Some(2), "{}", other.stderr);
    assert!(other.stderr.contains("with another customer's key"), "{}", other.stderr);
    let lost = resume(&["--sse-c-key-file", "lost.key"]);
    assert_eq!(lost.code(), Some(2), "{}", lost.stderr);
    assert!(lost.stderr.contains("the key file cannot be read"), "{}", lost.stderr);
    for key in ["other.key", "mine.key"] {
        // The command of the first run is held against the journal in the same way.
        let finished = finish(&mut upload_with(&scene, key));
        assert_silent(&finished);
        assert_eq!(finished.code(), Some(if key == "mine.key" { 0 } else { 2 }), "{key}");
    }
    assert_eq!(read_with(&scene, KEY, RAW), scene.sample.sha256);
    assert_no_file_with_key(&scene.world.path(""));
    for request in scene.proxy.seen() {
        let needs_key = matches!(
            request.kind,
            Kind::CreateMultipartUpload
                | Kind::UploadPart
                | Kind::ListParts
                | Kind::CompleteMultipartUpload
                | Kind::HeadObject
        );
        let key = request.header("x-amz-server-side-encryption-customer-key");
        assert_eq!(key == Some(BASE64), needs_key, "{} {}", request.method, request.target);
    }
}

#[test]
fn a_download_of_an_encrypted_object_needs_its_key() {
    let scene = scene();
    succeed(&mut upload_with(&scene, "mine.key"));
    let from = scene.url();
    let download = |more: &[&str]| {
        let mut command = copy(&scene.world, &scene.store, &from, "back");
        finish(command.args(["--part-size", "5MiB", "-vvv"]).args(more))
    };
    for more in [&[][..], &["--sse-c-key-file", "other.key"]] {
        let refused = download(more);
        assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
        let hinted = refused.stderr.contains("--sse-c-key-file FILE");
        assert!(hinted || !more.is_empty(), "{}", refused.stderr);
        assert_silent(&refused);
        assert!(!scene.world.path("back").exists());
    }
    let done = download(&["--sse-c-key-file", "mine.key"]);
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_silent(&done);
    let back = haul_testkit::files::sha256(&scene.world.path("back")).unwrap();
    assert_eq!(back, scene.sample.sha256);
    let gets = scene.proxy.seen().into_iter().filter(|it| it.kind == Kind::GetObject);
    let ranged = gets.filter(|it| it.header("range").is_some()).count();
    assert!(ranged > 1, "the ranges have the key too");

    let mut stat = scene.world.haul(&scene.real);
    let shown = succeed(stat.args(["stat", &from, "--sse-c-key-file", "mine.key"]));
    assert!(shown.stdout.contains("Customer key         AES256"), "{}", shown.stdout);
    let mut verify = scene.world.haul(&scene.real);
    verify.arg("verify").arg(&scene.sample.path).args([&from, "--sse-c-key-file", "mine.key"]);
    succeed(&mut verify);
}

/// Regression: the journal of a download did not record the key. With another one the store refused
/// HeadObject without a reason, and the hint was of permissions.
#[test]
fn a_resumed_download_needs_the_key_of_its_first_run() {
    let scene = scene();
    succeed(&mut upload_with(&scene, "mine.key"));
    let download = |more: &[&str]| {
        let mut command = copy(&scene.world, &scene.store, scene.url(), "back");
        command.args(["--part-size", "5MiB", "--concurrency", "2", "-vvv"]).args(more);
        command
    };
    // The first ranges arrive, then every other one is held.
    let gets = |seen: &[Seen]| seen.iter().filter(|it| it.kind == Kind::GetObject).count();
    scene.proxy.add(Rule::on(Kind::GetObject, Fault::Hold).after(3).always());
    let running = Running::start(&mut download(&["--sse-c-key-file", "mine.key"])).unwrap();
    scene.wait_for(|seen| seen.iter().any(|it| it.fault == Some(Fault::Hold)));
    let killed = running.kill(LIMIT).unwrap();
    assert_silent(&killed);
    assert_no_file_with_key(&scene.world.path(""));
    scene.proxy.release();

    let listed = succeed(scene.world.haul(&scene.store).args(["transfers", "--json"]));
    let id = events(&listed)[0]["id"].as_str().unwrap().to_owned();
    let asked = scene.proxy.seen().len();
    let resume = |more: &[&str]| {
        let mut command = scene.world.haul(&scene.store);
        command.args(["resume", &id]).args(more);
        command
    };
    let other = ["--sse-c-key-file", "other.key"];
    for mut command in [download(&other), download(&[]), resume(&other), resume(&[])] {
        let refused = finish(&mut command);
        assert_silent(&refused);
        assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains("begun with another sse-c-key-file"), "{}", refused.stderr);
        assert!(refused.stderr.contains("--sse-c-key-file that it was begun with"));
    }
    assert_eq!(scene.proxy.seen().len(), asked, "no request, and no range");
    let before = gets(&scene.proxy.seen());
    let done = succeed(&mut resume(&["--sse-c-key-file", "mine.key"]));
    assert_silent(&done);
    let ranges = scene.sample_bytes().div_ceil(5 << 20);
    let again = (gets(&scene.proxy.seen()) - before) as u64;
    assert!(again < ranges, "{again} of {ranges} ranges were fetched again");
    let back = haul_testkit::files::sha256(&scene.world.path("back")).unwrap();
    assert_eq!(back, scene.sample.sha256);
}

/// The store copies the parts; the journal has neither key, and both are needed again.
#[test]
fn a_killed_copy_resumes_with_both_customers_keys() {
    let scene = scene();
    succeed(&mut upload_with(&scene, "mine.key"));
    let from = scene.url();
    let keys = ["--copy-source-sse-c-key-file", "mine.key", "--sse-c-key-file", "other.key"];
    let copying = |keys: &[&str]| {
        let mut command = copy(&scene.world, &scene.store, &from, &format!("{from}-copy"));
        command.args(["--concurrency", "2", "--json", "-vvv"]).args(keys);
        command
    };
    scene.proxy.add(Rule::on(Kind::UploadPartCopy, Fault::Hold).part(PARTS));
    let running = Running::start(&mut copying(&keys)).unwrap();
    scene.wait_for(|seen| {
        let copied = |it: &&Seen| it.kind == Kind::UploadPartCopy && it.status == Some(200);
        seen.iter().filter(copied).count() == PARTS as usize - 1
            && seen.iter().any(|it| it.fault == Some(Fault::Hold))
    });
    let killed = running.kill(LIMIT).unwrap();
    assert_silent(&killed);
    assert_no_file_with_key(&scene.world.path(""));

    let swapped = ["--copy-source-sse-c-key-file", "mine.key", "--sse-c-key-file", "mine.key"];
    let refused = finish(&mut copying(&swapped));
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("another customer's key"), "{}", refused.stderr);
    let copies = || {
        let seen = scene.proxy.seen();
        seen.iter().filter(|it| it.kind == Kind::UploadPartCopy).count()
    };
    let before = copies();
    let resumed = succeed(&mut copying(&keys));
    assert_silent(&resumed);
    assert_eq!(copies() - before, 1, "only the last part is copied");
    assert_eq!(read_with(&scene, &format!("{KEY}-copy"), OTHER), scene.sample.sha256);
}

/// Between two stores the bytes pass through this machine: read with one key, written with the
/// other or with none.
#[test]
fn a_sync_between_stores_exchanges_customers_keys() {
    let scene = scene();
    let plain = scene.world.serve();
    let bucket = make_bucket(&scene.world, plain.store());
    for name in ["a", "b/c"] {
        scene.world.sample(&name.replace('/', "-"), 70_000);
        let to = format!("s3://{}/tree/{name}", scene.bucket);
        let mut command = copy(&scene.world, &scene.store, name.replace('/', "-"), &to);
        succeed(command.args(["--sse-c-key-file", "mine.key"]));
    }
    let credentials = "[there]\naws_access_key_id = KEY\naws_secret_access_key = SECRET\n"
        .replace("KEY", &scene.store.access_key)
        .replace("SECRET", &scene.store.secret_key);
    fs::write(scene.world.path("credentials"), credentials).unwrap();
    let from = format!("s3://{}/tree/", scene.bucket);
    let mut sync = scene.world.haul(plain.store());
    sync.env("AWS_SHARED_CREDENTIALS_FILE", scene.world.path("credentials"));
    sync.args(["sync", &from, &format!("s3://{bucket}/tree/"), "-vvv"]);
    sync.args(["--source-endpoint", &scene.store.endpoint, "--source-profile", "there"]);
    let synced = succeed(sync.args(["--copy-source-sse-c-key-file", "mine.key"]));
    assert_silent(&synced);
    // A customer's key never reaches the store that it does not belong to.
    for name in ["a", "b/c"] {
        let sent = haul_testkit::files::sha256(&scene.world.path(&name.replace('/', "-"))).unwrap();
        let found = read_back(plain.store(), &bucket, &format!("tree/{name}"));
        assert_eq!(found.sha256, sent, "{name}");
    }
    // Within one store, and from one key to the other.
    let mut sync = scene.world.haul(&scene.store);
    sync.args(["sync", &from, &format!("s3://{}/exchanged/", scene.bucket), "-vvv"]);
    sync.args(["--copy-source-sse-c-key-file", "mine.key", "--sse-c-key-file", "other.key"]);
    assert_silent(&succeed(&mut sync));
    let sent = haul_testkit::files::sha256(&scene.world.path("b-c")).unwrap();
    assert_eq!(read_with(&scene, "exchanged/b/c", OTHER), sent);
    assert_no_file_with_key(&scene.world.path(""));
}

/// The source is read with its own key, and the store copies the bytes: nothing passes through this
/// machine.
#[test]
fn a_copy_exchanges_one_customers_key_for_another() {
    let scene = scene();
    let mut small =
        copy(&scene.world, &scene.store, "other.key", &format!("{}-small", scene.url()));
    succeed(small.args(["--sse-c-key-file", "mine.key"]));
    succeed(&mut upload_with(&scene, "mine.key"));
    let keys = ["--copy-source-sse-c-key-file", "mine.key", "--sse-c-key-file", "other.key"];
    for name in ["", "-small"] {
        let from = format!("{}{name}", scene.url());
        let mut command = copy(&scene.world, &scene.store, &from, &format!("{from}-copy"));
        let copied = succeed(command.args(keys).args(["--json", "-vvv"]));
        assert_silent(&copied);
    }
    assert_eq!(read_with(&scene, "file-copy", OTHER), scene.sample.sha256);
    let seen = scene.proxy.seen();
    let is_of_bytes = |it: &&Seen| it.kind == Kind::GetObject && !it.target.contains('?');
    assert_eq!(seen.iter().find(is_of_bytes).map(|it| &it.target), None, "no bytes came here");
    let copies =
        seen.iter().filter(|it| matches!(it.kind, Kind::CopyObject | Kind::UploadPartCopy));
    for request in copies {
        let source = request.header("x-amz-copy-source-server-side-encryption-customer-key");
        assert_eq!(source, Some(BASE64));
        assert!(request.header("x-amz-server-side-encryption-customer-key").is_some());
    }
}

/// RGW 16.2 copies no encrypted object, neither whole nor in parts: the bytes pass through this
/// machine, read with one key and written with the other.
#[test]
fn ceph_rgw_takes_and_returns_objects_under_customers_keys() {
    let scene = scene_at("RGW");
    kill_before_the_last_part(&scene, &mut upload_with(&scene, "mine.key"), |_| {});
    let refused = finish(&mut upload_with(&scene, "other.key"));
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    succeed(&mut upload_with(&scene, "mine.key"));
    assert_eq!(read_with(&scene, KEY, RAW), scene.sample.sha256);
    let from = scene.url();
    let mut command = copy(&scene.world, &scene.store, &from, &format!("{from}-copy"));
    command.args(["--copy-source-sse-c-key-file", "mine.key", "--sse-c-key-file", "other.key"]);
    let copied = succeed(command.args(["--json", "-vvv"]));
    assert_silent(&copied);
    assert_eq!(event(&copied, "copied")["method"], "streamed");
    assert_eq!(read_with(&scene, "file-copy", OTHER), scene.sample.sha256);
    let mut command = copy(&scene.world, &scene.store, format!("{from}-copy"), "back");
    assert_silent(&succeed(command.args(["--sse-c-key-file", "other.key", "-vvv"])));
    let back = haul_testkit::files::sha256(&scene.world.path("back")).unwrap();
    assert_eq!(back, scene.sample.sha256);
    assert_no_file_with_key(&scene.world.path(""));
}

/// AWS refuses a key over plain HTTP too, but only after it has received it.
#[test]
fn a_customers_key_is_not_sent_over_plain_http() {
    let scene = scene();
    let mut command = upload_with(&scene, "mine.key");
    command.args(["--endpoint", "http://store.example.com"]);
    let refused = finish(&mut command);
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("is not sent unencrypted"), "{}", refused.stderr);
    assert_silent(&refused);
}
