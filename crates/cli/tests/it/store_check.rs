//! `haul store check` on a folder that `haul serve` wrote: sound, damaged, with foreign files, held
//! by a server, or not a store at all.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use haul_testkit::files::MIB;
use haul_testkit::process::Finished;
use serde_json::Value;

use crate::event_table::provokes;
use crate::world::{World, copy, event, events, finish, make_bucket, succeed};

const WHOLE_BYTES: u64 = 700_001;
const LAST_PART_BYTES: u64 = 300_003;

/// Creates a stopped store with an object in one piece, `whole`, and one in three parts, `parts`,
/// and returns the bucket.
fn filled(world: &World) -> String {
    let server = world.serve();
    let bucket = make_bucket(world, server.store());
    for (name, length_bytes) in [("whole", WHOLE_BYTES), ("parts", 10 * MIB + LAST_PART_BYTES)] {
        let sample = world.sample(name, length_bytes);
        let to = format!("s3://{bucket}/{name}");
        succeed(copy(world, server.store(), &sample.path, &to).args([
            "--part-size",
            "5MiB",
            "--multipart-threshold",
            "5MiB",
        ]));
    }
    bucket
}

fn check(world: &World, arguments: &[&str]) -> Finished {
    let mut command = world.haul_without_store();
    finish(command.args(["store", "check"]).args(arguments))
}

fn data_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(data_files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

/// Returns the only data file with content of this length.
fn data_file(world: &World, length_bytes: u64) -> PathBuf {
    let mut files = data_files(&world.path("data/data"));
    // A data file has four bytes of checksum after each 64 KiB of content, and after a shorter
    // rest.
    let file_bytes = length_bytes + 4 * length_bytes.div_ceil(64 << 10);
    files.retain(|file| file.metadata().unwrap().len() == file_bytes);
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

fn flip_a_bit(file: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 4], offset).unwrap();
}

/// Returns the path as the command prints it, relative to the folder of the store.
fn shown(world: &World, file: &Path) -> String {
    file.strip_prefix(world.path("data")).unwrap().display().to_string()
}

#[test]
fn a_sound_store_is_called_sound_and_counted() {
    let world = World::new();
    filled(&world);
    let told = check(&world, &["data"]);
    assert_eq!(told.code(), Some(0), "{}", told.stderr);
    let start = "sound: 2 objects, 0 open uploads with 0 parts, 4 data files; 11.0 MiB read in ";
    assert!(told.stdout.starts_with(start), "{}", told.stdout);
    // The folder is given by the option `--data`, and the output is JSON.
    let told = check(&world, &["--data", "data", "--json"]);
    let checked = event(&told, "checked");
    assert_eq!((&checked["sound"], &checked["objects"]), (&Value::from(true), &Value::from(2)));
    assert_eq!(checked["read_bytes"], WHOLE_BYTES + 10 * MIB + LAST_PART_BYTES);
}

#[test]
fn a_flipped_bit_and_a_lost_file_are_named() {
    let world = World::new();
    let bucket = filled(&world);
    let (rotten, lost) = (data_file(&world, LAST_PART_BYTES), data_file(&world, WHOLE_BYTES));
    flip_a_bit(&rotten, 12_345);
    fs::remove_file(&lost).unwrap();

    let told = check(&world, &["data", "--repair"]);
    assert_eq!(told.code(), Some(7), "{}", told.stderr);
    let (rotten, lost) = (shown(&world, &rotten), shown(&world, &lost));
    for line in [
        format!(
            "damaged  part 3 of {bucket}/parts: {rotten}: bytes 0 to 65535 are not those that were \
             written"
        ),
        format!("damaged  {rotten}: bytes 0 to 65535 are not those that were written"),
        format!(
            "damaged  part 1 of {bucket}/whole: {lost}: cannot be read: No such file or directory \
             (os error 2)"
        ),
    ] {
        assert!(told.stdout.lines().any(|told| told == line), "{line} is not in:\n{}", told.stdout);
    }
    assert!(told.stderr.starts_with("error: 4 things are not as written in "), "{}", told.stderr);
    assert!(told.stderr.contains("\nhint: "), "{}", told.stderr);

    // The check repaired nothing: with `--json` it finds the same problems, each with its position.
    let told = check(&world, &["data", "--json"]);
    assert_eq!(told.code(), Some(7));
    provokes("store_check::a_flipped_bit_and_a_lost_file_are_named", &events(&told));
    let named = |problem: &Value| problem["kind"] == "damaged-part" && problem["key"] == "parts";
    let problem = events(&told).into_iter().find(named).expect(&told.stdout);
    assert_eq!(
        (&problem["bucket"], &problem["part_number"]),
        (&Value::from(bucket), &Value::from(3))
    );
    let file =
        |problem: &Value| problem["kind"] == "damaged-file" && problem["file"] == rotten.as_str();
    assert!(events(&told).iter().any(file), "{}", told.stdout);
    assert_eq!(event(&told, "checked")["problems"], 4);
    let failed = event(&told, "failed");
    assert_eq!((&failed["code"], &failed["exit_code"]), (&Value::from("Damaged"), &Value::from(7)));
}

