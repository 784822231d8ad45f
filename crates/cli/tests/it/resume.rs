//! The same command resumes an upload: after Ctrl-C, after an outage of the store, with another
//! version of the file, with only a journal, and with two processes at once.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::process::{Finished, Running, Signal};
use serde_json::Value;

use crate::event_table::provokes;
use crate::scene::{KEY, Scene, arrived};
use crate::world::{
    LIMIT, PART, assert_keys, assert_no_upload_left, copy, event, events, finish, read_back,
    succeed,
};

const PARTS: u64 = 8;

/// Runs an upload of eight parts that is interrupted with some of them at the store, because part 5
/// never arrives.
fn stopped_by(signal: Signal) -> Scene {
    let scene = Scene::of_file(PARTS * PART);
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(5));
    let running = Running::start(&mut command(&scene)).unwrap();
    scene.wait_for(|seen| {
        (1..=4).all(|part| arrived(seen, part)) && seen.iter().any(|it| it.part_number == Some(5))
    });
    running.signal(signal).unwrap();
    let finished = running.finish(LIMIT).unwrap();
    if signal == Signal::INT {
        assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
        assert!(
            finished.stderr.contains("haul resume"),
            "it says how to go on: {}",
            finished.stderr
        );
    } else {
        assert_eq!(finished.code(), None, "a signal ended it");
    }
    scene
}

/// Starts an upload of three parts of which the second never arrives, with these additional
/// arguments.
fn stalled_at_part_2(more: &[&str]) -> (Scene, Running) {
    let scene = Scene::of_file(3 * PART);
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(2));
    let running = Running::start(plain(&scene).args(more)).unwrap();
    scene.wait_for(|seen| seen.iter().any(|request| request.part_number == Some(2)));
    (scene, running)
}

fn plain(scene: &Scene) -> Command {
    let mut command = copy(&scene.world, &scene.store, &scene.sample.path, &scene.url());
    command.args(["--part-size", "8MiB"]);
    command
}

fn command(scene: &Scene) -> Command {
    let mut command = plain(scene);
    command.args(["--concurrency", "4", "--json"]);
    command
}

fn haul(scene: &Scene, arguments: &[&str]) -> Finished {
    succeed(scene.world.haul(&scene.store).args(arguments).arg("--json"))
}

fn listed(scene: &Scene) -> Vec<Value> {
    events(&haul(scene, &["uploads"]))
}

fn parts_sent(scene: &Scene) -> usize {
    scene.proxy.count(Kind::UploadPart)
}

/// Asserts that the object equals the current content of the file.
fn assert_arrived(scene: &Scene) {
    let expected = haul_testkit::files::sha256(&scene.sample.path).unwrap();
    assert_eq!(read_back(&scene.store, &scene.bucket, KEY).sha256, expected);
    assert_no_upload_left(&scene.store, &scene.bucket);
    assert_eq!(listed(scene), Vec::<Value>::new(), "the journal is gone");
}

/// P2: the second run sends only the missing parts, and the report names the parts that were
/// present.
#[test]
fn the_same_command_again_sends_only_the_rest() {
    for signal in [Signal::INT, Signal::KILL] {
        let stopped = stopped_by(signal);
        let listed = listed(&stopped);
        assert_eq!(listed.len(), 1);
        // If the kill prevented the record of a part, the journal lacks the part, and ListParts has
        // it.
        assert!(listed[0]["arrived_bytes"].as_u64().unwrap() >= PART, "{listed:?}");
        let before = parts_sent(&stopped);
        let finished = succeed(&mut command(&stopped));
        let resumed = event(&finished, "resumed");
        let there = resumed["arrived_parts"].as_u64().unwrap();
        assert!((4..PARTS).contains(&there), "{resumed}");
        assert_eq!((parts_sent(&stopped) - before) as u64, PARTS - there);
        assert_eq!(stopped.proxy.count(Kind::CreateMultipartUpload), 1);
        assert_arrived(&stopped);
    }
}

#[test]
fn haul_resume_continues_without_the_command() {
    let stopped = stopped_by(Signal::KILL);
    let id = listed(&stopped)[0]["id"].as_str().unwrap().to_owned();
    // In another folder and with other defaults, every option that the upload must keep comes from
    // the journal.
    let resumed = haul(&stopped, &["resume", &id[..6]]);
    event(&resumed, "resumed");
    assert_arrived(&stopped);
}

/// Each of these paths to the same file once began a second upload beside the first one.
#[test]
fn the_same_file_by_another_path_is_the_same_upload() {
    let stopped = stopped_by(Signal::KILL);
    std::fs::create_dir(stopped.world.path("w")).unwrap();
    std::os::unix::fs::symlink(".", stopped.world.path("link")).unwrap();
    stopped.proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).always());
    for path in ["./file", "w/../file", "link/file"] {
        let mut command = copy(&stopped.world, &stopped.store, path, &stopped.url());
        command.args(["--part-size", "8MiB", "--max-attempts", "1", "--json"]);
        event(&finish(&mut command), "resumed");
    }
    assert_eq!(stopped.proxy.count(Kind::CreateMultipartUpload), 1);
    assert_eq!(listed(&stopped).len(), 1);
}

