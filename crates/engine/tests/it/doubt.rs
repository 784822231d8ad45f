//! A lost answer to Complete is settled, never guessed (P6). Lost answers to other requests are
//! covered too.

use std::sync::Arc;
use std::time::Duration;

use haul::StopRequest;
use haul::remote::Operation as O;
use haul::testing::memory::{Fault, Faults, MemoryStore, Quirks, Refusal, RepeatedComplete};
use haul::{Abandoned, abandon};
use haul::{Error, Event, StoreErrorKind, WholeProof};

use crate::harness::{
    arrives, arrives_with, aws, bytes, chain, fails, foreign_upload, heard, object, options, run,
    start, store, store_kind, warned,
};
use crate::machine::{Machine, SIZE};

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_complete_is_settled_by_head() {
    let store = aws(Faults::none().on(O::CompleteMultipartUpload, 1, Fault::LoseAnswer));
    arrives(&store).await;
    assert_eq!(store.calls(O::CompleteMultipartUpload), 1, "it was there: nothing to repeat");
    assert_eq!(store.calls(O::HeadObject), 1);
}

#[tokio::test(start_paused = true)]
async fn a_complete_that_never_arrived_is_repeated() {
    let store = aws(Faults::none().on(O::CompleteMultipartUpload, 1, Fault::LoseRequest));
    arrives(&store).await;
    assert_eq!(store.calls(O::CompleteMultipartUpload), 2);
}

/// HEAD comes while the store still carries out Complete: first the object is absent, then present.
#[tokio::test(start_paused = true)]
async fn a_complete_that_lands_late_is_found() {
    for repeated_complete in [RepeatedComplete::SameAnswer, RepeatedComplete::NoSuchUpload] {
        for seconds in [1, 3, 10, 60] {
            let fault = Fault::LandLate(Duration::from_secs(seconds));
            let faults = Faults::none().on(O::CompleteMultipartUpload, 1, fault);
            let store = store(Quirks { repeated_complete, ..Quirks::AWS }, faults);
            arrives(&store).await;
        }
    }
}

/// The object appears after HEAD has missed it and before ListParts answers that its upload is
/// gone.
#[tokio::test(start_paused = true)]
async fn a_complete_that_lands_between_head_and_list_parts_is_found() {
    let faults = Faults::none()
        .on(O::CompleteMultipartUpload, 1, Fault::LandLate(Duration::from_secs(5)))
        .on(O::ListParts, 1, Fault::Delay(Duration::from_secs(10)));
    arrives(&aws(faults)).await;
}

/// A proxy repeats the request, and Garage answers NoSuchUpload to the second one: the object is
/// still ours.
#[tokio::test(start_paused = true)]
async fn a_complete_that_arrives_twice_is_found() {
    let faults = Faults::none().on(O::CompleteMultipartUpload, 1, Fault::Twice);
    arrives(&store(Quirks::GARAGE_2, faults.clone())).await;
    arrives(&store(Quirks::CEPH_RGW_16, faults)).await;
}

/// RGW 16.2 answers 500 to a Complete of an upload that is gone. There is no object: the upload is
/// restarted.
#[tokio::test(start_paused = true)]
async fn a_500_for_an_upload_that_is_gone_restarts_it() {
    let store = store(
        Quirks::CEPH_RGW_16,
        Faults::none().on(O::CompleteMultipartUpload, 1, Fault::ExpireUpload),
    );
    arrives(&store).await;
    assert_eq!(store.calls(O::CreateMultipartUpload), 2);
    assert_eq!(store.calls(O::CompleteMultipartUpload), 2);
}

/// Trap 27: a 403 to HEAD is not "absent". Nothing is aborted, and the doubt is reported.
#[tokio::test(start_paused = true)]
async fn an_unsettled_doubt_is_reported_and_nothing_aborted() {
    for lost in [Fault::LoseAnswer, Fault::LoseRequest] {
        let faults = Faults::none()
            .on_every(O::CompleteMultipartUpload, lost.clone())
            .on_every(O::HeadObject, Fault::Answer(Refusal::ACCESS_DENIED));
        let store = aws(faults);
        match run(&store, 10_500, options()).await {
            Err(Error::InDoubt { .. }) => {
                assert_eq!(store.calls(O::AbortMultipartUpload), 0);
            }
            // ListParts may report that the upload is open, which shows that Complete was not
            // carried out.
            Err(error) => {
                assert_eq!(lost, Fault::LoseRequest, "{}", chain(&error));
                assert_eq!(store.object(&object()), None);
            }
            Ok(_) => panic!("the outcome is unknown"),
        }
    }
}

/// The store stops answering, so the doubt remains.
#[tokio::test(start_paused = true)]
async fn a_store_that_falls_silent_during_complete_leaves_a_doubt() {
    let silence = Fault::TimeOut(Duration::from_secs(30));
    let faults = Faults::none()
        .on(O::CompleteMultipartUpload, 1, Fault::LoseAnswer)
        .on_every(O::HeadObject, silence.clone())
        .on_every(O::ListParts, silence);
    let store = aws(faults);
    let (ended, said) = heard(start(&store, &bytes(10_500), options())).await;
    let error = ended.unwrap_err();
    let Error::InDoubt { upload_id, .. } = &error else { panic!("{}", chain(&error)) };
    assert!(!upload_id.as_str().is_empty());
    assert_eq!(store.calls(O::AbortMultipartUpload), 0);
    assert!(said.iter().any(|event| matches!(event, Event::InDoubt { .. })));
}