#[test]
fn an_orphan_is_no_damage_and_removed_only_on_request() {
    let world = World::new();
    filled(&world);
    let orphan = data_file(&world, WHOLE_BYTES).with_file_name("00000000000003fe");
    fs::write(&orphan, "belongs to nothing").unwrap();
    let told = check(&world, &["data"]);
    assert_eq!(told.code(), Some(0), "{}", told.stderr);
    let line = format!("orphan   {}\n", shown(&world, &orphan));
    assert!(told.stdout.starts_with(&line), "{}", told.stdout);
    assert!(
        told.stdout.contains("1 orphaned file that nothing refers to: harmless, --repair removes")
    );
    assert!(orphan.exists());

    let told = check(&world, &["data", "--repair", "--json"]);
    assert_eq!(told.code(), Some(0), "{}", told.stderr);
    let mut lines = events(&told);
    assert_eq!(event(&told, "checked")["removed_orphans"], 1);
    assert!(!orphan.exists());
    // A file in the wrong folder does not belong to the store, whatever its name: the check reports
    // its path and leaves it.
    let stranger = orphan.with_file_name("0000000000fffffe");
    fs::write(&stranger, "a foreign file").unwrap();
    let told = check(&world, &["data", "--repair"]);
    assert_eq!(told.code(), Some(0), "{}", told.stderr);
    assert!(
        told.stdout.starts_with(&format!("stranger {}\n", shown(&world, &stranger))),
        "{}",
        told.stdout
    );
    assert!(told.stdout.contains("; 1 stranger left alone"), "{}", told.stdout);
    assert!(!told.stdout.contains("orphan"), "{}", told.stdout);
    let told = check(&world, &["data", "--json"]);
    assert_eq!(event(&told, "checked")["strangers"], 1);
    lines.extend(events(&told));
    provokes("store_check::an_orphan_is_no_damage_and_removed_only_on_request", &lines);
    fs::remove_file(&stranger).unwrap();

    let told = check(&world, &["data"]);
    assert!(
        told.stdout.starts_with("sound: 2 objects") && !told.stdout.contains("orphan"),
        "{}",
        told.stdout
    );
}

/// Damaged pages of the metadata are never used: either the check reports the damage, or no command
/// reads the damaged byte.
#[test]
fn damaged_metadata_is_found_and_no_crash() {
    let world = World::new();
    filled(&world);
    let metadata = world.path("data/meta.redb");
    let sound = fs::read(&metadata).unwrap();
    // Damages only bytes in use: runs of zeroes are free space.
    let used: Vec<usize> = (0..sound.len()).filter(|at| sound[*at] != 0).collect();
    let mut found = 0;
    for at in used.iter().step_by(used.len().div_ceil(64)) {
        let mut damaged = sound.clone();
        damaged[*at] ^= 4;
        fs::write(&metadata, damaged).unwrap();
        let told = check(&world, &["data"]);
        assert!(!told.stderr.contains("panicked"), "byte {at}:\n{}", told.stderr);
        match told.code() {
            Some(0) => {
                assert!(told.stdout.starts_with("sound: 2 objects"), "byte {at}: {}", told.stdout);
            }
            Some(7) => {
                assert!(told.stderr.contains("hint: "), "byte {at}: {}", told.stderr);
                found += 1;
            }
            other => panic!("byte {at}: {other:?}\n{}", told.stderr),
        }
    }
    assert!(found > 0, "no damage was found");
}

