//! The checksum algorithms that AWS added in 2026: SHA512, XXHASH3, XXHASH64 and XXHASH128, by
//! every way into a store and out of it. Most stores do not know them yet.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use haul_testkit::TestStore;
use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::files::{MIB, sha256};
use haul_testkit::process::Running;
use serde_json::json;

use crate::scene::{KEY, PARTS, Scene};
use crate::world::{
    LIMIT, World, copy, event, events, finish, make_bucket, python, read_back, succeed,
};

/// The name of the flag, the name in S3, and the name of the field in boto3.
const ALGORITHMS: [(&str, &str, &str); 4] = [
    ("sha512", "SHA512", "ChecksumSHA512"),
    ("xxhash3", "XXHASH3", "ChecksumXXHASH3"),
    ("xxhash64", "XXHASH64", "ChecksumXXHASH64"),
    ("xxhash128", "XXHASH128", "ChecksumXXHASH128"),
];

/// Reads one checksum with boto3, which knows the algorithms by itself.
fn kept(store: &TestStore, bucket: &str, key: &str, field: &str) -> serde_json::Value {
    let script = "head = s3.head_object(Bucket=args[0], Key=args[1], ChecksumMode='ENABLED')\n\
        answer([head.get(args[2]), head.get('ChecksumType')])\n";
    python(store, script, &[bucket, key, field])
}

#[test]
fn haul_serve_keeps_and_proves_every_checksum_of_2026() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    let large = world.sample("large", 12 * MIB + 77);
    world.sample("small", 1000);
    let url = |key: &str| format!("s3://{bucket}/{key}");
    for (flag, name, field) in ALGORITHMS {
        let haul = |words: &[&str]| {
            let mut command = world.haul(store);
            command.args(words).arg("--json");
            command
        };
        // In parts, in one request, from a pipe, and as a tree.
        let parts = ["cp", "large", &url(flag), "--checksum", flag, "--part-size", "5MiB"];
        let sent = succeed(&mut haul(&[&parts[..], &["--require-proof"]].concat()));
        let proof = json!({"checksum": 3, "md5": 0, "unproven": 0});
        assert_eq!(event(&sent, "uploaded")["proof"], proof, "{name}");
        succeed(&mut haul(&["cp", "small", &url("small"), "--checksum-algorithm", flag]));
        let mut piped = haul(&["cp", "-", &url("piped"), "--checksum", flag]);
        let input = fs::File::open(&large.path).unwrap();
        let piped = Running::start_with_input(&mut piped, Stdio::from(input)).unwrap();
        piped.finish(LIMIT).unwrap().success().unwrap();
        fs::create_dir_all(world.path("tree")).unwrap();
        fs::write(world.path("tree").join(flag), flag).unwrap();
        succeed(&mut haul(&["sync", "tree", &url("tree/"), "--checksum-algorithm", flag]));
        succeed(&mut haul(&["cp", &url(flag), &url("copied")]));

        let of_parts = kept(store, &bucket, flag, field);
        assert!(of_parts[0].as_str().unwrap().ends_with("-3"), "{name}: {of_parts}");
        assert_eq!(of_parts[1], "COMPOSITE", "{name}");
        for key in ["small", &format!("tree/{flag}")] {
            let whole = kept(store, &bucket, key, field);
            assert!(whole[0].is_string(), "{name} of {key}: {whole}");
            assert_eq!(whole[1], "FULL_OBJECT", "{name} of {key}");
        }
        assert!(kept(store, &bucket, "piped", field)[0].is_string(), "{name} of a pipe");
        assert_eq!(read_back(store, &bucket, "copied").sha256, large.sha256);

        // What is kept equals what `haul hash` computes, and verifies file and download.
        let hashed =
            succeed(&mut haul(&["hash", "large", "--checksum", flag, "--part-size", "5MiB"]));
        let hashed = event(&hashed, "hashed")["checksums"].clone();
        let composite = json!({"algorithm": name, "type": "COMPOSITE", "value": of_parts[0]});
        assert!(hashed.as_array().unwrap().contains(&composite), "{composite} in {hashed}");
        let same = succeed(&mut haul(&["verify", "large", &url(flag)]));
        assert!(same.stdout.contains(name), "{}", same.stdout);
        let back = succeed(&mut haul(&["cp", &url("small"), "back"]));
        let verified = event(&back, "downloaded")["verified"].to_string();
        assert!(verified.contains(name), "{name}: {verified}");
        let back = succeed(&mut haul(&["cp", &url(flag), "back"]));
        assert!(back.stdout.contains("downloaded"), "{}", back.stdout);
        assert_eq!(sha256(&world.path("back")).unwrap(), large.sha256);
        let shown = succeed(&mut haul(&["stat", &url(flag)]));
        let checksum = &event(&shown, "object")["checksum"];
        assert_eq!(checksum, &composite, "haul stat shows {name}");
    }
    // A flipped byte is found by each of them.
    let mut bytes = fs::read(&large.path).unwrap();
    bytes[6_000_000] ^= 1;
    fs::write(world.path("flipped"), bytes).unwrap();
    for (flag, name, _) in ALGORITHMS {
        let differs = finish(world.haul(store).args(["verify", "flipped", &url(flag)]));
        assert_eq!(differs.code(), Some(7), "{name}: {}", differs.stderr);
    }
}

