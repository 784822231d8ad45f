//! Repeated `kill -9` of a copy in parts, and the same command until the copy is complete: no part
//! that arrived is copied again, and nothing is left.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule, Seen};
use haul_testkit::files::MIB;
use haul_testkit::process::Running;
use haul_testkit::servers::HaulServe;
use serde_json::Value;

use crate::world::{
    LIMIT, World, assert_no_upload_left, copy, event, events, finish, make_bucket, python,
    read_back, succeed,
};

const PART_BYTES: u64 = 5 * MIB;
const PARTS: u32 = 9;
const KILLS: usize = 4;

/// An address where nothing answers.
const NOWHERE: &str = "http://127.0.0.1:1";

struct Scene {
    world: World,
    real: TestStore,
    /// The store through the proxy.
    store: TestStore,
    proxy: ChaosProxy,
    bucket: String,
    /// The kind of request that creates the parts of the copy.
    kind: Kind,
    _server: Option<HaulServe>,
}

impl Scene {
    fn new(store: Option<&str>) -> Self {
        let world = World::new();
        let server = store.is_none().then(|| world.serve());
        let real = match (store, &server) {
            (Some(name), _) => TestStore::shared(name),
            (None, Some(server)) => server.store().clone(),
            (None, None) => unreachable!("one of both is there"),
        };
        let bucket = make_bucket(&world, &real);
        let sample = world.sample("file", u64::from(PARTS - 1) * PART_BYTES + 12_345);
        let url = format!("s3://{bucket}/source");
        succeed(copy(&world, &real, &sample.path, &url).args(["--part-size", "5MiB"]));
        let proxy = ChaosProxy::start(&real.endpoint).unwrap();
        let store = real.at(proxy.endpoint());
        Self { world, real, store, proxy, bucket, kind: Kind::UploadPartCopy, _server: server }
    }

    fn urls(&self) -> [String; 2] {
        ["source", "copy"].map(|key| format!("s3://{}/{key}", self.bucket))
    }

    fn command(&self) -> Command {
        let mut command = self.world.haul(&self.store);
        command.arg("cp").args(self.urls()).args(["--concurrency", "2", "--json"]);
        command
    }

    fn answered(&self, seen: &[Seen]) -> usize {
        seen.iter().filter(|it| it.kind == self.kind && it.status == Some(200)).count()
    }

    /// Kills the command when two more parts have been acknowledged and the next ones are in
    /// flight.
    fn kill(&self, command: &mut Command) {
        let before = self.answered(&self.proxy.seen());
        let running = Running::start(command).unwrap();
        assert!(self.proxy.wait_until(LIMIT, |seen| self.answered(seen) >= before + 2));
        running.kill(LIMIT).unwrap();
    }

    /// Returns the part numbers that the store lists, read with boto3.
    fn listed(&self) -> BTreeSet<u32> {
        let listed = python(&self.real, include_str!("py/parts.py"), &[&self.bucket, "copy"]);
        serde_json::from_value(listed).unwrap()
    }

    fn requested_since(&self, begin: usize) -> BTreeSet<u32> {
        let seen = self.proxy.seen();
        seen[begin..]
            .iter()
            .filter(|it| it.kind == self.kind)
            .filter_map(|it| it.part_number)
            .collect()
    }

    fn transfers(&self) -> Vec<Value> {
        events(&succeed(self.world.haul_without_store().args(["transfers", "--json"])))
    }

    fn assert_arrived(&self) {
        let [source, copy] = ["source", "copy"].map(|key| read_back(&self.real, &self.bucket, key));
        assert_eq!(source, copy);
        assert_no_upload_left(&self.real, &self.bucket);
        assert_eq!(self.transfers(), Vec::<Value>::new());
    }
}

fn slow(kind: Kind) -> Rule {
    Rule::on(kind, Fault::Delay(Duration::from_millis(150))).always()
}