/// `rm DIR/meta.redb; haul ls --data DIR local://` once created new metadata and removed all data
/// files as orphans, with exit code 0 and without a message. A dangling link in place of the
/// metadata had the same effect.
#[test]
fn a_folder_without_its_metadata_is_refused_by_every_command() {
    let world = World::new();
    filled(&world);
    let metadata = world.path("data/meta.redb");
    let kept = fs::read(&metadata).unwrap();
    fs::remove_file(&metadata).unwrap();
    let before = data_files(&world.path("data/data"));
    let refused = |words: &str, arguments: &[&str]| {
        let told = finish(world.haul_without_store().args(arguments));
        assert_eq!(told.code(), Some(2), "{arguments:?}: {}", told.stderr);
        assert!(
            told.stderr.contains(words) && told.stderr.contains("hint: "),
            "{arguments:?}: {}",
            told.stderr
        );
        assert_eq!(data_files(&world.path("data/data")), before, "{arguments:?}");
        told
    };
    let commands: [&[&str]; 3] = [
        &["ls", "--data", "data", "local://"],
        &["serve", "--data", "data", "--listen", "127.0.0.1:0"],
        &["store", "check", "data", "--repair"],
    ];
    for arguments in commands {
        refused("without its metadata, meta.redb", arguments);
        assert!(!metadata.exists(), "{arguments:?}");
    }
    // The check names every file that it finds.
    let told = check(&world, &["data"]);
    let beside = ["store-id", "last-commit"];
    for file in before.iter().filter(|file| !beside.iter().any(|name| file.ends_with(name))) {
        let line = format!("file     {}", shown(&world, file));
        assert!(told.stdout.lines().any(|told| told == line), "{line} is not in:\n{}", told.stdout);
    }
    let told = check(&world, &["data", "--json"]);
    assert_eq!(event(&told, "failed")["code"], "MetadataLost");
    let test = "store_check::a_folder_without_its_metadata_is_refused_by_every_command";
    provokes(test, &events(&told));

    std::os::unix::fs::symlink(world.path("nowhere"), &metadata).unwrap();
    for arguments in commands {
        refused("meta.redb is a symbolic link where a regular file is expected", arguments);
    }
    assert!(!world.path("nowhere").exists());
    fs::remove_file(&metadata).unwrap();
    fs::write(&metadata, kept).unwrap();
    assert_eq!(check(&world, &["data"]).code(), Some(0));
}

#[test]
fn a_folder_that_a_server_holds_is_not_checked() {
    let world = World::new();
    let server = world.serve();
    let told = check(&world, &["data"]);
    assert_eq!(told.code(), Some(1), "{}", told.stderr);
    for words in [
        format!("data is in use by process {}", server.id()),
        format!("hint: process {} serves it at {}", server.id(), server.store().endpoint),
    ] {
        assert!(told.stderr.contains(&words), "{words} is not in:\n{}", told.stderr);
    }
    assert_eq!(event(&check(&world, &["data", "--json"]), "failed")["code"], "Locked");
}

#[test]
fn what_is_no_store_is_not_made_one() {
    let world = World::new();
    fs::create_dir(world.path("empty")).unwrap();
    for folder in ["empty", "absent"] {
        let told = check(&world, &[folder]);
        assert_eq!(told.code(), Some(2), "{}", told.stderr);
        assert!(
            told.stderr.contains("there is no store in ") && told.stderr.contains("hint: "),
            "{}",
            told.stderr
        );
    }
    let told = check(&world, &["empty", "--endpoint", "http://127.0.0.1:1"]);
    assert_eq!(told.code(), Some(2), "{}", told.stderr);
    assert!(told.stderr.contains("--endpoint chooses a store"), "{}", told.stderr);
    // The command uses the default folder, which does not exist yet.
    assert_eq!(check(&world, &[]).code(), Some(2));
    assert!(!world.path("absent").exists() && !world.path(".local").exists());
    assert_eq!(fs::read_dir(world.path("empty")).unwrap().count(), 0);
}
