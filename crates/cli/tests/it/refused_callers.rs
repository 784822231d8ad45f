//! Credentials that Create accepted and that are refused later: the upload pauses, and nothing that
//! arrived is lost.

use haul_testkit::TestStore;
use haul_testkit::chaos::{Fault, Kind, Rule};

use crate::scene::{PARTS, Scene};
use crate::world::{
    PART, World, assert_no_upload_left, copy, event, finish, make_bucket, python, succeed,
};

/// One part after the other, so that it is known which have arrived.
fn command(scene: &Scene) -> std::process::Command {
    let mut command = copy(&scene.world, &scene.store, &scene.sample.path, &scene.url());
    command.args(["--part-size", "5MiB", "--concurrency", "1", "--json"]);
    command
}

/// The fourth part, then Complete, is refused in these words; each time the same command resumes.
fn refused_once(scene: &Scene, status: u16, code: &str) {
    let refused = Fault::error(status, code);
    scene.proxy.add(Rule::on(Kind::UploadPart, refused.clone()).after(3));
    scene.proxy.add(Rule::on(Kind::CompleteMultipartUpload, refused));
    for arrived in [3, PARTS] {
        let paused = finish(&mut command(scene));
        assert_eq!(paused.code(), Some(3), "{code}: {}", paused.stderr);
        for word in [code, "haul resume", "haul abort"] {
            assert!(paused.stderr.contains(word), "{word} is missing in:\n{}", paused.stderr);
        }
        event(&paused, "paused");
        let listed = python(&scene.real, include_str!("py/parts.py"), &[&scene.bucket, "file"]);
        assert_eq!(listed.as_array().unwrap().len(), arrived as usize, "{code}");
    }
    let finished = succeed(&mut command(scene));
    assert_eq!(event(&finished, "resumed")["arrived_parts"], PARTS);
    assert_eq!(scene.proxy.count(Kind::AbortMultipartUpload), 0, "{code}");
    assert_eq!(
        scene.proxy.count(Kind::UploadPart),
        PARTS as usize + 1,
        "{code}: only the refused one again"
    );
    scene.assert_arrived();
}

/// MinIO answers an ended session with InvalidAccessKeyId, others in other words. One such answer
/// to one part aborted the upload, and removed everything that had been sent.
#[test]
fn haul_serve_and_a_caller_refused_in_the_middle() {
    for (status, code) in [
        (403, "InvalidAccessKeyId"),
        (403, "InvalidTokenId"),
        (403, "SignatureDoesNotMatch"),
        (403, "AccessDenied"),
        (401, "Unauthorized"),
    ] {
        refused_once(&Scene::at_haul_serve(), status, code);
    }
}

#[test]
fn ceph_rgw_and_a_caller_refused_in_the_middle() {
    for (status, code) in [(403, "InvalidAccessKeyId"), (403, "AccessDenied")] {
        refused_once(&Scene::at("RGW"), status, code);
    }
}

/// Its user decides: what was kept is removed by `haul abort`, and by nothing else.
#[test]
fn a_refused_upload_is_removed_by_haul_abort() {
    let scene = Scene::at_haul_serve();
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::error(403, "AccessDenied")).after(2));
    let paused = finish(&mut command(&scene));
    assert_eq!(paused.code(), Some(3), "{}", paused.stderr);
    let id = event(&paused, "paused")["id"].as_str().unwrap().to_owned();
    succeed(scene.world.haul(&scene.store).args(["abort", &id]));
    assert_no_upload_left(&scene.real, &scene.bucket);
}

/// Create itself is refused: nothing was begun, and nothing is to be resumed.
#[test]
fn a_caller_who_may_not_create_fails_with_1() {
    let scene = Scene::at_haul_serve();
    scene
        .proxy
        .add(Rule::on(Kind::CreateMultipartUpload, Fault::error(403, "AccessDenied")).always());
    let failed = finish(&mut command(&scene));
    assert_eq!(failed.code(), Some(1), "{}", failed.stderr);
    assert!(!failed.stderr.contains("haul resume"), "{}", failed.stderr);
    assert_eq!(scene.proxy.count(Kind::UploadPart), 0);
}

/// Without a journal what was sent is removed; where that is refused too, exit code 5 names what is
/// left.
#[test]
fn without_a_journal_a_refused_abort_is_reported() {
    for (abort_too, code) in [(false, 1), (true, 5)] {
        let world = World::new();
        let server = world.serve();
        let bucket = make_bucket(&world, server.store());
        let proxy = haul_testkit::chaos::ChaosProxy::start(&server.store().endpoint).unwrap();
        let refused = Fault::error(403, "InvalidAccessKeyId");
        proxy.add(Rule::on(Kind::UploadPart, refused.clone()).after(1).always());
        if abort_too {
            proxy.add(Rule::on(Kind::AbortMultipartUpload, refused.clone()).always());
            proxy.add(Rule::on(Kind::ListParts, refused).always());
        }
        let store: TestStore = server.store().at(proxy.endpoint());
        let sample = world.sample("file", 3 * PART);
        let mut command = copy(&world, &store, &sample.path, &format!("s3://{bucket}/file"));
        let failed = finish(command.args(["--part-size", "8MiB", "--no-journal"]));
        assert_eq!(failed.code(), Some(code), "{}", failed.stderr);
        if abort_too {
            assert!(
                failed.stderr.contains("abort it with keys that may do so"),
                "{}",
                failed.stderr
            );
        } else {
            assert_no_upload_left(server.store(), &bucket);
        }
    }
}
