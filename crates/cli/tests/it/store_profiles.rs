//! Store profiles: how one is chosen, and what a transfer does because of it.

use std::fs::File;
use std::process::Command;

use haul::findings_cache::{FindingsCache, RecordedFindings};
use haul::parts::ChecksumAlgorithm;
use haul::remote::{StoreFindings, Support};
use haul_testkit::TestStore;
use haul_testkit::chaos::{Fault, Kind, Rule, Seen};
use haul_testkit::files::MIB;
use haul_testkit::process::{Finished, Running};

use crate::scene::{KEY, PARTS, Scene};
use crate::world::{
    LIMIT, World, assert_no_upload_left, copy, event, events, finish, make_bucket, python,
    read_back, succeed,
};

/// Prints the sizes of an object's parts, by HeadObject.
const PART_SIZES: &str = "head = lambda n: s3.head_object(Bucket=args[0], Key=args[1], \
    PartNumber=n)\n\
    first = head(1)\n\
    answer([head(n)['ContentLength'] for n in range(1, first.get('PartsCount', 1) + 1)])\n";

fn part_sizes(store: &TestStore, bucket: &str, key: &str) -> Vec<u64> {
    serde_json::from_value(python(store, PART_SIZES, &[bucket, key])).unwrap()
}

/// Runs the upload of a scene with a profile; it may end with any exit code.
fn upload(scene: &Scene, profile: &str, more: &[&str]) -> Finished {
    finish(scene.command().args(["--store-profile", profile]).args(more))
}

fn sends_a_checksum(request: &Seen) -> bool {
    let mut names = request.headers.iter().map(|(name, _)| name);
    names.any(|name| name.starts_with("x-amz-checksum") || name.contains("trailer"))
}

/// Writes findings about a store, as a probe does.
fn record_findings(world: &World, store: &TestStore, findings: StoreFindings) {
    let recorded = RecordedFindings {
        store: store.endpoint.clone(),
        found_at: "2026-11-26T00:00:00Z".parse().unwrap(),
        findings,
    };
    cache(world).write(&recorded).unwrap();
}

fn cache(world: &World) -> FindingsCache {
    FindingsCache::new(world.path(".local/state/haul/stores"))
}

/// A stream of unknown length grows its parts after 100 of them, which R2 refuses at Complete.
#[test]
fn a_stream_under_the_profile_of_r2_has_equal_parts() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let url = format!("s3://{bucket}/stream");
    let length = (102 * 5 * MIB + 77).to_string();
    let mut command = world.haul(server.store());
    command.args(["cp", "--store-profile", "r2", "--part-size", "5MiB", "--from-command", &url]);
    succeed(command.args(["--", "head", "-c", &length, "/dev/zero"]));
    let sizes = part_sizes(server.store(), &bucket, "stream");
    assert_eq!(sizes.len(), 103);
    assert!(sizes[..102].iter().all(|size| *size == 5 * MIB), "{sizes:?}");
}

#[test]
fn a_copy_under_the_profile_of_r2_has_equal_parts() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    let unequal = "upload = s3.create_multipart_upload(Bucket=args[0], Key='source')['UploadId']\n\
        parts = []\n\
        for n, size in enumerate([5 << 20, 7 << 20, 1000], 1):\n    \
            part = s3.upload_part(Bucket=args[0], Key='source', UploadId=upload, PartNumber=n, \
            Body=bytes([n]) * size)\n    \
            parts.append({'PartNumber': n, 'ETag': part['ETag']})\n\
        s3.complete_multipart_upload(Bucket=args[0], Key='source', UploadId=upload, \
        MultipartUpload={'Parts': parts})\n\
        answer(True)\n";
    python(store, unequal, &[&bucket]);
    let url = |key: &str| format!("s3://{bucket}/{key}");
    succeed(world.haul(store).args(["cp", &url("source"), &url("as-it-is")]));
    assert_eq!(part_sizes(store, &bucket, "as-it-is"), [5 << 20, 7 << 20, 1000]);
    let mut equal = world.haul(store);
    succeed(equal.args(["cp", "--store-profile", "r2", &url("source"), &url("equal")]));
    let sizes = part_sizes(store, &bucket, "equal");
    let (last, before) = sizes.split_last().unwrap();
    assert!(before.iter().all(|size| size == &before[0]) && last <= &before[0], "{sizes:?}");
    let sha256 = |key: &str| read_back(store, &bucket, key).sha256;
    assert_eq!(sha256("equal"), sha256("source"));
}

