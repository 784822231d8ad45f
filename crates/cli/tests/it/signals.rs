//! Signals as shells, terminals and `timeout` send them.

use std::io::Write;
use std::process::{Command, Stdio};

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::process::{Running, Signal};

use crate::scene::{PARTS, Scene, all_arrived_but};
use crate::world::{LIMIT, copy, events, haul_binary, succeed};

/// `timeout 1.5 haul cp …` signals its child and then its whole group. The second signal, which
/// follows within milliseconds, was once taken for a user's second Ctrl-C: the parts in flight got
/// no time to arrive, and the command reported "again".
#[test]
fn two_signals_at_once_are_one_request_to_pause() {
    let scene = Scene::at_haul_serve();
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Hold).part(PARTS).always());
    let running = Running::start(&mut scene.command()).unwrap();
    scene.wait_for(|seen| all_arrived_but(PARTS, seen));
    running.signal(Signal::TERM).unwrap();
    running.signal(Signal::INT).unwrap();
    running.signal(Signal::TERM).unwrap();
    scene.proxy.release();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
    assert!(!finished.stderr.contains("again:"), "{}", finished.stderr);
    let paused = crate::world::event(&finished, "paused");
    assert_eq!(
        paused["arrived_bytes"],
        scene.sample_bytes(),
        "the part in flight had time to arrive"
    );
}

/// SIGHUP comes from a terminal that is closed, SIGTERM from a service manager that stops a
/// service, and SIGINT from Ctrl-C.
#[test]
fn each_signal_that_ends_a_program_pauses_an_upload() {
    for signal in [Signal::HUP, Signal::TERM, Signal::INT] {
        let scene = Scene::at_haul_serve();
        scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(PARTS));
        let running = Running::start(&mut scene.command()).unwrap();
        scene.wait_for(|seen| all_arrived_but(PARTS, seen));
        running.signal(signal).unwrap();
        let finished = running.finish(LIMIT).unwrap();
        assert_eq!(finished.code(), Some(3), "{signal:?}: {}", finished.stderr);
        crate::world::event(&finished, "paused");
    }
}

/// Runs the real `timeout`, which signals a process group.
#[test]
fn timeout_pauses_an_upload_as_one_signal_does() {
    let scene = Scene::at_haul_serve();
    // Each request for the last part stalls, the one on another connection, too.
    let stall = Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(PARTS).always();
    scene.proxy.add(stall);
    let upload = scene.command();
    let mut command = Command::new("timeout");
    command.args(["--signal", "INT", "3"]).arg(upload.get_program()).args(upload.get_args());
    command.env_clear().envs(upload.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(upload.get_current_dir().unwrap());
    let finished = Running::start(&mut command).unwrap().finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(124), "timeout's own code: {}", finished.stderr);
    assert!(finished.stderr.contains("paused: "), "{}", finished.stderr);
    assert!(!finished.stderr.contains("again:"), "{}", finished.stderr);
}

/// Ctrl-C while the command was still asking the store for unfinished uploads once printed
/// `haul resume ID` for a journal without a record, and that command failed.
#[test]
fn ctrl_c_before_create_offers_nothing_to_resume() {
    let scene = Scene::at_haul_serve();
    scene.proxy.add(Rule::on(Kind::ListMultipartUploads, Fault::Hold));
    let running = Running::start(&mut scene.command()).unwrap();
    scene.wait_for(|seen| seen.iter().any(|it| it.kind == Kind::ListMultipartUploads));
    running.signal(Signal::INT).unwrap();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
    assert!(!finished.stderr.contains("haul resume"), "{}", finished.stderr);
    assert_eq!(scene.proxy.count(Kind::CreateMultipartUpload), 0);
    let listed = succeed(scene.world.haul(&scene.store).args(["uploads", "--json"]));
    assert_eq!(events(&listed), Vec::<serde_json::Value>::new());
}

/// `for f in *; do haul cp "$f" …; done` once continued with the next file after every Ctrl-C: a
/// shell ends its loop only if the command died of the signal. `script` gives the shell a terminal,
/// where Ctrl-C is the byte 3.
#[test]
fn one_ctrl_c_ends_the_shell_loop_around_the_command() {
    let scene = Scene::at_haul_serve();
    scene
        .proxy
        .add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(PARTS).always());
    let log = scene.world.path("rounds");
    let one = copy(&scene.world, &scene.store, &scene.sample.path, &scene.url());
    let one = format!("{} --part-size 5MiB --concurrency 3 --json", words(&one));
    let script =
        format!("for round in 1 2 3; do {one}; echo \"$round $?\" >> {}; done", log.display());
    let mut shell = Command::new("script");
    shell.args(["--quiet", "--return", "--command", &format!("bash -c '{script}'")]);
    shell.arg(scene.world.path("typescript")).stdin(Stdio::piped()).stdout(Stdio::null());
    shell.env_clear().envs(one_envs(&scene)).current_dir(scene.world.path(""));
    let mut child = shell.spawn().unwrap();
    scene.wait_for(|seen| all_arrived_but(PARTS, seen));
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "the loop died of the signal");
    assert!(!log.exists(), "no round came to its end: {:?}", std::fs::read_to_string(&log));
    assert_eq!(scene.proxy.count(Kind::CreateMultipartUpload), 1);
    let listed = succeed(scene.world.haul(&scene.store).args(["uploads", "--json"]));
    assert_eq!(
        events(&listed)[0]["state"],
        "interrupted",
        "the upload is paused and can be resumed"
    );
}

fn words(command: &Command) -> String {
    let words = std::iter::once(haul_binary().as_os_str()).chain(command.get_args());
    words.map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
}

fn one_envs(scene: &Scene) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let command = scene.world.haul(&scene.store);
    command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect()
}