#[test]
fn haul_abort_removes_it_at_the_store_and_forgets_it() {
    let stopped = stopped_by(Signal::KILL);
    let id = listed(&stopped)[0]["id"].as_str().unwrap().to_owned();
    let aborted = haul(&stopped, &["abort", &id]);
    assert_eq!(event(&aborted, "upload-aborted")["was_complete"], false);
    assert_no_upload_left(&stopped.store, &stopped.bucket);
    assert_keys(&stopped.store, &stopped.bucket, &[]);
    assert_eq!(listed(&stopped), Vec::<Value>::new());
    let again = finish(stopped.world.haul(&stopped.store).args(["abort", &id]));
    assert_eq!(again.code(), Some(2), "{}", again.stderr);
}

/// P4: if a file changed in one place, only the part that contains this place is sent again.
#[test]
fn a_changed_source_is_compared_and_only_differences_are_sent() {
    let stopped = stopped_by(Signal::KILL);
    let mut file = std::fs::File::options().write(true).open(stopped.world.path("file")).unwrap();
    file.seek(SeekFrom::Start(2 * PART + 17)).unwrap();
    file.write_all(b"another version").unwrap();
    drop(file);

    let mut strict = command(&stopped);
    let refused = finish(strict.args(["--on-change", "fail"]));
    assert_eq!(refused.code(), Some(6), "{}", refused.stderr);
    assert!(refused.stdout.contains("changed since the upload was begun"), "{}", refused.stdout);
    let id = listed(&stopped)[0]["id"].as_str().unwrap().to_owned();
    assert!(refused.stderr.contains(&format!("haul abort {id}")), "{}", refused.stderr);

    let finished = succeed(&mut command(&stopped));
    assert_eq!(event(&finished, "resumed")["differing_parts"], serde_json::json!([3]));
    assert_arrived(&stopped);
}

/// Another client aborted the upload, or it expired: the command reports it and restarts.
#[test]
fn an_upload_that_is_gone_restarts_with_a_report() {
    let stopped = stopped_by(Signal::KILL);
    stopped.abort_behind_its_back();
    let finished = succeed(&mut command(&stopped));
    provokes("resume::an_upload_that_is_gone_restarts_with_a_report", &events(&finished));
    assert_eq!(stopped.proxy.count(Kind::CreateMultipartUpload), 2);
    assert_arrived(&stopped);
}

/// A damaged journal may cost parts, but never the object.
#[test]
fn a_damaged_journal_never_makes_a_wrong_object() {
    for place in [3, 7, 20, 300, 700] {
        let stopped = stopped_by(Signal::KILL);
        let folder = stopped.world.path(".local/state/haul/uploads");
        let journal = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        flip(&journal, place);
        let finished = finish(&mut command(&stopped));
        assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
        let expected = haul_testkit::files::sha256(&stopped.world.path("file")).unwrap();
        assert_eq!(read_back(&stopped.store, &stopped.bucket, "file").sha256, expected);
    }
}

fn flip(path: &Path, place: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[place] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

/// Two processes never work on one upload.
#[test]
fn a_second_process_learns_the_holder() {
    let (scene, first) = stalled_at_part_2(&[]);
    let second = finish(&mut plain(&scene));
    assert_eq!(second.code(), Some(1), "{}", second.stderr);
    assert!(second.stderr.contains(&format!("process {}", first.id())), "{}", second.stderr);
    first.kill(LIMIT).unwrap();
    succeed(&mut plain(&scene));
    assert_arrived(&scene);
}

/// The message names the current holder, not the previous one.
#[test]
fn a_process_that_still_looks_is_the_one_that_is_named() {
    let (scene, first) = stalled_at_part_2(&[]);
    first.kill(LIMIT).unwrap();
    scene.proxy.add(Rule::on(Kind::ListParts, Fault::Stall { after_bytes: 0 }));
    let second = Running::start(&mut plain(&scene)).unwrap();
    scene.wait_for(|seen| seen.iter().any(|request| request.kind == Kind::ListParts));
    let third = finish(&mut plain(&scene));
    assert_eq!(third.code(), Some(1), "{}", third.stderr);
    assert!(third.stderr.contains(&format!("process {}", second.id())), "{}", third.stderr);
    second.kill(LIMIT).unwrap();
    succeed(&mut plain(&scene));
    assert_arrived(&scene);
}

/// Options that apply at Create cannot change later; those that apply at Complete can.
#[test]
fn an_option_that_contradicts_what_was_begun_is_refused() {
    let stopped = stopped_by(Signal::KILL);
    let sent = parts_sent(&stopped);
    for words in
        [["--checksum", "sha256"], ["--metadata", "owner=me"], ["--content-type", "video/x-new"]]
    {
        let refused = finish(plain(&stopped).args(words));
        assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(words[0]), "{}", refused.stderr);
        assert!(refused.stderr.contains("haul abort "), "{}", refused.stderr);
    }
    assert_eq!(parts_sent(&stopped), sent, "nothing was sent");
    succeed(command(&stopped).args([
        "--checksum",
        "crc64nvme",
        "--require-proof",
        "--if-none-match",
    ]));
    assert_arrived(&stopped);
}

/// With `--no-journal` an interrupted upload is removed, as before journals existed.
#[test]
fn without_a_journal_what_is_interrupted_is_removed() {
    let (scene, running) = stalled_at_part_2(&["--no-journal"]);
    running.signal(Signal::INT).unwrap();
    assert_eq!(running.finish(LIMIT).unwrap().code(), Some(3));
    assert_no_upload_left(&scene.real, &scene.bucket);
    assert!(!scene.world.path(".local/state/haul/uploads").exists());
}
