//! Faults of the link and of the store, one at a time.

use std::time::Duration;

use haul::parts::PartNumber;
use haul::remote::{Operation as O, Store};
use haul::testing::memory::{Fault, Faults, Refusal};
use haul::{Error, Event, StoreErrorKind, UploadOptions};

use crate::harness::{
    arrives, aws, bytes, chain, fails, foreign_upload, heard, nothing_left, object, options, run,
    start, store_kind, upload_ids,
};

#[tokio::test(start_paused = true)]
async fn without_faults_every_byte_is_sent_once() {
    let store = aws(Faults::none());
    let report = arrives(&store).await;
    assert_eq!(store.bytes_received(), 10_500);
    assert_eq!((store.calls(O::UploadPart), store.calls(O::CompleteMultipartUpload)), (11, 1));
    assert_eq!(report.proof.checksum, 11);
    assert_eq!((store.calls(O::AbortMultipartUpload), store.calls(O::HeadObject)), (0, 1));
    assert_eq!(report.whole, haul::WholeProof::Checksum);
}

#[tokio::test(start_paused = true)]
async fn a_part_answered_503_twice_arrives_at_the_third_attempt() {
    let part = PartNumber::new(4).unwrap();
    let store = aws(Faults::none().on_part(part, 1..=2, Fault::Answer(Refusal::SLOW_DOWN)));
    let (ended, said) = heard(start(&store, &bytes(10_500), options())).await;
    ended.unwrap();
    assert_eq!(store.object(&object()).unwrap(), bytes(10_500));
    let mut attempt_of_part_4 = None;
    let mut retries = 0;
    for event in said {
        match event {
            Event::PartSent { part_number, attempt, .. } if part_number == part => {
                attempt_of_part_4 = Some(attempt);
            }
            Event::Retrying { part_number: Some(number), .. } => {
                assert_eq!(number, part);
                retries += 1;
            }
            _ => {}
        }
    }
    assert_eq!((attempt_of_part_4, retries), (Some(3), 2));
}

/// Each of these faults hits one request of each kind, and the upload survives it.
#[tokio::test(start_paused = true)]
async fn whatever_may_pass_is_survived() {
    let passing = [
        Fault::Answer(Refusal::SLOW_DOWN),
        Fault::Answer(Refusal::INTERNAL_ERROR),
        Fault::Answer(Refusal::BAD_GATEWAY),
        Fault::Answer(Refusal::EXPIRED_TOKEN),
        Fault::Answer(Refusal::new(400, Some("RequestTimeout"))),
        Fault::Answer(Refusal { retry_after: Some(Duration::from_secs(7)), ..Refusal::SLOW_DOWN }),
        Fault::LoseRequest,
        Fault::LoseAnswer,
        Fault::CutBody,
        Fault::Delay(Duration::from_secs(300)),
        Fault::TimeOut(Duration::from_secs(30)),
        Fault::FlipInTransit,
        Fault::FlipAtRest,
        Fault::LagListing(2),
        Fault::LandLate(Duration::from_millis(1)),
    ];
    for fault in passing {
        let store = aws(Faults::none().on(O::UploadPart, 3, fault.clone()));
        arrives(&store).await;
        assert!(store.calls(O::UploadPart) <= 12, "{fault:?}");
    }
}

