//! Tests the journal on a real disk: records are read back, and damage by a crash or a bad disk
//! never costs more than parts sent again.

use haul_parts::{
    Checksum, ChecksumAlgorithm, ETag, Hasher, Limits, PartNumber, PartPlan, UploadId,
};
use proptest::prelude::*;

use super::format::{self, FormatError, MAGIC};
use super::*;
use crate::error_text::in_one_line;
use crate::proof::Proof;
use crate::remote::ObjectAttributes;
use crate::source::{FileIdentity, FileRecord, SourceRecord};

fn beginning() -> Beginning {
    Beginning {
        source: SourceRecord::File(FileRecord {
            path: "/data/big.iso".into(),
            identity: FileIdentity {
                place: Some((1, 2)),
                size_bytes: 20 << 20,
                modified_ns: Some(3),
                changed_ns: Some(4),
            },
        }),
        object: "s3://bucket/big.iso".parse().unwrap(),
        store: "http://127.0.0.1:8014".into(),
        plan: PartPlan::new(20 << 20, &Limits::AWS, None).unwrap().into(),
        part_size_bytes: None,
        checksum: Some(ChecksumAlgorithm::Crc64Nvme),
        attributes: ObjectAttributes::default(),
        if_none_match: false,
        if_match: None,
        require_proof: false,
        token: "00112233".into(),
        connection: serde_json::Value::Null,
        begun_at: 1_700_000_000,
        unanswered: vec![],
    }
}

fn checksum(bytes: &[u8]) -> Checksum {
    Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, bytes)
}

fn part(number: u32) -> Record {
    Record::Part(PartRecord {
        number: PartNumber::new(number).unwrap(),
        size_bytes: 8 << 20,
        etag: ETag::new(format!("\"{number:032x}\"")),
        checksum: Some(checksum(&number.to_le_bytes())),
        proof: Proof::Checksum,
    })
}

fn records() -> Vec<Record> {
    vec![
        Record::Begun(Box::new(beginning())),
        Record::Opened { pid: 42 },
        Record::Created {
            upload_id: UploadId::new("upload-1").unwrap(),
            declared: true,
            checksum_type: None,
        },
        part(2),
        part(1),
        Record::Paused { reason: "interrupted".into() },
        Record::Opened { pid: 43 },
        part(3),
        Record::Completing,
    ]
}

fn file_of(records: &[Record]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    records.iter().for_each(|record| file.extend(format::encode(record).unwrap()));
    file
}

#[test]
fn what_is_written_comes_back() {
    let file = file_of(&records());
    let decoded = format::decode(&file).unwrap();
    assert_eq!(decoded.records, records());
    assert_eq!(decoded.good_bytes, file.len());
}

#[test]
fn the_journal_of_an_access_point_comes_back() {
    let object =
        "s3://arn:aws:s3:us-west-2:123456789012:accesspoint/my-ap/big.iso".parse().unwrap();
    let begun = vec![Record::Begun(Box::new(Beginning { object, ..beginning() }))];
    let decoded = format::decode(&file_of(&begun)).unwrap();
    assert_eq!(decoded.records, begun);
}

#[test]
fn other_files_and_other_versions_are_told_apart() {
    assert_eq!(format::decode(b""), Err(FormatError::Empty));
    assert_eq!(format::decode(b"HAULJNL"), Err(FormatError::Empty));
    assert_eq!(format::decode(b"#!/bin/sh\n"), Err(FormatError::NotAJournal));
    assert_eq!(format::decode(b"HAULJNL\x03rest"), Err(FormatError::Version(3)));
}

#[test]
fn a_record_of_a_newer_haul_is_skipped_and_not_an_end() {
    let mut file = file_of(&records()[..3]);
    let payload = br#"{"record":"from-the-future","field":1}"#;
    file.extend(format::frame(payload));
    file.extend(format::encode(&part(1)).unwrap());
    let decoded = format::decode(&file).unwrap().records;
    assert_eq!(decoded[3..], [Record::Unknown, part(1)]);
}

#[test]
fn a_torn_tail_is_cut_off_at_every_byte() {
    let (records, file) = (records(), file_of(&records()));
    for end in MAGIC.len()..file.len() {
        let decoded = format::decode(&file[..end]).unwrap();
        assert!(decoded.good_bytes <= end);
        assert_eq!(decoded.records[..], records[..decoded.records.len()], "cut at {end}");
    }
}

#[test]
fn a_flipped_byte_anywhere_loses_records_and_never_changes_one() {
    let (records, file) = (records(), file_of(&records()));
    for place in 0..file.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[place] ^= flip;
            let decoded = format::decode(&damaged).unwrap();
            assert_eq!(
                decoded.records[..],
                records[..decoded.records.len()],
                "byte {place} ^ {flip:#x}"
            );
            // Damage in the magic loses no record: the records prove that they are intact.
            let lost = decoded.records.len() < records.len();
            assert!(lost || place < MAGIC.len(), "byte {place} ^ {flip:#x} went unnoticed");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut file = MAGIC.to_vec();
        file.extend(bytes);
        let decoded = format::decode(&file).unwrap();
        prop_assert!(decoded.good_bytes <= file.len());
    }
}

