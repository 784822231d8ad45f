//! A store below a path of its endpoint, as gateways provide it: `https://gw/storage/v1/s3/`.
//!
//! `haul resume` and `haul abort` once lost the path, and without a slash at its end requests went
//! to `/storage/v1/s3bucket/key`.

use std::process::Command;

use haul_testkit::chaos::Kind;
use haul_testkit::network::PathGateway;
use serde_json::{Value, json};

use crate::scene::{KEY, PARTS, Scene};
use crate::world::{assert_no_upload_left, copy, event, events, succeed};

const PATH: &str = "/storage/v1/s3";

/// Returns a command as run in another shell: with the keys, but without the address of the store.
fn haul(scene: &Scene, words: &[&str]) -> Command {
    let mut command = scene.world.haul_without_store();
    command.envs(scene.store.client_variables()).env_remove("AWS_REGION").args(words);
    command
}

fn paused(scene: &Scene, endpoint: &str) -> String {
    let store = scene.real.at(endpoint.to_owned());
    let mut upload = copy(&scene.world, &store, &scene.sample.path, &scene.url());
    upload.args(["--part-size", "5MiB", "--concurrency", "3", "--json"]);
    scene.kill_command_without_part(&mut upload, PARTS);
    let listed = events(&succeed(&mut haul(scene, &["uploads", "--json"])));
    listed[0]["id"].as_str().unwrap().to_owned()
}

/// Asserts that every request went to a URL below the path.
fn assert_kept(scene: &Scene, gateway: &PathGateway) {
    let targets = gateway.targets();
    assert!(targets.len() > PARTS as usize, "{targets:?}");
    for target in targets {
        let path = target.split('?').next().unwrap();
        let [object, bucket] =
            [format!("{PATH}/{}/{KEY}", scene.bucket), format!("{PATH}/{}", scene.bucket)];
        assert!(path == object || path.trim_end_matches('/') == bucket, "{target}");
    }
}

/// Resumes one upload and aborts another at an endpoint with a path that ends in `slash`, which may
/// be empty.
fn the_path_is_kept(scene: fn() -> Scene, slash: &str) {
    let resumed = scene();
    // The proxy that counts and holds requests is behind the gateway.
    let gateway = PathGateway::start(&resumed.store, PATH).unwrap();
    let id = paused(&resumed, &(gateway.endpoint() + slash));
    let finished = succeed(&mut haul(&resumed, &["resume", &id, "--json"]));
    assert_eq!(event(&finished, "resumed")["arrived_parts"], json!(PARTS - 1));
    assert_eq!(resumed.proxy.count(Kind::CreateMultipartUpload), 1);
    resumed.assert_arrived();
    assert_kept(&resumed, &gateway);

    let aborted = scene();
    let gateway = PathGateway::start(&aborted.store, PATH).unwrap();
    let id = paused(&aborted, &(gateway.endpoint() + slash));
    let finished = succeed(&mut haul(&aborted, &["abort", &id]));
    assert!(finished.stdout.contains("nothing of it is left at the store"), "{}", finished.stdout);
    assert_no_upload_left(&aborted.real, &aborted.bucket);
    assert_eq!(events(&succeed(&mut haul(&aborted, &["uploads", "--json"]))), Vec::<Value>::new());
    assert_kept(&aborted, &gateway);
}

#[test]
fn a_path_of_the_endpoint_is_kept_at_haul_serve() {
    the_path_is_kept(Scene::at_haul_serve, "");
    the_path_is_kept(Scene::at_haul_serve, "/");
}

#[test]
fn a_path_of_the_endpoint_is_kept_at_ceph_rgw() {
    the_path_is_kept(|| Scene::at("RGW"), "");
    the_path_is_kept(|| Scene::at("RGW"), "/");
}
