//! The examples of the library do what their first lines promise.

use std::path::PathBuf;
use std::process::Command;

use haul_testkit::files::MIB;

use crate::world::{World, haul_binary, make_bucket, read_back, succeed};

/// Returns the command that runs an example, which is built with the tests, beside `haul`.
fn example(world: &World, store: Option<&haul_testkit::TestStore>, name: &str) -> Command {
    let path: PathBuf = haul_binary().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is not built", path.display());
    let with_environment = match store {
        Some(store) => world.haul(store),
        None => world.haul_without_store(),
    };
    let mut command = Command::new(path);
    command.env_clear().current_dir(world.path("."));
    command.envs(with_environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn the_examples_upload_and_download() {
    let world = World::new();
    let server = world.serve();
    let (store, bucket) = (server.store(), make_bucket(&world, server.store()));
    let sample = world.sample("film", 20 * MIB);
    let url = format!("s3://{bucket}/film");
    let up = succeed(example(&world, Some(store), "upload").args(["film", &url]));
    assert!(up.stdout.contains("20971520 bytes"), "{}", up.stdout);
    assert_eq!(read_back(store, &bucket, "film").sha256, sample.sha256);
    let down = succeed(example(&world, Some(store), "download").args([&url, "back"]));
    assert!(down.stdout.contains("done: 20971520 bytes, verified by CRC64NVME"), "{}", down.stdout);
    assert!(
        std::fs::read(world.path("back")).unwrap() == std::fs::read(world.path("film")).unwrap()
    );
}

#[test]
fn the_example_of_a_pause_resumes_when_it_is_run_again() {
    let world = World::new();
    let server = world.serve();
    let (store, bucket) = (server.store(), make_bucket(&world, server.store()));
    let sample = world.sample("film", 200 * MIB);
    let url = format!("s3://{bucket}/film");
    let run = |seconds: &[&str]| {
        let mut command = example(&world, Some(store), "pause_and_resume");
        succeed(command.args(["film", &url, "journals"]).args(seconds)).stdout
    };
    let mut said = run(&["0.5"]);
    let mut pauses = 0;
    while said.contains("paused") {
        pauses += 1;
        assert!(pauses < 50, "it never arrives: {said}");
        said = run(if pauses < 3 { &["0.5"] } else { &[] });
    }
    assert!(said.contains("done: 209715200 bytes"), "{said}");
    assert_eq!(read_back(store, &bucket, "film").sha256, sample.sha256);
}

#[test]
fn the_examples_of_an_own_store_and_of_many_files_run() {
    let world = World::new();
    let own = succeed(&mut example(&world, None, "own_store"));
    assert_eq!(own.stdout, "20971520 bytes in 3 parts, every part proven by MD5\n");
    let server = world.serve();
    let (store, bucket) = (server.store(), make_bucket(&world, server.store()));
    let samples = ["a", "b", "c"].map(|name| (name, world.sample(name, 9 * MIB).sha256));
    let prefix = format!("s3://{bucket}/in/");
    succeed(example(&world, Some(store), "many").args([&prefix, "a", "b", "c"]));
    for (name, sha256) in samples {
        assert_eq!(read_back(store, &bucket, &format!("in/{name}")).sha256, sha256);
    }
}