fn open(folder: &JournalFolder) -> Opened {
    folder.open("id").unwrap()
}

#[test]
fn a_journal_is_found_again_with_all_that_was_appended() {
    let folder = tempfile::tempdir().unwrap();
    let folder = JournalFolder::new(folder.path().join("uploads"));
    let mut opened = open(&folder);
    assert_eq!(opened.records, vec![]);
    opened.journal.restart(beginning()).unwrap();
    opened.journal.append(&part(1)).unwrap();
    drop(opened);
    let again = open(&folder);
    let own = Record::Opened { pid: std::process::id() };
    assert_eq!(again.records, [Record::Begun(Box::new(beginning())), own, part(1)]);
    again.journal.remove().unwrap();
    assert_eq!(open(&folder).records, vec![]);
}

#[test]
fn appending_after_a_torn_tail_makes_a_good_journal() {
    let folder = tempfile::tempdir().unwrap();
    let folder = JournalFolder::new(folder.path());
    let mut torn = file_of(&records()[..4]);
    torn.truncate(torn.len() - 3);
    std::fs::write(folder.path().join("id.journal"), torn).unwrap();
    let mut opened = open(&folder);
    assert_eq!(opened.records, records()[..3]);
    opened.journal.append_synced(&part(7)).unwrap();
    drop(opened);
    assert_eq!(open(&folder).records[3..], [part(7)]);
}

/// Regression: the state folder was full for a while, and a partial record must not hide later
/// ones.
#[test]
fn a_record_that_found_no_room_hides_none_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = JournalFolder::new(folder.path());
    let mut opened = open(&folder);
    opened.journal.restart(beginning()).unwrap();
    let half = format::encode(&part(1)).unwrap();
    opened.journal.tear(&half[..half.len() / 2]).unwrap();
    opened.journal.append_synced(&Record::Completing).unwrap();
    drop(opened);
    assert_eq!(open(&folder).records.last(), Some(&Record::Completing));
}

#[test]
fn records_of_another_source_version_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let folder = JournalFolder::new(folder.path());
    let Beginning { source, plan, .. } = beginning();
    let changed = Record::SourceChanged { source, plan };
    let records = [Record::Begun(Box::new(beginning())), part(1), part(2), changed, part(2)];
    std::fs::write(folder.path().join("a.journal"), file_of(&records)).unwrap();
    assert_eq!(folder.list().unwrap()[0].parts.len(), 1);
}

#[test]
fn a_journal_without_its_beginning_is_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = JournalFolder::new(folder.path());
    std::fs::write(folder.path().join("id.journal"), file_of(&[part(1), part(2)])).unwrap();
    assert_eq!(open(&folder).records, vec![]);
    assert_eq!(std::fs::read(folder.path().join("id.journal")).unwrap(), MAGIC);
}

/// Regression: after a power cut a file may have its length but none of its bytes, and every later
/// run failed.
#[test]
fn only_the_last_invalid_journal_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let journals = JournalFolder::new(folder.path());
    let beginning_lost = file_of(&records()[1..]);
    for (damaged, reason) in [
        (vec![0; 700], FormatError::NotAJournal),
        (b"something else".to_vec(), FormatError::NotAJournal),
        (beginning_lost, FormatError::Beginning),
    ] {
        std::fs::write(folder.path().join("id.journal"), &damaged).unwrap();
        let opened = open(&journals);
        assert_eq!(opened.records, vec![]);
        let aside = opened.moved_aside.unwrap();
        assert_eq!(
            (aside.path.as_path(), aside.reason),
            (folder.path().join("id.damaged").as_path(), reason)
        );
        assert_eq!(std::fs::read(&aside.path).unwrap(), damaged);
        assert!(
            matches!(journals.open("id"), Err(JournalError::Locked { .. })),
            "the new one is locked"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// Such a journal may be the only record of parts at a store.
#[test]
fn a_journal_of_another_version_is_an_error_and_stays_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let journals = JournalFolder::new(folder.path());
    let newer = b"HAULJNL\x03what only it understands";
    std::fs::write(folder.path().join("id.journal"), newer).unwrap();
    for result in [journals.open("id").map(Some), journals.open_existing("id")] {
        let Err(JournalError::Format { source: FormatError::Version(3), .. }) = result else {
            panic!("{result:?}");
        };
    }
    assert_eq!(std::fs::read(folder.path().join("id.journal")).unwrap(), newer);
}

/// A newer Haul may have begun the upload with a checksum algorithm that this one does not know.
/// The journal used to count as damaged: it was moved aside, and its parts stayed at the store.
#[test]
fn a_journal_with_an_unknown_algorithm_is_named_and_stays_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let journals = JournalFolder::new(folder.path());
    let begun = serde_json::to_string(&records()[0]).unwrap();
    let newer = begun.replace("CRC64NVME", "BLAKE9");
    assert_ne!(begun, newer);
    let file = [&MAGIC[..], &format::frame(newer.as_bytes())].concat();
    std::fs::write(folder.path().join("id.journal"), &file).unwrap();
    for result in [journals.open("id").map(Some), journals.open_existing("id")] {
        let Err(JournalError::Format { source: FormatError::UnknownRecord(text), .. }) = result
        else {
            panic!("{result:?}");
        };
        assert!(text.contains("`BLAKE9`") && text.contains("`XXHASH3`"), "{text}");
    }
    assert_eq!(std::fs::read(folder.path().join("id.journal")).unwrap(), file);
}

