//! `local://`: the endpoint inside the command, which needs no server, no account and no existing
//! bucket.

use haul_testkit::files::{MIB, sha256};

use haul_testkit::servers::HaulServe;

use crate::world::{
    PART, World, assert_no_upload_left, expected_etag, haul_binary, read_back, succeed,
};

#[test]
fn local_takes_300_mib_and_haul_serve_finds_it() {
    let world = World::new();
    let sample = world.sample("bigfile", 300 * MIB);
    succeed(world.haul_without_store().args([
        "cp",
        "bigfile",
        "local://demo/bigfile",
        "--part-size",
        "8MiB",
    ]));

    succeed(world.haul_without_store().args(["cp", "local://demo/bigfile", "back"]));
    assert_eq!(sha256(&world.path("back")).unwrap(), sample.sha256);
    let listed = succeed(world.haul_without_store().args(["ls", "local://demo"]));
    assert!(listed.stdout.contains("bigfile"), "{}", listed.stdout);

    // The store is under $XDG_DATA_HOME, which is below the home folder unless set.
    let server = HaulServe::start(haul_binary(), &world.path(".local/share/haul/store")).unwrap();
    let found = read_back(server.store(), "demo", "bigfile");
    assert_eq!(found.sha256, sample.sha256);
    assert_eq!(found.etag, expected_etag(server.store(), &sample.path, PART));
    assert_no_upload_left(server.store(), "demo");

    // While the server holds the folder, the command sends its requests to the server.
    let small = world.sample("small", 1000);
    succeed(world.haul_without_store().args(["cp", "small", "local://demo/small"]));
    assert_eq!(read_back(server.store(), "demo", "small").sha256, small.sha256);
}

#[test]
fn the_data_folder_can_be_chosen() {
    let world = World::new();
    let sample = world.sample("file", 20 * MIB);
    succeed(world.haul_without_store().env("XDG_DATA_HOME", world.path("xdg")).args([
        "cp",
        "file",
        "local://first/file",
    ]));
    assert!(world.path("xdg/haul/store").is_dir());
    succeed(world.haul_without_store().args([
        "cp",
        "file",
        "local://second/file",
        "--data",
        "chosen",
    ]));
    succeed(world.haul_without_store().args([
        "cp",
        "local://second/file",
        "back",
        "--data",
        "chosen",
    ]));
    assert_eq!(sha256(&world.path("back")).unwrap(), sample.sha256);
}
