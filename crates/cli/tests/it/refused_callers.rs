//! Credentials that Create accepted and that the store refuses later: the upload pauses, and the
//! parts that arrived are kept.

use haul_testkit::TestStore;
use haul_testkit::chaos::{Fault, Kind, Rule};

use crate::scene::{PARTS, Scene};
use crate::world::{
    PART, World, assert_no_upload_left, copy, event, finish, make_bucket, python, succeed,
};

/// Returns an upload command that sends one part after the other, so that the test knows which
/// parts have arrived.
fn command(scene: &Scene) -> std::process::Command {
    let mut command = copy(&scene.world, &scene.store, &scene.sample.path, &scene.url());
    command.args(["--part-size", "5MiB", "--concurrency", "1", "--json"]);
    command
}

/// Refuses the fourth part, and later Complete, with this status and code; the same command resumes
/// the upload each time.
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

/// One such answer to one part once aborted the upload and removed all parts that had been sent.
/// MinIO answers an expired session with InvalidAccessKeyId, and other stores use other codes.
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

/// The user decides: only `haul abort` removes the parts that were kept.
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

/// Create itself is refused: no upload was begun, so there is none to resume.
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

/// Without a journal the command removes the parts that it sent; if the store refuses the removal
/// too, the command ends with exit code 5 and names the parts that are left.
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