fn survive(store: Option<&str>) {
    let scene = Scene::new(store);
    scene.proxy.add(slow(scene.kind));
    let mut kept = BTreeSet::new();
    let mut begin = 0;
    for _ in 0..KILLS {
        if kept.len() + 3 >= PARTS as usize {
            break;
        }
        scene.kill(&mut scene.command());
        let again = scene.requested_since(begin);
        assert!(again.is_disjoint(&kept), "copied again: {again:?} of {kept:?} (P2)");
        kept = scene.listed();
        begin = scene.proxy.seen().len();
    }
    assert!(kept.len() >= 4, "hardly anything was there by the kills: {kept:?}");
    let finished = succeed(&mut scene.command());
    let again = scene.requested_since(begin);
    assert!(again.is_disjoint(&kept), "copied again: {again:?} of {kept:?} (P2)");
    assert!(event(&finished, "resumed")["arrived_parts"].as_u64() >= Some(kept.len() as u64));
    assert_eq!(event(&finished, "copied")["method"], "upload-part-copy");
    assert_eq!(scene.proxy.count(Kind::CreateMultipartUpload), 1);
    scene.assert_arrived();
}

/// A copy in parts once had no journal, and `kill -9` left an upload that no command listed.
#[test]
fn haul_serve_and_a_copy_killed_4_times() {
    survive(None);
}

#[test]
fn ceph_rgw_and_a_copy_killed_4_times() {
    survive(Some("RGW"));
}

#[test]
fn localstack_and_a_copy_killed_4_times() {
    survive(Some("LOCALSTACK"));
}

/// The copy is resumed from another folder, with another store in the environment.
#[test]
fn a_killed_copy_is_listed_and_resumed_from_any_shell() {
    let scene = Scene::new(None);
    scene.proxy.add(slow(scene.kind));
    let mut first = scene.command();
    first.args(["--content-type", "application/x-mine", "--if-none-match"]);
    scene.kill(&mut first);
    let listed = scene.transfers().remove(0);
    let [source, target] = scene.urls();
    assert_eq!((&listed["event"], &listed["source"]), (&"copy".into(), &source.into()));
    assert_eq!(listed["target"], target);
    assert_eq!(listed["state"], "killed or power lost");
    assert_eq!(listed["size_bytes"], u64::from(PARTS - 1) * PART_BYTES + 12_345);
    let id = listed["id"].as_str().unwrap();

    let mut cron = scene.world.haul_without_store();
    cron.envs(scene.store.client_variables()).env("AWS_ENDPOINT_URL", NOWHERE).current_dir("/");
    let other = finish(cron.args(["resume", id, "--source", "/a/file"]));
    assert_eq!(other.code(), Some(2), "{}", other.stderr);

    let mut cron = scene.world.haul_without_store();
    cron.envs(scene.store.client_variables()).env("AWS_ENDPOINT_URL", NOWHERE).current_dir("/");
    let finished = succeed(cron.args(["resume", id, "--json"]));
    assert!(event(&finished, "resumed")["arrived_parts"].as_u64() >= Some(2));
    let head = "answer(s3.head_object(Bucket=args[0], Key='copy')['ContentType'])\n";
    assert_eq!(python(&scene.real, head, &[&scene.bucket]), "application/x-mine");
    scene.assert_arrived();
}

#[test]
fn a_killed_copy_is_removed_by_abort() {
    let scene = Scene::new(None);
    scene.proxy.add(slow(scene.kind));
    scene.kill(&mut scene.command());
    let id = scene.transfers()[0]["id"].as_str().unwrap().to_owned();
    let mut cron = scene.world.haul_without_store();
    cron.envs(scene.store.client_variables()).current_dir("/");
    succeed(cron.args(["abort", &id]));
    assert_no_upload_left(&scene.real, &scene.bucket);
    assert_eq!(scene.transfers(), Vec::<Value>::new());
}

