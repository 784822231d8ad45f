//! The basics that everything else relies on: buckets, objects, parts, Complete, and the files on
//! disk.

use haul_parts::ETag;
use haul_store::{
    CompleteOptions, CopyOptions, CopySource, Deleted, DiskStore, Error, ListObjects, PutOptions,
    ReadRange, WriteCondition, WriteOptions,
};

use crate::fixture::{Fixture, bucket, key, listed, options, part_number, pattern, read, stage};

#[test]
fn an_object_comes_back_also_after_opening_again() {
    let fixture = Fixture::new();
    let bytes = pattern(1, 100_000);
    let put = fixture.put("dir/../../etc/passwd", &bytes);
    assert_eq!(put.size_bytes, 100_000);
    let fixture = fixture.reopen();
    assert_eq!(fixture.get("dir/../../etc/passwd"), bytes);
    let head = fixture.store.head_object(&fixture.bucket, &key("dir/../../etc/passwd")).unwrap();
    assert_eq!(head, put);
    assert_eq!(fixture.data_files(), (1, 100_000));
}

#[test]
fn zero_bytes_need_no_file() {
    let fixture = Fixture::new();
    let put = fixture.put("empty", b"");
    assert_eq!(put.etag, ETag::new("\"d41d8cd98f00b204e9800998ecf8427e\""));
    assert_eq!(fixture.get("empty"), b"");
    assert_eq!(fixture.data_files(), (0, 0));
}

#[test]
fn a_folder_is_used_by_one_store() {
    let fixture = Fixture::new();
    let error = DiskStore::open(fixture.store_dir(), options()).unwrap_err();
    let pid = std::process::id();
    assert!(matches!(error, Error::Locked { pid: Some(found), .. } if found == pid), "{error}");
}

#[test]
fn buckets_are_made_listed_and_removed() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let error = store.create_bucket(&fixture.bucket).unwrap_err();
    assert_eq!(error.s3_code(), "BucketAlreadyOwnedByYou");
    store.create_bucket(&bucket("another")).unwrap();
    let names: Vec<String> =
        store.list_buckets().unwrap().iter().map(|b| b.name.to_string()).collect();
    assert_eq!(names, ["another", "test-bucket"]);

    fixture.put("key", b"bytes");
    assert_eq!(store.delete_bucket(&fixture.bucket).unwrap_err().s3_code(), "BucketNotEmpty");
    store.delete_object(&fixture.bucket, &key("key"), WriteCondition::Always).unwrap();
    let upload = fixture.create("key");
    fixture.put_part(&upload, 1, b"part");
    store.delete_bucket(&fixture.bucket).unwrap();
    assert_eq!(store.head_bucket(&fixture.bucket).unwrap_err().s3_code(), "NoSuchBucket");
    assert_eq!(fixture.data_files(), (0, 0));
    let gone = store.delete_bucket(&fixture.bucket).unwrap_err();
    assert_eq!(gone.s3_code(), "NoSuchBucket");
}

#[test]
fn parts_become_an_object_without_writing_data() {
    let fixture = Fixture::new();
    let upload = fixture.create("object");
    let bytes: Vec<Vec<u8>> =
        (0..5).map(|seed| pattern(seed, 1000 + usize::try_from(seed).unwrap())).collect();
    // The parts come in any order; one is sent twice, and one is not listed.
    let mut parts: Vec<_> = [4, 0, 2, 1, 3, 2]
        .into_iter()
        .map(|index| fixture.put_part(&upload, u32::try_from(index).unwrap() + 1, &bytes[index]))
        .collect();
    parts.sort_by_key(|part| part.part_number);
    parts.dedup_by_key(|part| part.part_number);
    let before = fixture.data_files();
    assert_eq!(before.0, 5);

    let chosen = listed(parts.iter().filter(|part| part.part_number != part_number(4)));
    let object = fixture
        .store
        .complete_multipart_upload(&upload, chosen, CompleteOptions::default())
        .unwrap();
    let whole: Vec<u8> = [&bytes[0][..], &bytes[1], &bytes[2], &bytes[4]].concat();
    assert_eq!(object.part_count, Some(4));
    assert_eq!(object.size_bytes, whole.len() as u64);
    assert_eq!(object.etag.part_count(), Some(4));
    assert_eq!(fixture.get("object"), whole);
    assert_eq!(fixture.data_files().0, 4);

    let fixture = fixture.reopen();
    assert_eq!(fixture.get("object"), whole);
    let range = read(&fixture.store, &fixture.bucket, "object", ReadRange::Bytes(999..=2001));
    assert_eq!(range, whole[999..=2001]);
    let part = read(&fixture.store, &fixture.bucket, "object", ReadRange::Part(part_number(4)));
    assert_eq!(part, bytes[4]);
    assert_eq!(
        fixture.store.list_parts(&upload, None, None).unwrap_err().s3_code(),
        "NoSuchUpload"
    );
}

