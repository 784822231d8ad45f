//! Uploads of a real file into every store, most of them by other authors, read back with boto3.

use haul_testkit::TestStore;
use haul_testkit::files::{MIB, sha256};

use crate::world::{
    PART, World, assert_keys, assert_no_upload_left, event, expected_etag, make_bucket, read_back,
    succeed,
};

const FILE_BYTES: u64 = 300 * MIB;

/// The integrity proof that a store offers.
#[derive(Debug, Clone, Copy)]
enum Proof {
    /// The store verifies the checksum of every part.
    Checksum,
    /// The store verifies no checksums; its ETags are the MD5 of what it received.
    Md5,
}

fn put_and_read_back(world: &World, store: &TestStore, proof: Proof) {
    let bucket = make_bucket(world, store);
    let sample = world.sample("video.mov", FILE_BYTES);
    let url = format!("s3://{bucket}/videos/");

    let finished =
        succeed(world.haul(store).args(["cp", "video.mov", &url, "--part-size", "8MiB", "--json"]));

    let found = read_back(store, &bucket, "videos/video.mov");
    assert_eq!(found.sha256, sample.sha256);
    assert_eq!(found.etag, expected_etag(store, &sample.path, PART));
    assert_no_upload_left(store, &bucket);

    let uploaded = event(&finished, "uploaded");
    assert_eq!(uploaded["size_bytes"], FILE_BYTES);
    assert_eq!(uploaded["part_count"], 38);
    assert_eq!(
        uploaded["etag"],
        found.etag.trim_matches('"'),
        "the reported ETag, even where Complete's answer is empty"
    );
    let proven = match proof {
        Proof::Checksum => serde_json::json!({"checksum": 38, "md5": 0, "unproven": 0}),
        Proof::Md5 => serde_json::json!({"checksum": 0, "md5": 38, "unproven": 0}),
    };
    assert_eq!(uploaded["proof"], proven);

    // Our own command downloads the object too.
    let object = format!("{url}video.mov");
    succeed(world.haul(store).args(["cp", &object, "back.mov"]));
    assert_eq!(sha256(&world.path("back.mov")).unwrap(), sample.sha256);

    let listed = succeed(world.haul(store).args(["ls", &url]));
    assert!(
        listed.stdout.contains("video.mov") && listed.stdout.contains("314572800"),
        "{}",
        listed.stdout
    );
    succeed(world.haul(store).args(["rm", &object]));
    assert_keys(store, &bucket, &[]);
}

#[test]
fn haul_serve_takes_300_mib() {
    let world = World::new();
    let server = world.serve();
    put_and_read_back(&world, server.store(), Proof::Checksum);
}

#[test]
fn ceph_rgw_takes_300_mib() {
    put_and_read_back(&World::new(), &TestStore::shared("RGW"), Proof::Md5);
}

#[test]
fn localstack_takes_300_mib() {
    put_and_read_back(&World::new(), &TestStore::shared("LOCALSTACK"), Proof::Checksum);
}

#[test]
fn garage_takes_300_mib() {
    put_and_read_back(&World::new(), &TestStore::shared("GARAGE"), Proof::Checksum);
}

/// Uploads files below the threshold, including an empty one: each takes a single request, and its
/// ETag is the MD5 of the file.
fn put_small_files(world: &World, store: &TestStore) {
    let bucket = make_bucket(world, store);
    for length_bytes in [0, 1, 70_000, 5 * MIB + 1] {
        let name = format!("file-{length_bytes}");
        let sample = world.sample(&name, length_bytes);
        let url = format!("s3://{bucket}/{name}");
        let finished = succeed(world.haul(store).args(["cp", &name, &url, "--json"]));
        assert_eq!(event(&finished, "uploaded")["upload_id"], serde_json::Value::Null);
        assert_eq!(read_back(store, &bucket, &name).sha256, sample.sha256, "{name}");
    }
    assert_no_upload_left(store, &bucket);
}

#[test]
fn haul_serve_takes_small_files() {
    let world = World::new();
    let server = world.serve();
    put_small_files(&world, server.store());
}

#[test]
fn ceph_rgw_takes_small_files() {
    put_small_files(&World::new(), &TestStore::shared("RGW"));
}

#[test]
fn localstack_takes_small_files() {
    put_small_files(&World::new(), &TestStore::shared("LOCALSTACK"));
}

#[test]
fn garage_takes_small_files() {
    put_small_files(&World::new(), &TestStore::shared("GARAGE"));
}
