//! `haul.toml`: values below the environment and flags, named remotes, and `haul config`.

use std::process::Command;

use haul_testkit::TestStore;

use crate::world::{World, events, finish, make_bucket, succeed};

/// Returns a command that has the store's keys in its environment, and the store's address only in
/// the configuration file.
fn haul(world: &World, store: &TestStore, config: &str) -> Command {
    std::fs::create_dir_all(world.path(".config/haul")).unwrap();
    std::fs::write(world.path(".config/haul/haul.toml"), config).unwrap();
    let mut command = world.haul_without_store();
    command.envs(store.client_variables());
    command
}

#[test]
fn a_value_of_the_file_is_used_and_the_environment_wins_over_it() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    let address = format!("s3://{bucket}");
    let right = format!("endpoint = \"{}\"\nconcurrency = 3\n", store.endpoint);
    succeed(haul(&world, store, &right).args(["ls", &address]));

    let wrong = "endpoint = \"http://127.0.0.1:9\"\nmax-attempts = 1\n";
    let failed = finish(haul(&world, store, wrong).args(["ls", &address]));
    assert!(failed.stderr.contains("127.0.0.1:9"), "{}", failed.stderr);
    let mut by_environment = haul(&world, store, wrong);
    succeed(by_environment.env("AWS_ENDPOINT_URL", &store.endpoint).args(["ls", &address]));
    succeed(haul(&world, store, wrong).args(["ls", &address, "--endpoint", &store.endpoint]));
}

#[test]
fn a_remote_is_not_redirected_by_the_environment() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    let sample = world.sample("file", 10_000);
    let config = format!("[remotes.lab]\nendpoint = \"{}\"\npath-style = true\n", store.endpoint);
    let url = format!("s3://{bucket}/k");
    let mut copy = haul(&world, store, &config);
    copy.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    succeed(copy.args(["cp", "--remote", "lab"]).arg(&sample.path).arg(&url));
    let mut copy = haul(&world, store, &config);
    succeed(copy.args(["--remote=lab", "cp", &url, "back"]));
    assert!(std::fs::read(world.path("back")).unwrap() == std::fs::read(&sample.path).unwrap());

    let unknown = finish(haul(&world, store, &config).args(["--remote", "leb", "ls"]));
    assert_eq!(unknown.code(), Some(2));
    assert!(unknown.stderr.contains("known are lab"), "{}", unknown.stderr);
}

#[test]
fn resume_ignores_the_store_of_the_configuration_file() {
    let scene = crate::scene::Scene::at_haul_serve();
    scene.kill_before_the_last_part();
    let other = "endpoint = \"http://127.0.0.1:9\"\nregion = \"elsewhere\"\n";
    let mut listing = scene.world.haul_without_store();
    let id = succeed(listing.args(["transfers", "--json"]));
    let id = events(&id)[0]["id"].as_str().unwrap().to_owned();
    succeed(haul(&scene.world, &scene.store, other).args(["resume", &id]));
    scene.assert_arrived();
}

#[test]
fn a_store_of_the_file_is_none_of_the_local_one() {
    let world = World::new();
    let sample = world.sample("file", 1000);
    std::fs::create_dir_all(world.path(".config/haul")).unwrap();
    let text = "endpoint = \"http://127.0.0.1:9\"\nregion = \"elsewhere\"\ndata = \"kept\"\n";
    std::fs::write(world.path(".config/haul/haul.toml"), text).unwrap();
    let mut copy = world.haul_without_store();
    succeed(copy.arg("cp").arg(&sample.path).arg("local://demo/k"));
    assert!(world.path("kept").is_dir());
}

#[test]
fn config_shows_where_each_value_comes_from() {
    let world = World::new();
    let config = world.path("mine.toml");
    let text = "region = \"eu-west-3\"\nprofile = \"work\"\nmemory = \"1GiB\"\n[remotes.lab]\n\
        endpoint = \"http://nas:9000\"\n";
    std::fs::write(&config, text).unwrap();
    let mut command = world.haul_without_store();
    command.env("HAUL_CONFIG", &config).env("AWS_PROFILE", "home");
    let told = succeed(command.args(["config", "--json", "--endpoint", "http://flag"]));
    let lines = events(&told);
    let of = |key: &str| lines.iter().find(|line| line["key"] == key).unwrap().clone();
    for (key, value, from) in [
        ("endpoint", "http://flag", "flag"),
        ("profile", "home", "AWS_PROFILE"),
        ("region", "eu-west-3", "file"),
        ("memory", "1GiB", "file"),
    ] {
        assert_eq!((&of(key)["value"], &of(key)["from"]), (&value.into(), &from.into()), "{key}");
    }
    assert_eq!(of("concurrency")["from"], "default");
    assert_eq!(lines.last().unwrap()["name"], "lab");
}

#[test]
fn a_file_that_is_not_understood_is_named() {
    let world = World::new();
    let config = world.path("mine.toml");
    let refused = |text: &str| {
        std::fs::write(&config, text).unwrap();
        let mut command = world.haul_without_store();
        command.env("HAUL_CONFIG", &config).args(["cp", "a", "s3://bucket/k"]);
        let finished = finish(&mut command);
        assert_eq!(finished.code(), Some(2), "{}", finished.stderr);
        finished.stderr
    };
    let key = refused("concurency = 3\n");
    assert!(key.contains("mine.toml") && key.contains("concurency is not a key"), "{key}");
    let value = refused("concurrency = 0\n");
    assert!(value.contains("concurrency") && value.contains('0'), "{value}");
    let gone = world.path("gone.toml");
    let finished = finish(world.haul_without_store().env("HAUL_CONFIG", gone).arg("ls"));
    assert_eq!(finished.code(), Some(2), "a file that was named must exist");
}
