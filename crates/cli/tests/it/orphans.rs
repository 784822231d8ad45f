//! Orphaned uploads at a store: `haul uploads` lists them with their bytes and cost, and
//! `haul sweep` aborts them, whichever tool left them.

use std::time::{Duration, Instant};

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::process::{Finished, Running};
use serde_json::{Value, json};

use crate::scene::{KEY, PART_BYTES, PARTS, Scene, all_arrived_but};
use crate::world::{LIMIT, copy, event, events, finish, python, succeed};

/// Number of orphans: more than one page of ListMultipartUploads.
const ORPHANS: usize = 1200;

fn haul(scene: &Scene, store: &TestStore, words: &[&str]) -> Finished {
    finish(scene.world.haul(store).args(words))
}

/// Returns the upload ids that the store lists, read with boto3.
fn left(scene: &Scene) -> Vec<String> {
    let script = "pages = s3.get_paginator('list_multipart_uploads').paginate(Bucket=args[0])\n\
                  answer([upload['UploadId'] for page in pages for upload in page.get('Uploads', \
                  [])])\n";
    let mut ids: Vec<String> =
        serde_json::from_value(python(&scene.real, script, &[&scene.bucket])).unwrap();
    ids.sort();
    ids
}

/// Begins an upload as another tool would, with these parts of ten bytes, and returns its id.
fn foreign(scene: &Scene, key: &str, parts: &[u32]) -> String {
    let script = "upload = s3.create_multipart_upload(Bucket=args[0], Key=args[1])['UploadId']\n\
                  for part in json.loads(args[2]):\n    \
                      s3.upload_part(Bucket=args[0], Key=args[1], UploadId=upload, \
                      PartNumber=part, Body=b'x' * 10)\n\
                  answer(upload)\n";
    let parts = serde_json::to_string(parts).unwrap();
    python(&scene.real, script, &[&scene.bucket, key, &parts]).as_str().unwrap().to_owned()
}

fn send_part(scene: &Scene, key: &str, upload: &str) {
    let script = "s3.upload_part(Bucket=args[0], Key=args[1], UploadId=args[2], PartNumber=9, \
        Body=b'y')\nanswer(0)\n";
    python(&scene.real, script, &[&scene.bucket, key, upload]);
}