#[test]
fn an_object_above_the_limit_of_its_store_is_refused_unsent() {
    let scene = Scene::at_haul_serve();
    let too_large = |profile: &str, length_bytes: u64| {
        File::create(scene.world.path("huge")).unwrap().set_len(length_bytes).unwrap();
        let mut command = copy(&scene.world, &scene.store, "huge", &scene.url());
        finish(command.args(["--store-profile", profile]))
    };
    let of_stream = |promise: &str| {
        let mut command = scene.world.haul(&scene.store);
        command.args(["cp", "--store-profile", "r2", promise, "6TiB", "--from-command"]);
        finish(command.arg(scene.url()).args(["--", "echo", "short"]))
    };
    for (finished, limit) in [
        (too_large("r2", (5 << 40) - (5 << 30) + 1), "at most 5,492,189,429,760 bytes"),
        (too_large("scaleway", 5_000_000_000_001), "at most 5,000,000,000,000 bytes"),
        (of_stream("--expected-size"), "at most 5,492,189,429,760 bytes"),
        (of_stream("--size"), "at most 5,492,189,429,760 bytes"),
    ] {
        assert_eq!(finished.code(), Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains("--store-profile NAME"), "{}", finished.stderr);
        assert!(finished.stderr.contains(limit), "{}: {limit}", finished.stderr);
    }
    assert_eq!(scene.proxy.seen().len(), 0, "nothing was sent");
}

#[test]
fn an_unknown_store_profile_is_refused_with_the_known_names() {
    let world = World::new();
    let named = |command: &mut Command| {
        let finished = finish(command.args(["ls", "s3://bucket"]));
        assert_eq!(finished.code(), Some(2), "{}", finished.stderr);
        for name in ["\"r3\" is not a store profile", "aws, b2, ceph-rgw", "wasabi, generic"] {
            assert!(finished.stderr.contains(name), "{}", finished.stderr);
        }
        finished.stderr
    };
    named(world.haul_without_store().args(["--store-profile", "r3"]));
    let by_variable = named(world.haul_without_store().env("HAUL_STORE_PROFILE", "r3"));
    assert!(by_variable.contains("HAUL_STORE_PROFILE"), "{by_variable}");
    let config = world.path("mine.toml");
    std::fs::write(&config, "store-profile = \"r3\"\n[remotes.lab]\nstore-profile = \"r3\"\n")
        .unwrap();
    let by_file = named(world.haul_without_store().env("HAUL_CONFIG", &config));
    assert!(by_file.contains("mine.toml"), "{by_file}");
    named(world.haul_without_store().env("HAUL_CONFIG", &config).args(["--remote", "lab"]));
}

/// Flag, environment, file and remote, each in its place; the profile shows in what is sent.
#[test]
fn the_profile_comes_from_flag_environment_file_or_remote() {
    let scene = Scene::at_haul_serve();
    let config = scene.world.path("mine.toml");
    let endpoint = &scene.store.endpoint;
    let text = format!(
        "endpoint = \"{endpoint}\"\nstore-profile = \"b2\"\n\
         [remotes.lab]\nendpoint = \"{endpoint}\"\nstore-profile = \"b2\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let sent_without = |change: &dyn Fn(&mut Command)| {
        let before = scene.proxy.seen().len();
        let mut command = copy(&scene.world, &scene.store, &scene.sample.path, &scene.url());
        change(&mut command);
        succeed(&mut command);
        !scene.proxy.seen()[before..].iter().any(sends_a_checksum)
    };
    assert!(!sent_without(&|_| ()));
    assert!(sent_without(&|command| {
        command.args(["--store-profile", "b2"]);
    }));
    assert!(sent_without(&|command| {
        command.env("HAUL_STORE_PROFILE", "b2");
    }));
    assert!(!sent_without(&|command| {
        command.env("HAUL_STORE_PROFILE", "b2").args(["--store-profile", "haul-serve"]);
    }));
    assert!(sent_without(&|command| {
        command.env("HAUL_CONFIG", &config).args(["--remote", "lab"]);
    }));
    assert!(sent_without(&|command| {
        command.env("HAUL_CONFIG", &config).env_remove("AWS_ENDPOINT_URL");
    }));
    // The profile of the file belongs to the endpoint of the file.
    assert!(!sent_without(&|command| {
        command.env("HAUL_CONFIG", &config).args(["--endpoint", endpoint]);
    }));
    let mut shown = scene.world.haul_without_store();
    shown.env("HAUL_CONFIG", &config).env("HAUL_STORE_PROFILE", "r2");
    let lines = events(&succeed(shown.args(["config", "--json"])));
    let of_profile = lines.iter().find(|line| line["key"] == "store-profile").unwrap();
    assert_eq!(
        (&of_profile["value"], &of_profile["from"]),
        (&"r2".into(), &"HAUL_STORE_PROFILE".into())
    );
    assert_eq!(lines.last().unwrap()["store_profile"], "b2");
}

