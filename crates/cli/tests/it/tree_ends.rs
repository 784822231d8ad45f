//! Runs every row of the table of sources and targets in `docs/cli.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use haul_testkit::TestStore;

use crate::world::{World, finish, make_bucket, succeed};

/// A row of the table: a command, and the files or keys that it creates, or the exit code of its
/// refusal.
#[derive(Debug)]
struct Row {
    command: String,
    makes: Result<BTreeSet<String>, i32>,
}

fn rows(heading: &str) -> Vec<Row> {
    let document = include_str!("../../../../docs/cli.md");
    let table = document.split(heading).nth(1).expect("the heading is there");
    let lines = table.lines().skip_while(|line| !line.starts_with("| `"));
    let lines = lines.take_while(|line| line.starts_with('|'));
    lines
        .map(|line| {
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            let command = cells.next().unwrap().trim_matches(['|', ' ', '`']).to_owned();
            let makes = cells.next().unwrap().trim_matches(['|', ' ']);
            let makes = match makes.strip_prefix("exit code ") {
                Some(code) => Err(code.split(':').next().unwrap().parse().unwrap()),
                None => Ok(makes.split(' ').map(|name| name.trim_matches('`').into()).collect()),
            };
            Row { command, makes }
        })
        .collect()
}

/// Returns the arguments of a command, without `haul`.
fn words(command: &str, bucket: &str) -> Vec<String> {
    let words = command.strip_prefix("haul ").expect("a row runs haul").split(' ');
    words.map(|word| word.trim_matches('\'').replace("BUCKET", bucket)).collect()
}

fn keys(world: &World, store: &TestStore, bucket: &str) -> BTreeSet<String> {
    let listed = world.haul(store).args(["ls", "-r", "--json", &format!("s3://{bucket}")]).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let key = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["key"].as_str().map(str::to_owned)
    };
    listed.lines().filter_map(key).collect()
}

fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

fn write(folder: &Path, name: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, name).unwrap();
}

#[test]
fn every_row_of_uploads_is_as_documented() {
    let world = World::new();
    let server = world.serve();
    let local = world.path("local");
    for name in ["photo.jpg", "photos/a.jpg", "photos/b/c.jpg"] {
        write(&local, name);
    }
    fs::create_dir(local.join("photos/empty")).unwrap();
    let rows = rows("#### Up");
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        let bucket = make_bucket(&world, server.store());
        let mut command = world.haul(server.store());
        let done = finish(command.current_dir(&local).args(words(&row.command, &bucket)));
        match row.makes {
            Ok(expected) => {
                assert_eq!(done.code(), Some(0), "{}: {}", row.command, done.stderr);
                assert_eq!(keys(&world, server.store(), &bucket), expected, "{}", row.command);
            }
            Err(code) => {
                assert_eq!(done.code(), Some(code), "{}: {}", row.command, done.stderr);
                assert_eq!(
                    keys(&world, server.store(), &bucket),
                    BTreeSet::new(),
                    "{}",
                    row.command
                );
            }
        }
    }
}

#[test]
fn every_row_of_downloads_and_copies_is_as_documented() {
    let world = World::new();
    let server = world.serve();
    let source = world.path("source");
    for name in ["photos/a.jpg", "photos/b/c.jpg", "photos2/d.jpg"] {
        write(&source, name);
    }
    for (number, row) in rows("#### Down and between").into_iter().enumerate() {
        let bucket = make_bucket(&world, server.store());
        let to = format!("s3://{bucket}");
        succeed(world.haul(server.store()).current_dir(&source).args(["cp", "-r", ".", &to]));
        let before = keys(&world, server.store(), &bucket);
        let local = world.path(&format!("local{number}"));
        fs::create_dir_all(local.join("here")).unwrap();
        let mut command = world.haul(server.store());
        let done = finish(command.current_dir(&local).args(words(&row.command, &bucket)));
        let mut made = files(&local);
        let now = keys(&world, server.store(), &bucket);
        made.extend(now.difference(&before).cloned());
        match row.makes {
            Ok(expected) => {
                assert_eq!(done.code(), Some(0), "{}: {}", row.command, done.stderr);
                assert_eq!(made, expected, "{}", row.command);
            }
            Err(code) => {
                assert_eq!(done.code(), Some(code), "{}: {}", row.command, done.stderr);
                assert_eq!(made, BTreeSet::new(), "{}", row.command);
            }
        }
    }
}
