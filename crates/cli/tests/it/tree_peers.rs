//! Compares trees with those of the AWS command line, rclone and s5cmd: the same keys and bytes,
//! and each tool finds nothing to do after another.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, SystemTime};

use haul_testkit::TestStore;
use haul_testkit::files::MIB;
use haul_testkit::python::Venv;

use crate::world::{World, event, make_bucket, python, succeed};

const HASHES: &str = "import hashlib\n\
    found = {}\n\
    for page in s3.get_paginator('list_objects_v2').paginate(Bucket=args[0]):\n    \
    for it in page.get('Contents', []):\n        \
    body = s3.get_object(Bucket=args[0], Key=it['Key'])['Body'].read()\n        \
    found[it['Key']] = hashlib.sha256(body).hexdigest()\n\
    answer(found)\n";

fn hashes(store: &TestStore, bucket: &str) -> BTreeMap<String, String> {
    serde_json::from_value(python(store, HASHES, &[bucket])).unwrap()
}

/// Writes files of 0 to 40 MiB with odd names, an empty folder, and links.
fn tree(world: &World) {
    let sizes = [
        ("empty", 0),
        (".hidden", 3),
        ("with blank", 17),
        ("plus+percent%25", 18),
        ("quote'\"", 19),
        ("back\\slash", 20),
        ("ü/日本語", 21),
        ("a-b", 22),
        ("a/b", 23),
        ("a/c/d.tar.gz", 70_000),
        ("large.bin", 40 * MIB),
        ("middle.bin", 9 * MIB),
        ("a0", 24),
        ("*star?[x]", 25),
    ];
    for (name, size) in sizes {
        let path = world.path("tree").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let sample = world.sample("sample", size + 1);
        let content = fs::read(&sample.path).unwrap();
        fs::write(&path, &content[1..]).unwrap();
        // `aws s3 sync` copies a file that is newer than its object, and LastModified has no
        // fractions of a second: a file of the same second would be copied again.
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }
    fs::create_dir(world.path("tree/hollow")).unwrap();
    symlink("a", world.path("tree/link")).unwrap();
    symlink("a0", world.path("tree/link-to-file")).unwrap();
}

struct Peers<'a> {
    world: &'a World,
    store: &'a TestStore,
}

impl Peers<'_> {
    fn aws(&self, words: &[&str]) -> String {
        let mut command = Venv::shared().command("aws", self.store);
        command.args(["--endpoint-url", &self.store.endpoint, "s3"]).args(words);
        self.run(&mut command)
    }

    fn s5cmd(&self, words: &[&str]) -> String {
        let mut command = Venv::shared().s5cmd(self.store).unwrap();
        command.args(["--endpoint-url", &self.store.endpoint]).args(words);
        self.run(&mut command)
    }

    fn rclone(&self, words: &[&str]) -> String {
        let mut command = Venv::shared().command("rclone", self.store);
        command.env("RCLONE_CONFIG_IT_TYPE", "s3").env("RCLONE_CONFIG_IT_PROVIDER", "Other");
        command.env("RCLONE_CONFIG_IT_ENV_AUTH", "true");
        command.env("RCLONE_CONFIG_IT_ENDPOINT", &self.store.endpoint);
        command.args(["--config", "/dev/null", "--s3-no-check-bucket", "--copy-links"]).args(words);
        self.run(&mut command)
    }

    fn haul(&self, words: &[&str]) -> (u64, u64) {
        let mut command = self.world.haul(self.store);
        let done = succeed(command.current_dir(self.world.path("")).arg("--json").args(words));
        let summary = event(&done, "tree-summary");
        let of = |name: &str| summary[name].as_u64().unwrap();
        (of("copied_files"), of("unchanged_files"))
    }

    fn run(&self, command: &mut Command) -> String {
        let done =
            succeed(command.current_dir(self.world.path("")).env("HOME", self.world.path("")));
        done.stdout + &done.stderr
    }
}