/// Backblaze B2 answers 400 to every checksum header, so none may be sent, and the parts are proven
/// by their MD5.
#[test]
fn a_checksum_that_the_store_refuses_is_never_sent() {
    let scene = Scene::at_haul_serve();
    let finished = upload(&scene, "b2", &[]).success().unwrap();
    let proofs: Vec<_> = events(&finished)
        .into_iter()
        .filter(|event| event["event"] == "part-sent")
        .map(|event| event["proof"].clone())
        .collect();
    assert!(
        proofs.len() == PARTS as usize && proofs.iter().all(|proof| proof == "md5"),
        "{proofs:?}"
    );
    assert_eq!(event(&finished, "uploaded")["whole"], "e-tag");
    assert!(!scene.proxy.seen().iter().any(sends_a_checksum));
    scene.assert_arrived();

    // Trees, downloads and copies follow the same profile.
    std::fs::create_dir(scene.world.path("folder")).unwrap();
    scene.world.sample("folder/small", 1000);
    let folder = format!("s3://{}/folder/", scene.bucket);
    let copied = format!("s3://{}/copied", scene.bucket);
    for words in [
        ["cp", "-r", "folder", folder.as_str()],
        ["cp", "--no-journal", scene.url().as_str(), "back"],
        ["cp", "--no-journal", scene.url().as_str(), copied.as_str()],
    ] {
        let mut command = scene.world.haul(&scene.store);
        succeed(command.args(["--store-profile", "b2"]).args(words));
    }
    assert!(!scene.proxy.seen().iter().any(sends_a_checksum));

    let before = scene.proxy.seen().len();
    let refused = upload(&scene, "b2", &["--checksum", "sha256"]);
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("refuses the checksum SHA256"), "{}", refused.stderr);
    assert_eq!(scene.proxy.seen().len(), before);
}

/// `haul serve` echoes every checksum. If a probe found that a store takes wrong ones, its echo
/// proves nothing.
#[test]
fn an_echo_of_a_checksum_that_is_only_accepted_is_no_proof() {
    let scene = Scene::at_haul_serve();
    let ignored = [(ChecksumAlgorithm::Sha256, Support::Ignored)].into();
    let findings = StoreFindings { checksums: ignored, ..StoreFindings::default() };
    record_findings(&scene.world, &scene.store, findings);
    let finished = succeed(scene.command().args(["--checksum", "sha256"]));
    for part in events(&finished).iter().filter(|event| event["event"] == "part-sent") {
        assert_eq!(part["proof"], "md5", "{part}");
    }
    scene.assert_arrived();
    // A profile that the command names is used as it is.
    let named = upload(&scene, "haul-serve", &["--checksum", "sha256"]).success().unwrap();
    assert_eq!(event(&named, "part-sent")["proof"], "checksum");
}

/// Regression: a copy compared the checksums of source and copy whatever the store is worth. A
/// store that keeps wrong checksums would prove a wrong copy.
#[test]
fn checksums_that_a_store_only_accepts_prove_no_copy() {
    let scene = Scene::at_haul_serve();
    succeed(&mut scene.command());
    let copied = |key: &str| {
        let to = format!("s3://{}/{key}", scene.bucket);
        let mut command = scene.world.haul(&scene.store);
        let copied = succeed(command.args(["cp", &scene.url(), &to, "--json"]));
        event(&copied, "copied")["proof"].clone()
    };
    assert_eq!(copied("trusted"), "checksum");
    let ignored = [(ChecksumAlgorithm::Crc64Nvme, Support::Ignored)].into();
    let findings = StoreFindings { checksums: ignored, ..StoreFindings::default() };
    record_findings(&scene.world, &scene.store, findings);
    assert_eq!(copied("by-etag"), "e-tag");
}

