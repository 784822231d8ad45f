//! Encryption with keys of KMS (SSE-KMS), at a LocalStack that runs S3 and KMS.

use haul_testkit::TestStore;
use haul_testkit::chaos::Kind;
use serde_json::{Value, json};

use crate::attributes::{described, kill_before_the_last_part};
use crate::scene::{KEY, Scene};
use crate::world::{copy, event, finish, python, succeed};

/// Creates a key and returns its ARN.
fn make_key(store: &TestStore) -> String {
    let script = "import boto3, os\n\
        kms = boto3.client('kms', endpoint_url=s3.meta.endpoint_url, \
        region_name=s3.meta.region_name, aws_access_key_id='test', aws_secret_access_key='test')\n\
        answer(kms.create_key()['KeyMetadata']['Arn'])\n";
    python(store, script, &[]).as_str().unwrap().to_owned()
}

fn stat(scene: &Scene, url: &str) -> Value {
    let mut command = scene.world.haul(&scene.real);
    event(&succeed(command.args(["stat", url, "--json"])), "object")
}

/// `eyJ0ZWFtIjoiYSJ9` is `{"team":"a"}`.
#[test]
fn localstack_kms_encryption_survives_a_kill() {
    let scene = Scene::at("LOCALSTACK");
    let key = make_key(&scene.real);
    let flags = ["--sse", "aws:kms", "--sse-kms-key-id", &key, "--bucket-key"];
    let flags = [&flags[..], &["--sse-kms-context", r#"{"team":"a"}"#]].concat();
    kill_before_the_last_part(&scene, scene.command().args(&flags), |_| {});
    let other = ["--sse", "aws:kms", "--sse-kms-key-id", "another"];
    let refused = finish(scene.command().args(other));
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("another --sse-kms-key-id"), "{}", refused.stderr);
    succeed(&mut scene.command());
    let shown = described(&scene.real, &scene.bucket, KEY);
    assert_eq!(shown["ServerSideEncryption"], "aws:kms");
    assert_eq!(shown["SSEKMSKeyId"], key.as_str());
    assert_eq!(shown["BucketKeyEnabled"], true);
    let create =
        scene.proxy.seen().into_iter().find(|it| it.kind == Kind::CreateMultipartUpload).unwrap();
    let context = create.header("x-amz-server-side-encryption-context");
    assert_eq!(context, Some("eyJ0ZWFtIjoiYSJ9"));
    scene.assert_arrived();
}

#[test]
fn localstack_kms_encryption_of_puts_copies_and_downloads() {
    let scene = Scene::at("LOCALSTACK");
    let [one, other] = [make_key(&scene.real), make_key(&scene.real)];
    scene.world.sample("small", 1000);
    let [small, copied] = ["small", "copied"].map(|key| format!("s3://{}/{key}", scene.bucket));
    let with = |key: &str| ["--sse", "aws:kms", "--sse-kms-key-id", key].map(str::to_owned);
    succeed(copy(&scene.world, &scene.store, "small", &small).args(with(&one)));
    let shown = stat(&scene, &small);
    let expected = json!({"algorithm": "aws:kms", "kms_key_id": one, "bucket_key": false,
        "customer_algorithm": null});
    assert_eq!(shown["encryption"], expected);
    succeed(copy(&scene.world, &scene.store, &small, &copied).args(with(&other)));
    assert_eq!(stat(&scene, &copied)["encryption"]["kms_key_id"], other.as_str());
    succeed(&mut copy(&scene.world, &scene.store, &copied, "back"));
    let read = |name: &str| std::fs::read(scene.world.path(name)).unwrap();
    assert_eq!(read("back"), read("small"));
    // The ETag of such an object says nothing about its bytes; the checksum does.
    let mut verify = scene.world.haul(&scene.real);
    let same = succeed(verify.args(["verify", "small", &copied]));
    assert!(same.stdout.contains("CRC64NVME"), "{}", same.stdout);
}
