//! `haul du`, and the totals of `haul ls`.

use haul_testkit::TestStore;
use haul_testkit::process::Finished;

use crate::world::{World, events, finish, make_bucket, python, succeed};

/// Creates objects of 100 bytes each, one of them in another storage class, and an unfinished
/// upload of 7 bytes.
const FILL: &str = "for key in ['a/1', 'a/2', 'a/b/3', 'z']:\n    \
    s3.put_object(Bucket=args[0], Key=key, Body=b'x' * 100)\n\
    s3.put_object(Bucket=args[0], Key='a/cold', Body=b'x' * 100, StorageClass=args[1])\n\
    upload = s3.create_multipart_upload(Bucket=args[0], Key='a/big')['UploadId']\n\
    s3.upload_part(Bucket=args[0], Key='a/big', UploadId=upload, PartNumber=1, Body=b'1234567')\n\
    answer(0)\n";

fn filled(world: &World, store: &TestStore, class: &str) -> String {
    let bucket = make_bucket(world, store);
    python(store, FILL, &[&bucket, class]);
    bucket
}

fn haul(world: &World, store: &TestStore, words: &str) -> Finished {
    finish(world.haul(store).args(words.split_whitespace()))
}

#[test]
fn du_counts_objects_by_class_and_unfinished_parts_on_request() {
    let world = World::new();
    let server = world.serve();
    for (store, class) in [
        (server.store().clone(), "STANDARD_IA"),
        // RGW knows no other storage class.
        (TestStore::shared("RGW"), "STANDARD"),
    ] {
        let bucket = filled(&world, &store, class);
        let du = haul(&world, &store, &format!("du s3://{bucket}/a/"));
        assert_eq!(du.code(), Some(0), "{}", du.stderr);
        let last = du.stdout.lines().last().unwrap();
        assert_eq!(last, format!("     400 B              400  4 objects  s3://{bucket}/a/"));
        let json = haul(&world, &store, &format!("du s3://{bucket}/a/ --uploads --json"));
        let lines = events(&json);
        let of_type = |kind: &str| {
            lines.iter().find(|line| line["type"] == kind).unwrap_or_else(|| panic!("no {kind}"))
        };
        assert_eq!(of_type("unfinished-uploads")["size_bytes"], 7);
        assert_eq!(of_type("unfinished-uploads")["parts"], 1);
        assert_eq!(
            (&of_type("total")["objects"], &of_type("total")["size_bytes"]),
            (&4.into(), &400.into())
        );
        let classes: Vec<_> = lines.iter().filter(|line| line["type"] == "storage-class").collect();
        let in_classes: u64 = classes.iter().map(|line| line["objects"].as_u64().unwrap()).sum();
        assert_eq!(in_classes, 4);
        assert_eq!(classes.len(), if class == "STANDARD" { 1 } else { 2 });
        let pattern = haul(&world, &store, &format!("du s3://{bucket}/a/?"));
        assert!(pattern.stdout.contains("2 objects"), "{}", pattern.stdout);
        assert_eq!(haul(&world, &store, &format!("du s3://{bucket}/none/")).code(), Some(1));
    }
}

#[test]
fn ls_sums_up_and_shows_sizes_for_people() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = filled(&world, store, "STANDARD");
    let listed = haul(&world, store, &format!("ls -r --summarize s3://{bucket}"));
    assert_eq!(listed.stdout.lines().last(), Some("5 objects, 500 B (500 bytes)"));
    let level = haul(&world, store, &format!("ls --summarize s3://{bucket}/a/ --json"));
    assert_eq!(events(&level).last().unwrap()["objects"], 3);
    let human = haul(&world, store, &format!("ls -h s3://{bucket}/z"));
    assert_eq!(human.code(), Some(0), "{}", human.stderr);
    let columns: Vec<_> = human.stdout.split_whitespace().skip(2).collect();
    assert_eq!(columns, ["100", "B", "z"]);
    let matching = haul(&world, store, &format!("ls s3://{bucket}/*/3"));
    assert!(matching.stdout.trim_end().ends_with("a/b/3"), "{}", matching.stdout);
    assert_eq!(matching.stdout.lines().count(), 1);
    let help = succeed(world.haul(store).args(["ls", "--help"]));
    assert!(help.stdout.contains("--human-readable"), "{}", help.stdout);
}