#[test]
fn what_is_dropped_leaves_nothing() {
    let fixture = Fixture::new();
    drop(stage(&fixture.store, b"staged and forgotten"));
    let mut writer = fixture.store.begin_part(WriteOptions::default()).unwrap();
    writer.write(b"never finished").unwrap();
    drop(writer);
    let upload = fixture.create("key");
    fixture.store.abort_multipart_upload(&upload).unwrap();
    let late = stage(&fixture.store, b"too late");
    let error = fixture.store.put_part(&upload, part_number(1), late, None).unwrap_err();
    assert_eq!(error.s3_code(), "NoSuchUpload");
    assert_eq!(fixture.data_files(), (0, 0));
}

#[test]
fn a_reader_survives_overwriting_and_deleting() {
    let fixture = Fixture::new();
    let first = pattern(1, 50_000);
    fixture.put("key", &first);
    let mut reader =
        fixture.store.read_object(&fixture.bucket, &key("key"), ReadRange::Whole).unwrap();
    fixture.put("key", b"second");
    fixture.store.delete_object(&fixture.bucket, &key("key"), WriteCondition::Always).unwrap();
    assert_eq!(fixture.data_files().0, 1, "the reader holds the first version");
    let mut bytes = vec![0; first.len()];
    assert_eq!(reader.read(&mut bytes).unwrap(), first.len());
    assert_eq!(bytes, first);
    drop(reader);
    assert_eq!(fixture.data_files(), (0, 0));
}

#[test]
fn copies_share_their_files() {
    let fixture = Fixture::new();
    let bytes = pattern(7, 10_000);
    let original = fixture.put("original", &bytes);
    let source =
        || CopySource { bucket: fixture.bucket.clone(), key: key("original"), version: None };
    let copy = |to: &str| {
        let options = CopyOptions::default();
        fixture.store.copy_object(source(), &fixture.bucket, &key(to), options).unwrap()
    };
    assert_eq!(copy("copy").etag, original.etag);
    copy("original");
    assert_eq!(fixture.data_files(), (1, 10_000));
    fixture.store.delete_object(&fixture.bucket, &key("original"), WriteCondition::Always).unwrap();
    assert_eq!(fixture.get("copy"), bytes);

    let upload = fixture.create("assembled");
    let source = CopySource { bucket: fixture.bucket.clone(), key: key("copy"), version: None };
    let whole =
        fixture.store.upload_part_copy(&upload, part_number(1), source.clone(), None).unwrap();
    let range = fixture
        .store
        .upload_part_copy(&upload, part_number(2), source.clone(), Some(100..=4_099))
        .unwrap();
    assert_eq!(whole.etag, original.etag);
    assert_eq!(range.size_bytes, 4_000);
    assert_eq!(range.etag, fixture.put("range", &bytes[100..=4_099]).etag);
    let outside = fixture.store.upload_part_copy(&upload, part_number(3), source, Some(0..=10_000));
    assert!(matches!(outside, Err(Error::InvalidCopyRange { size_bytes: 10_000 })));
    let list = listed([&whole, &range]);
    fixture.store.complete_multipart_upload(&upload, list, CompleteOptions::default()).unwrap();
    fixture.store.delete_object(&fixture.bucket, &key("copy"), WriteCondition::Always).unwrap();
    assert_eq!(fixture.get("assembled"), [&bytes[..], &bytes[100..=4_099]].concat());
    fixture
        .store
        .delete_object(&fixture.bucket, &key("assembled"), WriteCondition::Always)
        .unwrap();
    fixture.store.delete_object(&fixture.bucket, &key("range"), WriteCondition::Always).unwrap();
    assert_eq!(fixture.data_files(), (0, 0));
}

#[test]
fn conditions_are_decided_with_the_write() {
    let fixture = Fixture::new();
    let put = |condition: WriteCondition| {
        let options = PutOptions { condition, ..PutOptions::default() };
        fixture.store.put_object(
            &fixture.bucket,
            &key("key"),
            stage(&fixture.store, b"bytes"),
            options,
        )
    };
    let code = |condition| put(condition).unwrap_err().s3_code();
    assert_eq!(code(WriteCondition::IfMatch(ETag::new("x"))), "NoSuchKey");
    let first = put(WriteCondition::IfNoneMatch).unwrap();
    assert_eq!(code(WriteCondition::IfNoneMatch), "PreconditionFailed");
    assert_eq!(code(WriteCondition::IfMatch(ETag::new("x"))), "PreconditionFailed");
    put(WriteCondition::IfMatch(first.etag)).unwrap();
    assert_eq!(fixture.data_files().0, 1);
}

