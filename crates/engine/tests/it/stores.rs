//! The same upload at stores with other behaviour: it succeeds, and the report names the proof.

use std::time::Duration;

use haul::parts::{ChecksumAlgorithm, ETag, Hasher};
use haul::remote::Operation as O;
use haul::testing::memory::{EtagKind, Fault, Faults, Quirks};
use haul::{Error, UploadOptions};

use crate::harness::{
    arrives_with, bytes, chain, fails_with, heard, object, options, run, start, store, warned,
};

fn with(checksum: Option<ChecksumAlgorithm>) -> UploadOptions {
    UploadOptions { checksum, ..options() }
}

#[tokio::test(start_paused = true)]
async fn every_checksum_arrives_at_every_store() {
    let checksums = ChecksumAlgorithm::ALL.into_iter().map(Some).chain([None]);
    for checksum in checksums {
        for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16, Quirks::GARAGE_2] {
            let by_checksum =
                quirks.echo_checksums && checksum.is_some_and(|it| it != ChecksumAlgorithm::Md5);
            let store = store(quirks, Faults::none());
            let report = arrives_with(&store, with(checksum)).await;
            let proven = if by_checksum { report.proof.checksum } else { report.proof.md5 };
            assert_eq!(proven, 11, "{checksum:?}: {:?}", report.proof);
            assert_eq!(store.calls(O::UploadPart), 11);
        }
    }
}

/// Trap 24: the store reports when it will remove incomplete uploads.
#[tokio::test(start_paused = true)]
async fn a_rule_that_may_apply_before_the_end_is_reported() {
    for (aborts_after, said_so) in [(Duration::ZERO, true), (Duration::from_secs(86_400), false)] {
        let store =
            store(Quirks { aborts_after: Some(aborts_after), ..Quirks::AWS }, Faults::none());
        let (ended, said) = heard(start(&store, &bytes(10_500), options())).await;
        ended.unwrap();
        assert_eq!(warned(&said), said_so);
    }
}

/// Ceph RGW 16.2 answers 200 to a wrong checksum: the ETag reveals the difference, and the part is
/// sent again.
#[tokio::test(start_paused = true)]
async fn a_bit_flip_is_detected_if_the_store_ignores_checksums() {
    for fault in [Fault::FlipInTransit, Fault::FlipAtRest] {
        for checksum in [Some(ChecksumAlgorithm::Crc64Nvme), None] {
            let store = store(
                Quirks::CEPH_RGW_16,
                Faults::none().on_calls(O::UploadPart, 2..=4, fault.clone()),
            );
            let report = arrives_with(&store, with(checksum)).await;
            assert_eq!(report.proof.md5, 11);
            assert_eq!(store.calls(O::UploadPart), 14);
        }
    }
}

/// RGW 16.2 leaves the ETag in the answer to Complete empty; the answer to HEAD contains it.
#[tokio::test(start_paused = true)]
async fn an_empty_etag_at_complete_is_filled_in() {
    let report = arrives_with(&store(Quirks::CEPH_RGW_16, Faults::none()), options()).await;
    let md5s = bytes(10_500).chunks(1000).map(md5).collect::<Vec<_>>();
    assert_eq!(report.etag, ETag::composite(md5s));
}

#[tokio::test(start_paused = true)]
async fn etags_that_are_no_md5_are_never_taken_for_one() {
    for etags in [EtagKind::Encrypted, EtagKind::Opaque] {
        let echoing = Quirks { etags, ..Quirks::AWS };
        let report = arrives_with(&store(echoing.clone(), Faults::none()), options()).await;
        assert_eq!(report.proof.checksum, 11);

        let report = arrives_with(&store(echoing, Faults::none()), with(None)).await;
        assert_eq!(report.proof.unproven, 11, "{:?}", report.proof);
    }
}