/// HeadObject of a part at a store that is known to ignore `partNumber`, or to refuse it, costs
/// requests and tells nothing.
#[test]
fn parts_are_not_asked_of_a_store_that_ignores_part_numbers() {
    let scene = Scene::at_haul_serve();
    succeed(&mut scene.command());
    let asked = || {
        let before = scene.proxy.seen().len();
        let mut command = scene.world.haul(&scene.store);
        succeed(command.arg("verify").arg(&scene.sample.path).arg(scene.url()));
        succeed(scene.world.haul(&scene.store).args(["stat", &scene.url()]));
        succeed(scene.world.haul(&scene.store).args(["cp", &scene.url(), "back"]));
        let to = format!("{}-copy", scene.url());
        succeed(scene.world.haul(&scene.store).args(["cp", &scene.url(), &to]));
        let seen = scene.proxy.seen();
        let heads = seen[before..].iter().filter(|it| it.kind == Kind::HeadObject);
        heads.filter(|it| it.target.contains("partNumber")).count()
    };
    assert!(asked() > 0);
    for support in [Support::No, Support::Ignored] {
        let findings = StoreFindings {
            part_number_head: support,
            get_object_attributes: Support::No,
            ..StoreFindings::default()
        };
        record_findings(&scene.world, &scene.store, findings);
        assert_eq!(asked(), 0, "{support:?}");
    }
}

/// A store without listings of uploads is not asked for one.
#[test]
fn uploads_are_not_listed_by_a_store_that_cannot() {
    let scene = Scene::at_haul_serve();
    let bucket = format!("s3://{}", scene.bucket);
    let findings =
        StoreFindings { list_multipart_uploads: Support::No, ..StoreFindings::default() };
    record_findings(&scene.world, &scene.store, findings);
    for words in [&["uploads", &bucket][..], &["sweep", &bucket, "--older-than", "1d", "--yes"]] {
        let refused = finish(scene.world.haul(&scene.store).args(words));
        assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
        let said = "does not list unfinished uploads, by its store profile";
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    assert_eq!(scene.proxy.count(Kind::ListMultipartUploads), 0);
    // The profile of MinIO: an empty list means nothing, and no rule can help.
    let minio = finish(scene.world.haul(&scene.store).args([
        "uploads",
        &bucket,
        "--store-profile",
        "minio",
    ]));
    assert_eq!(minio.code(), Some(1), "{}", minio.stderr);
    assert!(minio.stderr.contains("(store profile minio)"), "{}", minio.stderr);
    assert!(!minio.stderr.contains("haul lifecycle"), "{}", minio.stderr);
}

/// MinIO has no rule that aborts uploads: installing it is refused before any request.
#[test]
fn a_rule_that_the_store_has_not_is_refused_unsent() {
    let scene = Scene::at_haul_serve();
    let bucket = format!("s3://{}", scene.bucket);
    let install = |profile: &str| {
        let mut command = scene.world.haul(&scene.store);
        command.args(["lifecycle", &bucket, "--abort-after", "7d", "--store-profile", profile]);
        finish(&mut command)
    };
    let refused = install("minio");
    assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("by its store profile minio"), "{}", refused.stderr);
    assert!(refused.stderr.contains("haul sweep"), "{}", refused.stderr);
    assert_eq!(scene.proxy.seen().len(), 0);
    install("generic").success().unwrap();
}

#[test]
fn findings_that_cannot_be_read_are_reported_and_ignored() {
    let scene = Scene::at_haul_serve();
    record_findings(&scene.world, &scene.store, StoreFindings::default());
    let folder = scene.world.path(".local/state/haul/stores");
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&file, "{").unwrap();
    let finished = succeed(&mut scene.command());
    assert!(event(&finished, "warning")["message"].as_str().unwrap().contains("damaged"));
    scene.assert_arrived();
}

/// Google's store ignores the condition at Complete and overwrites: Haul looks at the object once
/// more before it sends Complete.
#[test]
fn a_condition_that_the_store_ignores_is_checked_before_complete() {
    let scene = Scene::at_haul_serve();
    let mut command = scene.command();
    command.args(["--store-profile", "gcs", "--if-none-match"]);
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Hold));
    let running = Running::start(&mut command).unwrap();
    scene.wait_for(|seen| seen.iter().any(|it| it.kind == Kind::UploadPart));
    scene.python("s3.put_object(Bucket=args[0], Key=args[1], Body=b'another client')\nanswer(1)\n");
    scene.proxy.release();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(8), "{}", finished.stderr);
    assert_eq!(scene.proxy.count(Kind::CompleteMultipartUpload), 0);
    assert!(event(&finished, "warning")["message"].as_str().unwrap().contains("gcs"));
    assert_no_upload_left(&scene.real, &scene.bucket);
    assert_ne!(read_back(&scene.real, &scene.bucket, KEY).sha256, scene.sample.sha256);
}

