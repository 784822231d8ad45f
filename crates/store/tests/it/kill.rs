//! Repeated `kill -9` of a real process that writes to the same real folder: every promise holds.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use haul_store::{DiskStore, Error, ReadRange, Repair, check};

use crate::fixture::{bucket, key, options, read};

const ROUNDS: u64 = 12;
/// The number of clients in the program.
const CLIENTS: u64 = 3;

/// The promised state of one key, and the state that an unanswered operation would lead to.
#[derive(Clone, Debug, Default)]
struct Promise {
    object: Option<(u64, usize)>,
    in_doubt: bool,
}

/// Returns the path of the example program, which is built together with this test.
fn keep_writing() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    profile.join("examples").join(format!("keep_writing{}", std::env::consts::EXE_SUFFIX))
}

/// Runs the program until it has printed `lines` lines, kills it, and records everything it
/// printed.
fn run_and_kill(
    dir: &std::path::Path,
    seed: u64,
    lines: usize,
    promises: &mut HashMap<String, Promise>,
) {
    let mut child = Command::new(keep_writing())
        .arg(dir)
        .arg(seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", keep_writing().display()));
    let output = BufReader::new(child.stdout.take().unwrap());
    for (count, line) in output.lines().enumerate() {
        if count == lines {
            child.kill().unwrap();
        }
        note(&line.unwrap(), promises);
    }
    assert!(!child.wait().unwrap().success(), "it was killed, or it failed by itself");
}

fn note(line: &str, promises: &mut HashMap<String, Promise>) {
    let words: Vec<&str> = line.split(' ').collect();
    let promise = promises.entry(words[1].to_owned()).or_default();
    match words[..] {
        ["begin", _] => promise.in_doubt = true,
        ["delete", _] => *promise = Promise::default(),
        ["put", _, seed, length] => {
            let object = Some((seed.parse().unwrap(), length.parse().unwrap()));
            *promise = Promise { object, in_doubt: false };
        }
        _ => panic!("{line}"),
    }
}

/// Returns bytes; the example program computes the same ones.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(seed | 1) >> 3).to_le_bytes()[0]).collect()
}

#[test]
fn what_a_killed_process_promised_is_there() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("store");
    let mut promises = HashMap::new();
    let (mut kept, mut left) = (0, 0);
    for round in 0..ROUNDS {
        let lines = 5 + usize::try_from(round * 13 % 90).unwrap();
        run_and_kill(&dir, round + 1, lines, &mut promises);
        let report = check(&dir, options(), Repair::ReportOnly, &Default::default()).unwrap();
        assert!(report.is_sound(), "round {round}: {:?}", report.problems);
        let store = DiskStore::open(&dir, options()).unwrap();
        // The kill may have left files that were linked but not committed; opening removed them.
        left += report.orphan_count;
        assert!(report.orphan_count <= CLIENTS, "round {round}");
        assert_eq!(store.check().unwrap().orphan_count, 0, "round {round}");
        for (name, promise) in &mut promises {
            let found = match store.head_object(&bucket("killed"), &key(name)) {
                Ok(_) => Some(read(&store, &bucket("killed"), name, ReadRange::Whole)),
                Err(Error::NoSuchKey { .. }) => None,
                Err(error) => panic!("round {round}: {name}: {error}"),
            };
            let promised = promise.object.map(|(seed, length)| bytes(seed, length));
            if promise.in_doubt && found != promised {
                // The unanswered operation was carried out, and the check has verified that the
                // object is whole. Replace it, so that the next round knows its content.
                crate::fixture::try_put(&store, &bucket("killed"), name, &bytes(1, 10)).unwrap();
                *promise = Promise { object: Some((1, 10)), in_doubt: false };
                continue;
            }
            assert!(found == promised, "round {round}: {name} is not what was promised");
            promise.in_doubt = false;
            kept += 1;
        }
    }
    assert!(kept > 50, "only {kept} promises were looked at");
    println!("{left} files were left by {ROUNDS} kills");
}

/// Where the file system knows no files without a name, a kill leaves one in the staging folder.
/// None of them was ever acknowledged.
#[test]
fn what_a_kill_left_in_the_staging_folder_is_removed() {
    let fixture = crate::fixture::Fixture::new();
    let staging = fixture.store_dir().join("staging");
    let (left, stranger) = (staging.join("0123456789abcdef"), staging.join("a person's file"));
    for path in [&left, &stranger] {
        std::fs::write(path, b"bytes").unwrap();
    }
    let _fixture = fixture.reopen();
    assert!(!left.exists());
    assert!(stranger.exists());
}
