//! `haul cp … --resume` of a stream whose producer repeats the same bytes: after `kill -9`, only
//! the missing parts cross the network.

use std::process::Command;
use std::time::Duration;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::files::MIB;
use haul_testkit::process::{Running, Signal};
use haul_testkit::servers::HaulServe;
use serde_json::Value;

use crate::world::{
    LIMIT, World, assert_keys, assert_no_upload_left, event, events, finish, make_bucket, python,
    succeed,
};

struct Scene {
    world: World,
    real: TestStore,
    store: TestStore,
    proxy: ChaosProxy,
    bucket: String,
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
        std::fs::create_dir(world.path("folder")).unwrap();
        for name in ["folder/a", "folder/b", "folder/c"] {
            world.sample(name, 15 * MIB + 7);
        }
        let proxy = ChaosProxy::start(&real.endpoint).unwrap();
        proxy.add(Rule::on(Kind::UploadPart, Fault::Delay(Duration::from_millis(150))).always());
        let store = real.at(proxy.endpoint());
        Self { world, real, store, proxy, bucket, _server: server }
    }

    fn url(&self) -> String {
        format!("s3://{}/folder.tar", self.bucket)
    }

    /// Returns a command that uploads `tar` of a folder, which prints the same bytes each time.
    fn command(&self) -> Command {
        let mut command = self.world.haul(&self.store);
        command.args(["cp", "--from-command", &self.url(), "--resume", "--json"]);
        command.args(["--part-size", "5MiB", "--concurrency", "2"]);
        command.args(["--", "tar", "--sort=name", "-cf", "-", "folder"]);
        command
    }

    fn kill_after_three_parts(&self) {
        let running = Running::start(&mut self.command()).unwrap();
        assert!(self.proxy.wait_until(LIMIT, |seen| {
            let answered =
                seen.iter().filter(|it| it.kind == Kind::UploadPart && it.status == Some(200));
            answered.count() >= 3
        }));
        running.kill(LIMIT).unwrap();
    }

    fn transfers(&self) -> Vec<Value> {
        events(&succeed(self.world.haul_without_store().args(["transfers", "--json"])))
    }

    fn assert_arrived(&self) {
        let whole = Command::new("tar")
            .current_dir(self.world.path("."))
            .args(["--sort=name", "-cf", "whole.tar", "folder"])
            .status()
            .unwrap();
        assert!(whole.success());
        let found = crate::world::read_back(&self.real, &self.bucket, "folder.tar");
        let sent = haul_testkit::files::sha256(&self.world.path("whole.tar")).unwrap();
        assert_eq!(found.sha256, sent);
        assert_no_upload_left(&self.real, &self.bucket);
        assert_eq!(self.transfers(), Vec::<Value>::new());
    }
}

/// Counts the bytes on the wire: they must be those of the parts that the store lacked, and no
/// more.
fn only_missing_parts_cross_the_network(store: Option<&str>) {
    let scene = Scene::new(store);
    scene.kill_after_three_parts();
    let listed = "u = s3.list_multipart_uploads(Bucket=args[0])['Uploads'][0]\n\
        parts = s3.list_parts(Bucket=args[0], Key=u['Key'], UploadId=u['UploadId'])['Parts']\n\
        answer(sum(part['Size'] for part in parts))\n";
    let stored_bytes = python(&scene.real, listed, &[&scene.bucket]).as_u64().unwrap();
    assert!(stored_bytes >= 15 * MIB);
    let before = scene.proxy.body_bytes(Kind::UploadPart);
    let finished = succeed(&mut scene.command());
    assert!(event(&finished, "stream-resumed")["stored_bytes"].as_u64() >= Some(15 * MIB));
    let uploaded = event(&finished, "uploaded");
    assert_eq!(uploaded["resumed_bytes"].as_u64(), Some(stored_bytes));
    let sent = scene.proxy.body_bytes(Kind::UploadPart) - before;
    assert_eq!(sent, uploaded["size_bytes"].as_u64().unwrap() - stored_bytes);
    assert_eq!(scene.proxy.count(Kind::CreateMultipartUpload), 1);
    scene.assert_arrived();
}

#[test]
fn haul_serve_and_a_killed_tar_stream() {
    only_missing_parts_cross_the_network(None);
}

#[test]
fn ceph_rgw_and_a_killed_tar_stream() {
    only_missing_parts_cross_the_network(Some("RGW"));
}

#[test]
fn a_killed_stream_is_listed_and_its_command_is_named() {
    let scene = Scene::new(None);
    scene.kill_after_three_parts();
    let listed = scene.transfers().remove(0);
    assert_eq!(listed["source"], "the output of tar");
    assert_eq!(listed["size_bytes"], Value::Null);
    let id = listed["id"].as_str().unwrap();
    let mut command = scene.world.haul_without_store();
    let refused = finish(command.envs(scene.store.client_variables()).args(["resume", id]));
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    let paste = format!(
        "haul cp --from-command {} --resume --endpoint {} -- tar ...",
        scene.url(),
        scene.store.endpoint
    );
    assert!(refused.stderr.contains(&paste), "{}", refused.stderr);
    let all = finish(scene.world.haul_without_store().args(["resume", "--all"]));
    assert_eq!(all.code(), Some(0), "{}", all.stderr);
    assert!(all.stdout.contains("skipped: a stream"), "{}", all.stdout);
    let mut command = scene.world.haul_without_store();
    succeed(command.envs(scene.store.client_variables()).args(["abort", id]));
    assert_no_upload_left(&scene.real, &scene.bucket);
    assert_eq!(scene.transfers(), Vec::<Value>::new());
}

#[test]
fn an_interrupted_stream_pauses_only_with_resume() {
    for (words, kept) in
        [(&["--resume"][..], 1), (&["--resume", "--abort-on-interrupt"], 0), (&[], 0)]
    {
        let scene = Scene::new(None);
        let mut command = scene.world.haul(&scene.store);
        command.args(["cp", "--from-command", &scene.url(), "--part-size", "5MiB"]);
        command.args(words).args(["--concurrency", "2", "--", "tar", "-cf", "-", "folder"]);
        let running = Running::start(&mut command).unwrap();
        assert!(scene.proxy.wait_until(LIMIT, |seen| {
            seen.iter().any(|it| it.kind == Kind::UploadPart && it.status == Some(200))
        }));
        running.signal(Signal::INT).unwrap();
        let finished = running.finish(LIMIT).unwrap();
        assert_eq!(finished.code(), Some(3), "{words:?}: {}", finished.stderr);
        assert_eq!(scene.transfers().len(), kept, "{words:?}");
        assert_keys(&scene.real, &scene.bucket, &[]);
        if kept == 0 {
            assert_no_upload_left(&scene.real, &scene.bucket);
        }
    }
}