#[test]
fn what_the_list_leaves_out_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let journals = JournalFolder::new(folder.path());
    assert_eq!(journals.unreadable().unwrap().len(), 0);
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("good.journal", &file_of(&records()));
    write("nothing-sent.journal", b"");
    write("nothing-sent-either.journal", &MAGIC);
    write("moved.damaged", b"something else");
    write("a-zeros.journal", &[0; 700]);
    write("b-newer.journal", b"HAULJNL\x03rest");
    write("c-beginning.journal", &file_of(&records()[1..]));
    write("d-running.journal", &file_of(&records()[1..]));
    let running = std::fs::File::open(folder.path().join("d-running.journal")).unwrap();
    running.lock().unwrap();

    let told: Vec<_> = journals
        .unreadable()
        .unwrap()
        .into_iter()
        .map(|it| (it.id, in_one_line(&it.error)))
        .collect();
    let reasons = ["the file is not a journal", "format version 3", "its beginning is damaged"];
    assert_eq!(told.len(), reasons.len(), "{told:?}");
    for ((id, said), (name, reason)) in
        told.iter().zip(["a-zeros", "b-newer", "c-beginning"].iter().zip(reasons))
    {
        assert!(id == name && said.contains(reason), "{id}: {said}");
    }
    assert!(journals.open_existing("a-zeros").is_err(), "what is to be given up is not restarted");
    assert!(folder.path().join("a-zeros.journal").exists());
}

#[test]
fn a_second_opener_learns_the_holder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = JournalFolder::new(folder.path());
    let mut first = open(&folder);
    first.journal.restart(beginning()).unwrap();
    let pid = std::process::id();
    match folder.open("id") {
        Err(JournalError::Locked { pid: Some(holder) }) => assert_eq!(holder, pid),
        other => panic!("{other:?}"),
    }
    let listed = folder.list().unwrap();
    assert_eq!(listed[0].running_pid, Some(pid));
    drop(first);
    assert_eq!(folder.list().unwrap()[0].running_pid, None);
}

#[test]
fn the_list_tells_how_far_each_upload_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = JournalFolder::new(folder.path());
    assert!(folder.list().unwrap().is_empty());
    std::fs::write(folder.path().join("a.journal"), file_of(&records()[..6])).unwrap();
    std::fs::write(folder.path().join("b.journal"), b"something else").unwrap();
    std::fs::write(folder.path().join("notes.txt"), file_of(&records())).unwrap();
    let listed = folder.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id.as_str(), listed[0].parts.len()), ("a", 2));
    assert_eq!(listed[0].paused.as_deref(), Some("interrupted"));
    assert!(!listed[0].completing);
    assert_eq!(listed[0].upload_id.as_ref().unwrap().as_str(), "upload-1");
}

/// Regression: a file from an archive of an old system silently got no journal, so its upload could
/// not be resumed.
#[test]
fn a_path_that_is_no_text_is_written_down_and_read_back() {
    use std::os::unix::ffi::OsStrExt;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(b"/data/caf\xe9.iso"));
    let Some(file) = beginning().source.file().cloned() else { panic!("it is one") };
    let source = SourceRecord::File(FileRecord { path: path.to_owned(), ..file });
    let moved = Record::SourceMoved { source };
    let file = file_of(&[Record::Begun(Box::new(beginning())), moved.clone()]);
    assert_eq!(format::decode(&file).unwrap().records[1], moved);
}

/// Version 1 is refused with that reason, and the file stays: it does not record the store that the
/// environment selected.
#[test]
fn a_journal_of_version_1_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let journals = JournalFolder::new(folder.path());
    let payload = br#"{"record":"begun","store":"http://127.0.0.1:8014"}"#;
    let mut old = b"HAULJNL\x01".to_vec();
    old.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    old.extend(Hasher::checksum(ChecksumAlgorithm::Crc32c, payload).bytes().iter().rev());
    old.extend(payload);
    std::fs::write(folder.path().join("id.journal"), &old).unwrap();
    let refused = journals.open("id").unwrap_err();
    assert!(
        in_one_line(&refused).contains("format version 1; this Haul reads version 2"),
        "{refused:?}"
    );
    assert_eq!(std::fs::read(folder.path().join("id.journal")).unwrap(), old);
    assert_eq!(journals.unreadable().unwrap().len(), 1);
}
