//! Trees with the real command: killed and run again, with files that fail, with filters and lists.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::files::MIB;
use haul_testkit::process::Running;

use crate::world::{LIMIT, World, event, events, finish, make_bucket, succeed};

fn write(folder: &Path, name: &str, size_bytes: usize) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let content: Vec<u8> = name.bytes().cycle().take(size_bytes).collect();
    fs::write(path, content).unwrap();
}

fn keys(world: &World, store: &TestStore, bucket: &str) -> BTreeSet<String> {
    let listed = succeed(world.haul(store).args(["ls", "-r", "--json", &format!("s3://{bucket}")]));
    let key = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["key"].as_str().map(str::to_owned)
    };
    listed.stdout.lines().filter_map(key).collect()
}

/// Downloads a bucket and asserts that the result equals the folder.
fn assert_comes_back(world: &World, store: &TestStore, bucket: &str, folder: &Path) {
    let back = world.path("back");
    let to = back.to_str().unwrap();
    succeed(world.haul(store).args(["cp", "-r", &format!("s3://{bucket}"), to]));
    let mut diff = std::process::Command::new("diff");
    let different = diff.arg("-r").arg(folder).arg(&back).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&different.stdout), "");
}

/// The next run neither sends nor checks files that were complete before a kill.
#[test]
fn a_killed_tree_is_continued_by_the_same_command() {
    const FILES: u64 = 300;
    /// An upper limit of the requests that are in flight at the same time.
    const IN_FLIGHT: u64 = 2 * 8;
    let world = World::new();
    let server = world.serve();
    let folder = world.path("tree");
    for number in 0..FILES - 1 {
        write(&folder, &format!("{}/{number}", number % 7), 100 + usize::try_from(number).unwrap());
    }
    let large = world.sample("sample", 22 * MIB);
    fs::rename(large.path, folder.join("large")).unwrap();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    let store = server.store().at(proxy.endpoint());
    let slow = Fault::Delay(std::time::Duration::from_millis(20));
    proxy.add(Rule::on(Kind::PutObject, slow).always());
    let to = format!("s3://{bucket}");
    let command = || {
        let mut command = world.haul(&store);
        command.args(["cp", "-r", "tree", &to, "--json", "--concurrency", "8"]);
        command.args(["--part-size", "5MiB"]);
        command
    };
    for round in 1..=3_usize {
        let running = Running::start(&mut command()).unwrap();
        while proxy.count(Kind::PutObject) < round * 60 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        running.kill(LIMIT).unwrap();
    }
    let transfers = succeed(world.haul(&store).args(["transfers", "--json"]));
    let done = event(&transfers, "tree")["files_done"].as_u64().unwrap();
    assert!(done >= 60, "{}", transfers.stdout);
    let (puts, heads) = (proxy.count(Kind::PutObject), proxy.count(Kind::HeadObject));
    let summary = event(&succeed(&mut command()), "tree-summary");
    let of = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(of("resumed_files"), done);
    assert_eq!(of("resumed_files") + of("unchanged_files") + of("copied_files"), FILES);
    let more = u64::try_from(proxy.count(Kind::PutObject) - puts).unwrap();
    assert!(more <= FILES - done, "{more} sent, {done} were done");
    let looks = u64::try_from(proxy.count(Kind::HeadObject) - heads).unwrap();
    // The additional HeadObject checks the object that was uploaded in parts.
    assert!(looks <= 3 * IN_FLIGHT + 3, "{looks} looks");
    assert_comes_back(&world, server.store(), &bucket, &folder);
    let transfers = succeed(world.haul(&store).args(["transfers", "--json"]));
    assert_eq!(transfers.stdout, "");
    let forgotten = finish(world.haul(&store).args(["forget", "000000000000"]));
    assert_eq!(forgotten.code(), Some(2));
}