#[tokio::test(start_paused = true)]
async fn require_proof_refuses_what_is_not_proven() {
    let silent = Quirks { etags: EtagKind::Opaque, ..Quirks::CEPH_RGW_16 };
    let strict = UploadOptions { require_proof: true, ..options() };
    let error = fails_with(&store(silent.clone(), Faults::none()), strict.clone()).await;
    assert!(matches!(error, Error::Unproven { .. }), "{}", chain(&error));
    arrives_with(&store(Quirks::CEPH_RGW_16, Faults::none()), strict).await;
    let report = arrives_with(&store(silent, Faults::none()), options()).await;
    assert!(report.proof.to_string().contains("unproven"), "the report omits that it is unproven");
}

/// Garage removes an open upload when another request overwrites its key.
#[tokio::test(start_paused = true)]
async fn an_upload_dropped_after_an_overwrite_restarts() {
    let store = store(Quirks::GARAGE_2, Faults::none().on_every(O::UploadPart, slow()));
    let running = start(&store, &bytes(10_500), options());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    run(
        &store,
        7,
        UploadOptions { multipart_threshold_bytes: 1 << 20, part_size_bytes: None, ..options() },
    )
    .await
    .unwrap();
    running.await.unwrap();
    assert_eq!(store.calls(O::CreateMultipartUpload), 2);
    assert_eq!(store.open_uploads(), vec![]);
    assert_eq!(
        store.object(&object()).unwrap(),
        bytes(10_500),
        "the last writer wins, as at any store"
    );
}

/// An object of PutObject is visible before its answer can be checked. At a store that ignores
/// checksums, wrong bytes must never be visible, not even until the next attempt.
#[tokio::test(start_paused = true)]
async fn a_bit_flipped_on_the_way_of_a_put_is_never_visible() {
    for checksum in ChecksumAlgorithm::ALL.into_iter().map(Some).chain([None]) {
        for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16, Quirks::GARAGE_2] {
            let store =
                store(quirks, Faults::none().on_calls(O::PutObject, 1..=2, Fault::FlipInTransit));
            run(&store, 5000, single(checksum)).await.unwrap();
            assert_eq!(store.object(&object()).unwrap(), bytes(5000));
            assert_eq!((store.calls(O::PutObject), store.published(&object()).len()), (3, 1));
        }
    }
}

/// Regression: an object that could not be proven stayed, although the command failed.
#[tokio::test(start_paused = true)]
async fn require_proof_never_publishes_first_and_judges_then() {
    let silent = Quirks { etags: EtagKind::Opaque, ..Quirks::CEPH_RGW_16 };
    let store = store(silent, Faults::none());
    let strict =
        UploadOptions { require_proof: true, ..single(Some(ChecksumAlgorithm::Crc64Nvme)) };
    let error = fails_with(&store, strict).await;
    assert!(matches!(error, Error::Unproven { .. }), "{}", chain(&error));
    assert_eq!(store.published(&object()), vec![]);
}

fn single(checksum: Option<ChecksumAlgorithm>) -> UploadOptions {
    UploadOptions {
        multipart_threshold_bytes: 1 << 20,
        part_size_bytes: None,
        checksum,
        ..options()
    }
}

fn slow() -> Fault {
    Fault::Delay(std::time::Duration::from_secs(5))
}

fn md5(part: &[u8]) -> [u8; 16] {
    Hasher::checksum(ChecksumAlgorithm::Md5, part).as_md5().unwrap()
}

/// Files of zero bytes, and all others below the threshold, take one PutObject.
#[tokio::test(start_paused = true)]
async fn small_objects_are_put_in_one_piece() {
    for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16, Quirks::GARAGE_2] {
        for size in [0, 1, 999_999] {
            let faults = Faults::none().on(O::PutObject, 1, Fault::LoseAnswer).on(
                O::PutObject,
                2,
                Fault::CutBody,
            );
            let store = store(quirks.clone(), faults);
            let options = UploadOptions {
                multipart_threshold_bytes: 1 << 20,
                part_size_bytes: None,
                ..options()
            };
            let report = run(&store, size, options).await.unwrap();
            assert_eq!(store.object(&object()).unwrap(), bytes(size));
            assert_eq!((report.part_count, report.upload_id), (1, None));
            assert_eq!(report.proof.unproven, 0);
            assert_eq!(store.calls(O::PutObject), 3);
            assert_eq!(store.calls(O::CreateMultipartUpload), 0);
        }
    }
}
