//! Deviations of Ceph RGW 16.2, Garage 2.5 and LocalStack from AWS. Uploads must succeed in spite
//! of them and report them. `weather::ceph_rgw_without_checksums_a_flipped_bit_is_noticed_by_md5`
//! covers the missing checksums of RGW.

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::process::Finished;

use crate::scene::{KEY, PART_BYTES, PARTS, Scene};
use crate::world::{event, events, expected_etag, finish, read_back, succeed};

/// RGW 16.2 answers Complete with `<ETag></ETag>`; the report contains the ETag of the object.
#[test]
fn ceph_rgw_gives_an_empty_etag_and_the_report_the_right_one() {
    let scene = Scene::at("RGW");
    let given = scene.python(
        "upload = s3.create_multipart_upload(Bucket=args[0], Key='other')['UploadId']\n\
         part = s3.upload_part(Bucket=args[0], Key='other', UploadId=upload, PartNumber=1, \
         Body=b'x')\n\
         parts = {'Parts': [{'PartNumber': 1, 'ETag': part['ETag']}]}\n\
         done = s3.complete_multipart_upload(Bucket=args[0], Key='other', UploadId=upload, \
         MultipartUpload=parts)\n\
         answer(done.get('ETag', ''))\n",
    );
    assert_eq!(given.as_str().unwrap().trim_matches('"'), "", "else this test is about nothing");

    let finished = succeed(&mut scene.command());
    let etag = expected_etag(&scene.real, &scene.sample.path, PART_BYTES);
    assert_eq!(event(&finished, "uploaded")["etag"], etag.trim_matches('"'));
    assert_eq!(event(&finished, "uploaded")["whole"], "e-tag");
    scene.assert_arrived();
}

#[test]
fn ceph_rgw_an_upload_aborted_between_two_runs_restarts() {
    let scene = Scene::at("RGW");
    scene.kill_before_the_last_part();
    scene.abort_behind_its_back();
    scene.assert_restarted(&finish(&mut scene.command()), "no longer has the upload");
}

#[test]
fn ceph_rgw_an_upload_aborted_while_it_is_sent_restarts() {
    let scene = Scene::at("RGW");
    let finished = scene.run_while(Kind::UploadPart, Some(PARTS), Scene::abort_behind_its_back);
    scene.assert_restarted(&finished, "UploadPart");
}

/// RGW 16.2 answers 500 InternalError to every Complete whose upload is gone. No object exists, so
/// the upload can be restarted without overwriting one.
#[test]
fn ceph_rgw_an_upload_aborted_before_complete_restarts() {
    let scene = Scene::at("RGW");
    let finished =
        scene.run_while(Kind::CompleteMultipartUpload, None, Scene::abort_behind_its_back);
    let refused =
        scene.proxy.seen().into_iter().find(|it| it.kind == Kind::CompleteMultipartUpload).unwrap();
    assert_eq!(refused.status, Some(500), "else this test is about nothing");
    scene.assert_restarted(&finished, "CompleteMultipartUpload");
}

/// RGW 16.2 refuses a Complete that does not name every part. A foreign part cannot be removed from
/// the upload, and must not become a part of the object, so the upload restarts.
#[test]
fn ceph_rgw_a_foreign_part_restarts_a_paused_upload() {
    let scene = Scene::at("RGW");
    scene.kill_before_the_last_part();
    scene.python(
        "upload = s3.list_multipart_uploads(Bucket=args[0])['Uploads'][0]['UploadId']\n\
         s3.upload_part(Bucket=args[0], Key=args[1], UploadId=upload, PartNumber=99, \
         Body=b'foreign')\n\
         answer(True)\n",
    );
    scene.assert_restarted(&finish(&mut scene.command()), "part 99");
}