/// Ctrl-C keeps the parts that arrived, unless `--abort-on-interrupt` is given.
#[test]
fn an_interrupted_copy_pauses_or_is_removed() {
    use haul_testkit::process::Signal;
    for (flag, kept) in [("--json", 1), ("--abort-on-interrupt", 0), ("--no-journal", 0)] {
        let scene = Scene::new(None);
        scene.proxy.add(slow(scene.kind));
        let mut command = scene.world.haul(&scene.store);
        command.arg("cp").args(scene.urls()).args(["--concurrency", "2", flag]);
        let running = Running::start(&mut command).unwrap();
        assert!(scene.proxy.wait_until(LIMIT, |seen| scene.answered(seen) >= 2));
        running.signal(Signal::INT).unwrap();
        let finished = running.finish(LIMIT).unwrap();
        assert_eq!(finished.code(), Some(3), "{flag}: {}", finished.stderr);
        assert_eq!(scene.transfers().len(), kept, "{flag}");
        if kept == 0 {
            assert_no_upload_left(&scene.real, &scene.bucket);
        }
    }
}

#[test]
fn a_killed_copy_of_another_version_begins_again() {
    let scene = Scene::new(None);
    scene.proxy.add(slow(scene.kind));
    scene.kill(&mut scene.command());
    let other = scene.world.sample("other", 2 * PART_BYTES + 1);
    let [source, _] = scene.urls();
    succeed(copy(&scene.world, &scene.real, &other.path, &source).args(["--part-size", "5MiB"]));
    let failed = finish(scene.command().args(["--on-change", "fail"]));
    assert_eq!(failed.code(), Some(6), "{}", failed.stderr);
    let finished = succeed(&mut scene.command());
    let reason = event(&finished, "restarting")["reason"].to_string();
    assert!(reason.contains("changed since the copy was begun"), "{reason}");
    scene.assert_arrived();
}

/// The resumed copy finds both stores, each with its own keys.
#[test]
fn a_killed_copy_between_two_stores_is_resumed_by_its_id() {
    let mut scene = Scene::new(None);
    let rgw = TestStore::shared("RGW");
    let there = make_bucket(&scene.world, &rgw);
    let sample = scene.world.path("file");
    let source = format!("s3://{there}/source");
    succeed(copy(&scene.world, &rgw, &sample, &source).args(["--part-size", "5MiB"]));
    let keys = format!(
        "[there]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        rgw.access_key, rgw.secret_key
    );
    std::fs::write(scene.world.path("keys"), keys).unwrap();
    scene.kind = Kind::UploadPart;
    scene.proxy.add(slow(scene.kind));
    let [_, target] = scene.urls();
    let mut first = scene.world.haul(&scene.store);
    first.env("AWS_SHARED_CREDENTIALS_FILE", scene.world.path("keys"));
    first.args(["cp", "--source-endpoint", &rgw.endpoint, "--source-profile", "there"]);
    first.args([&source, &target, "--concurrency", "2"]);
    scene.kill(&mut first);
    let kept = scene.listed();
    let begin = scene.proxy.seen().len();
    let listed = scene.transfers().remove(0);
    assert_eq!(listed["source"], source);
    let journals = scene.world.path(".local/state/haul/uploads");
    for journal in std::fs::read_dir(journals).unwrap() {
        let bytes = std::fs::read(journal.unwrap().path()).unwrap();
        let secret = rgw.secret_key.as_bytes();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }

    let mut cron = scene.world.haul_without_store();
    cron.envs(scene.store.client_variables()).env("AWS_ENDPOINT_URL", NOWHERE).current_dir("/");
    cron.env("AWS_SHARED_CREDENTIALS_FILE", scene.world.path("keys"));
    let finished = succeed(cron.args(["resume", listed["id"].as_str().unwrap(), "--json"]));
    assert!(event(&finished, "resumed")["arrived_parts"].as_u64() >= Some(2));
    assert!(scene.requested_since(begin).is_disjoint(&kept));
    assert_eq!(read_back(&scene.real, &scene.bucket, "copy"), read_back(&rgw, &there, "source"));
    assert_no_upload_left(&scene.real, &scene.bucket);
}
