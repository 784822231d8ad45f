//! Repeated `kill -9` of the real command at random moments, and the same command until the upload
//! is complete.
//!
//! The test checks each part: no part whose answer was passed on to a client, and no part that the
//! store lists when a run begins, is ever sent again (P2). A client that restarts the upload after
//! a kill fails at the first part. Finally, the object is byte-identical and no upload is left (P1,
//! P3).

use haul_testkit::random::Random;
use std::collections::BTreeSet;
use std::process::Command;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule, Seen};
use haul_testkit::files::MIB;
use haul_testkit::process::{Running, Signal};

use crate::world::{
    LIMIT, World, assert_no_upload_left, copy, event, make_bucket, python, read_back, succeed,
};

const PART_BYTES: u64 = 5 * MIB;
const FILE_BYTES: u64 = 9 * PART_BYTES + 12_345;

/// Number of kills at each store in one run of the tests.
const KILLS: u32 = 32;

fn command(world: &World, store: &TestStore, name: &str, bucket: &str) -> Command {
    let mut command = copy(world, store, world.path(name), &format!("s3://{bucket}/{name}"));
    command.args(["--part-size", "5MiB", "--concurrency", "3", "--json"]);
    command
}

fn body_bytes(seen: &[Seen]) -> u64 {
    seen.iter().filter(|request| request.kind == Kind::UploadPart).map(Seen::payload_bytes).sum()
}

fn completes(seen: &[Seen]) -> usize {
    seen.iter().filter(|request| request.kind == Kind::CompleteMultipartUpload).count()
}

/// Counts the requests that end an upload: Complete, or the HeadObject of a run that finds the
/// object complete.
fn endings(seen: &[Seen]) -> usize {
    completes(seen) + seen.iter().filter(|request| request.kind == Kind::HeadObject).count()
}

/// The parts of one upload that must never be sent again.
#[derive(Default)]
struct Arrived {
    parts: BTreeSet<u32>,
    /// Number of requests that were already checked.
    looked_at: usize,
}

impl Arrived {
    /// Checks the requests since the last call: none of them may repeat an arrived part. A part
    /// counts as arrived from the first request whose answer was passed on.
    fn check(&mut self, name: &str, seen: &[Seen]) {
        for request in
            seen[self.looked_at..].iter().filter(|request| request.kind == Kind::UploadPart)
        {
            let part = request.part_number.expect("UploadPart names its part");
            assert!(
                !self.parts.contains(&part),
                "{name}: part {part} had arrived and was sent again (P2)"
            );
            if request.status == Some(200) {
                self.parts.insert(part);
            }
        }
        self.looked_at = seen.len();
    }

    /// Records the requests of a killed run that the proxy read late. They were sent before the
    /// kill, so they are not repetitions.
    fn absorb(&mut self, seen: &[Seen]) {
        for request in
            seen[self.looked_at..].iter().filter(|request| request.kind == Kind::UploadPart)
        {
            if request.status == Some(200) {
                self.parts.extend(request.part_number);
            }
        }
        self.looked_at = seen.len();
    }

    /// Adds the parts that the store lists, read with boto3.
    fn list(&mut self, real: &TestStore, bucket: &str, name: &str) {
        let listed = python(real, include_str!("py/parts.py"), &[bucket, name]);
        let numbers = listed.as_array().expect("a list of numbers");
        self.parts.extend(numbers.iter().filter_map(|number| u32::try_from(number.as_u64()?).ok()));
    }
}

/// Totals over all kills of a test.
#[derive(Debug, Default)]
struct Tally {
    kills: u32,
    /// Sum of the parts that were present when a run began, which the run must not send again.
    kept_parts: usize,
}

/// Uploads one file, kills the upload up to `most` times, and then lets it complete.
fn survive(
    world: &World,
    real: &TestStore,
    bucket: &str,
    name: &str,
    moments: &mut Random,
    most: u32,
) -> Tally {
    let sample = world.sample(name, FILE_BYTES);
    let proxy = ChaosProxy::start(&real.endpoint).unwrap();
    let store = real.at(proxy.endpoint());
    let (mut tally, mut arrived) = (Tally::default(), Arrived::default());
    loop {
        arrived.check(name, &proxy.seen());
        if tally.kills > 0 {
            arrived.list(real, bucket, name);
            arrived.absorb(&proxy.seen());
            tally.kept_parts += arrived.parts.len();
        }
        if tally.kills == most {
            succeed(&mut command(world, &store, name, bucket));
            break;
        }
        // The kill comes after this many more bytes, or when all parts are present and the upload
        // is ending.
        let threshold = body_bytes(&proxy.seen()) + 1 + moments.below(2 * FILE_BYTES / 3);
        let ending = endings(&proxy.seen());
        let running = Running::start(&mut command(world, &store, name, bucket)).unwrap();
        assert!(
            proxy.wait_until(LIMIT, |seen| {
                body_bytes(seen) >= threshold || endings(seen) > ending
            })
        );
        // The process may have ended by itself in the meantime; then there was nothing to kill.
        let killed = running.signal(Signal::KILL).is_ok();
        let ended = running.finish(LIMIT).unwrap();
        if !killed || ended.code() == Some(0) {
            break;
        }
        tally.kills += 1;
        let answered =
            |it: &Seen| it.kind == Kind::CompleteMultipartUpload && it.status == Some(200);
        if proxy.seen().iter().any(answered) {
            // The upload has ended, and its journal may be gone: the same command is now a new
            // upload.
            break;
        }
    }
    arrived.check(name, &proxy.seen());
    assert_eq!(read_back(real, bucket, name).sha256, sample.sha256, "{name} after {tally:?}");
    tally
}