/// Sweeps a bucket with 1,200 orphans of another tool, a paused upload of ours, a running one, a
/// fresh one, and an old one that still receives parts. Only the orphans may be aborted, and the
/// paused upload must resume.
fn exactly_the_orphans_go(scene: &Scene) {
    let url = format!("s3://{}", scene.bucket);
    let active = foreign(scene, "active", &[1]);
    let made = python(
        &scene.real,
        include_str!("py/make_orphans.py"),
        &[&scene.bucket, &ORPHANS.to_string()],
    );
    let orphans: Vec<String> = serde_json::from_value(made).unwrap();
    let made = Instant::now();

    // The part is held in the proxy, because LocalStack keeps a part for ever once its first bytes
    // arrived.
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Hold).part(PARTS));
    let killed = Running::start(&mut scene.command()).unwrap();
    scene.wait_for(|seen| all_arrived_but(PARTS, seen));
    killed.kill(LIMIT).unwrap();
    let paused = event(&haul(scene, &scene.store, &["transfers", "--json"]), "upload");
    let other = format!("{url}/running");
    let slow = ChaosProxy::start(&scene.real.endpoint).unwrap();
    slow.add(Rule::on(Kind::UploadPart, Fault::Hold).part(PARTS).always());
    let slow_store = scene.real.at(slow.endpoint());
    let mut running = copy(&scene.world, &slow_store, &scene.sample.path, &other);
    let running = Running::start(running.args(["--part-size", "5MiB", "--json"])).unwrap();
    assert!(slow.wait_until(LIMIT, |seen| all_arrived_but(PARTS, seen)));
    // Uploads older than a limit are orphans, younger ones are not: real time has to pass between
    // the two groups.
    while made.elapsed() < Duration::from_secs(16) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let fresh = foreign(scene, "fresh", &[]);
    send_part(scene, "active", &active);
    let fresh_since = Instant::now();

    let listed = haul(scene, &scene.real, &["uploads", &url, "--sort", "bytes", "--json"]);
    assert_eq!(listed.code(), Some(0), "{}", listed.stderr);
    let lines = events(&listed);
    let uploads: Vec<&Value> =
        lines.iter().filter(|line| line["event"] == "unfinished-upload").collect();
    assert_eq!(uploads.len(), ORPHANS + 4);
    let mine: Vec<_> = uploads.iter().filter(|upload| !upload["journal"].is_null()).collect();
    assert_eq!(mine.len(), 2, "{mine:?}");
    assert!(mine.iter().any(|upload| upload["journal"] == paused["id"] && upload["key"] == KEY));
    let largest = uploads.iter().find(|upload| upload["key"] == "orphans/00000").unwrap();
    assert_eq!((&largest["part_count"], &largest["size_bytes"]), (&json!(1100), &json!(11_000)));
    let total = lines.last().unwrap();
    assert_eq!(
        (&total["event"], &total["uploads"]),
        (&json!("unfinished-summary"), &json!(ORPHANS + 4))
    );

    // The limit is halfway between the ages of the two groups: longer than the fresh uploads exist,
    // and shorter than the orphans do.
    let age = |since: Instant| since.elapsed().as_secs();
    let older_than = format!("{}s", age(fresh_since) + (age(made) - age(fresh_since)) / 2 + 1);
    let sweep = ["sweep", &url, "--older-than", &older_than, "--json"];
    let dry = haul(scene, &scene.real, &[&sweep[..], &["--dry-run"]].concat());
    assert_eq!(event(&dry, "sweep-summary")["candidates"], ORPHANS, "{}", dry.stderr);
    let refused = haul(scene, &scene.real, &sweep);
    assert_eq!(refused.code(), Some(2), "no terminal can be asked: {}", refused.stderr);
    let older_than = format!("{}s", age(fresh_since) + (age(made) - age(fresh_since)) / 2 + 1);
    let sweep = ["sweep", &url, "--older-than", &older_than, "--json", "--yes"];
    let swept = haul(scene, &scene.real, &sweep);
    assert_eq!(swept.code(), Some(0), "{}", swept.stderr);
    let summary = event(&swept, "sweep-summary");
    assert_eq!(
        (&summary["removed"], &summary["failed"], &summary["owned"]),
        (&json!(ORPHANS), &json!(0), &json!(2))
    );

    let mut kept = vec![fresh.clone(), active.clone()];
    kept.extend(mine.iter().map(|upload| upload["upload_id"].as_str().unwrap().to_owned()));
    kept.sort();
    assert_eq!(left(scene), kept);
    assert!(orphans.iter().all(|orphan| !kept.contains(orphan)));

    running.kill(LIMIT).unwrap();
    let resumed = succeed(&mut scene.command());
    assert_eq!(event(&resumed, "uploaded")["resumed_bytes"], u64::from(PARTS - 1) * PART_BYTES);
    for (key, id) in [("fresh", fresh), ("active", active)] {
        let at = format!("{url}/{key}");
        let aborted = haul(scene, &scene.real, &["abort", &at, "--upload-id", &id]);
        assert_eq!(aborted.code(), Some(0), "{}", aborted.stderr);
    }
    let aborted = haul(scene, &scene.real, &["abort", &other]);
    assert_eq!(aborted.code(), Some(0), "{}", aborted.stderr);
    assert_eq!(left(scene), Vec::<String>::new());
    assert_eq!(
        events(&haul(scene, &scene.real, &["transfers", "--json"])),
        Vec::<Value>::new(),
        "the journal too"
    );
}

#[test]
fn haul_serve_exactly_the_orphans_go() {
    exactly_the_orphans_go(&Scene::at_haul_serve());
}

#[test]
fn ceph_rgw_exactly_the_orphans_go() {
    exactly_the_orphans_go(&Scene::at("RGW"));
}

