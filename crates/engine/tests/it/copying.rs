//! Copies inside a store: the same bytes, attributes and ETag, of one version, or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use haul::parts::{Bucket, Key, Limits, PartNumber};
use haul::remote::{
    CompleteRequest, CompletedPart, CreateRequest, ObjectAttributes, Operation as O, PutRequest,
    Store,
};
use haul::testing::memory::{Fault, Faults, MemoryStore, Quirks, Refusal};
use haul::{
    CopyMethod, CopyOptions, CopyProof, CopyReport, Engine, EngineOptions, Error, ObjectRef,
    StopRequest, Transfer, UploadOptions,
};

use crate::harness::{
    aws, bytes, chain, never_aborted_in_doubt, nothing_left, object, options, part_request,
    put_request, start, store,
};

const SIZE: usize = 10_500;

pub(crate) fn target() -> ObjectRef {
    ObjectRef { bucket: object().bucket, key: Key::new("copy").unwrap() }
}

/// Returns options for a store that takes parts of any size.
pub(crate) fn copy_options() -> CopyOptions {
    CopyOptions {
        limits: Some(Limits { part_size_min_bytes: 1, ..Limits::AWS }),
        ..CopyOptions::default()
    }
}

pub(crate) fn copy(store: &MemoryStore, options: CopyOptions) -> Transfer<CopyReport> {
    let engine = Engine::new(Arc::new(store.clone()), EngineOptions::default());
    engine.copy(object(), target(), options)
}

fn attributes() -> ObjectAttributes {
    ObjectAttributes {
        content_type: Some("text/plain".into()),
        content_language: Some("de".into()),
        expires: Some("0".into()),
        metadata: BTreeMap::from([("owner".to_owned(), "me".to_owned())]),
        tags: BTreeMap::from([("keep".to_owned(), "yes".to_owned())]),
        ..ObjectAttributes::default()
    }
}

/// Puts the source of most copies here, in one piece.
pub(crate) async fn put_source(store: &MemoryStore, content: &[u8]) {
    let request = PutRequest { attributes: attributes(), ..put_request(content) };
    store.put_object(&object(), request).await.unwrap();
}

/// Uploads the source in parts.
pub(crate) async fn upload_source(store: &MemoryStore, content: &[u8]) {
    let with = UploadOptions { attributes: attributes(), ..options() };
    start(store, content, with).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
}

async fn copied(store: &MemoryStore, options: CopyOptions) -> CopyReport {
    let report = copy(store, options).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(
        store.object(&target()).expect("the copy is there"),
        store.object(&object()).unwrap()
    );
    nothing_left(store);
    report
}

async fn refused(store: &MemoryStore, options: CopyOptions) -> Error {
    let error = copy(store, options).await.unwrap_err();
    assert_eq!(store.object(&target()), None, "{}", chain(&error));
    nothing_left(store);
    error
}

#[tokio::test(start_paused = true)]
async fn an_object_in_one_piece_is_copied_by_one_request() {
    let store = aws(Faults::none());
    put_source(&store, &bytes(SIZE)).await;
    let report = copied(&store, copy_options()).await;
    assert_eq!((report.method, report.proof), (CopyMethod::CopyObject, CopyProof::Checksum));
    assert_eq!((store.calls(O::CopyObject), store.calls(O::GetObject)), (1, 0));
    let kept = store.head_object(&target()).await.unwrap();
    assert_eq!(kept.attributes, ObjectAttributes { tags: BTreeMap::new(), ..attributes() });
    assert_eq!(store.get_object_tagging(&target()).await.unwrap(), attributes().tags);
    assert_eq!(kept.etag, store.head_object(&object()).await.unwrap().etag);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_an_object_in_parts_keeps_its_etag() {
    for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16] {
        let store = store(quirks, Faults::none());
        upload_source(&store, &bytes(SIZE)).await;
        let report = copied(&store, copy_options()).await;
        let (source, copy) = (
            store.head_object(&object()).await.unwrap(),
            store.head_object(&target()).await.unwrap(),
        );
        assert_eq!((&copy.etag, report.part_count), (&source.etag, 11));
        assert_eq!(report.method, CopyMethod::UploadPartCopy);
        assert!(report.proof != CopyProof::Unproven);
        assert_eq!((store.calls(O::UploadPartCopy), store.calls(O::GetObject)), (11, 0));
        assert_eq!(copy.attributes.metadata["owner"], "me");
        assert_ne!(
            copy.attributes.metadata["haul-upload"],
            source.attributes.metadata["haul-upload"]
        );
        assert_eq!(copy.attributes.expires.as_deref(), Some("0"));
        assert_eq!(store.get_object_tagging(&target()).await.unwrap(), attributes().tags);
    }
}

