//! `haul resume --last`: the last tree command that is not finished, or the newest transfer.

use std::fs;
use std::process::Command;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule, Seen};
use haul_testkit::process::Running;
use haul_testkit::servers::HaulServe;

use crate::world::{
    LIMIT, PART, World, assert_keys, at_another_time, copy, event, finish, make_bucket, succeed,
};

/// A folder of files, and a store behind a proxy.
struct Tree {
    world: World,
    server: HaulServe,
    proxy: ChaosProxy,
    store: TestStore,
    bucket: String,
}

const FILES: usize = 20;

impl Tree {
    fn new() -> Self {
        let world = World::new();
        let server = world.serve();
        fs::create_dir(world.path("tree")).unwrap();
        for number in 0..FILES {
            fs::write(world.path("tree").join(format!("{number:02}")), "content").unwrap();
        }
        let bucket = make_bucket(&world, server.store());
        let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
        let store = server.store().at(proxy.endpoint());
        Self { world, server, proxy, store, bucket }
    }

    fn copy(&self) -> Command {
        let mut command = self.world.haul(&self.store);
        command.args(["cp", "-r", "tree", &format!("s3://{}", self.bucket)]);
        command
    }

    /// Returns the command, run in another folder and without the address of the store.
    fn last(&self) -> Command {
        let mut command = self.world.haul_without_store();
        command.envs(self.store.client_variables());
        command.current_dir("/").args(["resume", "--last"]);
        command
    }

    fn assert_nothing_is_left(&self) {
        assert_eq!(succeed(&mut self.last()).stdout, "no unfinished transfers\n");
        let keys: Vec<_> = (0..FILES).map(|number| format!("{number:02}")).collect();
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        assert_keys(self.server.store(), &self.bucket, &keys);
    }
}

#[test]
fn resume_last_copies_just_the_files_that_failed() {
    let tree = Tree::new();
    let refused = Fault::error(403, "AccessDenied");
    tree.proxy.add(Rule::on(Kind::PutObject, refused).after(2).times(3));
    let failed = finish(&mut tree.copy());
    assert_eq!(failed.code(), Some(1), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("hint: copy just those: haul resume --last"),
        "{}",
        failed.stderr
    );
    let puts = tree.proxy.count(Kind::PutObject);

    let again = succeed(tree.last().arg("--json"));
    let summary = event(&again, "tree-summary");
    assert_eq!((&summary["copied_files"], &summary["resumed_files"]), (&3.into(), &17.into()));
    assert_eq!(tree.proxy.count(Kind::PutObject) - puts, 3);
    tree.assert_nothing_is_left();
}

#[test]
fn resume_last_continues_a_killed_tree() {
    let tree = Tree::new();
    tree.proxy.add(Rule::on(Kind::PutObject, Fault::Hold).after(5).times(3));
    let running = Running::start(&mut tree.copy()).unwrap();
    let is_put = |seen: &&Seen| seen.kind == Kind::PutObject;
    assert!(tree.proxy.wait_until(LIMIT, |seen| seen.iter().filter(is_put).count() == FILES));
    running.kill(LIMIT).unwrap();
    tree.proxy.release();
    let finished = succeed(tree.last().arg("--json"));
    let copied = event(&finished, "tree-summary")["copied_files"].as_u64().unwrap();
    assert!(copied < 20, "{}", finished.stdout);
    tree.assert_nothing_is_left();
}

#[test]
fn resume_last_takes_a_transfer_that_began_after_the_tree() {
    let tree = Tree::new();
    tree.proxy.add(Rule::on(Kind::PutObject, Fault::error(403, "AccessDenied")).times(1));
    assert_eq!(finish(&mut tree.copy()).code(), Some(1));
    tree.proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).part(2));
    let sample = tree.world.sample("single", 3 * PART);
    let url = format!("s3://{}/single", tree.bucket);
    let mut command = copy(&tree.world, &tree.store, &sample.path, &url);
    command.args(["--part-size", "8MiB", "--max-attempts", "1"]);
    assert_eq!(finish(&mut at_another_time(&command, "+5m")).code(), Some(3));

    let resumed = succeed(tree.last().arg("--json"));
    assert_eq!(event(&resumed, "uploaded")["target"], url);
    succeed(tree.world.haul(&tree.store).args(["rm", &url]));
    succeed(&mut tree.last());
    tree.assert_nothing_is_left();
}

/// A dry run changes nothing, so it is nothing to resume.
#[test]
fn a_dry_run_is_not_the_last_tree() {
    let tree = Tree::new();
    succeed(tree.copy().arg("--dry-run"));
    assert_eq!(succeed(&mut tree.last()).stdout, "no unfinished transfers\n");
}
