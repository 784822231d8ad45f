//! Keys of the customer (SSE-C): they reach the store, and nothing else; an unfinished transfer
//! needs the same key again.

use std::fs;
use std::path::Path;
use std::process::Command;

use haul_testkit::chaos::{Kind, Seen};
use haul_testkit::process::Finished;

use crate::attributes::kill_before_the_last_part;
use crate::scene::{KEY, Scene};
use crate::world::{copy, events, finish, python, succeed};

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
    let scene = Scene::at("LOCALSTACK");
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