/// Another client replaced one of our parts: the next run compares the part and sends it again.
#[test]
fn ceph_rgw_a_replaced_part_is_sent_again() {
    let scene = Scene::at("RGW");
    scene.kill_before_the_last_part();
    scene.python(
        "upload = s3.list_multipart_uploads(Bucket=args[0])['Uploads'][0]['UploadId']\n\
         s3.upload_part(Bucket=args[0], Key=args[1], UploadId=upload, PartNumber=2, Body=b'x' * \
         5242880)\n\
         answer(True)\n",
    );
    let finished = succeed(&mut scene.command());
    assert_eq!(event(&finished, "resumed")["differing_parts"], serde_json::json!([2]));
    assert_eq!(scene.proxy.count(Kind::CreateMultipartUpload), 1);
    scene.assert_arrived();
}

/// Writes the key, which makes Garage drop its open uploads.
fn overwrite(scene: &Scene) {
    scene.python(
        "s3.put_object(Bucket=args[0], Key=args[1], Body=b'another client')\nanswer(True)\n",
    );
}

#[test]
fn garage_drops_an_upload_overwritten_while_it_is_sent() {
    let scene = Scene::at("GARAGE");
    let finished = scene.run_while(Kind::UploadPart, Some(PARTS), overwrite);
    scene.assert_restarted(&finished, "NoSuchUpload");
}

#[test]
fn garage_drops_an_upload_overwritten_between_two_runs() {
    let scene = Scene::at("GARAGE");
    scene.kill_before_the_last_part();
    overwrite(&scene);
    scene.assert_restarted(&finish(&mut scene.command()), "no longer has the upload");
}

/// The key is overwritten between the last part and Complete. The refusal of Complete is definite,
/// so the upload restarts as at every other store.
#[test]
fn garage_drops_an_upload_overwritten_before_complete() {
    let scene = Scene::at("GARAGE");
    let finished = scene.run_while(Kind::CompleteMultipartUpload, None, overwrite);
    scene.assert_restarted(&finished, "NoSuchUpload");
}

/// Runs an upload whose Complete is duplicated on its way: the store carries out the first, whose
/// answer is lost, and refuses the second.
fn repeated_on_its_way(scene: &Scene) -> Finished {
    scene.proxy.add(Rule::on(Kind::CompleteMultipartUpload, Fault::Twice));
    let finished = succeed(&mut scene.command());
    let complete =
        scene.proxy.seen().into_iter().find(|it| it.kind == Kind::CompleteMultipartUpload).unwrap();
    assert_eq!(complete.status, Some(404), "else this test is about nothing");
    assert_settled(scene, &finished);
    finished
}

/// Drops the answer to Complete and to the first HEAD after it.
fn lost(scene: &Scene) {
    scene.proxy.add(Rule::on(Kind::CompleteMultipartUpload, Fault::DropAnswer));
    scene.proxy.add(Rule::on(Kind::HeadObject, Fault::slow_down()));
    let finished = succeed(&mut scene.command());
    event(&finished, "in-doubt");
    assert_settled(scene, &finished);
}

/// Asserts that HEAD settled the outcome: nothing was sent again, aborted or restarted.
fn assert_settled(scene: &Scene, finished: &Finished) {
    assert_eq!(scene.body_bytes(), scene.sample_bytes());
    assert_eq!(scene.proxy.count(Kind::CreateMultipartUpload), 1);
    assert_eq!(scene.proxy.count(Kind::AbortMultipartUpload), 0);
    assert!(scene.proxy.count(Kind::HeadObject) >= 1);
    assert!(
        events(finished).iter().all(|event| event["event"] != "restarting"),
        "{}",
        finished.stdout
    );
    let etag = read_back(&scene.real, &scene.bucket, KEY).etag;
    assert_eq!(event(finished, "uploaded")["etag"], etag.trim_matches('"'));
    scene.assert_arrived();
}

#[test]
fn garage_says_no_such_upload_to_a_repeated_complete() {
    repeated_on_its_way(&Scene::at("GARAGE"));
}

#[test]
fn garage_a_lost_answer_to_complete_is_settled_by_head() {
    lost(&Scene::at("GARAGE"));
}

#[test]
fn localstack_says_no_such_upload_to_a_repeated_complete() {
    repeated_on_its_way(&Scene::at("LOCALSTACK"));
}

#[test]
fn localstack_a_lost_answer_to_complete_is_settled_by_head() {
    lost(&Scene::at("LOCALSTACK"));
}