fn survive_many(store: &TestStore, seed: u64) {
    let world = World::new();
    let bucket = make_bucket(&world, store);
    let mut moments = Random::new(seed);
    let (mut all, mut file) = (Tally::default(), 0);
    while all.kills < KILLS {
        assert!(file < 4 * KILLS, "it is never killed: {all:?} of {file} uploads");
        let most = 1 + u32::try_from(moments.below(4)).unwrap();
        let tally = survive(&world, store, &bucket, &format!("file-{file}"), &mut moments, most);
        all.kills += tally.kills;
        all.kept_parts += tally.kept_parts;
        std::fs::remove_file(world.path(&format!("file-{file}"))).unwrap();
        file += 1;
    }
    assert!(all.kept_parts >= KILLS as usize, "hardly anything had arrived by the kills: {all:?}");
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
    survive_many(&TestStore::shared("RGW"), 0xd1b5_4a32_d192_ed03);
}

/// A run with default options that was killed within its first second once kept no parts: sixteen
/// parts that share a link all arrive at the same late moment. Now a run starts with two parts, and
/// adds two more for each part that arrives, so that one part has arrived within the first 17 MiB.
#[test]
fn a_default_run_killed_early_keeps_parts() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    let store = server.store().at(proxy.endpoint());
    let sample = world.sample("file", 160 * MIB);
    let copied = || copy(&world, &store, &sample.path, &format!("s3://{bucket}/file"));

    let running = Running::start(copied().arg("--json")).unwrap();
    assert!(proxy.wait_until(LIMIT, |seen| body_bytes(seen) >= 17 * MIB));
    running.kill(LIMIT).unwrap();
    let seen = proxy.seen();
    for (before, part) in seen.iter().filter(|it| it.kind == Kind::UploadPart).take(8).enumerate() {
        let arrived = before + 1 - part.in_flight;
        // The proxy finishes a request slightly later than the client does.
        assert!(
            part.in_flight <= 4 + 2 * arrived,
            "{} in flight, {arrived} arrived",
            part.in_flight
        );
    }
    let mut arrived = Arrived::default();
    arrived.check("file", &seen);
    assert!(!arrived.parts.is_empty(), "nothing was kept");

    let finished = succeed(copied().arg("--json"));
    arrived.check("file", &proxy.seen());
    assert!(event(&finished, "resumed")["arrived_parts"].as_u64() >= Some(1));
    assert_eq!(read_back(server.store(), &bucket, "file").sha256, sample.sha256);
}

/// The command is killed with every part present and Complete on its way: nothing is sent again.
#[test]
fn killed_during_complete() {
    for store in [None, Some("RGW")] {
        let world = World::new();
        let server = store.is_none().then(|| world.serve());
        let real = server
            .as_ref()
            .map_or_else(|| TestStore::shared("RGW"), |server| server.store().clone());
        let bucket = make_bucket(&world, &real);
        let proxy = ChaosProxy::start(&real.endpoint).unwrap();
        // The first Complete is forwarded, whether or not it is carried out, and never answered:
        // the process waits until it is killed.
        proxy.add(Rule::on(Kind::CompleteMultipartUpload, Fault::Stall { after_bytes: 100 }));
        // The second Complete is carried out, its answer is lost, and the process is killed during
        // the HeadObject that follows.
        proxy.add(Rule::on(Kind::CompleteMultipartUpload, Fault::DropAnswer));
        proxy.add(Rule::on(Kind::HeadObject, Fault::Stall { after_bytes: 0 }).after(1).times(1));
        let sample = world.sample("file", FILE_BYTES);
        let through = real.at(proxy.endpoint());
        for expected in 1..=2 {
            let running = Running::start(&mut command(&world, &through, "file", &bucket)).unwrap();
            let enough = |seen: &[Seen]| {
                let looks = seen.iter().filter(|it| it.kind == Kind::HeadObject).count();
                completes(seen) >= expected && (expected == 1 || looks >= 2)
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