#[test]
fn localstack_exactly_the_orphans_go() {
    exactly_the_orphans_go(&Scene::at("LOCALSTACK"));
}

#[test]
fn several_uploads_of_a_key_are_listed_and_the_id_is_asked_for() {
    let scene = Scene::at_haul_serve();
    let (first, second) = (foreign(&scene, "key", &[1]), foreign(&scene, "key", &[]));
    let longer = foreign(&scene, "key-longer", &[]);
    let at = format!("s3://{}/key", scene.bucket);
    let asked = haul(&scene, &scene.real, &["abort", &at]);
    assert_eq!(asked.code(), Some(2), "{}", asked.stderr);
    assert!(asked.stdout.contains(&first) && asked.stdout.contains(&second), "{}", asked.stdout);
    assert!(asked.stderr.contains("--upload-id"), "{}", asked.stderr);
    assert_eq!(left(&scene).len(), 3);

    let done = succeed(scene.world.haul(&scene.real).args([
        "abort",
        &at,
        "--upload-id",
        &first,
        "--json",
    ]));
    assert_eq!(event(&done, "upload-aborted")["freed_bytes"], 10);
    succeed(scene.world.haul(&scene.real).args(["abort", &at]));
    assert_eq!(left(&scene), [longer]);
    let none = haul(&scene, &scene.real, &["abort", &at]);
    assert_eq!(none.code(), Some(1), "{}", none.stderr);
}

/// If the listing fails, printing "none" would suggest a clean bucket.
#[test]
fn a_listing_that_cannot_be_had_is_never_shown_as_none() {
    let scene = Scene::at_haul_serve();
    let url = format!("s3://{}/some/prefix", scene.bucket);
    scene.proxy.add(Rule::on(Kind::ListMultipartUploads, Fault::error(403, "AccessDenied")));
    let denied = haul(&scene, &scene.store, &["uploads", &url]);
    assert_eq!(denied.code(), Some(1), "{}", denied.stdout);
    assert!(
        denied.stderr.contains("AccessDenied") && denied.stdout.is_empty(),
        "{}",
        denied.stderr
    );

    let empty = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListMultipartUploadsResult>\
                 <IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
    let minio = Fault::Answer {
        status: 200,
        headers: vec![("Server", "MinIO".to_owned())],
        body: empty.to_owned(),
        after: Duration::ZERO,
    };
    scene.proxy.add(Rule::on(Kind::ListMultipartUploads, minio).times(2));
    let minio = haul(&scene, &scene.store, &["uploads", &url]);
    assert_eq!(minio.code(), Some(1), "{}", minio.stdout);
    assert!(minio.stderr.contains("only for an exact key"), "{}", minio.stderr);
}

#[test]
fn a_sweep_reports_what_it_could_not_remove() {
    let scene = Scene::at_haul_serve();
    foreign(&scene, "a", &[1]);
    foreign(&scene, "b", &[]);
    let url = format!("s3://{}", scene.bucket);
    let words = ["sweep", &url, "--older-than", "0s", "--json", "--yes"];
    scene
        .proxy
        .add(Rule::on(Kind::AbortMultipartUpload, Fault::error(403, "AccessDenied")).always());
    let failed = haul(&scene, &scene.store, &words);
    assert_eq!(failed.code(), Some(5), "{}", failed.stderr);
    assert_eq!(event(&failed, "sweep-summary")["failed"], 2);
    assert_eq!(failed.stderr.matches("is still there").count(), 2, "{}", failed.stderr);
    assert_eq!(left(&scene).len(), 2);

    // The command retries after two answers of 500.
    let scene = Scene::at_haul_serve();
    foreign(&scene, "a", &[1]);
    let url = format!("s3://{}", scene.bucket);
    scene
        .proxy
        .add(Rule::on(Kind::AbortMultipartUpload, Fault::error(500, "InternalError")).times(2));
    let words = ["sweep", &url, "--older-than", "0s", "--yes"];
    let swept = haul(&scene, &scene.store, &words);
    assert_eq!(swept.code(), Some(0), "{}", swept.stderr);
    assert_eq!(left(&scene), Vec::<String>::new());
}