/// The journal names the algorithm: another one is refused, and the resume sends the same.
#[test]
fn a_killed_upload_resumes_with_its_checksum_of_2026() {
    let scene = Scene::at_haul_serve();
    scene.kill_command_without_part(scene.command().args(["--checksum", "xxhash128"]), PARTS);
    let other = finish(scene.command().args(["--checksum", "xxhash64"]));
    assert_eq!(other.code(), Some(2), "{}", other.stderr);
    let resumed = succeed(&mut scene.command());
    assert_eq!(event(&resumed, "resumed")["arrived_parts"], PARTS - 1);
    scene.assert_arrived();
    let kept = kept(&scene.real, &scene.bucket, KEY, "ChecksumXXHASH128");
    assert!(kept[0].as_str().unwrap().ends_with(&format!("-{PARTS}")), "{kept}");
}

/// RGW 16.2 takes every checksum unseen, so only the ETags of the parts prove them.
#[test]
fn ceph_rgw_ignores_checksums_of_2026_and_md5_proves_the_parts() {
    let scene = Scene::at("RGW");
    let sent = succeed(scene.command().args(["--checksum", "xxhash3"]));
    assert!(scene.proxy.seen().iter().any(|it| it.header("x-amz-checksum-xxhash3").is_some()));
    for part in events(&sent).iter().filter(|event| event["event"] == "part-sent") {
        assert_eq!(part["proof"], "md5", "{part}");
    }
    scene.assert_arrived();
}

/// A store that refuses the algorithm says so once, at Create, and the hint names what it may take.
#[test]
fn a_refused_checksum_of_2026_is_named_with_a_hint() {
    let scene = Scene::at_haul_serve();
    for (kind, size) in [(Kind::CreateMultipartUpload, None), (Kind::PutObject, Some(1000))] {
        let refusal = Fault::Answer {
            status: 400,
            headers: vec![],
            body: "<Error><Code>InvalidRequest</Code><Message>Checksum algorithm provided is \
                   unsupported. Please try again with any of the valid types: [CRC32, CRC32C, \
                   SHA1, SHA256]</Message></Error>"
                .to_owned(),
            after: Duration::ZERO,
        };
        scene.proxy.add(Rule::on(kind, refusal).always());
        let mut command = scene.command();
        if let Some(size) = size {
            let small = scene.world.sample("small", size);
            command = copy(&scene.world, &scene.store, &small.path, &scene.url());
        }
        let refused = finish(command.args(["--checksum", "sha512"]));
        assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains("algorithm provided is unsupported"), "{}", refused.stderr);
        assert!(refused.stderr.contains("--checksum crc32"), "{}", refused.stderr);
        assert_eq!(scene.proxy.count(kind), 1, "a refusal is not repeated");
    }
}
