//! An unreadable journal is always reported, and never blocks uploads permanently.

use std::path::PathBuf;
use std::process::Command;

use haul_testkit::process::Finished;

use crate::scene::Scene;
use crate::world::{event, events, finish, succeed};

/// Returns the path of the only journal of a scene.
fn journal(scene: &Scene) -> PathBuf {
    let folder = scene.world.path(".local/state/haul/uploads");
    let mut journals = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    journals.find(|path| path.extension().is_some_and(|ending| ending == "journal")).unwrap()
}

/// Overwrites the journal of a killed upload with this content, and returns the upload id and the
/// path of the journal.
fn overwritten(content: &[u8]) -> (Scene, String, PathBuf) {
    let scene = Scene::at_haul_serve();
    scene.kill_before_the_last_part();
    let file = journal(&scene);
    std::fs::write(&file, content).unwrap();
    let id = file.file_stem().unwrap().to_str().unwrap().to_owned();
    (scene, id, file)
}

fn haul(scene: &Scene, words: &[&str]) -> Command {
    let mut command = scene.world.haul(&scene.store);
    command.args(words);
    command
}

fn assert_says(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!(finished.code(), Some(code), "{}", finished.stderr);
    for word in words {
        assert!(finished.stderr.contains(word), "{word} is missing in:\n{}", finished.stderr);
    }
}

/// `haul uploads` once printed "no unfinished uploads" on a machine whose only journal could not be
/// read.
#[test]
fn an_unreadable_journal_is_listed_with_a_hint() {
    let zeros = vec![0; 1 << 20];
    let cases: [(&[u8], &str); 4] = [
        (&zeros, "the file is not a journal"),
        (b"HAULJNL\x02damaged", "its beginning is damaged"),
        (b"HAULJNL\x03newer", "the journal has format version 3; this Haul reads version 2"),
        (b"HAULJNL\x01older", "the journal has format version 1; this Haul reads version 2"),
    ];
    for (content, reason) in cases {
        let (scene, id, file) = overwritten(content);
        let file = file.to_str().unwrap();
        let listed = succeed(&mut haul(&scene, &["uploads"]));
        assert_eq!(listed.stdout.trim_end(), format!("{id}  cannot be read: {reason} ({file})"));
        let listed = events(&succeed(&mut haul(&scene, &["uploads", "--json"])));
        let expected = serde_json::json!([
            {"event": "unreadable-journal", "id": id, "file": file, "reason": reason}
        ]);
        assert_eq!(serde_json::json!(listed), expected);
        for words in [["resume", &id[..6]], ["abort", &id], ["resume", "--all"]] {
            let refused = finish(&mut haul(&scene, &words));
            assert_says(&refused, 1, &[&id, reason, &format!("remove {file}"), "haul cp --adopt"]);
        }
        assert_eq!(std::fs::read(file).unwrap(), content, "it was changed");
    }
}

/// A journal full of zeros after a power failure once made `haul cp` fail with 1 on every run,
/// until the user found the file and removed it.
#[test]
fn an_invalid_journal_is_moved_aside_and_the_upload_restarts() {
    for content in [&[0; 700][..], b"something else", b"HAULJNL\x02damaged"] {
        let (scene, id, file) = overwritten(content);
        let finished = succeed(&mut scene.command());
        let aside = file.with_file_name(format!("{id}.damaged"));
        let said = event(&finished, "warning")["message"].as_str().unwrap().to_owned();
        assert!(
            said.contains("cannot be read") && said.contains(aside.to_str().unwrap()),
            "{said}"
        );
        assert_eq!(std::fs::read(aside).unwrap(), content);
        assert!(!file.exists(), "the new one is gone with its upload");
        // The store still has the upload of the lost journal, and the command reports it.
        event(&finished, "unfinished-found");
        scene.abort_behind_its_back();
        scene.assert_arrived();
    }
}

/// Following the hint solves the problem: without the journal file, `--adopt` continues with the
/// parts that arrived.
#[test]
fn a_journal_of_a_newer_haul_stays_and_adopt_works_without_it() {
    let newer = b"HAULJNL\x03what only it understands";
    let (scene, _, file) = overwritten(newer);
    let refused = finish(&mut scene.command());
    assert_says(
        &refused,
        1,
        &["format version 3", "use the Haul that wrote it", file.to_str().unwrap()],
    );
    assert_eq!(std::fs::read(&file).unwrap(), newer);

    std::fs::remove_file(&file).unwrap();
    let finished = succeed(scene.command().arg("--adopt"));
    assert!(event(&finished, "resumed")["adopted_parts"].as_u64().unwrap() >= 3);
    scene.assert_arrived();
}
