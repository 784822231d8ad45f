//! `kill -9` of `haul serve` during an upload, and a restart on the same folder and port. The
//! client retries until the server is back, or pauses and resumes. The server keeps acknowledged
//! parts across its crash, so the client sends none of them again.

use haul_testkit::random::Random;
use std::collections::BTreeMap;
use std::time::Duration;

use haul_testkit::chaos::{Fault, Kind, Rule, Seen};
use haul_testkit::process::{Finished, Running};

use crate::scene::{IN_FLIGHT, PART_BYTES, PARTS, Scene, all_arrived_but};
use crate::world::{LIMIT, copy, event, finish, read_back, succeed};

/// Longer than a restart takes, and shorter than the retries of a request last.
const AWAY: Duration = Duration::from_secs(4);

fn completes(seen: &[Seen]) -> bool {
    seen.iter().any(|it| it.kind == Kind::CompleteMultipartUpload)
}

fn sent(seen: &[Seen]) -> u64 {
    seen.iter().filter(|it| it.kind == Kind::UploadPart).map(Seen::payload_bytes).sum()
}

/// Asserts that no part was acknowledged twice: the server keeps acknowledged parts, and the client
/// does not send them again.
fn assert_nothing_twice(scene: &Scene, kills: u64) {
    let mut acknowledged = BTreeMap::<Option<u32>, u32>::new();
    for part in
        scene.proxy.seen().iter().filter(|it| it.kind == Kind::UploadPart && it.status == Some(200))
    {
        *acknowledged.entry(part.part_number).or_default() += 1;
    }
    assert_eq!(acknowledged.len(), PARTS as usize);
    assert!(acknowledged.values().all(|times| *times == 1), "{acknowledged:?}");
    let allowed = scene.sample_bytes() + kills * u64::from(IN_FLIGHT) * PART_BYTES;
    assert!(scene.body_bytes() <= allowed, "{} bytes sent, {allowed} allowed", scene.body_bytes());
}

/// Asserts that the upload either succeeded, or paused and is completed by the same command.
fn assert_ends(scene: &Scene, finished: &Finished) {
    match finished.code() {
        Some(0) => {}
        Some(3) => drop(succeed(&mut scene.command())),
        other => panic!("{other:?}: {}", finished.stderr),
    }
    scene.assert_arrived();
}

#[test]
fn haul_serve_is_killed_while_an_upload_runs() {
    let mut moments = Random::new(0x2545_f491_4f6c_dd1d);
    for _ in 0..6 {
        let mut scene = Scene::at_haul_serve();
        let running = Running::start(&mut scene.command()).unwrap();
        // Two kills in each upload, somewhere between its first byte and its last.
        let mut enough = 0;
        for _ in 0..2 {
            enough += 1 + moments.below(scene.sample_bytes() / 2);
            scene.wait_for(|seen| sent(seen) >= enough || completes(seen));
            scene.server.as_mut().unwrap().restart().unwrap();
        }
        let finished = running.finish(LIMIT).unwrap();
        assert_ends(&scene, &finished);
        assert_nothing_twice(&scene, 2);
    }
}

/// The server is killed twice around Complete: after the client sent the request but before it
/// arrived, and right after it arrived.
#[test]
fn haul_serve_is_killed_around_complete() {
    let mut scene = Scene::at_haul_serve();
    scene.proxy.add(Rule::on(Kind::CompleteMultipartUpload, Fault::Hold));
    let running = Running::start(&mut scene.command()).unwrap();
    scene.wait_for(completes);
    scene.server.as_mut().unwrap().restart().unwrap();
    scene.proxy.release();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
    scene.assert_arrived();
    assert_nothing_twice(&scene, 0);

    for _ in 0..4 {
        let mut scene = Scene::at_haul_serve();
        let running = Running::start(&mut scene.command()).unwrap();
        scene.wait_for(completes);
        scene.server.as_mut().unwrap().restart().unwrap();
        let finished = running.finish(LIMIT).unwrap();
        assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
        scene.assert_arrived();
        assert_nothing_twice(&scene, 0);
    }
}

/// An upload with the default of sixteen parts in flight and many more to send once failed: while
/// the server was away, the waiting parts failed immediately one after the other and exhausted the
/// retry budget of the whole upload before the server was back.
#[test]
fn haul_serve_restarts_within_seconds_unnoticed() {
    let mut scene = Scene::at_haul_serve();
    let sample = scene.world.sample("many-parts", 40 * PART_BYTES);
    let url = format!("s3://{}/many-parts", scene.bucket);
    let mut command = copy(&scene.world, &scene.store, &sample.path, &url);
    let running = Running::start(command.args(["--part-size", "5MiB", "--json"])).unwrap();
    scene.wait_for(|seen| sent(seen) >= 8 * PART_BYTES);
    scene.server.as_mut().unwrap().kill();
    std::thread::sleep(AWAY);
    scene.server.as_mut().unwrap().restart().unwrap();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
    assert_eq!(read_back(&scene.real, &scene.bucket, "many-parts").sha256, sample.sha256);
    assert!(scene.body_bytes() <= (40 + 16) * PART_BYTES, "{} bytes", scene.body_bytes());
}

/// The server is away for longer than the retries last: the upload pauses, and the next run sends
/// only the missing parts.
#[test]
fn haul_serve_stays_away_and_the_upload_pauses() {
    let mut scene = Scene::at_haul_serve();
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Hold).part(PARTS).always());
    let mut command = scene.command();
    let running = Running::start(command.args(["--max-attempts", "2"])).unwrap();
    scene.wait_for(|seen| all_arrived_but(PARTS, seen));
    scene.server.as_mut().unwrap().kill();
    scene.proxy.release();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
    event(&finished, "paused");
    scene.server.as_mut().unwrap().restart().unwrap();
    let again = finish(&mut scene.command());
    assert_eq!(event(&again, "resumed")["arrived_parts"], PARTS - 1);
    scene.assert_arrived();
    assert_nothing_twice(&scene, 1);
}
