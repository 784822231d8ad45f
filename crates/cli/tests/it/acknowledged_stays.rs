//! Repeated `kill -9` of `haul serve` on one folder, under the load of boto3 and of `haul cp`.
//!
//! Both clients record every acknowledged write. After each restart, every acknowledged object must
//! be present with its SHA-256, and no object may be present that was not sent completely.
//! `haul cp` must survive the kill of its server and exit with 0. Finally, `haul store check`
//! verifies the whole store.

use std::path::Path;

use haul_testkit::TestStore;
use haul_testkit::files::{MIB, random_hex};
use haul_testkit::process::{Running, Signal};
use haul_testkit::python::{Talk, Venv};
use haul_testkit::servers::{HaulServe, lasting_port};

use crate::world::{
    LIMIT, Sample, World, copy, event, finish, haul_binary, make_bucket, python, read_back, succeed,
};

const ROUNDS: u64 = 30;
/// Maximum number of answers to boto3 before the server is killed. The other threads and `haul cp`
/// are at arbitrary points by then.
const ANSWERS_MAX: u64 = 40;
const FILE_BYTES: u64 = 12 * MIB;

/// Runs `haul cp` with a multipart upload to a key that no other round uses.
fn upload(
    world: &World,
    store: &TestStore,
    sample: &Sample,
    bucket: &str,
    round: u64,
) -> std::process::Command {
    let mut command = copy(world, store, &sample.path, &format!("s3://{bucket}/haul/{round}"));
    command.args([
        "--part-size",
        "5MiB",
        "--concurrency",
        "2",
        "--multipart-threshold",
        "5MiB",
        "--json",
    ]);
    command
}

fn restart(data: &Path, port: u16) -> HaulServe {
    HaulServe::start_at(haul_binary(), data, port).unwrap()
}

#[test]
fn thirty_kills_of_haul_serve_under_boto3_and_haul() {
    let world = World::new();
    // All rounds use one port, so that clients find the restarted server.
    let (data, port) = (world.path("data"), lasting_port().unwrap());
    let mut server = restart(&data, port);
    let store = server.store().clone();
    let bucket = make_bucket(&world, &store);
    let sample = world.sample("file", FILE_BYTES);
    let script = include_str!("py/acknowledged_stays.py");
    let mut boto3 = Talk::start(&Venv::shared(), script, &store, &[&bucket]).unwrap();
    // The seed differs from run to run; the records of the clients show what happened.
    let mut seed = u64::from_str_radix(&random_hex(8).unwrap(), 16).unwrap();
    let (mut retries, mut objects) = (0, 0);
    for round in 0..ROUNDS {
        boto3.say(&format!("load {round}")).unwrap();
        let haul = Running::start(&mut upload(&world, &store, &sample, &bucket, round)).unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        for _ in 0..=(seed >> 33) % ANSWERS_MAX {
            assert_eq!(boto3.line().unwrap(), "ack", "round {round}");
        }
        server.kill();
        while boto3.line().unwrap() != "gone" {}
        server = restart(&data, port);

        let mut ended = haul.finish(LIMIT).unwrap();
        if ended.code() == Some(3) {
            // The upload may exhaust its retries and pause: the same command continues it.
            ended = succeed(&mut upload(&world, &store, &sample, &bucket, round));
        }
        let report = event(&ended.success().unwrap(), "uploaded");
        retries += report["retries"].as_u64().unwrap();
        let key = format!("haul/{round}");
        assert_eq!(read_back(&store, &bucket, &key).sha256, sample.sha256, "round {round}");

        boto3.say("check").unwrap();
        let told = boto3.line().unwrap();
        let right = told.strip_prefix("right ").unwrap_or_else(|| panic!("round {round}: {told}"));
        objects = right.parse::<u64>().unwrap();
    }
    assert!(retries > 0, "haul was never hit by a kill");
    assert!(objects > ROUNDS, "only {objects} objects were written in {ROUNDS} rounds");

    // boto3 left uploads open on purpose; haul must have left none.
    let open = python(&store, include_str!("py/uploads.py"), &[&bucket]);
    let open: Vec<&str> = open.as_array().unwrap().iter().filter_map(|key| key.as_str()).collect();
    assert!(!open.iter().any(|key| key.starts_with("haul/")), "{open:?}");

    // A kill may leave files between their link and their commit; each restart removed them.
    server.signal(Signal::TERM).unwrap();
    server.ended(LIMIT).unwrap();
    let told = finish(world.haul_without_store().args(["store", "check", "data", "--json"]));
    assert_eq!(told.code(), Some(0), "{}\n{}", told.stdout, told.stderr);
    let checked = event(&told, "checked");
    assert_eq!(checked["problems"], 0, "{checked}");
    assert_eq!(checked["orphans"], 0, "{checked}");
    assert_eq!(checked["sound"], true);
}
