//! `--bandwidth` against a real endpoint. The tests assert only lower bounds of times, because a
//! busy machine makes everything slower. The unit tests of the engine show in virtual time that the
//! limit is used in full.

use std::time::{Duration, Instant};

use haul_testkit::files::MIB;
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{World, finish, make_bucket, succeed, upload};

#[test]
fn an_upload_in_parts_takes_as_long_as_the_limit_asks() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", 48 * MIB);
    let url = format!("s3://{bucket}/k");
    let began = Instant::now();
    let mut copy = world.haul(server.store());
    copy.args(["cp", "--bandwidth", "16MiB/s", "--part-size", "5MiB"]);
    succeed(copy.arg(&sample.path).arg(&url));
    assert!(began.elapsed() > Duration::from_millis(2_850), "{:?}", began.elapsed());
}

#[test]
fn a_download_takes_as_long_as_the_limit_asks() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", 48 * MIB);
    let url = format!("s3://{bucket}/k");
    upload(&world, server.store(), &sample.path, &url);
    let began = Instant::now();
    let mut copy = world.haul(server.store());
    succeed(copy.args(["cp", "--bandwidth", "16MiB/s", &url, "back"]));
    assert!(began.elapsed() > Duration::from_millis(2_850), "{:?}", began.elapsed());
}

#[test]
fn many_short_files_together_keep_to_the_limit() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    std::fs::create_dir(world.path("tree")).unwrap();
    for number in 0..200 {
        world.sample(&format!("tree/{number}"), 64 << 10);
    }
    let url = format!("s3://{bucket}/tree/");
    for direction in [["tree/", url.as_str()], [url.as_str(), "back/"]] {
        let began = Instant::now();
        let mut copy = world.haul(server.store());
        succeed(copy.args(["cp", "-r", "--bandwidth", "4MiB/s"]).args(direction));
        assert!(began.elapsed() > Duration::from_millis(2_900), "{:?}", began.elapsed());
    }
    assert_eq!(std::fs::read_dir(world.path("back")).unwrap().count(), 200);
}

#[test]
fn a_limit_in_a_file_is_read_again_on_sigusr1() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", 24 * MIB);
    let limit = world.path("limit");
    // At this rate the upload takes six minutes.
    std::fs::write(&limit, "64KiB/s\n").unwrap();
    let mut copy = world.haul(server.store());
    copy.args(["cp", "--bandwidth", &format!("@{}", limit.display())]);
    let mut child = copy.arg(&sample.path).arg(format!("s3://{bucket}/k")).spawn().unwrap();
    std::fs::write(&limit, "off\n").unwrap();
    let id = Pid::from_child(&child);
    let began = Instant::now();
    // The process installs its handler shortly after the start; before that, the signal would kill
    // it.
    while !handles_sigusr1(child.id()) {
        assert!(began.elapsed() < Duration::from_secs(60), "no handler of SIGUSR1");
        std::thread::yield_now();
    }
    kill_process(id, Signal::USR1).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Returns whether the process catches SIGUSR1: bit 9 of the signal mask that the kernel reports.
fn handles_sigusr1(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 9) != 0
}

#[test]
fn a_limit_that_cannot_be_read_is_refused() {
    let world = World::new();
    for limit in ["fast", "0", "08:00-18:00", "@gone"] {
        let mut command = world.haul_without_store();
        let refused = finish(command.args(["cp", "--bandwidth", limit, "a", "s3://bucket/k"]));
        assert_eq!(refused.code(), Some(2), "{limit}: {}", refused.stderr);
        assert!(refused.stderr.contains("--bandwidth"), "{}", refused.stderr);
    }
}