/// Complete was lost, the upload expired, and another client overwrote the key before the HEAD: the
/// object is not ours, and sending ours again might overwrite something newer.
#[tokio::test(start_paused = true)]
async fn an_object_of_another_client_is_not_taken_for_ours() {
    let faults = Faults::none().on(O::CompleteMultipartUpload, 1, Fault::LoseRequest).on(
        O::ListParts,
        1,
        Fault::ExpireUpload,
    );
    let store = aws(faults);
    let foreign = b"another client's";
    let single = haul::UploadOptions {
        multipart_threshold_bytes: 1 << 20,
        part_size_bytes: None,
        ..options()
    };
    start(&store, foreign, single).await.unwrap();
    let error = run(&store, 10_500, options()).await.unwrap_err();
    assert!(matches!(error, Error::UploadGone { .. }), "{}", chain(&error));
    assert_eq!(store.object(&object()).unwrap(), &foreign[..]);
}

/// Trap 25: an upload whose Create lost its answer is recognised by its time, and removed before
/// Complete.
#[tokio::test(start_paused = true)]
async fn what_a_lost_answer_to_create_left_is_removed() {
    let store = aws(Faults::none().on_calls(O::CreateMultipartUpload, 1..=2, Fault::LoseAnswer));
    arrives(&store).await;
    assert_eq!(store.calls(O::AbortMultipartUpload), 2);
    // The same if the upload fails at the end. If Create itself fails, the upload is reported.
    let refused = Fault::Answer(Refusal::ACCESS_DENIED);
    let lost = || Faults::none().on(O::CreateMultipartUpload, 1, Fault::LoseAnswer);
    fails(&aws(lost().on_every(O::UploadPart, refused.clone()))).await;
    let store = aws(lost().on_calls(O::CreateMultipartUpload, 2..=9, refused));
    let (ended, said) = heard(start(&store, &bytes(10_500), options())).await;
    ended.unwrap_err();
    assert!(warned(&said), "an upload is left without a warning");
}

/// Trap 26: uploads that may belong to another client are not removed: older ones, ones with parts,
/// or more of them than answers were lost.
#[tokio::test(start_paused = true)]
async fn foreign_uploads_survive_the_lost_create_sweep() {
    let lost = || Faults::none().on(O::CreateMultipartUpload, 1, Fault::LoseAnswer);
    let store = aws(Faults::none());
    let older = foreign_upload(&store).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    store.set_faults(lost());
    run(&store, 10_500, options()).await.unwrap();
    assert_eq!(store.open_uploads(), [older]);

    let store = aws(Faults::none());
    let at_once = foreign_upload(&store).await;
    store.set_faults(lost());
    let (ended, said) = heard(start(&store, &bytes(10_500), options())).await;
    ended.unwrap();
    assert!(
        store.open_uploads().contains(&at_once),
        "one of the two is ours, and it is unknown which"
    );
    assert!(warned(&said));
}

/// If answers to parts are lost, those parts are sent once more, and nothing else is.
#[tokio::test(start_paused = true)]
async fn lost_answers_to_parts_send_only_those_parts_again() {
    let store = aws(Faults::none().on_calls(O::UploadPart, 1..=3, Fault::LoseAnswer));
    arrives(&store).await;
    assert_eq!(store.calls(O::UploadPart), 11 + 3);
}

/// Lost answers to Abort and to the ListParts after it do not end the cleanup.
#[tokio::test(start_paused = true)]
async fn lost_answers_to_abort_are_repeated() {
    let faults = Faults::none()
        .on_every(O::CompleteMultipartUpload, Fault::Answer(Refusal::ACCESS_DENIED))
        .on_calls(O::AbortMultipartUpload, 1..=2, Fault::LoseAnswer)
        .on_calls(O::ListParts, 1..=2, Fault::LoseAnswer);
    fails(&aws(faults)).await;
}

#[tokio::test(start_paused = true)]
async fn if_none_match_holds_even_when_the_answer_is_lost() {
    let guarded = || haul::UploadOptions { if_none_match: true, ..options() };
    // The object is ours after a lost answer: a repeated Complete would fail with 412 on it.
    let store = aws(Faults::none().on(O::CompleteMultipartUpload, 1, Fault::LoseAnswer));
    arrives_with(&store, guarded()).await;
    let before = store.object(&object()).unwrap();
    let error = run(&store, 5000, guarded()).await.unwrap_err();
    assert_eq!(store_kind(&error), Some(StoreErrorKind::PreconditionFailed), "{}", chain(&error));
    assert_eq!(store.object(&object()).unwrap(), before);
    assert_eq!(store.open_uploads(), vec![]);
}