fn the_same_tree_by_all(store: &TestStore, world: &World) {
    tree(world);
    let peers = Peers { world, store };
    let bucket = || make_bucket(world, store);
    let [ours, aws, rclone, s5cmd] = [bucket(), bucket(), bucket(), bucket()];
    let to = |bucket: &str| format!("s3://{bucket}");
    assert_eq!(peers.haul(&["cp", "-r", "tree", &to(&ours)]).1, 0);
    peers.aws(&["cp", "--recursive", "tree", &to(&aws)]);
    peers.rclone(&["copy", "tree", &format!("it:{rclone}")]);
    peers.s5cmd(&["cp", "tree/", &format!("{}/", to(&s5cmd))]);
    let expected = hashes(store, &ours);
    // Every file counts, and those below the link count a second time.
    assert_eq!(expected.len(), 17, "{expected:#?}");
    assert_eq!(hashes(store, &aws), expected, "aws");
    assert_eq!(hashes(store, &rclone), expected, "rclone");
    assert_eq!(hashes(store, &s5cmd), expected, "s5cmd");

    // After each tool, no tool has anything left to do.
    for bucket in [&ours, &aws, &rclone, &s5cmd] {
        assert_eq!(peers.haul(&["sync", "tree", &to(bucket)]), (0, 17), "{bucket}");
        assert_eq!(peers.haul(&["sync", "-c", "tree", &to(bucket)]), (0, 17), "{bucket}");
    }
    let dry = peers.aws(&["sync", "--dryrun", "tree", &to(&ours)]);
    assert_eq!(dry.trim(), "", "aws");
    let dry = peers.rclone(&["sync", "--dry-run", "tree", &format!("it:{ours}")]);
    assert!(!dry.contains("Skipped") || dry.contains("There was nothing to transfer"), "{dry}");

    // Each tool finds nothing to download after the other.
    for (name, bucket) in [("ours", &ours), ("aws", &aws)] {
        let back = format!("back-{name}");
        assert_eq!(peers.haul(&["cp", "-r", &to(bucket), &back]).0, 17);
        assert_eq!(peers.haul(&["sync", &to(bucket), &back]), (0, 17), "{name}");
        let difference = Command::new("diff")
            .args(["-r", "--exclude=hollow", "tree", &back])
            .current_dir(world.path(""))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&difference.stdout), "");
    }
    peers.aws(&["sync", &to(&aws), "by-aws"]);
    assert_eq!(peers.haul(&["sync", &to(&aws), "by-aws"]), (0, 17), "aws");
    peers.rclone(&["sync", &format!("it:{ours}"), "by-rclone"]);
    assert_eq!(peers.haul(&["sync", &to(&ours), "by-rclone"]), (0, 17), "rclone");
    let dry = peers.rclone(&["sync", "--dry-run", &format!("it:{ours}"), "back-ours"]);
    assert!(!dry.contains("Skipped copy"), "{dry}");

    // Copies from bucket to bucket; a second run has nothing to do.
    let copy = bucket();
    assert_eq!(peers.haul(&["cp", "-r", &to(&ours), &to(&copy)]).0, 17);
    assert_eq!(hashes(store, &copy), expected);
    assert_eq!(peers.haul(&["sync", &to(&ours), &to(&copy)]), (0, 17));
    assert_eq!(peers.haul(&["mv", "-r", &to(&copy), &format!("{}/moved", to(&aws))]).0, 17);
    assert_eq!(hashes(store, &copy).len(), 0);
}

#[test]
fn haul_serve_has_the_same_tree_from_all_clients() {
    let world = World::new();
    let server = world.serve();
    the_same_tree_by_all(server.store(), &world);
}

#[test]
fn ceph_rgw_has_the_same_tree_from_all_clients() {
    the_same_tree_by_all(&TestStore::shared("RGW"), &World::new());
}

/// rclone once took the upload time of each object of ours for the time of its file, and sent the
/// file again.
#[test]
fn a_single_upload_keeps_the_time_of_its_file_for_rclone() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let sample = world.sample("file", 1000);
    let then = std::time::UNIX_EPOCH + std::time::Duration::new(1_354_040_105, 123_456_700);
    fs::File::options().write(true).open(&sample.path).unwrap().set_modified(then).unwrap();
    let bucket = make_bucket(&world, store);
    let to = format!("s3://{bucket}");
    let head = "answer(s3.head_object(Bucket=args[0], Key=args[1])['Metadata'])\n";
    succeed(world.haul(store).args(["cp", "file", &to]));
    assert_eq!(python(store, head, &[&bucket, "file"])["mtime"], "1354040105.1234567");
    let listed = Peers { world: &world, store }.rclone(&["lsl", &format!("it:{bucket}")]);
    assert!(listed.contains("123456700"), "{listed}");
    succeed(world.haul(store).args(["cp", "file", &to, "--metadata", "mtime=7"]));
    assert_eq!(python(store, head, &[&bucket, "file"])["mtime"], "7");
}
