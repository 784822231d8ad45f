//! `--if-none-match` and `--if-match`: the store decides which client succeeds, and the refused one
//! leaves nothing behind.

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::files::MIB;
use haul_testkit::process::{Finished, Running};

use crate::scene::{KEY, Scene};
use crate::world::{LIMIT, assert_no_upload_left, event, finish, read_back, succeed};

/// Lengths of a file that is sent in one request, and of one that is sent in parts.
const LENGTHS: [u64; 2] = [100_000, 20 * MIB];

fn upload(scene: &Scene, condition: &[&str]) -> Finished {
    finish(scene.command().args(condition))
}

fn put_by_another_client(scene: &Scene) {
    scene.python(
        "s3.put_object(Bucket=args[0], Key=args[1], Body=b'another client')\nanswer(True)\n",
    );
}

fn is_the_file(scene: &Scene) -> bool {
    read_back(&scene.real, &scene.bucket, KEY).sha256 == scene.sample.sha256
}

/// Asserts exit code 8, with the reason, and an unchanged object.
fn assert_refused(scene: &Scene, finished: &Finished) {
    assert_eq!(finished.code(), Some(8), "{}", finished.stderr);
    assert_eq!(event(finished, "failed")["exit_code"], 8);
    assert!(finished.stderr.contains("stays as it was"), "{}", finished.stderr);
    assert_no_upload_left(&scene.real, &scene.bucket);
    let listed = succeed(scene.world.haul(&scene.store).arg("uploads"));
    assert_eq!(listed.stdout, "no unfinished transfers\n");
}

#[test]
fn if_none_match_writes_a_new_object_and_never_replaces_one() {
    for length_bytes in LENGTHS {
        let scene = Scene::of_file(length_bytes);
        assert_eq!(upload(&scene, &["--if-none-match"]).code(), Some(0));
        assert!(is_the_file(&scene));
        put_by_another_client(&scene);
        let sent = scene.body_bytes();
        assert_refused(&scene, &upload(&scene, &["--if-none-match"]));
        assert!(!is_the_file(&scene), "it was not replaced");
        assert_eq!(scene.body_bytes(), sent, "no part was sent in vain");
    }
}

/// The object appears during the upload, so the store reports the conflict at Complete.
#[test]
fn if_none_match_is_decided_by_the_store_in_the_end() {
    let scene = Scene::at_haul_serve();
    scene.proxy.add(Rule::on(Kind::CompleteMultipartUpload, Fault::Hold));
    let running = Running::start(scene.command().arg("--if-none-match")).unwrap();
    scene.wait_for(|seen| seen.iter().any(|it| it.kind == Kind::CompleteMultipartUpload));
    put_by_another_client(&scene);
    scene.proxy.release();
    let finished = running.finish(LIMIT).unwrap();
    assert_refused(&scene, &finished);
    assert!(!is_the_file(&scene), "it was not replaced");
}

#[test]
fn if_match_replaces_that_version_and_no_other() {
    for length_bytes in LENGTHS {
        let scene = Scene::of_file(length_bytes);
        assert_refused(
            &scene,
            &upload(&scene, &["--if-match", "5d41402abc4b2a76b9719d911017c592"]),
        );
        put_by_another_client(&scene);
        let theirs = read_back(&scene.real, &scene.bucket, KEY).etag;
        assert_refused(
            &scene,
            &upload(&scene, &["--if-match", "5d41402abc4b2a76b9719d911017c592"]),
        );
        assert!(!is_the_file(&scene), "it was not replaced");
        let finished = upload(&scene, &["--if-match", &theirs]);
        assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
        assert!(is_the_file(&scene));
        assert_refused(&scene, &upload(&scene, &["--if-match", &theirs]));
    }
}
