//! `haul run`: many commands that share one engine.

use std::fmt::Write as _;
use std::process::Stdio;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Kind};
use haul_testkit::process::{Finished, Running, Signal};

use crate::world::{LIMIT, World, assert_keys, events, finish, make_bucket, succeed};

struct Runs {
    world: World,
    store: TestStore,
    bucket: String,
}

impl Runs {
    fn new(world: World, store: TestStore) -> Self {
        let bucket = make_bucket(&world, &store);
        for name in ["a", "b", "c"] {
            std::fs::write(world.path(name), name).unwrap();
        }
        Self { world, store, bucket }
    }

    fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// Runs these lines, with BUCKET replaced by the address of the bucket.
    fn run(&self, lines: &str, flags: &[&str]) -> Finished {
        let lines = lines.replace("BUCKET", &format!("s3://{}", self.bucket));
        std::fs::write(self.world.path("lines"), lines).unwrap();
        finish(self.world.haul(&self.store).args(["run", "lines"]).args(flags))
    }
}

#[test]
fn lines_are_commands_with_quotes_and_comments() {
    let world = World::new();
    let server = world.serve();
    for store in [server.store().clone(), TestStore::shared("RGW")] {
        let runs = Runs::new(World::new(), store);
        let lines = "# three files\n\ncp a 'BUCKET/a key'\nhaul cp b BUCKET/dir/  # as a shell\n\
                     cp c \"BUCKET/c\"\n";
        let finished = runs.run(lines, &[]);
        assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
        assert_eq!(finished.stdout.lines().last(), Some("3 lines done"), "{}", finished.stdout);
        assert_keys(&runs.store, &runs.bucket, &["a key", "c", "dir/b"]);
        // With `--jobs 1` the lines run in order, one after the other.
        let finished =
            runs.run("cp BUCKET/c back\nrm BUCKET/c\ncp back BUCKET/d\n", &["--jobs", "1"]);
        assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
        assert_keys(&runs.store, &runs.bucket, &["a key", "d", "dir/b"]);
    }
}

/// The file has the lines as they were written, so that a second run repeats just those.
#[test]
fn failed_lines_are_written_to_a_file_that_runs_again() {
    let world = World::new();
    let server = world.serve();
    let runs = Runs::new(World::new(), server.store().clone());
    let lines = "# all\ncp a BUCKET/a\ncp 'not there' BUCKET/x  # later\ncp b BUCKET/b\nfly\n";
    let finished = runs.run(lines, &["--jobs", "1", "--failed-to", "failed"]);
    assert_eq!(finished.code(), Some(2), "{}", finished.stderr);
    let failed = std::fs::read_to_string(runs.world.path("failed")).unwrap();
    assert_eq!(failed, format!("cp 'not there' {}  # later\nfly\n", runs.url("x")));

    std::fs::write(runs.world.path("not there"), "now").unwrap();
    let again = ["run", "failed", "--failed-to", "still"];
    let finished = finish(runs.world.haul(&runs.store).args(again));
    assert_eq!(finished.stdout.lines().last(), Some("1 line done, 1 failed"));
    assert_keys(&runs.store, &runs.bucket, &["a", "b", "x"]);
    assert_eq!(std::fs::read_to_string(runs.world.path("still")).unwrap(), "fly\n");
    let same =
        finish(runs.world.haul(&runs.store).args(["run", "still", "--failed-to", "./still"]));
    assert_eq!(same.code(), Some(2), "{}", same.stderr);
    assert_eq!(std::fs::read_to_string(runs.world.path("still")).unwrap(), "fly\n");
}

