//! `haul cp` from store to store, including stores by other authors, read back by boto3.

use haul_testkit::TestStore;
use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::files::MIB;
use haul_testkit::process::{Finished, Running};

use crate::scene::{KEY, Scene};
use crate::world::{
    LIMIT, World, assert_keys, assert_no_upload_left, event, finish, make_bucket, python,
    read_back, succeed, upload,
};

const HEAD: &str = "head = s3.head_object(Bucket=args[0], Key=args[1])\n\
    answer({'type': head['ContentType'], 'metadata': head['Metadata'], 'etag': head['ETag']})\n";

/// Copies a small object and one in parts, with their attributes kept and replaced.
fn copies_inside_a_store(world: &World, store: &TestStore) {
    let bucket = make_bucket(world, store);
    let small = world.sample("small.txt", 12_345);
    let large = world.sample("large.bin", 20 * MIB);
    let url = |key: &str| format!("s3://{bucket}/{key}");
    succeed(world.haul(store).args([
        "cp",
        "small.txt",
        &url("a b+c%/small.txt"),
        "--metadata",
        "owner=me",
    ]));
    upload(world, store, &large.path, &url("large.bin"));

    let copied =
        succeed(world.haul(store).args(["cp", "--json", &url("a b+c%/small.txt"), &url("kept/")]));
    assert_eq!(event(&copied, "copied")["method"], "copy-object");
    let found = read_back(store, &bucket, "kept/small.txt");
    assert_eq!(found.sha256, small.sha256);
    assert_eq!(found.etag, read_back(store, &bucket, "a b+c%/small.txt").etag);
    let head = python(store, HEAD, &[&bucket, "kept/small.txt"]);
    assert_eq!((&head["type"], &head["metadata"]["owner"]), (&"text/plain".into(), &"me".into()));

    let copied =
        succeed(world.haul(store).args(["cp", "--json", &url("large.bin"), &url("large.copy")]));
    let report = event(&copied, "copied");
    assert_eq!((&report["method"], &report["part_count"]), (&"upload-part-copy".into(), &3.into()));
    assert_ne!(report["proof"], "unproven");
    let found = read_back(store, &bucket, "large.copy");
    assert_eq!(found.sha256, large.sha256);
    assert_eq!(
        found.etag,
        read_back(store, &bucket, "large.bin").etag,
        "it is cut as its source is"
    );

    let other = ["--content-type", "image/png", "--metadata", "owner=them"];
    for key in ["kept/small.txt", "large.copy"] {
        let again = format!("{key}.2");
        succeed(world.haul(store).args(["cp", &url(key), &url(&again)]).args(other));
        let head = python(store, HEAD, &[&bucket, &again]);
        assert_eq!(
            (&head["type"], &head["metadata"]["owner"]),
            (&"image/png".into(), &"them".into())
        );
    }
    assert_no_upload_left(store, &bucket);
}

#[test]
fn haul_serve_copies() {
    let world = World::new();
    let server = world.serve();
    copies_inside_a_store(&world, server.store());
}

#[test]
fn ceph_rgw_copies() {
    copies_inside_a_store(&World::new(), &TestStore::shared("RGW"));
}

#[test]
fn localstack_copies() {
    copies_inside_a_store(&World::new(), &TestStore::shared("LOCALSTACK"));
}

#[test]
fn local_objects_are_copied() {
    let world = World::new();
    let sample = world.sample("file", 12_345);
    for words in
        [["cp", "file", "local://demo/"], ["cp", "local://demo/file", "local://other/copy"]]
    {
        succeed(world.haul_without_store().args(words));
    }
    succeed(world.haul_without_store().args(["cp", "local://other/copy", "back"]));
    assert_eq!(haul_testkit::files::sha256(&world.path("back")).unwrap(), sample.sha256);
}

#[test]
fn an_object_of_another_store_is_streamed() {
    let world = World::new();
    let (server, rgw) = (world.serve(), TestStore::shared("RGW"));
    let (here, there) = (make_bucket(&world, server.store()), make_bucket(&world, &rgw));
    let sample = world.sample("file", 20 * MIB);
    upload(&world, &rgw, &sample.path, &format!("s3://{there}/file"));
    let keys = format!(
        "[there]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        rgw.access_key, rgw.secret_key
    );
    std::fs::write(world.path("keys"), keys).unwrap();
    let mut command = world.haul(server.store());
    command.env("AWS_SHARED_CREDENTIALS_FILE", world.path("keys"));
    command.args(["cp", "--json", "--source-endpoint", &rgw.endpoint, "--source-profile", "there"]);
    command.args([format!("s3://{there}/file"), format!("s3://{here}/copy")]);
    let copied = succeed(&mut command);
    assert_eq!(event(&copied, "copied")["method"], "streamed");
    assert_eq!(read_back(server.store(), &here, "copy"), read_back(&rgw, &there, "file"));
    assert_no_upload_left(server.store(), &here);
}