#[test]
fn listings_page_and_roll_up() {
    let fixture = Fixture::new();
    for name in ["a", "b/1", "b/2", "b/x/1", "b0", "c/1", "ü"] {
        fixture.put(name, b"");
    }
    let page = |start_after: Option<String>| {
        let what = ListObjects {
            delimiter: Some("/".to_owned()),
            start_after,
            max_keys: Some(2),
            ..ListObjects::default()
        };
        fixture.store.list_objects(&fixture.bucket, what).unwrap()
    };
    let mut seen = Vec::new();
    let mut marker = None;
    loop {
        let page = page(marker);
        seen.extend(page.common_prefixes.iter().cloned());
        seen.extend(page.objects.iter().map(|object| object.key.to_string()));
        marker = page.next;
        if marker.is_none() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, ["a", "b/", "b0", "c/", "ü"]);
    let what = ListObjects { prefix: "b/".to_owned(), ..ListObjects::default() };
    let page = fixture.store.list_objects(&fixture.bucket, what).unwrap();
    let keys: Vec<&str> = page.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["b/1", "b/2", "b/x/1"]);
    assert_eq!(page.next, None);
}

#[test]
fn several_objects_go_in_one_step() {
    let fixture = Fixture::new();
    fixture.put("a", b"a");
    fixture.put("b", b"b");
    let keys = ["a", "nothing", "b", "a"].map(|name| (key(name), WriteCondition::Always)).to_vec();
    let deleted = fixture.store.delete_objects(&fixture.bucket, keys).unwrap();
    let deleted: Vec<Deleted> = deleted.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        deleted,
        [Deleted::Removed, Deleted::WasAbsent, Deleted::Removed, Deleted::WasAbsent]
    );
    assert_eq!(fixture.data_files(), (0, 0));
}

/// An object whose condition does not hold stays; the others are deleted in the same step.
#[test]
fn each_of_several_objects_has_a_condition_of_its_own() {
    let fixture = Fixture::new();
    let etag = fixture.put("a", b"a").etag;
    fixture.put("b", b"b");
    let if_match = |name| (key(name), WriteCondition::IfMatch(etag.clone()));
    let keys = vec![
        if_match("b"),
        if_match("a"),
        if_match("absent"),
        (key("absent"), WriteCondition::Always),
    ];
    let outcomes = fixture.store.delete_objects(&fixture.bucket, keys).unwrap();
    let codes: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().map_err(|error| error.s3_code()).copied())
        .collect();
    let expected =
        [Err("PreconditionFailed"), Ok(Deleted::Removed), Err("NoSuchKey"), Ok(Deleted::WasAbsent)];
    assert_eq!(codes, expected);
    assert_eq!(fixture.get("b"), b"b");
}

/// Writes a format into the metadata of a store, and opens it.
fn open_with_format(format: u8) -> Error {
    let fixture = Fixture::new();
    fixture.put("kept", b"kept");
    let dir = fixture.store_dir();
    drop(fixture.store);
    let meta: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let database = redb::Database::open(dir.join("meta.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(meta).unwrap().insert("format", [format].as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = DiskStore::open(&dir, options()).unwrap_err();
    assert!(dir.join("data/000/000/0000000000000000").exists());
    error
}

/// The store refuses the folder of a newer Haul with a clear error and leaves it unchanged.
#[test]
fn a_newer_format_is_refused() {
    let error = open_with_format(3);
    assert!(matches!(error, Error::FormatTooNew { found: 3, known: 2, .. }), "{error}");
}

/// Format 1 had no checksums in its data files; read as format 2, all of them would look damaged.
#[test]
fn an_older_format_is_refused() {
    let error = open_with_format(1);
    assert!(matches!(error, Error::FormatTooOld { found: 1, oldest: 2, .. }), "{error}");
}

#[test]
fn the_folder_is_made_with_all_that_leads_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("data/haul/store");
    drop(DiskStore::open(&deep, options()).unwrap());
    assert!(deep.join("meta.redb").exists());
    assert!(!deep.join("meta.redb.new").exists());
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&deep.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700, "objects may be private");
    }
}