/// With a local clock that is days ahead, every upload would look forgotten: the command measures
/// ages by the store's clock.
#[test]
fn a_wrong_clock_does_not_sweep_fresh_uploads() {
    let scene = Scene::at_haul_serve();
    foreign(&scene, "fresh", &[1]);
    let mut command = scene.world.haul(&scene.real);
    command.args([
        "sweep",
        &format!("s3://{}", scene.bucket),
        "--older-than",
        "7d",
        "--yes",
        "--json",
    ]);
    let swept = succeed(&mut crate::world::at_another_time(&command, "+10d"));
    assert_eq!(event(&swept, "sweep-summary")["candidates"], 0);
    assert_eq!(left(&scene).len(), 1);
}

/// The upload was abandoned by this machine: its source is gone, so it cannot be resumed.
#[test]
fn a_sweep_takes_ours_only_when_asked_and_only_without_a_source() {
    let scene = Scene::at_haul_serve();
    scene.kill_before_the_last_part();
    let url = format!("s3://{}", scene.bucket);
    let words = ["sweep", &url, "--older-than", "0s", "--yes", "--json", "--include-mine"];
    let kept = haul(&scene, &scene.real, &words);
    assert_eq!(event(&kept, "sweep-summary")["owned"], 1, "its source is there");
    std::fs::remove_file(&scene.sample.path).unwrap();
    let kept = haul(&scene, &scene.real, &words[..6]);
    assert_eq!(event(&kept, "sweep-summary")["owned"], 1, "it was not asked for");
    let swept = haul(&scene, &scene.store, &words);
    assert_eq!(event(&swept, "sweep-summary")["removed"], 1, "{}", swept.stderr);
    assert_eq!(left(&scene), Vec::<String>::new());
    assert_eq!(events(&haul(&scene, &scene.real, &["transfers", "--json"])), Vec::<Value>::new());
}

#[test]
fn a_price_of_the_user_makes_a_cost_and_none_is_invented() {
    let scene = Scene::at_haul_serve();
    foreign(&scene, "a", &[1]);
    let url = format!("s3://{}", scene.bucket);
    let unpriced =
        event(&haul(&scene, &scene.real, &["uploads", &url, "--json"]), "unfinished-summary");
    assert_eq!(unpriced["monthly_cost"], Value::Null);
    let table = "as_of = \"2026-11\"\ncurrency = \"EUR\"\n[[price]]\nprovider = \
        \"127.0.0.1\"\nclass = \"STANDARD\"\n\
                 per_gib_month = 107374182.4\n";
    std::fs::write(scene.world.path("prices.toml"), table).unwrap();
    let priced = haul(&scene, &scene.real, &["uploads", &url, "--prices", "prices.toml"]);
    assert!(
        priced.stdout.contains("about 1.00 EUR a month (prices of 2026-11)"),
        "{}",
        priced.stdout
    );
}

fn rules(scene: &Scene, words: &[&str]) -> Value {
    python(
        &scene.real,
        include_str!("py/lifecycle_rules.py"),
        &[&[scene.bucket.as_str()], words].concat(),
    )
}

/// Installs, shows and removes our lifecycle rule, and asserts that the rules of others stay as the
/// store has them.
fn rules_of_others_stay(scene: &Scene, others: &Value) {
    let bucket = format!("s3://{}", scene.bucket);
    let before = rules(scene, &["put", &others.to_string()]);
    let installed = haul(
        scene,
        &scene.real,
        &["lifecycle", &bucket, "--abort-after", "7d", "--prefix", "tmp/"],
    );
    assert_eq!(installed.code(), Some(0), "{}", installed.stderr);
    let with = rules(scene, &["get"]);
    let ours = with
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["ID"] == "haul-abort-incomplete/tmp/")
        .unwrap();
    assert_eq!(ours["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"], 7);
    assert_eq!(with.as_array().unwrap().len(), before.as_array().unwrap().len() + 1);
    let shown = haul(scene, &scene.real, &["lifecycle", &bucket]);
    assert!(
        shown.stdout.contains("keys that begin with tmp/: aborts unfinished uploads after 7 days"),
        "{}",
        shown.stdout
    );
    let removed = haul(scene, &scene.real, &["lifecycle", &bucket, "--remove"]);
    assert_eq!(removed.code(), Some(0), "{}", removed.stderr);
    assert_eq!(rules(scene, &["get"]), before);
}