/// Seed 13957: a PutObject that arrived twice failed with 412 on its own object.
#[tokio::test(start_paused = true)]
async fn if_none_match_of_a_put_holds_when_the_answer_is_lost() {
    let guarded = haul::UploadOptions {
        multipart_threshold_bytes: 1 << 20,
        part_size_bytes: None,
        if_none_match: true,
        ..options()
    };
    for fault in [Fault::LoseAnswer, Fault::Twice] {
        let faults = Faults::none().on(O::PutObject, 1, fault).on(
            O::HeadObject,
            1,
            Fault::Answer(Refusal::INTERNAL_ERROR),
        );
        let store = aws(faults);
        let report = run(&store, 500, guarded.clone()).await.unwrap();
        assert_eq!(store.object(&object()).unwrap(), bytes(500));
        assert_eq!(report.proof.unproven, 0);
        let error = run(&store, 700, guarded.clone()).await.unwrap_err();
        assert_eq!(
            store_kind(&error),
            Some(StoreErrorKind::PreconditionFailed),
            "{}",
            chain(&error)
        );
        assert_eq!(store.object(&object()).unwrap(), bytes(500));
    }
}

/// Seed 748 of `crashes`: Complete was refused with 412 after a doubt, and the error reported that
/// HEAD had failed.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_named_and_not_the_trouble_of_looking() {
    let faults = Faults::none()
        .on(O::CompleteMultipartUpload, 1, Fault::LoseRequest)
        .on(O::CompleteMultipartUpload, 2, Fault::Answer(Refusal::ACCESS_DENIED))
        .on_calls(O::HeadObject, 2..=4, Fault::Answer(Refusal::BAD_GATEWAY));
    let error = fails(&aws(faults)).await;
    assert_eq!(store_kind(&error), Some(StoreErrorKind::AccessDenied), "{}", chain(&error));
}

/// Completes the machine's upload and loses the answer; the journal contains the announcement.
async fn completed_unheard() -> (Machine, MemoryStore) {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    store.set_faults(
        Faults::none()
            .on(O::CompleteMultipartUpload, 1, Fault::LoseAnswer)
            .on_every(O::HeadObject, Fault::Answer(Refusal::BAD_GATEWAY)),
    );
    let error = machine.start(&store).await.unwrap_err();
    assert!(matches!(error, Error::InDoubt { .. }), "{}", chain(&error));
    store.set_faults(Faults::none());
    (machine, store)
}

/// The run that learns of the Complete also proves the object: its checksum is that of its parts.
#[tokio::test(start_paused = true)]
async fn a_complete_that_the_next_run_finds_is_proven_like_any_other() {
    let (machine, store) = completed_unheard().await;
    let sent = store.bytes_received();
    let report = machine.start(&store).await.unwrap();
    assert_eq!((report.whole, report.proof.checksum), (WholeProof::Checksum, 11));
    assert_eq!(store.bytes_received(), sent);
}

/// The disk of the journal was full when Complete was to be announced: the token still shows that
/// the object is ours.
#[tokio::test(start_paused = true)]
async fn a_complete_that_was_never_announced_is_found() {
    let (machine, store) = completed_unheard().await;
    let journal =
        std::fs::read_dir(machine.journals().path()).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&journal).unwrap();
    let announced = br#"{"record":"completing"}"#;
    let place = bytes.windows(announced.len()).position(|text| text == announced).unwrap();
    // The length and the checksum of a record precede it.
    bytes.truncate(place - 8);
    std::fs::write(&journal, bytes).unwrap();
    assert!(!machine.journals().list().unwrap()[0].completing);
    let sent = store.bytes_received();
    machine.start(&store).await.unwrap();
    assert_eq!(store.bytes_received(), sent);
    assert_eq!(machine.journals().list().unwrap().len(), 0);
}

/// The object was not found at first, and Complete was carried out before the abort: the object
/// exists, and no message claims that nothing is left.
#[tokio::test(start_paused = true)]
async fn a_complete_that_lands_before_the_abort_is_reported() {
    let late = || {
        Faults::none()
            .on(O::CompleteMultipartUpload, 1, Fault::LandLate(Duration::from_secs(30)))
            .on(O::HeadObject, 1, Fault::Delay(Duration::from_secs(5)))
            .on(O::AbortMultipartUpload, 1, Fault::Delay(Duration::from_secs(60)))
    };
    let (machine, store) = (Machine::new(), aws(late()));
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(store.calls(O::CompleteMultipartUpload), 1);
    running.stop(StopRequest::Cancel);
    running.await.unwrap();
    assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));

    let (machine, store) = (Machine::new(), aws(late()));
    let running = machine.start(&store);
    tokio::time::sleep(Duration::from_secs(2)).await;
    running.stop(StopRequest::PauseNow);
    running.await.unwrap_err();
    let id = machine.journals().list().unwrap()[0].id.clone();
    let given_up = abandon(Arc::new(store.clone()), &machine.journals(), &id).await.unwrap();
    assert_eq!(given_up, Abandoned::WasComplete);
    assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));
}