/// The source has unequal parts, as an upload of a stream of unknown length leaves them.
#[tokio::test(start_paused = true)]
async fn unequal_parts_are_copied_as_they_are() {
    let store = aws(Faults::none());
    let (content, sizes) = (Bytes::from(bytes(SIZE)), [1000, 1000, 3000, 5000, 500]);
    let created =
        store.create_multipart_upload(&object(), &CreateRequest::default()).await.unwrap();
    let upload = haul::remote::UploadRef { object: object(), upload_id: created.upload_id };
    let (mut offset, mut parts) = (0, vec![]);
    for (number, size) in (1..).zip(sizes) {
        let number = PartNumber::new(number).unwrap();
        let request = part_request(number, &content.slice(offset..offset + size));
        let sent = store.upload_part(&upload, request).await.unwrap();
        parts.push(CompletedPart { number, etag: sent.etag, checksum: None });
        offset += size;
    }
    let request = CompleteRequest { parts, ..CompleteRequest::default() };
    store.complete_multipart_upload(&upload, &request).await.unwrap();
    let report = copied(&store, copy_options()).await;
    assert_eq!((report.part_count, report.proof), (5, CopyProof::Checksum));
    assert_eq!(report.etag, store.head_object(&object()).await.unwrap().etag);
}

#[tokio::test(start_paused = true)]
async fn named_attributes_are_replaced_and_the_others_kept() {
    for in_parts in [false, true] {
        let store = aws(Faults::none());
        if in_parts {
            upload_source(&store, &bytes(SIZE)).await;
        } else {
            put_source(&store, &bytes(SIZE)).await;
        }
        let replaced = ObjectAttributes {
            content_type: Some("image/png".into()),
            storage_class: Some("GLACIER".into()),
            ..ObjectAttributes::default()
        };
        copied(&store, CopyOptions { attributes: replaced, ..copy_options() }).await;
        let found = store.head_object(&target()).await.unwrap().attributes;
        assert_eq!(found.content_type.as_deref(), Some("image/png"));
        assert_eq!(found.storage_class.as_deref(), Some("GLACIER"));
        assert_eq!(found.content_language.as_deref(), Some("de"));
        assert_eq!(found.metadata["owner"], "me");
        assert_eq!(store.get_object_tagging(&target()).await.unwrap(), attributes().tags);
    }
}