fn abort_rule(id: &str, prefix: &str, status: &str) -> Value {
    json!({"ID": id, "Filter": {"Prefix": prefix}, "Status": status,
           "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 30}})
}

#[test]
fn haul_serve_lifecycle_rules_of_others_stay() {
    let others = json!([abort_rule("a", "logs/", "Enabled"), abort_rule("b & c", "", "Disabled")]);
    rules_of_others_stay(&Scene::at_haul_serve(), &others);
}

fn three_shapes() -> Value {
    json!([
        abort_rule("a", "logs/", "Enabled"),
        {"ID": "old & gone", "Filter": {"Prefix": "old/"}, "Status": "Disabled",
         "Expiration": {"Days": 365}},
        {"ID": "tagged",
         "Filter": {"And": {"Prefix": "t/", "Tags": [{"Key": "team", "Value": "a<b"}]}},
         "Status": "Enabled", "Expiration": {"Days": 30}},
    ])
}

#[test]
fn ceph_rgw_lifecycle_rules_of_others_stay() {
    rules_of_others_stay(&Scene::at("RGW"), &three_shapes());
}

#[test]
fn localstack_lifecycle_rules_of_others_stay() {
    rules_of_others_stay(&Scene::at("LOCALSTACK"), &three_shapes());
}

#[test]
fn a_bucket_without_rules_gets_ours_and_loses_it_again() {
    let scene = Scene::at_haul_serve();
    let bucket = format!("s3://{}", scene.bucket);
    let none = haul(&scene, &scene.real, &["lifecycle", &bucket]);
    assert!(none.stdout.contains("has no lifecycle rules"), "{}", none.stdout);
    succeed(scene.world.haul(&scene.real).args(["lifecycle", &bucket, "--abort-after", "3d"]));
    assert_eq!(
        rules(&scene, &["get"])[0]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"],
        3
    );
    succeed(scene.world.haul(&scene.real).args(["lifecycle", &bucket, "--remove"]));
    assert_eq!(rules(&scene, &["get"]), json!([]));
}

/// The user has to react differently to each of three failures: the store does not support rules,
/// does not allow them, or silently drops them.
#[test]
fn lifecycle_failures_are_told_apart() {
    let scene = Scene::at_haul_serve();
    let bucket = format!("s3://{}", scene.bucket);
    let words = ["lifecycle", &bucket, "--abort-after", "7d"];
    let mut said = Vec::new();
    for (status, code) in [(501, "NotImplemented"), (403, "AccessDenied")] {
        scene.proxy.add(Rule::on(Kind::Other, Fault::error(status, code)));
        let failed = haul(&scene, &scene.store, &words);
        assert_eq!(failed.code(), Some(1), "{}", failed.stderr);
        said.push(failed.stderr);
    }
    assert!(said[0].contains("does not support") && said[0].contains("haul sweep"), "{}", said[0]);
    assert!(said[1].contains("s3:PutLifecycleConfiguration"), "{}", said[1]);
    // The store answers 200 to the PUT and does not keep the rule.
    let taken =
        Fault::Answer { status: 200, headers: vec![], body: String::new(), after: Duration::ZERO };
    scene.proxy.add(Rule::on(Kind::Other, taken));
    let dropped = haul(&scene, &scene.store, &words);
    assert_eq!(dropped.code(), Some(1), "{}", dropped.stdout);
    assert!(dropped.stderr.contains("does not keep haul-abort-incomplete"), "{}", dropped.stderr);
}