#[test]
fn a_line_that_fails_stops_no_other_and_the_worst_code_counts() {
    let world = World::new();
    let server = world.serve();
    let runs = Runs::new(World::new(), server.store().clone());
    let lines = "cp a BUCKET/a\ncp gone BUCKET/gone\nfly away\ncp 'b BUCKET/b\ncp c BUCKET/c\n";
    let finished = runs.run(lines, &["--jobs", "1"]);
    assert_eq!(finished.code(), Some(2), "{}", finished.stderr);
    assert_eq!(finished.stdout.lines().last(), Some("2 lines done, 3 failed"));
    for reported in [
        "error: line 2: cannot copy gone",
        "error: line 3: unrecognized subcommand 'fly'",
        "error: line 4: a quote is not closed",
        &format!("failed: line 2: cp gone {}", runs.url("gone")),
    ] {
        assert!(finished.stderr.contains(reported), "{reported} in {}", finished.stderr);
    }
    assert_keys(&runs.store, &runs.bucket, &["a", "c"]);

    let finished = runs.run("rm BUCKET/gone\nrm BUCKET/a\n", &["--jobs", "1", "--fail-fast"]);
    assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
    assert_keys(&runs.store, &runs.bucket, &["a", "c"]);
}

#[test]
fn events_carry_the_number_of_their_line() {
    let world = World::new();
    let server = world.serve();
    let runs = Runs::new(World::new(), server.store().clone());
    let finished = runs.run("# first\ncp a BUCKET/a\ncp gone BUCKET/b\nls BUCKET\n", &["--json"]);
    assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
    let events = events(&finished);
    let lines_of = |name: &str| -> Vec<u64> {
        let of_name = events.iter().filter(|event| event["event"] == name);
        of_name.map(|event| event["line"].as_u64().unwrap()).collect()
    };
    assert_eq!(lines_of("uploaded"), [2]);
    assert_eq!(lines_of("failed"), [3]);
    let mut done = lines_of("line-done");
    done.sort_unstable();
    assert_eq!(done, [2, 3, 4]);
    let summary = events.last().unwrap();
    assert_eq!(summary["event"], "run-summary");
    assert_eq!((&summary["lines"], &summary["failed_lines"]), (&3.into(), &serde_json::json!([3])));
}

/// All lines share one engine; with an engine for each line there would be 40 connections, and 8
/// requests at once.
#[test]
fn all_lines_share_connections_and_the_limit_of_requests() {
    let world = World::new();
    let server = world.serve();
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    let runs = Runs::new(world, server.store().at(proxy.endpoint()));
    let mut lines = String::new();
    for number in 0..40 {
        writeln!(lines, "cp a BUCKET/k{number:02}").unwrap();
    }
    let finished = runs.run(&lines, &["--jobs", "8", "--concurrency", "2"]);
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
    let puts: Vec<_> =
        proxy.seen().into_iter().filter(|seen| seen.kind == Kind::PutObject).collect();
    assert_eq!(puts.len(), 40);
    let at_once = puts.iter().map(|put| put.in_flight).max();
    assert!(at_once <= Some(2), "{at_once:?} at once");
    let mut connections: Vec<_> = puts.iter().map(|put| put.connection).collect();
    connections.sort_unstable();
    connections.dedup();
    assert!(connections.len() <= 8, "{connections:?}");
}

#[test]
fn folders_move_as_lines_too() {
    let world = World::new();
    let server = world.serve();
    let runs = Runs::new(World::new(), server.store().clone());
    std::fs::create_dir_all(runs.world.path("dir/deep")).unwrap();
    for name in ["dir/1", "dir/deep/2"] {
        std::fs::write(runs.world.path(name), name).unwrap();
    }
    let lines = "cp -r dir BUCKET/t/\nmv a BUCKET/moved\nrm -r BUCKET/t/deep/\n";
    let finished = runs.run(lines, &["--jobs", "1"]);
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
    assert_keys(&runs.store, &runs.bucket, &["moved", "t/1"]);
    assert!(!runs.world.path("a").exists(), "a moved file is gone");
}

