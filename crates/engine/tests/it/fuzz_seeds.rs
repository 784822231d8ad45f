//! The seeds of `fuzz/`, and what a fuzzer once found, run here too: on the usual compiler, in every run of the tests.

use std::fs;
use std::path::Path;

/// Feeds every seed of a target; there must be some. All are taken but those that are named for being refused: a seed that says
/// nothing any more helps no fuzzer.
fn feed(target: &str, take: fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let seeds: Vec<_> = fs::read_dir(&folder).unwrap().map(|seed| seed.unwrap().path()).collect();
    assert!(!seeds.is_empty(), "{} has no seeds", folder.display());
    for seed in seeds {
        let bytes = fs::read(&seed).unwrap();
        let refused = seed.file_name().unwrap().to_string_lossy().starts_with("refused");
        assert_eq!(take(&bytes), !refused, "{}", seed.display());
        // And cut off anywhere.
        for end in 0..bytes.len() {
            take(&bytes[..end]);
        }
    }
}

#[test]
fn journal() {
    feed("journal", haul::fuzzing::journal);
}

#[test]
fn answer() {
    feed("answer", haul::fuzzing::answer);
}
