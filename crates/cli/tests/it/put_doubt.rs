//! A small file is sent as one PutObject, which cannot be undone once its bytes were sent (P6).

use std::process::Command;

use haul_testkit::chaos::{Fault, Kind, Rule, Seen};
use haul_testkit::files::MIB;
use haul_testkit::process::{Finished, Running, Signal};

use crate::scene::{KEY, Scene};
use crate::world::{LIMIT, assert_keys, copy, events, finish, read_back, succeed};

const SMALL_BYTES: u64 = 70_000;

fn command(scene: &Scene) -> Command {
    let mut command = copy(&scene.world, &scene.store, &scene.sample.path, &scene.url());
    command.args(["--max-attempts", "2", "--json"]);
    command
}

fn body_bytes(seen: &[Seen]) -> u64 {
    seen.iter().filter(|it| it.kind == Kind::PutObject).map(|it| it.body_bytes).sum()
}

/// Interrupts the command once the proxy has received this many bytes of the body, or the whole
/// request.
fn interrupted(scene: &Scene, after_bytes: u64) -> Finished {
    let running = Running::start(&mut command(scene)).unwrap();
    scene.wait_for(|seen| {
        seen.iter().any(|it| it.kind == Kind::PutObject) && body_bytes(seen) >= after_bytes
    });
    running.signal(Signal::INT).unwrap();
    running.finish(LIMIT).unwrap()
}

fn assert_put(scene: &Scene) {
    assert_eq!(read_back(&scene.real, &scene.bucket, KEY).sha256, scene.sample.sha256);
}

fn at_rgw() -> Scene {
    let mut scene = Scene::at("RGW");
    scene.sample = scene.world.sample(KEY, SMALL_BYTES);
    scene
}

fn both(test: fn(Scene)) {
    test(Scene::of_file(SMALL_BYTES));
    test(at_rgw());
}

/// A PutObject whose answers were all lost was once reported as failed with exit code 1, although
/// the object had been replaced.
#[test]
fn lost_answers_to_a_put_are_settled_by_a_look() {
    both(|scene| {
        scene.proxy.add(Rule::on(Kind::PutObject, Fault::DropAnswer).always());
        succeed(&mut command(&scene));
        assert_put(&scene);
    });
}

/// When the store had received everything but answered slowly, Ctrl-C once reported "nothing is
/// left of it".
#[test]
fn a_put_interrupted_after_its_bytes_left_is_looked_for() {
    both(|scene| {
        scene.proxy.add(Rule::on(Kind::PutObject, Fault::Stall { after_bytes: SMALL_BYTES }));
        let finished = interrupted(&scene, SMALL_BYTES);
        assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
        assert_put(&scene);
    });
}

/// A request on its way may still arrive, so neither a missing object nor a refused HEAD settles
/// the outcome.
#[test]
fn a_put_that_cannot_be_settled_ends_with_4() {
    both(|scene| {
        scene.proxy.add(Rule::on(Kind::PutObject, Fault::Hold));
        let finished = interrupted(&scene, 0);
        assert_eq!(finished.code(), Some(4), "{}", finished.stderr);
        assert!(
            finished.stderr.contains("not known whether the object was written"),
            "{}",
            finished.stderr
        );
        assert_eq!(events(&finished).last().unwrap()["code"], "InDoubt");
        // The delayed request arrives after all.
        scene.proxy.release();
    });
    both(|scene| {
        scene.proxy.add(Rule::on(Kind::PutObject, Fault::DropAnswer).always());
        scene.proxy.add(Rule::on(Kind::HeadObject, Fault::error(403, "AccessDenied")).always());
        let finished = finish(&mut command(&scene));
        assert_eq!(finished.code(), Some(4), "{}", finished.stderr);
    });
}

/// A second Ctrl-C does not wait, and reports that the outcome is unknown.
#[test]
fn a_second_signal_during_a_put_ends_with_4() {
    let scene = Scene::of_file(SMALL_BYTES);
    scene.proxy.add(Rule::on(Kind::PutObject, Fault::Stall { after_bytes: SMALL_BYTES }));
    scene.proxy.add(Rule::on(Kind::HeadObject, Fault::Hold));
    let running = Running::start(&mut command(&scene)).unwrap();
    scene.wait_for(|seen| body_bytes(seen) >= SMALL_BYTES);
    running.signal(Signal::INT).unwrap();
    scene.wait_for(|seen| seen.iter().any(|it| it.kind == Kind::HeadObject));
    running.signal(Signal::INT).unwrap();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(4), "{}", finished.stderr);
}

/// If the body is cut off in the middle, the store cannot carry out the request: the outcome is
/// certain.
#[test]
fn a_put_that_is_interrupted_in_the_middle_is_undone() {
    let scene = Scene::of_file(15 * MIB);
    scene.proxy.add(Rule::on(Kind::PutObject, Fault::Stall { after_bytes: MIB }));
    let finished = interrupted(&scene, MIB);
    assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
    assert_eq!(scene.proxy.count(Kind::HeadObject), 0);
    assert_keys(&scene.real, &scene.bucket, &[]);
}