/// Half of all parts fail, each in another way.
#[tokio::test(start_paused = true)]
async fn many_faults_at_once_are_survived() {
    let faults = Faults::none()
        .on(O::CreateMultipartUpload, 1, Fault::Answer(Refusal::INTERNAL_ERROR))
        .on(O::CreateMultipartUpload, 2, Fault::LoseRequest)
        .on_calls(O::UploadPart, 1..=2, Fault::LoseAnswer)
        .on_calls(O::UploadPart, 4..=5, Fault::CutBody)
        .on_calls(O::UploadPart, 7..=8, Fault::Answer(Refusal::SLOW_DOWN))
        .on(O::CompleteMultipartUpload, 1, Fault::Answer(Refusal::SLOW_DOWN))
        .on(O::CompleteMultipartUpload, 2, Fault::LoseRequest)
        .on(O::HeadObject, 1, Fault::Answer(Refusal::INTERNAL_ERROR));
    arrives(&aws(faults)).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_pass_is_not_tried_again() {
    for operation in [O::CreateMultipartUpload, O::UploadPart, O::CompleteMultipartUpload] {
        let store = aws(Faults::none().on_every(operation, Fault::Answer(Refusal::ACCESS_DENIED)));
        let error = fails(&store).await;
        assert_eq!(store_kind(&error), Some(StoreErrorKind::AccessDenied), "{}", chain(&error));
        assert!(chain(&error).contains(object().key.as_str()), "{}", chain(&error));
        assert!(chain(&error).contains(&operation.to_string()), "{}", chain(&error));
        let tries_max = if operation == O::UploadPart { 11 } else { 1 };
        assert!(store.calls(operation) <= tries_max);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_down_is_given_up_within_its_budget() {
    let store = aws(Faults::none().on_every(O::UploadPart, Fault::Answer(Refusal::INTERNAL_ERROR)));
    let error = fails(&store).await;
    assert_eq!(store_kind(&error), Some(StoreErrorKind::Server));
    assert!(store.calls(O::UploadPart) <= 11 * 8, "{} attempts", store.calls(O::UploadPart));
    assert!(chain(&error).contains("attempts"), "{}", chain(&error));
}

#[tokio::test(start_paused = true)]
async fn a_missing_bucket_is_a_clear_error() {
    let store = haul::testing::memory::MemoryStore::default();
    let error = fails(&store).await;
    assert_eq!(store_kind(&error), Some(StoreErrorKind::NoSuchBucket));
}

/// Trap 32: SlowDown lowers the number of requests in flight, instead of only delaying them.
#[tokio::test(start_paused = true)]
async fn throttling_lowers_what_is_in_flight() {
    // After the slow start, twelve requests are refused at once. Then every part takes a minute:
    // the parts of the second minute have all begun below the new limit.
    let faults = Faults::none()
        .on_calls(O::UploadPart, 21..=32, Fault::Answer(Refusal::SLOW_DOWN))
        .on_calls(O::UploadPart, 33..=u64::MAX, Fault::Delay(Duration::from_secs(60)));
    let store = aws(faults);
    let mut running = start(&store, &bytes(100_000), options());
    let progress = running.progress();
    assert!(tokio::time::timeout(Duration::from_secs(110), &mut running).await.is_err());
    let seen = progress.in_flight();
    // The limit is eight or less; parts that have arrived since earn one or two back.
    assert!((1..=10).contains(&seen), "{seen} in flight after the throttling");
    running.await.unwrap();
}

/// The wait lasts at least as long as `Retry-After` asks for (trap 40).
#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for() {
    let busy = Refusal { retry_after: Some(Duration::from_secs(60)), ..Refusal::SLOW_DOWN };
    let store = aws(Faults::none().on(O::CreateMultipartUpload, 1, Fault::Answer(busy)));
    let begun = tokio::time::Instant::now();
    arrives(&store).await;
    assert!(begun.elapsed() >= Duration::from_secs(60));
}

/// A lifecycle rule or another program removes the upload in flight: the engine reports that, and
/// does not hang.
#[tokio::test(start_paused = true)]
async fn an_upload_that_expires_in_flight_restarts_with_a_report() {
    for operation in [O::UploadPart, O::CompleteMultipartUpload] {
        let store = aws(Faults::none().on(operation, 1, Fault::ExpireUpload));
        let (ended, said) = heard(start(&store, &bytes(10_500), options())).await;
        ended.unwrap();
        let restarted = said.iter().any(|event| matches!(event, Event::Restarting { .. }));
        assert!(restarted && store.calls(O::CreateMultipartUpload) == 2);
        assert_eq!(store.open_uploads(), vec![]);
        assert_eq!(store.object(&object()).unwrap(), bytes(10_500));
    }
}

/// The engine does not retry forever at a store that loses every upload.
#[tokio::test(start_paused = true)]
async fn an_upload_that_always_expires_is_a_clear_error() {
    let store = aws(Faults::none().on_every(O::UploadPart, Fault::ExpireUpload));
    let error = fails(&store).await;
    assert!(matches!(error, Error::Restarted { times: 3, .. }), "{}", chain(&error));
}

/// Trap 5: 409 ConditionalRequestConflict means a new upload with all its parts.
#[tokio::test(start_paused = true)]
async fn a_conflict_of_conditions_restarts_the_upload() {
    let store = aws(Faults::none().on_every(O::UploadPart, Fault::Delay(Duration::from_secs(1))));
    let single =
        UploadOptions { multipart_threshold_bytes: 1 << 20, part_size_bytes: None, ..options() };
    let guarded = UploadOptions { if_none_match: true, concurrency: Some(2), ..options() };
    let running = start(&store, &bytes(10_500), guarded);
    tokio::time::sleep(Duration::from_secs(2)).await;
    run(&store, 10, single).await.unwrap();
    store.delete_object(&object()).await.unwrap();
    running.await.unwrap();
    assert_eq!(store.object(&object()).unwrap(), bytes(10_500));
    assert_eq!(store.calls(O::CreateMultipartUpload), 2);
    nothing_left(&store);
}

/// A condition that does not hold is reported before anything is sent.
#[tokio::test(start_paused = true)]
async fn a_condition_that_does_not_hold_sends_nothing() {
    let guarded = UploadOptions { if_none_match: true, ..options() };
    let matching = |etag: &str| UploadOptions { if_match: Some(etag.into()), ..options() };
    let store = aws(Faults::none());
    let refused = |error: Error| {
        assert_eq!(
            store_kind(&error),
            Some(StoreErrorKind::PreconditionFailed),
            "{}",
            chain(&error)
        );
    };
    refused(run(&store, 10_500, matching("\"a\"")).await.unwrap_err());
    let there = run(&store, 10_500, options()).await.unwrap();
    let sent = store.bytes_received();
    refused(run(&store, 10_500, guarded).await.unwrap_err());
    refused(run(&store, 10_500, matching("\"a\"")).await.unwrap_err());
    assert_eq!((store.bytes_received(), store.calls(O::CreateMultipartUpload)), (sent, 1));
    run(&store, 10_500, matching(there.etag.as_given())).await.unwrap();
}

/// Trap 23: a part lands after the first Abort; the second one removes it.
#[tokio::test(start_paused = true)]
async fn abort_is_repeated_until_nothing_is_left() {
    let faults = Faults::none()
        .on(O::UploadPart, 1, Fault::LandAfterAbort)
        .on(O::CompleteMultipartUpload, 1, Fault::Answer(Refusal::ACCESS_DENIED))
        .on(O::AbortMultipartUpload, 1, Fault::LoseRequest)
        .on(O::AbortMultipartUpload, 2, Fault::Answer(Refusal::INTERNAL_ERROR))
        .on(O::ListParts, 2, Fault::Answer(Refusal::SLOW_DOWN));
    let store = aws(faults);
    fails(&store).await;
    assert!(store.calls(O::AbortMultipartUpload) >= 4);
}

/// The cleanup cannot succeed: the error names the upload that is left, and its place.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_removed_is_named() {
    let faults = Faults::none()
        .on_every(O::CompleteMultipartUpload, Fault::Answer(Refusal::ACCESS_DENIED))
        .on_every(O::AbortMultipartUpload, Fault::Answer(Refusal::ACCESS_DENIED));
    let store = aws(faults);
    let error = run(&store, 10_500, options()).await.unwrap_err();
    let Error::LeftBehind { upload_id, .. } = &error else { panic!("{}", chain(&error)) };
    assert_eq!(upload_ids(&store), std::slice::from_ref(upload_id));
}

/// Trap 26: uploads of the same key by other clients stay.
#[tokio::test(start_paused = true)]
async fn an_upload_of_another_client_is_never_touched() {
    for faults in [
        Faults::none(),
        Faults::none().on_every(O::CompleteMultipartUpload, Fault::Answer(Refusal::ACCESS_DENIED)),
    ] {
        let store = aws(Faults::none());
        let foreign = foreign_upload(&store).await;
        store.set_faults(faults);
        let _ = run(&store, 10_500, options()).await;
        assert_eq!(store.open_uploads(), [foreign]);
    }
}
