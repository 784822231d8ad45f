//! Listings page through any keys in order, without losing or repeating one.

use std::collections::BTreeSet;
use std::sync::Arc;

use haul_store::{DiskStore, ListObjects, ListUploads, UploadMarker};
use proptest::prelude::*;

use crate::fixture::{Fixture, bucket, key, options, part_number, try_put};
use crate::sim_disk::SimDisk;

/// Computes the listing that S3 defines, as plainly as possible.
fn expected(keys: &BTreeSet<String>, prefix: &str, delimiter: Option<&str>) -> Vec<String> {
    let mut entries = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        let rolled = delimiter
            .and_then(|delimiter| {
                key[prefix.len()..].find(delimiter).map(|at| at + delimiter.len())
            })
            .map(|end| key[..prefix.len() + end].to_owned());
        let entry = rolled.unwrap_or_else(|| key.clone());
        if entries.last() != Some(&entry) {
            entries.push(entry);
        }
    }
    entries
}

fn keys() -> impl Strategy<Value = BTreeSet<String>> {
    proptest::collection::btree_set("[ab/é]{1,5}", 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn objects_and_uploads_page_as_s3_says(
        keys in keys(),
        prefix in "[ab/]{0,2}",
        delimiter in proptest::option::of(proptest::sample::select(vec!["/", "b", "a/", "é"])),
        size in 1..6_u16,
    ) {
        let store = DiskStore::open_on(Arc::new(SimDisk::new()), options()).unwrap();
        let bucket = bucket("listed");
        store.create_bucket(&bucket).unwrap();
        for name in &keys {
            try_put(&store, &bucket, name, b"").unwrap();
            store.create_multipart_upload(&bucket, &key(name), Default::default()).unwrap();
        }
        let delimiter = delimiter.map(str::to_owned);
        let expected = expected(&keys, &prefix, delimiter.as_deref());

        let mut found = Vec::new();
        let mut start_after = None;
        loop {
            let what = ListObjects {
                prefix: prefix.clone(),
                delimiter: delimiter.clone(),
                start_after,
                max_keys: Some(size),
            };
            let page = store.list_objects(&bucket, what).unwrap();
            let mut entries = page.common_prefixes.clone();
            entries.extend(page.objects.iter().map(|object| object.key.to_string()));
            prop_assert!(entries.len() <= usize::from(size));
            entries.sort();
            found.extend(entries);
            start_after = page.next;
            if start_after.is_none() {
                break;
            }
        }
        prop_assert_eq!(&found, &expected);

        let mut found = Vec::new();
        let mut marker: Option<UploadMarker> = None;
        loop {
            let (key_marker, upload_id_marker) =
                marker.map(|marker| (marker.key, marker.upload_id)).unzip();
            let what = ListUploads {
                prefix: prefix.clone(),
                delimiter: delimiter.clone(),
                key_marker,
                upload_id_marker: upload_id_marker.flatten(),
                max_uploads: Some(size),
            };
            let page = store.list_multipart_uploads(&bucket, what).unwrap();
            let mut entries = page.common_prefixes.clone();
            entries.extend(page.uploads.iter().map(|upload| upload.upload.object.key.to_string()));
            entries.sort();
            found.extend(entries);
            marker = page.next;
            if marker.is_none() {
                break;
            }
        }
        prop_assert_eq!(&found, &expected);
    }
}

#[test]
fn uploads_of_one_key_are_in_the_order_of_create() {
    let fixture = Fixture::new();
    let first = fixture.create("b");
    let other = fixture.create("a");
    let second = fixture.create("b");
    let third = fixture.create("b");
    let list = |key_marker: Option<&str>, upload_id_marker| {
        let what = ListUploads {
            key_marker: key_marker.map(str::to_owned),
            upload_id_marker,
            ..ListUploads::default()
        };
        fixture
            .store
            .list_multipart_uploads(&fixture.bucket, what)
            .map(|page| page.uploads.into_iter().map(|upload| upload.upload).collect::<Vec<_>>())
    };
    let all = [other.clone(), first.clone(), second.clone(), third.clone()];
    assert_eq!(list(None, None).unwrap(), all);
    assert_eq!(list(Some("a"), None).unwrap(), all[1..]);
    assert_eq!(list(Some("b"), None).unwrap(), []);
    assert_eq!(list(Some("b"), Some(first.upload_id.clone())).unwrap(), all[2..]);
    assert_eq!(
        list(None, Some(first.upload_id.clone())).unwrap(),
        all,
        "ignored without a key marker"
    );
    let foreign = list(Some("b"), Some(other.upload_id.clone())).unwrap_err();
    assert_eq!(foreign.s3_code(), "InvalidArgument");
    // An upload that ended between two pages must not end the listing.
    fixture.store.abort_multipart_upload(&first).unwrap();
    assert_eq!(list(Some("b"), Some(first.upload_id)).unwrap(), [second, third]);
}

#[test]
fn parts_page_by_number() {
    let fixture = Fixture::new();
    let upload = fixture.create("object");
    for number in [3, 1, 10, 2, 7] {
        fixture.put_part(&upload, number, b"bytes");
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = fixture.store.list_parts(&upload, after, Some(2)).unwrap();
        assert!(page.parts.len() <= 2);
        found.extend(page.parts.iter().map(|part| part.part_number));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, [1, 2, 3, 7, 10].map(part_number));
    assert!(
        fixture
            .store
            .list_parts(&upload, Some(part_number(10_000)), None)
            .unwrap()
            .parts
            .is_empty()
    );
}

/// A page costs the same at any position: keys under a common prefix are not walked over.
#[test]
fn many_objects_are_listed_page_by_page() {
    const FOLDERS: usize = 20;
    const FILES: usize = 250;
    let store = DiskStore::open_on(Arc::new(SimDisk::new()), options()).unwrap();
    let bucket = bucket("listed");
    store.create_bucket(&bucket).unwrap();
    // Several threads share commits.
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let (store, bucket) = (store.clone(), bucket.clone());
            std::thread::spawn(move || {
                for number in (thread..FOLDERS * FILES).step_by(8) {
                    let name = format!("folder-{:02}/file-{:04}", number / FILES, number % FILES);
                    try_put(&store, &bucket, &name, b"").unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let (mut pages, mut seen, mut last, mut start_after) = (0, 0, String::new(), None);
    loop {
        let page = store
            .list_objects(&bucket, ListObjects { start_after, ..ListObjects::default() })
            .unwrap();
        for object in &page.objects {
            assert!(object.key.as_str() > last.as_str());
            object.key.as_str().clone_into(&mut last);
        }
        seen += page.objects.len();
        pages += 1;
        start_after = page.next;
        if start_after.is_none() {
            break;
        }
    }
    assert_eq!((pages, seen), (FOLDERS * FILES / 1000, FOLDERS * FILES));
    let delimiter = Some("/".to_owned());
    let page =
        store.list_objects(&bucket, ListObjects { delimiter, ..ListObjects::default() }).unwrap();
    assert_eq!((page.common_prefixes.len(), page.objects.len()), (FOLDERS, 0));
}
