//! Transfers between network namespaces, over a relay that delays and loses packets, or cuts the
//! link: what TCP and Haul make of it together. `cargo xtask bench links` measures such links.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use haul_testkit::TestStore;
use haul_testkit::files::MIB;
use haul_testkit::links::{Host, Link, LinkOptions};
use haul_testkit::network::{Certificate, self_signed};
use haul_testkit::process::{Finished, Running};
use haul_testkit::servers::HaulServe;

use crate::killed_downloads::files_below;
use crate::world::{
    LIMIT, Sample, World, assert_no_upload_left, event, events, haul_binary, read_back,
};

const BUCKET: &str = "far";
const KEY: &str = "object";
const PART_BYTES: u64 = 5 * MIB;
const PART_RECORD: &[u8] = br#""record":"part""#;
/// Longer than a connection may be silent.
const LONG_CUT: Duration = Duration::from_secs(33);
/// Shorter than that: TCP repeats what was lost.
const SHORT_CUT: Duration = Duration::from_secs(3);

/// `haul serve` at the end of a link, and a file to upload.
struct Far {
    // Dropped in this order: processes must leave a namespace before it goes.
    server: HaulServe,
    link: Link,
    world: World,
    certificate: Certificate,
    sample: Sample,
}

impl Far {
    fn new(options: &LinkOptions, parts: u64) -> Self {
        let world = World::new();
        let link = Link::create(options).unwrap();
        let name = format!("subjectAltName=IP:{}", link.server_address());
        let certificate = self_signed(&world.path("."), "far", &["-addext", &name]).unwrap();
        let data = world.path("data");
        let server = HaulServe::start_on_link(haul_binary(), &data, &link, &certificate).unwrap();
        let sample = world.sample("file", (parts - 1) * PART_BYTES + 12_345);
        let far = Self { server, link, world, certificate, sample };
        far.succeed(&["mb", &format!("s3://{BUCKET}")]);
        far
    }

    /// Starts `haul` at the other end of the link.
    fn start(&self, words: &[&str]) -> Running {
        let mut command = self.world.haul(self.store());
        command.args(words).env("AWS_CA_BUNDLE", &self.certificate.certificate);
        Running::start(&mut self.link.on(Host::Client, &command)).unwrap()
    }

    fn succeed(&self, words: &[&str]) -> Finished {
        self.start(words).finish(LIMIT).unwrap().success().unwrap()
    }

    fn start_upload(&self) -> Running {
        let to = format!("s3://{BUCKET}/{KEY}");
        self.start(&["cp", "file", &to, "--part-size", "5MiB", "--concurrency", "6", "--json"])
    }

    fn store(&self) -> &TestStore {
        self.server.store()
    }

    /// Waits until the journal records a part.
    fn wait_for_a_part(&self) {
        let begin = Instant::now();
        let is_recorded = |journal: &PathBuf| {
            let bytes = std::fs::read(journal).unwrap_or_default();
            bytes.windows(PART_RECORD.len()).any(|window| window == PART_RECORD)
        };
        while !files_below(&self.world.path(".local"), ".journal").iter().any(is_recorded) {
            assert!(begin.elapsed() < LIMIT, "no part arrived");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Serves the same folder on this machine's loopback, where boto3 reads the object back.
    fn assert_arrived(self) {
        let Self { server, link, world, sample, .. } = self;
        drop((server, link));
        let near = world.serve();
        assert_eq!(read_back(near.store(), BUCKET, KEY).sha256, sample.sha256);
        assert_no_upload_left(near.store(), BUCKET);
    }
}

fn lossy() -> LinkOptions {
    LinkOptions {
        rate_bits: Some(200_000_000),
        round_trip: Duration::from_millis(20),
        loss: 0.01,
        seed: 18,
        ..LinkOptions::default()
    }
}

#[test]
fn a_lossy_long_link_carries_both_directions_whole() {
    let far = Far::new(&lossy(), 4);
    far.start_upload().finish(LIMIT).unwrap().success().unwrap();
    far.succeed(&["cp", &format!("s3://{BUCKET}/{KEY}"), "back", "--part-size", "5MiB"]);
    let [back, file] = ["back", "file"].map(|name| std::fs::read(far.world.path(name)).unwrap());
    assert!(back == file, "the download differs");
    assert!(far.link.lost_packets() > 50, "{} packets were lost", far.link.lost_packets());
    far.assert_arrived();
}

/// The connections survive: the kernel sends again what was lost, and the upload needs no attempt
/// more than without the cut.
#[test]
fn a_link_cut_for_seconds_is_ridden_out() {
    let far = Far::new(&lossy(), 6);
    let running = far.start_upload();
    far.wait_for_a_part();
    far.link.cut(true);
    std::thread::sleep(SHORT_CUT);
    far.link.cut(false);
    let finished = running.finish(LIMIT).unwrap().success().unwrap();
    assert!(finished.wall >= SHORT_CUT, "the upload had ended before the cut");
    assert!(!events(&finished).iter().any(|event| event["event"] == "retrying"), "{finished:?}");
    far.assert_arrived();
}

/// The connections are given up, and each part on them is sent again over a new one.
#[test]
fn a_link_cut_for_half_a_minute_is_ridden_out_by_retries() {
    let far = Far::new(&lossy(), 4);
    let running = far.start_upload();
    far.wait_for_a_part();
    far.link.cut(true);
    std::thread::sleep(LONG_CUT);
    far.link.cut(false);
    let finished = running.finish(LIMIT).unwrap().success().unwrap();
    event(&finished, "retrying");
    far.assert_arrived();
}

#[test]
fn an_upload_killed_on_a_lossy_link_is_resumed_over_it() {
    let far = Far::new(&lossy(), 6);
    let running = far.start_upload();
    far.wait_for_a_part();
    running.kill(LIMIT).unwrap();
    let finished = far.start_upload().finish(LIMIT).unwrap().success().unwrap();
    let arrived = event(&finished, "resumed")["arrived_parts"].as_u64().unwrap();
    assert!((1..6).contains(&arrived), "{arrived} parts had arrived");
    far.assert_arrived();
}

#[test]
fn part_size_auto_follows_the_round_trip_of_a_link() {
    let long = LinkOptions { round_trip: Duration::from_millis(105), ..LinkOptions::default() };
    let far = Far::new(&long, 5);
    let to = format!("s3://{BUCKET}/{KEY}");
    let copy = |options: &[&str]| {
        let finished = far.succeed(&[&["cp", "file", &to, "--json"], options].concat());
        event(&finished, "started")["part_size_bytes"].as_u64().unwrap()
    };
    assert_eq!(copy(&[]), 8 * MIB);
    assert_eq!(copy(&["--part-size", "auto"]), 16 * MIB);
    far.assert_arrived();
}