/// All lines share one endpoint inside the command; with one endpoint for each line, the lines
/// would wait for each other.
#[test]
fn lines_share_the_store_of_this_machine() {
    let world = World::new();
    std::fs::write(world.path("a"), "a").unwrap();
    let lines: String = (0..20).map(|number| format!("cp a local://demo/{number}\n")).collect();
    std::fs::write(world.path("lines"), lines + "du local://demo\n").unwrap();
    let finished = succeed(world.haul_without_store().args(["run", "lines"]));
    assert_eq!(finished.stdout.lines().last(), Some("21 lines done"));
    assert!(!finished.stderr.contains("waiting for another haul"), "{}", finished.stderr);
    let count = succeed(world.haul_without_store().args(["du", "local://demo"]));
    assert!(count.stdout.contains("20 objects"), "{}", count.stdout);
}

/// Lines from a pipe start when they arrive; after a Ctrl-C no further line starts.
#[test]
fn lines_of_a_pipe_run_as_they_come_until_a_signal() {
    use std::io::Write as _;

    let world = World::new();
    let server = world.serve();
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    let runs = Runs::new(world, server.store().at(proxy.endpoint()));
    let (input, mut output) = std::io::pipe().unwrap();
    let mut command = runs.world.haul(&runs.store);
    command.args(["run", "-"]);
    let running = Running::start_with_input(&mut command, Stdio::from(input)).unwrap();
    writeln!(output, "cp a {}", runs.url("a")).unwrap();
    let arrived = |seen: &[haul_testkit::chaos::Seen]| {
        seen.iter().any(|it| it.kind == Kind::PutObject && it.status == Some(200))
    };
    assert!(proxy.wait_until(LIMIT, arrived), "the first line runs while the pipe is open");
    running.signal(Signal::INT).unwrap();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
    assert!(finished.stderr.contains("1 line begun"), "{}", finished.stderr);
    drop(output);
    assert_keys(&runs.store, &runs.bucket, &["a"]);
}

/// Two hosts share a prefix too large for one: each runs its own list of `cp -r`, with its own
/// journals, and together they copy every object once.
#[test]
fn hosts_with_their_own_prefixes_copy_every_object_once() {
    let world = World::new();
    let server = world.serve();
    let store = server.store().clone();
    let bucket = make_bucket(&world, &store);
    let keys: Vec<String> =
        (0..6).flat_map(|p| (0..20).map(move |n| format!("p{p}/{n:02}"))).collect();
    for key in &keys {
        let file = world.path("in").join(key);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, key).unwrap();
    }
    succeed(world.haul(&store).args(["cp", "-r", "in", &format!("s3://{bucket}/in/")]));
    let proxy = ChaosProxy::start(&store.endpoint).unwrap();
    let through = store.at(proxy.endpoint());
    let listed = succeed(world.haul(&store).args(["ls", &format!("s3://{bucket}/in/"), "--json"]));
    let prefixes: Vec<String> = events(&listed)
        .iter()
        .filter_map(|line| Some(line["prefix"].as_str()?.trim_start_matches("in/").to_owned()))
        .collect();
    assert_eq!(prefixes.len(), 6, "{}", listed.stdout);
    let hosts = [World::new(), World::new()];
    let mut running = vec![];
    for (number, host) in hosts.iter().enumerate() {
        let mut lines = String::new();
        for prefix in prefixes.iter().skip(number).step_by(hosts.len()) {
            writeln!(lines, "cp -r s3://{bucket}/in/{prefix} s3://{bucket}/out/{prefix}").unwrap();
        }
        std::fs::write(host.path("lines"), lines).unwrap();
        running.push(Running::start(host.haul(&through).args(["run", "lines"])).unwrap());
    }
    for host in running {
        let finished = host.finish(LIMIT).unwrap();
        assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
    }
    let both = keys.iter().map(|key| format!("in/{key}"));
    let both: Vec<String> = both.chain(keys.iter().map(|key| format!("out/{key}"))).collect();
    assert_keys(&store, &bucket, &both.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(proxy.count(Kind::CopyObject), keys.len());
}
