//! `--concurrency`: the number of requests in flight follows the link, or stays as it is given.

use std::time::Duration;

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::files::MIB;
use haul_testkit::process::Finished;

use crate::scene::Scene;
use crate::world::{assert_no_upload_left, finish, read_back, succeed, upload};

const PART: u64 = 5 * MIB;

/// Delays every request of a kind, so that more of them at once move more bytes.
fn delay(scene: &Scene, kind: Kind) {
    scene.proxy.add(Rule::on(kind, Fault::Delay(Duration::from_millis(200))).always());
}

/// Runs `haul cp -vv` between the file `many` and the object of the same name.
fn cp(scene: &Scene, words: &[&str]) -> Finished {
    let mut command = scene.world.haul(&scene.store);
    succeed(command.args(["cp", "-vv"]).args(words))
}

fn most_in_flight(scene: &Scene, kind: Kind) -> usize {
    let seen = scene.proxy.seen();
    seen.iter().filter(|it| it.kind == kind).map(|it| it.in_flight).max().unwrap_or_default()
}

/// How the limit moves is tested in virtual time; an upload long enough to move it would send
/// half a gigabyte.
#[test]
fn an_upload_with_auto_arrives_whole() {
    let scene = Scene::of_file(MIB);
    let many = scene.world.sample("many", 8 * PART);
    let url = format!("s3://{}/many", scene.bucket);
    cp(&scene, &["many", &url, "--part-size", "5MiB", "--concurrency", "auto"]);
    assert_eq!(read_back(&scene.store, &scene.bucket, "many").sha256, many.sha256);
}

#[test]
fn auto_is_the_default_of_a_download() {
    let scene = Scene::of_file(MIB);
    let many = scene.world.sample("many", 40 * MIB);
    let url = format!("s3://{}/many", scene.bucket);
    upload(&scene.world, &scene.store, &many.path, &url);
    delay(&scene, Kind::GetObject);
    let finished = cp(&scene, &[&url, "back", "--part-size", "256KiB"]);
    let log = &finished.stderr;
    assert!(log.contains("concurrency: 24 requests in flight"), "{log}");
    assert!(most_in_flight(&scene, Kind::GetObject) > 16);
    assert!(std::fs::read(scene.world.path("back")).unwrap() == std::fs::read(many.path).unwrap());
}

#[test]
fn a_number_is_a_fixed_limit() {
    let scene = Scene::of_file(MIB);
    let many = scene.world.sample("many", 40 * MIB);
    let url = format!("s3://{}/many", scene.bucket);
    upload(&scene.world, &scene.store, &many.path, &url);
    delay(&scene, Kind::GetObject);
    let finished = cp(&scene, &[&url, "back", "--part-size", "512KiB", "--concurrency", "16"]);
    assert!(!finished.stderr.contains("concurrency:"), "{}", finished.stderr);
    assert!(most_in_flight(&scene, Kind::GetObject) <= 16);
}

/// Four processes of one host meet the limit of the same store, and know nothing of each other.
#[test]
fn four_processes_at_a_throttling_store_all_finish_whole() {
    let scene = Scene::of_file(MIB);
    // Fewer in a row than the attempts of a part: they may all meet the same part.
    for after in [10, 25, 40, 55, 70, 85] {
        let busy = Rule::on(Kind::UploadPart, Fault::slow_down());
        scene.proxy.add(busy.after(after).times(4));
    }
    let samples: Vec<_> =
        (0..4).map(|name| scene.world.sample(&format!("file{name}"), 24 * PART + name)).collect();
    let finished: Vec<_> = std::thread::scope(|threads| {
        let runs: Vec<_> = samples
            .iter()
            .enumerate()
            .map(|(name, sample)| {
                let mut command = scene.world.haul(&scene.store);
                command.arg("cp").arg(&sample.path).args(["--part-size", "5MiB", "--json"]);
                command.arg(format!("s3://{}/{name}", scene.bucket));
                threads.spawn(move || finish(&mut command))
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for (name, (sample, finished)) in samples.iter().zip(&finished).enumerate() {
        assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
        let found = read_back(&scene.store, &scene.bucket, &name.to_string());
        assert_eq!(found.sha256, sample.sha256);
    }
    let refused = scene.proxy.seen().iter().filter(|it| it.fault.is_some()).count();
    assert_eq!(refused, 24, "the store refused");
    assert_no_upload_left(&scene.store, &scene.bucket);
}

/// The answer names the store, so that parts that can be streamed do not count as held.
#[test]
fn part_size_auto_asks_an_unknown_store_for_its_kind_once() {
    let scene = Scene::of_file(MIB);
    for name in ["one", "two", "three"] {
        std::fs::create_dir_all(scene.world.path("folder")).unwrap();
        scene.world.sample(&format!("folder/{name}"), 20 * MIB);
    }
    let heads_of = |prefix: &str, options: &[&str]| {
        let heads = || scene.proxy.seen().iter().filter(|it| it.kind == Kind::HeadObject).count();
        let before = heads();
        let url = format!("s3://{}/{prefix}/", scene.bucket);
        cp(&scene, &[&["-r", "folder", &url], options].concat());
        heads() - before
    };
    let auto = ["--part-size", "auto"];
    assert_eq!(heads_of("auto", &auto), heads_of("plain", &[]) + 1);
    let named = ["--store-profile", "haul-serve"];
    assert_eq!(heads_of("both", &[auto, named].concat()), heads_of("named", &named));
}
