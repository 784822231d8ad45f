//! The tests paste the commands of hints into a shell, where they must work.

use std::process::Command;

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::process::{Finished, Running, Signal};
use haul_testkit::python::Venv;

use crate::scene::{PARTS, Scene};
use crate::world::{LIMIT, assert_no_upload_left, copy, events, finish, haul_binary, succeed};

/// Returns what a user would paste: from `command` to the end of the hint, or to the end of the
/// command.
fn pasted(finished: &Finished, command: &str) -> String {
    let hint = finished.stderr.lines().find_map(|line| line.strip_prefix("hint: "));
    let hint = hint.unwrap_or_else(|| panic!("no hint in:\n{}", finished.stderr));
    let start = hint.find(command).unwrap_or_else(|| panic!("no {command} in: {hint}"));
    let line = &hint[start..];
    let end = [";", ": ", " removes"]
        .iter()
        .filter_map(|stop| line.find(stop))
        .min()
        .unwrap_or(line.len());
    line[..end].to_owned()
}

/// Runs a line in a shell that finds `haul` and `aws` and has the store's keys, but not its
/// address.
fn paste(scene: &Scene, line: &str) -> Finished {
    let aws = Venv::shared().command("aws", &scene.store).get_program().to_owned();
    let folders = [haul_binary().parent().unwrap(), std::path::Path::new(&aws).parent().unwrap()];
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", folders[0].display(), folders[1].display());
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env_clear().env("PATH", path).env("HOME", scene.world.path(""));
    shell.envs(scene.store.client_variables()).current_dir(scene.world.path(""));
    if let Some(profiles) = std::env::var_os("LLVM_PROFILE_FILE") {
        shell.env("LLVM_PROFILE_FILE", profiles);
    }
    succeed(&mut shell)
}

fn id(scene: &Scene) -> String {
    let listed = succeed(scene.world.haul(&scene.store).args(["uploads", "--json"]));
    events(&listed)[0]["id"].as_str().unwrap().to_owned()
}

/// Starts the command and waits until its last part is held in the proxy.
fn stalled(command: &mut Command, scene: &Scene) -> Running {
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(PARTS));
    let running = Running::start(command).unwrap();
    scene.wait_for(|seen| crate::scene::all_arrived_but(PARTS, seen));
    running
}

/// Interrupts the command, waits until Abort is on its way, and interrupts again.
fn interrupted_twice_while_aborting(command: &mut Command, scene: &Scene) -> Finished {
    scene.proxy.add(Rule::on(Kind::AbortMultipartUpload, Fault::Hold));
    let running = stalled(command, scene);
    running.signal(Signal::INT).unwrap();
    scene.wait_for(|seen| seen.iter().any(|it| it.kind == Kind::AbortMultipartUpload));
    let finished = running.signal_until_it_ends(Signal::INT, LIMIT).unwrap();
    assert_eq!(finished.code(), Some(5), "{}", finished.stderr);
    assert!(finished.stderr.contains("Ctrl-C again: parts of upload"), "{}", finished.stderr);
    finished
}

/// The hint was once `haul resume` without an id, which is wrong usage.
#[test]
fn a_second_signal_ends_at_once_and_says_how_to_go_on() {
    let scene = Scene::at_haul_serve();
    let running = stalled(&mut scene.command(), &scene);
    let finished = running.signal_until_it_ends(Signal::INT, LIMIT).unwrap();
    assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("again: quit immediately; what arrived is kept"),
        "{}",
        finished.stderr
    );
    let line = pasted(&finished, "haul resume");
    assert_eq!(line, format!("haul resume {}", id(&scene)));
    paste(&scene, &line);
    assert_eq!(scene.proxy.count(Kind::CreateMultipartUpload), 1);
    scene.assert_arrived();
}

/// The hint once contained the literal words `--bucket BUCKET --key KEY --upload-id ID`.
#[test]
fn a_second_ctrl_c_while_aborting_hints_at_the_removal() {
    let scene = Scene::at_haul_serve();
    let finished =
        interrupted_twice_while_aborting(scene.command().arg("--abort-on-interrupt"), &scene);
    let line = pasted(&finished, "haul abort");
    assert_eq!(line, format!("haul abort {}", id(&scene)));
    paste(&scene, &line);
    assert_no_upload_left(&scene.real, &scene.bucket);
}

#[test]
fn without_a_journal_the_hint_names_the_upload_at_the_store() {
    let scene = Scene::at_haul_serve();
    let url = format!("s3://{}/it's a key", scene.bucket);
    let mut command = copy(&scene.world, &scene.store, &scene.sample.path, &url);
    command.args(["--part-size", "5MiB", "--concurrency", "3", "--no-journal"]);
    let finished = interrupted_twice_while_aborting(&mut command, &scene);
    let line = pasted(&finished, "haul abort 's3://");
    assert!(line.contains(&format!("--endpoint {}", scene.store.endpoint)), "{line}");
    paste(&scene, &line);
    assert_no_upload_left(&scene.real, &scene.bucket);
}

/// The hint once said "when the store answers again" although the store had answered 403, and the
/// message did not mention the 403.
#[test]
fn a_failed_removal_is_reported_with_reason_and_hint() {
    let scene = Scene::at_haul_serve();
    scene
        .proxy
        .add(Rule::on(Kind::UploadPart, Fault::error(400, "InvalidRequest")).part(2).always());
    scene.proxy.add(Rule::on(Kind::AbortMultipartUpload, Fault::error(403, "AccessDenied")));
    let finished = finish(&mut scene.command());
    assert_eq!(finished.code(), Some(5), "{}", finished.stderr);
    for said in [
        "InvalidRequest",
        "AbortMultipartUpload: the store answered 403",
        "with keys that may do so",
    ] {
        assert!(finished.stderr.contains(said), "{said} is missing in:\n{}", finished.stderr);
    }
    let line = pasted(&finished, "haul abort");
    paste(&scene, &line);
    assert_no_upload_left(&scene.real, &scene.bucket);
}

#[test]
fn a_doubt_is_settled_by_the_hinted_command() {
    let scene = Scene::at_haul_serve();
    scene.proxy.add(Rule::on(Kind::CompleteMultipartUpload, Fault::DropAnswer));
    scene.proxy.add(Rule::on(Kind::HeadObject, Fault::slow_down()));
    let finished = finish(scene.command().args(["--max-attempts", "1"]));
    assert_eq!(finished.code(), Some(4), "{}", finished.stderr);
    let line = pasted(&finished, "haul resume");
    assert_eq!(line, format!("haul resume {}", id(&scene)));
    paste(&scene, &line);
    scene.assert_arrived();
}

/// A single request has no parts to wait for. Its body was sent, so its outcome is in doubt (P6).
#[test]
fn an_interrupted_single_request_speaks_of_no_parts() {
    let scene = Scene::of_file(100_000);
    scene.proxy.add(Rule::on(Kind::PutObject, Fault::Hold));
    let mut command = copy(&scene.world, &scene.store, &scene.sample.path, &scene.url());
    let running = Running::start(&mut command).unwrap();
    scene.wait_for(|seen| seen.iter().any(|it| it.kind == Kind::PutObject));
    running.signal(Signal::INT).unwrap();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(4), "{}", finished.stderr);
    assert!(!finished.stderr.contains("nothing was left"), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("Ctrl-C: stopping; press again to quit immediately\n"),
        "{}",
        finished.stderr
    );
    assert!(!finished.stderr.contains("parts"), "{}", finished.stderr);
}