#[test]
fn files_that_fail_are_listed_and_copied_by_their_list() {
    let world = World::new();
    let server = world.serve();
    let folder = world.path("tree");
    for number in 0..20 {
        write(&folder, &format!("{number:02}"), 10);
    }
    fs::write(folder.join(std::ffi::OsStr::from_bytes(b"odd\xff")), "x").unwrap();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    let refused = Fault::error(403, "AccessDenied");
    proxy.add(Rule::on(Kind::PutObject, refused).after(2).times(3));
    let store = server.store().at(proxy.endpoint());
    let to = format!("s3://{bucket}");
    let copied = finish(world.haul(&store).args([
        "cp",
        "-r",
        "tree",
        &to,
        "--json",
        "--failed-to",
        "failed",
        "--no-journal",
    ]));
    assert_eq!(copied.code(), Some(1), "{}", copied.stderr);
    let summary = event(&copied, "tree-summary");
    assert_eq!((&summary["copied_files"], &summary["failed_files"]), (&17.into(), &4.into()));
    let told = events(&copied);
    let failed = told.iter().filter(|event| event["event"] == "file-failed").count();
    assert_eq!(failed, 4, "{told:?}");
    assert_eq!(told.last().unwrap()["code"], "FilesFailed");
    let list = fs::read_to_string(world.path("failed")).unwrap();
    assert_eq!(list.lines().count(), 4);

    let again = finish(world.haul(&store).args([
        "cp",
        "-r",
        "tree",
        &to,
        "--json",
        "--files-from",
        "failed",
    ]));
    let summary = event(&again, "tree-summary");
    assert_eq!((&summary["copied_files"], &summary["failed_files"]), (&3.into(), &1.into()));
    assert_eq!(keys(&world, &store, &bucket).len(), 20);
}

#[test]
fn filters_are_read_in_the_order_of_the_command_line() {
    let world = World::new();
    let server = world.serve();
    let folder = world.path("tree");
    for (name, size) in [("a.txt", 1), ("b.bin", 20), ("c/d.txt", 300), ("c/.e", 4), ("f*", 5)] {
        write(&folder, name, size);
    }
    fs::write(world.path("patterns"), "# comment\n\n*.bin\n").unwrap();
    let made = |words: &[&str]| {
        let bucket = make_bucket(&world, server.store());
        let to = format!("s3://{bucket}");
        let mut command = world.haul(server.store());
        succeed(command.args(["cp", "-r", "tree", &to]).args(words));
        keys(&world, server.store(), &bucket).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(made(&["--exclude", "*", "--include", "*.txt"]), ["a.txt", "c/d.txt"]);
    assert_eq!(made(&["--include", "*.txt", "--exclude", "*"]), Vec::<String>::new());
    assert_eq!(made(&["--exclude", "c/*"]), ["a.txt", "b.bin", "f*"]);
    assert_eq!(made(&["--exclude-from", "patterns", "--max-depth", "1"]), ["a.txt", "f*"]);
    assert_eq!(made(&["--min-size", "5", "--max-size", "20"]), ["b.bin", "f*"]);
    assert_eq!(made(&["--older-than", "1h"]), Vec::<String>::new());
    assert_eq!(made(&["--newer-than", "1h", "--max-size", "1"]), ["a.txt"]);
    assert_eq!(made(&["--dryrun"]), Vec::<String>::new());

    // A key with a star is a pattern unless `--raw` is given.
    let bucket = make_bucket(&world, server.store());
    succeed(world.haul(server.store()).args(["cp", "-r", "tree", &format!("s3://{bucket}")]));
    let from = format!("s3://{bucket}/f*");
    succeed(world.haul(server.store()).args(["cp", "--raw", &from, "raw"]));
    assert_eq!(fs::read(world.path("raw")).unwrap().len(), 5);
    let listed = "a.txt\nc/d.txt\n";
    fs::write(world.path("list"), listed).unwrap();
    let words = ["cp", &format!("s3://{bucket}"), "listed", "--files-from", "list"];
    succeed(world.haul(server.store()).args(words));
    assert!(world.path("listed/c/d.txt").is_file() && !world.path("listed/b.bin").exists());
}