/// P4: the error names both versions, at a store that obeys the condition and at one that does not.
#[tokio::test(start_paused = true)]
async fn a_source_that_is_overwritten_meanwhile_is_not_copied() {
    for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16] {
        let slow =
            Faults::none().on_every(O::UploadPartCopy, Fault::Delay(Duration::from_secs(60)));
        let store = store(quirks, slow);
        upload_source(&store, &bytes(SIZE)).await;
        let before = store.head_object(&object()).await.unwrap().etag;
        let running = copy(&store, copy_options());
        tokio::time::sleep(Duration::from_secs(30)).await;
        put_source(&store, b"another version").await;
        let error = running.await.unwrap_err();
        let Error::ObjectChanged { detail, .. } = &error else { panic!("{}", chain(&error)) };
        let now = store.head_object(&object()).await.unwrap().etag;
        assert!(detail.contains(before.unquoted()) && detail.contains(now.unquoted()), "{detail}");
        assert_eq!(store.object(&target()), None);
        nothing_left(&store);
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_the_store_damages_makes_no_object() {
    let store = aws(Faults::none().on(O::UploadPartCopy, 3, Fault::FlipAtRest));
    upload_source(&store, &bytes(SIZE)).await;
    let error = refused(&store, copy_options()).await;
    assert!(matches!(error, Error::Corrupt { .. }), "{}", chain(&error));
    assert_eq!(store.calls(O::CompleteMultipartUpload), 1, "that of the source");
}

#[tokio::test(start_paused = true)]
async fn a_copy_whose_answers_are_all_lost_is_found() {
    for replaces in [false, true] {
        let store = aws(Faults::none().on_every(O::CopyObject, Fault::LoseAnswer));
        put_source(&store, &bytes(SIZE)).await;
        let mut options = copy_options();
        options.attributes.content_type = replaces.then(|| "image/png".to_owned());
        copied(&store, options).await;
        assert_eq!(store.calls(O::CopyObject), 1, "it is looked for before it is sent again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_may_still_land_is_in_doubt() {
    let store =
        aws(Faults::none().on_every(O::CopyObject, Fault::LandLate(Duration::from_secs(600))));
    put_source(&store, &bytes(SIZE)).await;
    let error = copy(&store, copy_options()).await.unwrap_err();
    assert!(matches!(error, Error::PutInDoubt { .. }), "{}", chain(&error));
}

/// The key already holds an equal object: only its age distinguishes it from a copy that was
/// carried out.
#[tokio::test(start_paused = true)]
async fn an_older_copy_is_not_taken_for_a_lost_one() {
    let store = aws(Faults::none());
    put_source(&store, &bytes(SIZE)).await;
    copied(&store, copy_options()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    store.set_faults(Faults::none().on_every(O::CopyObject, Fault::LoseRequest));
    let error = copy(&store, copy_options()).await.unwrap_err();
    assert!(matches!(error, Error::PutInDoubt { .. }), "{}", chain(&error));
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_refused_leaves_nothing_and_no_doubt() {
    for (operation, in_parts) in [(O::CopyObject, false), (O::UploadPartCopy, true)] {
        let store = aws(Faults::none().on_every(operation, Fault::Answer(Refusal::ACCESS_DENIED)));
        if in_parts {
            upload_source(&store, &bytes(SIZE)).await;
        } else {
            put_source(&store, &bytes(SIZE)).await;
        }
        let error = refused(&store, copy_options()).await;
        assert!(matches!(error, Error::Store { .. }), "{}", chain(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_cancelled_or_dropped_leaves_nothing() {
    for request in [Some(StopRequest::Cancel), Some(StopRequest::Pause), None] {
        let slow =
            Faults::none().on_every(O::UploadPartCopy, Fault::Delay(Duration::from_secs(60)));
        let store = aws(slow);
        upload_source(&store, &bytes(SIZE)).await;
        let engine = Engine::new(Arc::new(store.clone()), EngineOptions::default());
        let running = engine.copy(object(), target(), copy_options());
        tokio::time::sleep(Duration::from_secs(90)).await;
        match request {
            Some(request) => {
                running.stop(request);
                assert!(matches!(running.await.unwrap_err(), Error::Cancelled { .. }));
            }
            None => drop(running),
        }
        engine.close().await;
        assert_eq!(store.object(&target()), None);
        nothing_left(&store);
        never_aborted_in_doubt(&store.history());
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_onto_itself_needs_a_change() {
    let store = aws(Faults::none());
    put_source(&store, &bytes(SIZE)).await;
    let engine = Engine::new(Arc::new(store.clone()), EngineOptions::default());
    let error = engine.copy(object(), object(), copy_options()).await.unwrap_err();
    assert!(matches!(error, Error::CopyOntoItself { .. }), "{}", chain(&error));
    let mut changed = copy_options();
    changed.attributes.metadata.insert("owner".into(), "them".into());
    engine.copy(object(), object(), changed).await.unwrap();
    assert_eq!(store.head_object(&object()).await.unwrap().attributes.metadata["owner"], "them");
    assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_exists_is_kept_where_that_is_wanted() {
    let store = aws(Faults::none());
    put_source(&store, &bytes(SIZE)).await;
    store.put_object(&target(), put_request(b"older")).await.unwrap();
    let guarded = CopyOptions { if_none_match: true, ..copy_options() };
    let error = copy(&store, guarded).await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{}", chain(&error));
    assert_eq!(store.object(&target()).unwrap(), &b"older"[..]);
}

/// This test has no paused clock, because blocking threads read the bytes.
#[tokio::test]
async fn a_store_that_does_not_copy_is_streamed() {
    for (copies_objects, in_parts) in [(true, true), (false, false), (false, true)] {
        let quirks = Quirks { copies_objects, copies_parts: false, ..Quirks::AWS };
        let store = store(quirks, Faults::none());
        if in_parts {
            upload_source(&store, &bytes(SIZE)).await;
        } else {
            put_source(&store, &bytes(SIZE)).await;
        }
        let report = copied(&store, copy_options()).await;
        assert_eq!((report.method, report.proof), (CopyMethod::Streamed, CopyProof::Checksum));
        assert_eq!(report.etag, store.head_object(&object()).await.unwrap().etag);
        assert_eq!(store.head_object(&target()).await.unwrap().attributes.metadata["owner"], "me");
        assert_eq!(store.get_object_tagging(&target()).await.unwrap(), attributes().tags);
    }
}

#[tokio::test]
async fn an_object_of_another_store_is_streamed() {
    let elsewhere = aws(Faults::none());
    upload_source(&elsewhere, &bytes(SIZE)).await;
    let here = MemoryStore::new(Quirks { part_size_min_bytes: 1, ..Quirks::AWS });
    let here = here.with_bucket(&Bucket::new("bucket").unwrap());
    let engine = Engine::new(Arc::new(here.clone()), EngineOptions::default());
    let running = engine.copy_from(Arc::new(elsewhere.clone()), object(), object(), copy_options());
    let report = running.await.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(here.object(&object()).unwrap(), bytes(SIZE));
    assert_eq!(report.etag, elsewhere.head_object(&object()).await.unwrap().etag);
    nothing_left(&here);
}