/// B2 refuses the header with 501: it is not sent, and HeadObject decides.
#[test]
fn a_condition_that_the_store_refuses_is_not_sent() {
    let scene = Scene::of_file(100_000);
    let condition = ["--if-none-match"];
    upload(&scene, "b2", &condition).success().unwrap();
    let put = scene.proxy.seen().into_iter().find(|it| it.kind == Kind::PutObject).unwrap();
    assert_eq!(put.header("if-none-match"), None);
    let again = upload(&scene, "b2", &condition);
    assert_eq!(again.code(), Some(8), "{}", again.stderr);
    assert_eq!(scene.proxy.count(Kind::PutObject), 1);

    let target = format!("s3://{}/copy", scene.bucket);
    let copy = || {
        let mut command = scene.world.haul(&scene.store);
        command.args(["cp", "--store-profile", "b2", &scene.url(), &target]).args(condition);
        finish(&mut command)
    };
    copy().success().unwrap();
    assert_eq!(copy().code(), Some(8));
    let copies = scene.proxy.seen().into_iter().filter(|it| it.kind == Kind::CopyObject);
    let headers: Vec<_> = copies.map(|it| it.header("if-none-match").is_some()).collect();
    assert_eq!(headers, [false], "the second one was refused by HeadObject");
}

#[test]
fn parts_are_not_copied_by_a_store_that_cannot() {
    let scene = Scene::at_haul_serve();
    succeed(&mut scene.command());
    let target = format!("s3://{}/copy", scene.bucket);
    let mut command = scene.world.haul(&scene.store);
    command.args(["cp", "--json", "--store-profile", "gcs", &scene.url(), &target]);
    let finished = succeed(&mut command);
    assert_eq!(event(&finished, "copied")["method"], "streamed");
    assert_eq!(scene.proxy.count(Kind::UploadPartCopy), 0);
    assert_eq!(read_back(&scene.real, &scene.bucket, "copy").sha256, scene.sample.sha256);
}

/// A resumed upload keeps the parts of its journal, whatever profile the second run has.
#[test]
fn a_resumed_upload_keeps_its_plan_under_another_profile() {
    let scene = Scene::at_haul_serve();
    let cp = || {
        let mut command = copy(&scene.world, &scene.store, &scene.sample.path, &scene.url());
        command.args(["--concurrency", "1", "--json"]);
        command
    };
    // Four parts of 8 MiB; the default of Storj is one of 64 MiB.
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(3));
    let running = Running::start(&mut cp()).unwrap();
    scene.wait_for(|seen| seen.iter().any(|it| it.part_number == Some(3)));
    running.kill(LIMIT).unwrap();
    let finished = succeed(cp().args(["--store-profile", "storj"]));
    assert_eq!(event(&finished, "resumed")["arrived_parts"], 2);
    assert_eq!(event(&finished, "uploaded")["part_count"], 4);
    scene.assert_arrived();
}

/// `haul resume` takes the profile of the journal; a flag for another one is refused.
#[test]
fn the_profile_that_a_transfer_was_begun_with_is_resumed() {
    let scene = Scene::at_haul_serve();
    scene.kill_command_without_part(scene.command().args(["--store-profile", "b2"]), PARTS);
    let begun = scene.proxy.seen().len();
    let listed = succeed(scene.world.haul(&scene.store).args(["transfers", "--json"]));
    let id = events(&listed)[0]["id"].as_str().unwrap().to_owned();
    let resume =
        |more: &[&str]| finish(scene.world.haul(&scene.store).args(["resume", &id]).args(more));
    let refused = resume(&["--store-profile", "r2"]);
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("begun with store profile b2"), "{}", refused.stderr);
    resume(&[]).success().unwrap();
    assert!(!scene.proxy.seen()[begun..].iter().any(sends_a_checksum));
    scene.assert_arrived();
}

/// Returns the log of `haul -v ls` at a store.
fn log_at(store: &TestStore) -> String {
    let world = World::new();
    let bucket = make_bucket(&world, store);
    succeed(world.haul(store).args(["-v", "ls", &format!("s3://{bucket}")])).stderr
}

#[test]
fn haul_serve_is_known_by_its_answers() {
    let server = World::new();
    let server = server.serve();
    let log = log_at(server.store());
    assert!(log.contains("store profile haul-serve, chosen by an answer of the store"), "{log}");
}

/// Ceph RGW 16.2 names itself in no header: the form of its request ids gives it away.
#[test]
fn ceph_rgw_is_known_by_its_answers() {
    let log = log_at(&TestStore::shared("RGW"));
    assert!(log.contains("store profile ceph-rgw, chosen by an answer of the store"), "{log}");
}

#[test]
fn localstack_is_known_by_its_answers() {
    let log = log_at(&TestStore::shared("LOCALSTACK"));
    assert!(log.contains("store profile localstack, chosen by an answer of the store"), "{log}");
}
