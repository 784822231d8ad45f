//! Concurrent operations: the right one wins, and every result is true.

use std::sync::{Arc, Barrier};

use haul_parts::ETag;
use haul_store::{CompleteOptions, Error, PutOptions, WriteCondition};

use crate::fixture::{Fixture, key, listed, part_number, pattern, stage, try_put_part};

/// Runs the jobs at the same instant.
fn at_once<T: Send + 'static>(
    count: usize,
    run: impl Fn(usize) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let run = Arc::new(run);
    let barrier = Arc::new(Barrier::new(count));
    let threads: Vec<_> = (0..count)
        .map(|index| {
            let (run, barrier) = (Arc::clone(&run), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                run(index)
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn concurrent_identical_completes_all_succeed_with_one_etag() {
    for _ in 0..10 {
        let fixture = Fixture::new();
        let upload = fixture.create("object");
        let part = fixture.put_part(&upload, 1, b"bytes");
        let store = fixture.store.clone();
        let list = listed([&part]);
        let answers = at_once(8, move |_| {
            store
                .complete_multipart_upload(&upload, list.clone(), CompleteOptions::default())
                .unwrap()
                .etag
        });
        assert!(answers.iter().all(|etag| *etag == answers[0]), "{answers:?}");
    }
}

#[test]
fn complete_against_abort_has_one_winner() {
    for round in 0..40 {
        let fixture = Fixture::new();
        let upload = fixture.create("object");
        let part = fixture.put_part(&upload, 1, b"bytes");
        let (store, reference, list) = (fixture.store.clone(), upload.clone(), listed([&part]));
        let answers: Vec<Result<(), Error>> = at_once(2, move |index| {
            // Alternate which thread starts first.
            if (index + round) % 2 == 0 {
                store
                    .complete_multipart_upload(&reference, list.clone(), CompleteOptions::default())
                    .map(drop)
            } else {
                store.abort_multipart_upload(&reference)
            }
        });
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        let there = fixture.store.head_object(&fixture.bucket, &key("object")).is_ok();
        let complete_won = answers[round % 2].is_ok();
        assert_eq!(there, complete_won);
        assert_eq!(fixture.data_files().0, usize::from(complete_won));
    }
}

#[test]
fn of_concurrent_conditional_completes_exactly_one_wins() {
    for _ in 0..10 {
        let fixture = Fixture::new();
        let uploads: Vec<_> = (0..6)
            .map(|seed| {
                let upload = fixture.create("object");
                let part = fixture.put_part(&upload, 1, &pattern(seed, 50));
                (upload, listed([&part]))
            })
            .collect();
        let store = fixture.store.clone();
        let answers = at_once(6, move |index| {
            let (upload, list) = &uploads[index];
            let condition = WriteCondition::IfNoneMatch;
            let options = CompleteOptions { condition, ..CompleteOptions::default() };
            store
                .complete_multipart_upload(upload, list.clone(), options)
                .map_err(|error| error.s3_code())
        });
        let winners: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        assert!(answers.iter().flatten().all(|object| object.etag == winners[0].etag));
        assert!(
            answers
                .iter()
                .filter_map(|answer| answer.as_ref().err())
                .all(|code| *code == "PreconditionFailed")
        );
    }
}

#[test]
fn of_concurrent_conditional_puts_exactly_one_wins() {
    let fixture = Fixture::new();
    let (store, bucket) = (fixture.store.clone(), fixture.bucket.clone());
    let answers = at_once(8, move |index| {
        let condition = WriteCondition::IfNoneMatch;
        let options = PutOptions { condition, ..PutOptions::default() };
        let staged = stage(&store, &pattern(index as u64, 1000));
        store.put_object(&bucket, &key("object"), staged, options).map(|object| object.etag)
    });
    let winners: Vec<&ETag> = answers.iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let head = fixture.store.head_object(&fixture.bucket, &key("object")).unwrap();
    assert_eq!(head.etag, *winners[0]);
    assert_eq!(fixture.data_files().0, 1, "the files of those that lost are gone");
}

/// A returned ETag means that ListParts shows that part unless a later part replaced it. So the
/// part of the last result is listed, every part is whole, and only one file stays.
#[test]
fn concurrent_senders_of_one_part_leave_one_whole_part() {
    for _ in 0..10 {
        let fixture = Fixture::new();
        let upload = fixture.create("object");
        let (store, reference) = (fixture.store.clone(), upload.clone());
        let answers = at_once(12, move |index| {
            try_put_part(&store, &reference, 1, &pattern(index as u64, 2000)).unwrap().etag
        });
        let listed_parts = fixture.store.list_parts(&upload, None, None).unwrap().parts;
        assert_eq!(listed_parts.len(), 1);
        assert!(answers.contains(&listed_parts[0].etag));
        assert_eq!(fixture.data_files(), (1, 2000));
        let options = CompleteOptions::default();
        fixture.store.complete_multipart_upload(&upload, listed(&listed_parts), options).unwrap();
        let bytes = fixture.get("object");
        assert!((0..12).any(|seed| pattern(seed, 2000) == bytes));
    }
}

/// A slow sender that starts first and ends last wins, because the order of the results counts.
#[test]
fn the_last_answer_is_the_part() {
    let fixture = Fixture::new();
    let upload = fixture.create("object");
    let mut slow = fixture.store.begin_part(haul_store::WriteOptions {
        size_hint_bytes: None,
        checksums: vec![haul_parts::ChecksumAlgorithm::Crc64Nvme],
    });
    let writer = slow.as_mut().unwrap();
    writer.write(b"slow ").unwrap();
    fixture.put_part(&upload, 1, b"fast");
    writer.write(b"sender").unwrap();
    let staged = slow.unwrap().finish().unwrap();
    let part = fixture.store.put_part(&upload, part_number(1), staged, None).unwrap();
    let listed_parts = fixture.store.list_parts(&upload, None, None).unwrap().parts;
    assert_eq!(listed_parts, [part]);
}

#[test]
fn a_bucket_with_uploads_in_progress_goes_cleanly() {
    for _ in 0..10 {
        let fixture = Fixture::new();
        let upload = fixture.create("object");
        let (store, bucket) = (fixture.store.clone(), fixture.bucket.clone());
        let answers = at_once(5, move |index| match index {
            0 => store.delete_bucket(&bucket).map_err(|error| error.s3_code()),
            number => try_put_part(&store, &upload, u32::try_from(number).unwrap(), b"bytes")
                .map(drop)
                .map_err(|error| error.s3_code()),
        });
        answers[0].unwrap();
        for answer in &answers[1..] {
            assert!(matches!(answer, Ok(()) | Err("NoSuchUpload" | "NoSuchBucket")), "{answer:?}");
        }
        assert_eq!(fixture.data_files().0, 0);
    }
}
