//! `kill -9` of the real command at random moments, again and again, and the same command until it arrives.
//!
//! A proxy counts every body byte. However often it is killed, the object is byte-identical in the end, no more was
//! sent than the file and what was in flight at each kill, and no upload is left (P1, P2, P3).

use haul_testkit::Store;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule, Seen};
use haul_testkit::files::MIB;
use haul_testkit::process::{Running, Signal};

use crate::world::{LIMIT, World, assert_no_upload_left, copy, event, make_bucket, read_back, succeed};

const PART_BYTES: u64 = 5 * MIB;
const FILE_BYTES: u64 = 9 * PART_BYTES + 12_345;
const IN_FLIGHT: u64 = 3;

/// Kills of each store in one run of the tests.
const KILLS: u32 = 32;

fn command(world: &World, store: &Store, name: &str, bucket: &str) -> std::process::Command {
    let mut command = copy(world, store, world.path(name), &format!("s3://{bucket}/{name}"));
    command.args(["--part-size", "5MiB", "--concurrency", &IN_FLIGHT.to_string(), "--json"]);
    command
}

fn body_bytes(seen: &[Seen]) -> u64 {
    seen.iter().filter(|request| request.kind == Kind::UploadPart).map(|request| request.body_bytes).sum()
}

/// xorshift: the moments are other ones for each seed, and the same for the same.
pub(crate) struct Moments(pub(crate) u64);

impl Moments {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// One file, killed up to `most` times; gives how often.
fn survive(world: &World, real: &Store, bucket: &str, name: &str, moments: &mut Moments, most: u32) -> u32 {
    let sample = world.sample(name, FILE_BYTES);
    let proxy = ChaosProxy::start(&real.endpoint).unwrap();
    let store = real.at(proxy.endpoint());
    let mut kills = 0;
    while kills < most {
        let start = body_bytes(&proxy.seen());
        let threshold = start + 1 + moments.below(FILE_BYTES / 3);
        let running = Running::start(&mut command(world, &store, name, bucket)).unwrap();
        // Either so many bytes more, or all parts are there and it is completing.
        let completing = proxy.count(Kind::CompleteMultipartUpload);
        assert!(proxy.wait_until(LIMIT, |seen| {
            let completes = seen.iter().filter(|it| it.kind == Kind::CompleteMultipartUpload).count();
            body_bytes(seen) >= threshold || completes > completing
        }));
        // It may have ended by itself just now: then there was nothing to kill.
        let killed = running.signal(Signal::KILL).is_ok();
        let ended = running.finish(LIMIT).unwrap();
        if !killed || ended.code() == Some(0) {
            break;
        }
        kills += 1;
    }
    succeed(&mut command(world, &store, name, bucket));
    assert_eq!(read_back(real, bucket, name).sha256, sample.sha256, "{name} after {kills} kills");
    let (sent, allowed) = (body_bytes(&proxy.seen()), FILE_BYTES + u64::from(kills) * IN_FLIGHT * PART_BYTES);
    // A run that found the object complete and was not killed starts over: the command was simply given twice.
    if kills == most {
        assert!(sent <= allowed, "{name}: {sent} bytes sent, {allowed} allowed after {kills} kills");
    }
    kills
}

fn survive_many(store: &Store, seed: u64) {
    let world = World::new();
    let bucket = make_bucket(&world, store);
    let mut moments = Moments(seed);
    let (mut kills, mut file) = (0, 0);
    while kills < KILLS {
        assert!(file < 4 * KILLS, "it is never killed: {kills} kills of {file} uploads");
        let most = 1 + u32::try_from(moments.below(4)).unwrap();
        kills += survive(&world, store, &bucket, &format!("file-{file}"), &mut moments, most);
        std::fs::remove_file(world.path(&format!("file-{file}"))).unwrap();
        file += 1;
    }
    assert_no_upload_left(store, &bucket);
}

#[test]
fn haul_serve_and_32_kills() {
    let world = World::new();
    let server = world.serve();
    survive_many(server.store(), 0x9e37_79b9_7f4a_7c15);
}

#[test]
fn ceph_rgw_and_32_kills() {
    survive_many(&Store::shared("RGW"), 0xd1b5_4a32_d192_ed03);
}

/// Killed with every part there and Complete on its way: nothing is sent again.
#[test]
fn killed_during_complete() {
    for store in [None, Some("RGW")] {
        let world = World::new();
        let server = store.is_none().then(|| world.serve());
        let real = server.as_ref().map_or_else(|| Store::shared("RGW"), |server| server.store().clone());
        let bucket = make_bucket(&world, &real);
        let proxy = ChaosProxy::start(&real.endpoint).unwrap();
        // Forwarded, carried out or not, never answered: the process waits until it is killed.
        proxy.add(Rule::on(Kind::CompleteMultipartUpload, Fault::Stall { after_bytes: 100 }));
        // And then: carried out, the answer lost, and killed while it looks.
        proxy.add(Rule::on(Kind::CompleteMultipartUpload, Fault::DropAnswer));
        proxy.add(Rule::on(Kind::HeadObject, Fault::Stall { after_bytes: 0 }).after(1).times(1));
        let sample = world.sample("file", FILE_BYTES);
        let through = real.at(proxy.endpoint());
        for completes in 1..=2 {
            let running = Running::start(&mut command(&world, &through, "file", &bucket)).unwrap();
            let enough = |seen: &[Seen]| {
                let count = |kind| seen.iter().filter(|it| it.kind == kind).count();
                let heads = if completes == 2 { 2 } else { 0 };
                count(Kind::CompleteMultipartUpload) >= completes && count(Kind::HeadObject) >= heads
            };
            assert!(proxy.wait_until(LIMIT, enough), "{:?}", proxy.seen().last());
            running.kill(LIMIT).unwrap();
        }
        let sent = body_bytes(&proxy.seen());
        let finished = succeed(&mut command(&world, &through, "file", &bucket));
        event(&finished, "completed");
        assert_eq!(body_bytes(&proxy.seen()), sent, "nothing is sent again");
        assert_eq!(sent, FILE_BYTES);
        assert_eq!(read_back(&real, &bucket, "file").sha256, sample.sha256);
        assert_no_upload_left(&real, &bucket);
    }
}
