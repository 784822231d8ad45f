//! `haul resume --watch`: waits while credentials or the store are away, and resumes when they are
//! back.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::process::{Running, Signal};

use crate::corrections::Chain;
use crate::scene::{KEY, Scene};
use crate::world::{LIMIT, event, events, finish, succeed};

/// The time in which a watch begins to wait.
const PATIENCE: Duration = Duration::from_secs(30);

const GIVES: &str = "ends='+1 hour'\nif [ -e renewed ]; then key=B; else key=A; fi";

/// Starts a command whose output goes to a file of the scene, and waits for the text in it.
pub(crate) fn started_until(
    command: &mut Command,
    output: &std::path::Path,
    text: &str,
) -> Running {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec \"$0\" \"$@\" > '{}'", output.display())]);
    shell.arg(command.get_program()).args(command.get_args()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(command.get_current_dir().unwrap());
    let child = Running::start(&mut shell).unwrap();
    let began = Instant::now();
    let written = || fs::read_to_string(output).unwrap_or_default();
    while !written().contains(text) {
        assert!(began.elapsed() < PATIENCE, "{}", written());
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn only_id(chain: &Chain) -> String {
    let listed = succeed(chain.haul().args(["transfers", "--json"]));
    events(&listed)[0]["id"].as_str().unwrap().to_owned()
}

/// Runs `haul resume --watch` until it waits, renews the credentials, and expects its success.
fn watch_until_renewed(chain: &Chain, words: &[&str]) {
    let output = chain.scene.world.path("output");
    let mut watch = chain.haul();
    watch.args(["resume", "--watch", "--json"]).args(words);
    let running = started_until(&mut watch, &output, "waiting-to-resume");
    assert_eq!(chain.signed_by("B", Kind::UploadPart), 0);
    fs::write(chain.scene.world.path("renewed"), "").unwrap();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(0), "{}", fs::read_to_string(output).unwrap());
}

/// Starts a download whose credentials end before it is complete.
fn with_paused_download() -> Chain {
    let chain = Chain::new(GIVES);
    succeed(&mut chain.command());
    chain.ends_a_after(3);
    let url = format!("s3://{}/{KEY}", chain.scene.bucket);
    let words = ["cp", &url, "back", "--part-size", "5MiB", "--max-attempts", "2"];
    let paused = finish(chain.haul().args(words));
    assert_eq!(paused.code(), Some(3), "{}", paused.stderr);
    chain
}

#[test]
fn an_upload_waits_for_renewed_credentials() {
    let chain = Chain::new(GIVES);
    chain.ends_a_after(4);
    let paused = finish(chain.command().args(["--max-attempts", "2"]));
    assert_eq!(paused.code(), Some(3), "{}", paused.stderr);
    let id = only_id(&chain);
    watch_until_renewed(&chain, &[&id, "--max-attempts", "2"]);
    assert_eq!(chain.scene.proxy.count(Kind::AbortMultipartUpload), 0);
    chain.scene.assert_arrived();
}

#[test]
fn a_download_waits_for_renewed_credentials() {
    let chain = with_paused_download();
    watch_until_renewed(&chain, &["--max-attempts", "2"]);
    let read = |path| fs::read(path).unwrap();
    assert!(read(chain.scene.world.path("back")) == read(chain.scene.sample.path.clone()));
}

#[test]
fn a_copy_waits_for_renewed_credentials() {
    let chain = Chain::new(GIVES);
    succeed(&mut chain.command());
    chain.ends_a_after(7);
    let url = |key: &str| format!("s3://{}/{key}", chain.scene.bucket);
    let words = ["cp", &url(KEY), &url("copy"), "--max-attempts", "2", "--concurrency", "1"];
    let paused = finish(chain.haul().args(words).args(["--part-size", "5MiB"]));
    assert_eq!(paused.code(), Some(3), "{}", paused.stderr);
    watch_until_renewed(&chain, &["--max-attempts", "2"]);
    assert_eq!(chain.scene.proxy.count(Kind::AbortMultipartUpload), 0);
    succeed(chain.haul().args(["verify", KEY, &url("copy")]));
}

/// Every further file of the tree would fail too: a tree of a million files reported a million
/// failures when its session ended.
#[test]
fn a_tree_pauses_when_its_credentials_end_and_is_continued() {
    let chain = Chain::new(GIVES);
    let folder = chain.scene.world.path("tree");
    fs::create_dir(&folder).unwrap();
    for number in 0..200 {
        fs::write(folder.join(format!("{number:03}")), "content").unwrap();
    }
    chain.ends_a_after(20);
    let url = format!("s3://{}/tree/", chain.scene.bucket);
    let words = ["cp", "-r", "tree", &url, "--json", "--concurrency", "4", "--max-attempts", "2"];
    let paused = finish(chain.haul().args(words));
    assert_eq!(paused.code(), Some(3), "{}\n{}", paused.stdout, paused.stderr);
    let failed = event(&paused, "failed");
    assert_eq!((&failed["code"], &failed["exit_code"]), (&"Paused".into(), &3.into()));
    let summary = event(&paused, "tree-summary");
    assert_eq!(summary["failed_files"], 0, "they are left, and did not fail");
    assert!(summary["copied_files"].as_u64().unwrap() < 40, "{summary}");
    watch_until_renewed(&chain, &["--last"]);
    let listed = succeed(chain.haul().args(["ls", "-r", &url]));
    assert_eq!(listed.stdout.lines().count(), 200);
}

/// An answer to HEAD has no body, so the watch took every 400 for a session that had ended, and
/// waited forever for one that nothing cures.
#[test]
fn a_watch_ends_at_a_refusal_that_no_wait_cures() {
    let chain = with_paused_download();
    fs::write(chain.scene.world.path("renewed"), "").unwrap();
    let refused = Fault::error(400, "InvalidRequest");
    chain.scene.proxy.add(Rule::on_any(refused).signed_with("Credential=KEYB/").always());
    let mut watch = chain.haul();
    let ended = finish(watch.args(["resume", "--watch", "--json", "--max-attempts", "2"]));
    assert_eq!(ended.code(), Some(1), "{}", ended.stdout);
    let names: Vec<_> = events(&ended).iter().map(|line| line["event"].to_string()).collect();
    assert!(!names.contains(&"\"waiting-to-resume\"".to_owned()), "{}", ended.stdout);
    let failed = event(&ended, "failed").to_string();
    assert!(failed.contains("InvalidRequest"), "{failed}");
}

/// Every further file would fail too, each after all of its attempts: a tree of a million files
/// took days to report a million failures after the network had gone.
#[test]
fn a_tree_pauses_when_its_store_goes_away_and_is_continued() {
    let mut scene = Scene::at_haul_serve();
    let folder = scene.world.path("tree");
    fs::create_dir(&folder).unwrap();
    for number in 0..200 {
        fs::write(folder.join(format!("{number:03}")), "content").unwrap();
    }
    let slow = Fault::Delay(Duration::from_millis(20));
    scene.proxy.add(Rule::on(Kind::PutObject, slow).always());
    let url = format!("s3://{}/tree/", scene.bucket);
    let words = ["cp", "-r", "tree", &url, "--json", "--concurrency", "4", "--max-attempts", "2"];
    let running = Running::start(scene.world.haul(&scene.store).args(words)).unwrap();
    scene.wait_for(|seen| seen.iter().filter(|it| it.status == Some(200)).count() >= 20);
    scene.server.as_mut().unwrap().kill();
    let paused = running.finish(LIMIT).unwrap();
    assert_eq!(paused.code(), Some(3), "{}\n{}", paused.stdout, paused.stderr);
    let failed = event(&paused, "failed");
    assert_eq!((&failed["code"], &failed["exit_code"]), (&"Paused".into(), &3.into()));
    assert!(failed["hint"].as_str().unwrap().contains("haul resume --last"), "{failed}");
    let summary = event(&paused, "tree-summary");
    assert_eq!(summary["failed_files"], 0, "they are left, and did not fail");
    assert!(scene.proxy.count(Kind::PutObject) < 120, "few files were tried in vain");
    scene.server.as_mut().unwrap().restart().unwrap();
    succeed(scene.world.haul(&scene.store).args(["resume", "--last"]));
    let listed = succeed(scene.world.haul(&scene.store).args(["ls", "-r", &url]));
    assert_eq!(listed.stdout.lines().count(), 200);
}

/// The store is away for some requests: the watch outlasts it. A signal ends it.
#[test]
fn a_watch_outlasts_the_store_and_ends_by_a_signal() {
    let scene = Scene::at_haul_serve();
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).part(3));
    let paused = finish(scene.command().args(["--max-attempts", "1"]));
    assert_eq!(paused.code(), Some(3), "{}", paused.stderr);
    let watch = || {
        let mut command = scene.world.haul(&scene.store);
        command.args(["resume", "--watch", "--json", "--max-attempts", "1"]);
        command
    };
    scene.proxy.add(Rule::on_any(Fault::slow_down()).times(1));
    let output = scene.world.path("output");
    let running = started_until(&mut watch(), &output, "waiting-to-resume");
    let ended = running.signal_until_it_ends(Signal::TERM, LIMIT).unwrap();
    assert_eq!(ended.code(), Some(3));
    succeed(&mut watch());
    scene.assert_arrived();
}
