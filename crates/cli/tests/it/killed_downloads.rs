//! Repeated `kill -9` of a download, and the same command until the download is complete: bytes
//! that have arrived are not fetched again.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::files::MIB;
use haul_testkit::process::{Running, Signal};

use crate::world::{LIMIT, World, event, finish, make_bucket, succeed, upload};

const RANGES: u64 = 26;
const IN_FLIGHT: u64 = 2;
const KILLS: u64 = 20;

struct Scene {
    world: World,
    proxy: ChaosProxy,
    store: TestStore,
    url: String,
    content: Vec<u8>,
    _server: haul_testkit::servers::HaulServe,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let server = world.serve();
        let bucket = make_bucket(&world, server.store());
        let sample = world.sample("sent", (RANGES - 1) * MIB + 12_345);
        let url = format!("s3://{bucket}/object");
        upload(&world, server.store(), &sample.path, &url);
        let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
        proxy.add(Rule::on(Kind::GetObject, Fault::Delay(Duration::from_millis(60))).always());
        let store = server.store().at(proxy.endpoint());
        let content = std::fs::read(&sample.path).unwrap();
        Self { world, proxy, store, url, content, _server: server }
    }

    fn command(&self) -> Command {
        let mut command = self.world.haul(&self.store);
        command.args(["cp", &self.url, "back", "--part-size", "1MiB", "--json"]);
        command.args(["--concurrency", &IN_FLIGHT.to_string()]);
        command
    }

    /// Returns the number of ranges that the journal records.
    fn recorded(&self) -> usize {
        let journals = files_below(&self.world.path(".local"), ".journal");
        let named = |path: &std::path::PathBuf| {
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.windows(16).filter(|window| window == b"\"record\":\"range\"").count()
        };
        journals.iter().map(named).sum()
    }

    /// Downloads the object and restores the journal, as if the process had been killed between the
    /// rename and the removal of the journal.
    fn kill_after_rename(&self) {
        assert!(self.kill_after_one_more_range());
        let [journal] = &files_below(&self.world.path(".local"), ".journal")[..] else {
            panic!("there is not one journal")
        };
        let kept = self.world.path("kept");
        std::fs::hard_link(journal, &kept).unwrap();
        succeed(&mut self.command());
        assert_eq!(self.recorded(), 0);
        std::fs::rename(&kept, journal).unwrap();
        assert_eq!(self.recorded() as u64, RANGES);
    }

    /// Returns the number of temporary files beside the target.
    fn leftovers(&self) -> usize {
        let names = std::fs::read_dir(self.world.path("."))
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name());
        names.filter(|name| name.to_str().is_some_and(|name| name.starts_with(".haul-"))).count()
    }

    fn kill_after_one_more_range(&self) -> bool {
        let before = self.recorded();
        let running = Running::start(&mut self.command()).unwrap();
        let since = Instant::now();
        while self.recorded() <= before
            && since.elapsed() < LIMIT
            && !self.world.path("back").exists()
        {
            std::thread::sleep(Duration::from_millis(2));
        }
        let killed = running.signal(Signal::KILL).is_ok();
        running.finish(LIMIT).unwrap();
        killed && !self.world.path("back").exists()
    }

    fn assert_arrived(&self) {
        assert!(std::fs::read(self.world.path("back")).unwrap() == self.content);
        assert_eq!(self.leftovers(), 0, "a temporary file is left");
        assert_eq!(self.recorded(), 0, "a journal is left");
    }
}

pub(crate) fn files_below(folder: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path, ending));
        } else if path.to_str().is_some_and(|name| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_download_killed_20_times_fetches_no_range_twice() {
    let scene = Scene::new();
    let mut kills = 0;
    while kills < KILLS && scene.kill_after_one_more_range() {
        kills += 1;
    }
    assert!(kills >= 5, "it was killed only {kills} times");
    // The last kill may have come between the rename and the removal of the journal.
    if !scene.world.path("back").exists() || scene.recorded() > 0 {
        succeed(&mut scene.command());
    }
    scene.assert_arrived();
    let requests = scene.proxy.count(Kind::GetObject) as u64;
    assert!(
        requests <= RANGES + kills * IN_FLIGHT,
        "{requests} GETs for {RANGES} ranges and {kills} kills"
    );
}

/// The journal of a complete file was left. The next run did not find the temporary file, and
/// fetched every range again.
#[test]
fn a_download_killed_after_its_rename_is_finished_without_fetching() {
    let scene = Scene::new();
    scene.kill_after_rename();
    let before = scene.proxy.count(Kind::GetObject);
    succeed(&mut scene.command());
    assert_eq!(scene.proxy.count(Kind::GetObject), before);
    scene.assert_arrived();
}

#[test]
fn a_target_changed_after_the_kill_is_fetched_again() {
    let scene = Scene::new();
    scene.kill_after_rename();
    let mut changed = scene.content.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(scene.world.path("back"), changed).unwrap();
    succeed(&mut scene.command());
    scene.assert_arrived();
}

/// Standard output gets only the bytes of the object; a reader that closes the pipe early is no
/// failure.
#[test]
fn standard_output_gets_the_object_and_nothing_else() {
    let scene = Scene::new();
    let shell = |script: &str| {
        let mut command = scene.world.haul(&scene.store);
        let haul = command.get_program().to_owned();
        let mut shell = Command::new("sh");
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(scene.world.path("."));
        shell.args(["-c", script, "sh"]).arg(haul).arg(&scene.url);
        command.arg("--version");
        finish(&mut shell)
    };
    let whole = shell("printf begin > back && \"$1\" cp \"$2\" - >> back");
    assert_eq!(whole.code(), Some(0), "{}", whole.stderr);
    let found = std::fs::read(scene.world.path("back")).unwrap();
    assert!(found.starts_with(b"begin") && found[5..] == scene.content);
    let cut_off = shell("{ \"$1\" cp \"$2\" -; echo $? >&2; } | head -c 10 > first");
    assert!(cut_off.stderr.trim_end().ends_with('0'), "{}", cut_off.stderr);
    assert!(std::fs::read(scene.world.path("first")).unwrap() == scene.content[..10]);
    let both = finish(scene.world.haul(&scene.store).args(["cp", &scene.url, "-", "--json"]));
    assert_eq!(both.code(), Some(2), "{}", both.stdout);
}

#[test]
fn a_killed_download_is_listed_and_resumed_by_its_id() {
    let scene = Scene::new();
    assert!(scene.kill_after_one_more_range());
    let listed = succeed(scene.world.haul_without_store().args(["transfers", "--json"]));
    let listed = event(&listed, "download");
    assert_eq!(listed["state"], "killed or power lost");
    let id = listed["id"].as_str().unwrap().to_owned();
    succeed(scene.world.haul(&scene.store).args(["resume", &id]));
    scene.assert_arrived();
}

#[test]
fn a_killed_download_is_removed_by_abort() {
    let scene = Scene::new();
    assert!(scene.kill_after_one_more_range());
    let listed = succeed(scene.world.haul_without_store().args(["transfers", "--json"]));
    let id = event(&listed, "download")["id"].as_str().unwrap().to_owned();
    succeed(scene.world.haul_without_store().args(["abort", &id]));
    assert_eq!(scene.leftovers(), 0);
    assert_eq!((scene.recorded(), scene.world.path("back").exists()), (0, false));
    let listed = finish(scene.world.haul_without_store().arg("transfers"));
    assert_eq!(listed.stdout, "no unfinished transfers\n");
}
