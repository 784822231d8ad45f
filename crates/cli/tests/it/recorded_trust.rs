//! An upload is resumed and aborted with the certificates that it was begun with.

use std::fs;
use std::process::Command;

use haul_testkit::network::self_signed;

use crate::scene::{PARTS, Scene};
use crate::world::{assert_no_upload_left, events, finish, succeed};

/// Returns a command as run in another shell: with the keys, but without the address of the store.
fn haul(scene: &Scene, words: &[&str]) -> Command {
    let mut command = scene.world.haul_without_store();
    command.envs(scene.store.client_variables()).args(words);
    command
}

/// Begins an upload with additional arguments, kills it, and returns the scene and the upload id.
fn begun(more: &[&str]) -> (Scene, String) {
    let scene = Scene::at_haul_serve();
    for name in ["begun", "other"] {
        let made = self_signed(&scene.world.path(""), "store.test", &[]).unwrap();
        fs::copy(made.certificate, scene.world.path(&format!("{name}.pem"))).unwrap();
    }
    scene.kill_command_without_part(scene.command().args(more), PARTS);
    let listed = events(&succeed(&mut haul(&scene, &["uploads", "--json"])));
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    (scene, id)
}

/// A `--ca-bundle` flag of the later run once replaced the recorded file.
#[test]
fn another_ca_bundle_than_the_recorded_one_is_refused() {
    let (scene, id) = begun(&["--ca-bundle", "begun.pem"]);
    let asked = scene.proxy.seen().len();
    for command in ["resume", "abort"] {
        let refused = finish(&mut haul(&scene, &["--ca-bundle", "other.pem", command, &id]));
        assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
        let said = format!(
            "--ca-bundle contradicts upload {id}, which was begun with the certificates in "
        );
        assert!(refused.stderr.contains(&said), "{}", refused.stderr);
        assert!(refused.stderr.contains("begun.pem"), "{}", refused.stderr);
    }
    assert_eq!(scene.proxy.seen().len(), asked, "nothing was asked");
    succeed(&mut haul(&scene, &["--ca-bundle", "./begun.pem", "resume", &id]));
    scene.assert_arrived();
}

#[test]
fn the_recorded_ca_bundle_is_used_and_no_other() {
    let (scene, id) = begun(&["--ca-bundle", "begun.pem"]);
    let recorded = scene.world.path("begun.pem");
    let kept = fs::read(&recorded).unwrap();
    fs::write(&recorded, "no certificate").unwrap();
    // The command runs in another folder, with another bundle in the environment, and reads the
    // recorded bundle.
    let mut elsewhere = haul(&scene, &["resume", &id]);
    let broken =
        finish(elsewhere.current_dir("/").env("AWS_CA_BUNDLE", scene.world.path("other.pem")));
    assert_ne!(broken.code(), Some(0));
    assert!(broken.stderr.contains(recorded.to_str().unwrap()), "{}", broken.stderr);
    fs::write(&recorded, kept).unwrap();
    succeed(haul(&scene, &["abort", &id]).env("AWS_CA_BUNDLE", "/nowhere/ca.pem"));
    assert_no_upload_left(&scene.real, &scene.bucket);
}

/// If no bundle was recorded, the later run once used `AWS_CA_BUNDLE` and the profile of its own
/// environment.
#[test]
fn without_a_recorded_ca_bundle_only_a_flag_counts() {
    let (scene, id) = begun(&[]);
    let by_flag = finish(&mut haul(&scene, &["--ca-bundle", "/nowhere/flag.pem", "resume", &id]));
    assert!(by_flag.stderr.contains("/nowhere/flag.pem"), "{}", by_flag.stderr);
    let config = scene.world.path("config");
    fs::write(&config, "[default]\nca_bundle = /nowhere/profile.pem\n").unwrap();
    let mut resume = haul(&scene, &["resume", &id]);
    succeed(resume.env("AWS_CA_BUNDLE", "/nowhere/ca.pem").env("AWS_CONFIG_FILE", &config));
    scene.assert_arrived();
}