/// The server copies 6 GiB without reading or writing a byte: the copy shares the files of its
/// source.
#[test]
fn haul_serve_copies_6_gib() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    world.sample("base", 64 * MIB);
    let base = format!("s3://{bucket}/base");
    succeed(world.haul(store).args(["cp", "base", &base, "--multipart-threshold", "1GiB"]));
    let composed = python(
        store,
        "made = s3.create_multipart_upload(\n    \
             Bucket=args[0], Key='huge', ChecksumAlgorithm='CRC64NVME', \
             ChecksumType='FULL_OBJECT')\n\
         where = {'Bucket': args[0], 'Key': 'huge', 'UploadId': made['UploadId']}\n\
         parts = []\n\
         for number in range(1, 97):\n    \
             source = {'Bucket': args[0], 'Key': 'base'}\n    \
             part = s3.upload_part_copy(PartNumber=number, CopySource=source, \
             **where)['CopyPartResult']\n    \
             parts.append({'PartNumber': number, 'ETag': part['ETag']})\n\
         answer(s3.complete_multipart_upload(MultipartUpload={'Parts': parts}, **where)['ETag'])\n",
        &[&bucket],
    );
    let copied = succeed(world.haul(store).args([
        "cp",
        "--json",
        &format!("s3://{bucket}/huge"),
        &format!("s3://{bucket}/copy"),
    ]));
    let report = event(&copied, "copied");
    assert_eq!((&report["size_bytes"], &report["part_count"]), (&(6_u64 << 30).into(), &96.into()));
    assert_eq!(report["etag"], composed.as_str().unwrap().trim_matches('"'));
    assert_eq!(report["proof"], "checksum");
    assert_no_upload_left(store, &bucket);
}

fn copy_of(scene: &Scene, target: &str) -> std::process::Command {
    let mut command = scene.world.haul(&scene.store);
    command.args(["cp", &scene.url(), &format!("s3://{}/{target}", scene.bucket)]);
    command
}

/// Uploads the source, starts a copy of it, and calls `meanwhile` while the request for the second
/// part is held in front of the store.
fn held_at_the_second_part(scene: &Scene, meanwhile: impl FnOnce()) -> Finished {
    succeed(&mut scene.command());
    scene.proxy.add(Rule::on(Kind::UploadPartCopy, Fault::Hold).part(2).always());
    let running = Running::start(&mut copy_of(scene, "copy")).unwrap();
    scene.wait_for(|seen| {
        seen.iter().any(|it| it.kind == Kind::UploadPartCopy && it.part_number == Some(2))
    });
    meanwhile();
    scene.proxy.release();
    running.finish(LIMIT).unwrap()
}

#[test]
fn a_source_that_is_overwritten_meanwhile_is_not_copied() {
    for scene in [Scene::at_haul_serve(), Scene::at("RGW")] {
        let finished = held_at_the_second_part(&scene, || {
            scene.python(
                "answer(s3.put_object(Bucket=args[0], Key=args[1], Body=b'another')['ETag'])\n",
            );
        });
        assert_eq!(finished.code(), Some(6), "{}", finished.stderr);
        assert!(
            finished.stderr.contains("changed at the store while it was read"),
            "{}",
            finished.stderr
        );
        assert_keys(&scene.real, &scene.bucket, &[KEY]);
        assert_no_upload_left(&scene.real, &scene.bucket);
    }
}

#[test]
fn a_lost_answer_to_copy_object_is_settled_by_a_look() {
    let scene = Scene::of_file(12_345);
    succeed(scene.world.haul(&scene.store).arg("cp").arg(&scene.sample.path).arg(scene.url()));
    scene.proxy.add(Rule::on(Kind::CopyObject, Fault::DropAnswer));
    let finished = finish(&mut copy_of(&scene, "copy"));
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
    assert_eq!(scene.proxy.count(Kind::CopyObject), 1);
    assert_eq!(read_back(&scene.real, &scene.bucket, "copy").sha256, scene.sample.sha256);
}

#[test]
fn a_copy_onto_itself_says_what_is_missing() {
    let scene = Scene::of_file(12_345);
    succeed(scene.world.haul(&scene.store).arg("cp").arg(&scene.sample.path).arg(scene.url()));
    let finished = finish(&mut copy_of(&scene, KEY));
    assert_eq!(finished.code(), Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("nothing of it would change"), "{}", finished.stderr);
    succeed(copy_of(&scene, KEY).args(["--content-type", "image/png"]));
    assert_eq!(python(&scene.real, HEAD, &[&scene.bucket, KEY])["type"], "image/png");
}
