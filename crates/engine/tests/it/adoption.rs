//! Resume without a journal: uploads that another client created, or whose journal was lost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use haul::StopRequest;
use haul::body::Payload;
use haul::parts::{ChecksumAlgorithm as A, ChecksumType as T, Hasher, PartNumber, UploadId};
use haul::remote::{CreateRequest, Meter, Operation as O, PartRequest, Store, UploadRef};
use haul::testing::memory::{EtagKind, Fault, Faults, MemoryStore, Quirks, Refusal};
use haul::{Error, Event, Unfinished, UploadOptions, UploadReport};

use crate::harness::{aws, bytes, chain, differing_parts, heard, nothing_left, object, store};
use crate::machine::{Machine, SIZE};

/// A part size that differs from ours: 15 parts.
const OTHER_PART: usize = 700;

/// A tool that creates an upload, sends some parts and is killed.
struct OtherTool {
    declared: Option<(A, T)>,
    part_bytes: usize,
}

impl OtherTool {
    /// The defaults of boto3.
    const COMPOSITE_CRC32: Self =
        Self { declared: Some((A::Crc32, T::Composite)), part_bytes: OTHER_PART };
    /// The behaviour of s5cmd: no checksum.
    const NONE: Self = Self { declared: None, part_bytes: OTHER_PART };

    async fn begins(&self, store: &MemoryStore, source: &[u8], numbers: &[u32]) -> UploadId {
        let request = CreateRequest { checksum: self.declared, ..CreateRequest::default() };
        let created = store.create_multipart_upload(&object(), &request).await.unwrap();
        let upload = UploadRef { object: object(), upload_id: created.upload_id };
        for number in numbers {
            let part = source.chunks(self.part_bytes).nth(*number as usize - 1).unwrap();
            let request = PartRequest {
                number: PartNumber::new(*number).unwrap(),
                payload: Payload::from_bytes(Bytes::copy_from_slice(part)),
                checksum: self.declared.map(|(algorithm, _)| Hasher::checksum(algorithm, part)),
                fresh_connection: false,
                wire: Meter::default(),
            };
            store.upload_part(&upload, request).await.unwrap();
        }
        upload.upload_id
    }
}

/// Returns the options of the machine with this treatment of unfinished uploads.
fn with(machine: &Machine, unfinished: Unfinished) -> UploadOptions {
    UploadOptions { unfinished, ..machine.options() }
}

async fn adopts(machine: &Machine, store: &MemoryStore) -> UploadReport {
    let report = machine.start_with(store, with(machine, Unfinished::Adopt)).await;
    let report = report.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));
    assert_eq!(machine.journals().list().unwrap().len(), 0);
    report
}

fn lose_journals(machine: &Machine) {
    std::fs::remove_dir_all(machine.journals().path()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_the_journal_is_lost_the_store_alone_is_enough() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 5).await;
    lose_journals(&machine);
    let before = store.bytes_received();
    let report = adopts(&machine, &store).await;
    assert_eq!(report.resumed_bytes, 5000);
    assert_eq!(store.bytes_received() - before, 5500);
    assert_eq!(report.proof.checksum, 11);
    nothing_left(&store);
}

/// An adopted upload keeps the settings of its CreateMultipartUpload, and the object has the
/// checksum that its creator chose.
#[tokio::test(start_paused = true)]
async fn an_upload_of_another_tool_is_finished_as_it_was_begun() {
    let tools = [
        OtherTool::COMPOSITE_CRC32,
        OtherTool::NONE,
        OtherTool { declared: Some((A::Crc32, T::FullObject)), part_bytes: OTHER_PART },
        OtherTool { declared: Some((A::Sha256, T::Composite)), part_bytes: OTHER_PART },
        OtherTool { declared: Some((A::Crc64Nvme, T::FullObject)), part_bytes: 5000 },
    ];
    for tool in tools {
        let (machine, store) = (Machine::new(), aws(Faults::none()));
        tool.begins(&store, &bytes(SIZE), &[1, 3]).await;
        let before = store.bytes_received();
        let report = adopts(&machine, &store).await;
        let there = tool.part_bytes + tool.part_bytes.min(SIZE - 2 * tool.part_bytes);
        assert_eq!(report.resumed_bytes, there as u64, "{:?}", tool.declared);
        assert_eq!(store.bytes_received() - before, (SIZE - there) as u64, "{:?}", tool.declared);
        assert_eq!(report.proof.unproven, 0, "{:?}", tool.declared);
        let head = store.head_object(&object()).await.unwrap();
        if let Some((algorithm, T::FullObject)) = tool.declared {
            let expected = Hasher::checksum(algorithm, &bytes(SIZE));
            assert_eq!(head.checksum, Some((expected, T::FullObject)));
        }
        nothing_left(&store);
    }
}

/// P3, and trap 26: an upload stays untouched unless its parts are proven to be of this source.
#[tokio::test(start_paused = true)]
async fn only_what_is_proven_to_be_of_this_source_is_touched() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let mut other = bytes(SIZE);
    other.iter_mut().for_each(|byte| *byte ^= 1);
    let tool = OtherTool::COMPOSITE_CRC32;
    // Uploads of another file in the same parts; of our file with most of it changed; without
    // parts; with parts that follow no plan.
    let mut mostly_other = other.clone();
    mostly_other[..OTHER_PART].copy_from_slice(&bytes(SIZE)[..OTHER_PART]);
    let foreign = [
        tool.begins(&store, &other, &[1, 2, 3, 4, 5, 6, 7, 8]).await,
        tool.begins(&store, &mostly_other, &[1, 2, 3]).await,
        tool.begins(&store, &bytes(SIZE), &[]).await,
        OtherTool { part_bytes: 100, ..tool }.begins(&store, &[0; 20_000], &[1, 106, 200]).await,
    ];
    let mine = tool.begins(&store, &bytes(SIZE), &[2, 15]).await;

    let report = adopts(&machine, &store).await;
    assert_eq!(report.upload_id, Some(mine));
    assert_eq!(report.resumed_bytes, 2 * OTHER_PART as u64);
    let left: Vec<_> = store.open_uploads().into_iter().map(|upload| upload.upload_id).collect();
    assert_eq!(left, foreign);
    for (upload_id, parts) in foreign.into_iter().zip([8, 3, 0, 3]) {
        let upload = UploadRef { object: object(), upload_id };
        let mut after = None;
        let mut listed = 0;
        loop {
            let page = store.list_parts(&upload, after).await.unwrap();
            listed += page.parts.len();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, parts);
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_uploads_the_most_complete_is_adopted() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let few = OtherTool::NONE.begins(&store, &bytes(SIZE), &[1, 2]).await;
    let many = OtherTool::COMPOSITE_CRC32.begins(&store, &bytes(SIZE), &[4, 5, 6, 7]).await;
    let report = adopts(&machine, &store).await;
    assert_eq!(report.upload_id, Some(many));
    let left: Vec<_> = store.open_uploads().into_iter().map(|upload| upload.upload_id).collect();
    assert_eq!(left, [few]);
}

/// A listing that broke off was once restarted from its first page; now only the failed page is
/// listed again.
#[tokio::test(start_paused = true)]
async fn only_the_page_that_failed_is_listed_again() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    for _ in 0..7 {
        OtherTool::NONE.begins(&store, &bytes(SIZE), &[]).await;
    }
    let mine = OtherTool::NONE.begins(&store, &bytes(SIZE), &[1]).await;
    store.set_faults(Faults::none().on(
        O::ListMultipartUploads,
        3,
        Fault::Answer(Refusal::INTERNAL_ERROR),
    ));
    assert_eq!(adopts(&machine, &store).await.upload_id, Some(mine));
    assert_eq!(store.calls(O::ListMultipartUploads), 3 + 1, "three pages of three");
}

/// A part that is damaged, or is of an older version of the file, is reported and sent again.
#[tokio::test(start_paused = true)]
async fn a_part_that_differs_is_sent_again_and_named() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let mut older = bytes(SIZE);
    older[OTHER_PART] ^= 0xff;
    OtherTool::NONE.begins(&store, &older, &[1, 2, 3]).await;
    let (ended, said) = heard(machine.start_with(&store, with(&machine, Unfinished::Adopt))).await;
    let report = ended.unwrap();
    assert_eq!(report.resumed_bytes, 2 * OTHER_PART as u64);
    assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));
    assert_eq!(differing_parts(&said), [PartNumber::new(2).unwrap()]);
}

/// After the report of an unfinished upload the user stops our upload and adopts the other one. Our
/// upload has fewer parts and is removed.
#[tokio::test(start_paused = true)]
async fn what_our_own_journal_has_less_of_gives_way() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let theirs = OtherTool::NONE.begins(&store, &bytes(SIZE), &[1, 2, 3, 4, 5, 6, 7]).await;
    machine.stops_after(&store, 2).await;
    let report = adopts(&machine, &store).await;
    assert_eq!(report.upload_id, Some(theirs));
    assert_eq!(store.open_uploads(), vec![]);

    // The reverse: our upload has more parts, and the other one is left alone.
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let theirs = OtherTool::NONE.begins(&store, &bytes(SIZE), &[1, 2]).await;
    machine.stops_after(&store, 5).await;
    let report = adopts(&machine, &store).await;
    assert_ne!(report.upload_id, Some(theirs));
    assert_eq!(report.resumed_bytes, 5000);
    assert_eq!(store.open_uploads().len(), 1);
}

/// An adopted upload has a journal, and can be resumed like our own.
#[tokio::test(start_paused = true)]
async fn an_adopted_upload_resumes_after_an_interruption() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    OtherTool::COMPOSITE_CRC32.begins(&store, &bytes(SIZE), &[1, 2, 3]).await;
    let already = store.calls(O::UploadPart);
    store.set_faults(Faults::none().on_calls(O::UploadPart, 4..=u64::MAX, Fault::Stall));
    let running = machine.start_with(&store, with(&machine, Unfinished::Adopt));
    tokio::time::sleep(Duration::from_secs(60)).await;
    running.stop(StopRequest::PauseNow);
    let error = running.await.unwrap_err();
    assert!(matches!(error, Error::Paused { arrived_bytes: 4200, .. }), "{}", chain(&error));
    assert_eq!(already, 3);

    store.set_faults(Faults::none());
    let report = machine.start(&store).await.unwrap();
    assert_eq!(report.resumed_bytes, 4200);
    assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));
    nothing_left(&store);
}

/// The parts may be a day of another user's work: a store that refuses our requests does not make
/// us remove them.
#[tokio::test(start_paused = true)]
async fn an_adopted_upload_that_is_refused_keeps_its_parts() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let theirs = OtherTool::NONE.begins(&store, &bytes(SIZE), &[1, 2, 3]).await;
    let refused = Fault::Answer(Refusal::ACCESS_DENIED);
    store.set_faults(Faults::none().on_every(O::UploadPart, refused));
    let error = machine.start_with(&store, with(&machine, Unfinished::Adopt)).await.unwrap_err();
    assert!(matches!(error, Error::Paused { source: Some(_), .. }), "{}", chain(&error));
    assert_eq!(store.open_uploads()[0].upload_id, theirs);
    assert_eq!(store.calls(O::AbortMultipartUpload), 0);
    // An explicit abort removes it.
    let journal = machine.journals().list().unwrap().remove(0);
    haul::abandon(Arc::new(store.clone()), &machine.journals(), &journal.id).await.unwrap();
    assert_eq!(store.open_uploads(), vec![]);
}

/// The metadata of an adopted upload lacks our token, so size and ETag or checksum settle a lost
/// answer to Complete.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_complete_of_an_adopted_upload_is_settled() {
    for tool in [OtherTool::COMPOSITE_CRC32, OtherTool::NONE] {
        let (machine, store) = (Machine::new(), aws(Faults::none()));
        tool.begins(&store, &bytes(SIZE), &[1, 2, 3]).await;
        store.set_faults(Faults::none().on(O::CompleteMultipartUpload, 1, Fault::LoseAnswer));
        adopts(&machine, &store).await;
        assert_eq!(store.calls(O::CompleteMultipartUpload), 1);
        nothing_left(&store);
    }
    // Our own upload after its journal was lost: its object has a token that no journal contains
    // any more.
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 5).await;
    lose_journals(&machine);
    store.set_faults(Faults::none().on(O::CompleteMultipartUpload, 1, Fault::LoseAnswer));
    adopts(&machine, &store).await;
    nothing_left(&store);
}

/// At stores without checksums, MD5 proves the parts; an upload without any proof is left alone.
#[tokio::test(start_paused = true)]
async fn without_checksums_the_md5_of_the_etag_decides() {
    let machine = Machine::new();
    let rgw = store(Quirks::CEPH_RGW_16, Faults::none());
    OtherTool::COMPOSITE_CRC32.begins(&rgw, &bytes(SIZE), &[1, 2, 3]).await;
    let report = adopts(&machine, &rgw).await;
    assert_eq!(report.resumed_bytes, 3 * OTHER_PART as u64);
    assert_eq!(report.proof.md5, 15);

    let opaque = Quirks { etags: EtagKind::Opaque, ..Quirks::CEPH_RGW_16 };
    let opaque = store(opaque, Faults::none());
    OtherTool::NONE.begins(&opaque, &bytes(SIZE), &[1, 2, 3]).await;
    let report = adopts(&machine, &opaque).await;
    assert_eq!(report.resumed_bytes, 0);
    assert_eq!(opaque.open_uploads().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_adopt_it_is_reported_and_left_alone() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let theirs = OtherTool::NONE.begins(&store, &bytes(SIZE), &[1, 2, 3]).await;
    let (ended, said) = heard(machine.start_with(&store, with(&machine, Unfinished::Report))).await;
    assert_eq!(ended.unwrap().resumed_bytes, 0);
    assert!(
        said.iter()
            .any(|event| matches!(event, Event::UnfinishedFound { count: 1, initiated: Some(_) }))
    );
    assert_eq!(store.open_uploads()[0].upload_id, theirs);

    // A store that refuses or stalls the listing does not prevent the upload.
    for fault in [Fault::Answer(Refusal::ACCESS_DENIED), Fault::Stall] {
        store.set_faults(Faults::none().on_every(O::ListMultipartUploads, fault));
        machine.start_with(&store, with(&machine, Unfinished::Report)).await.unwrap();
    }
}

/// A file below the threshold needs only one request, but an existing upload is still found.
#[tokio::test(start_paused = true)]
async fn a_small_file_is_adopted_too_or_put_in_one_piece() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    let small = UploadOptions {
        multipart_threshold_bytes: 1 << 20,
        part_size_bytes: None,
        ..with(&machine, Unfinished::Adopt)
    };
    let report = machine.start_with(&store, small.clone()).await.unwrap();
    assert_eq!((report.upload_id, report.part_count), (None, 1));
    assert_eq!(machine.journals().list().unwrap().len(), 0);

    let theirs = OtherTool::NONE.begins(&store, &bytes(SIZE), &[1, 2, 3]).await;
    let report = machine.start_with(&store, small).await.unwrap();
    assert_eq!(report.upload_id, Some(theirs));
    nothing_left(&store);
}

/// The object of an adopted upload lacks our token: the length and checksum of its parts identify
/// it.
#[tokio::test(start_paused = true)]
async fn an_adopted_upload_that_was_completed_unheard_is_found() {
    for tool in [OtherTool::COMPOSITE_CRC32, OtherTool::NONE] {
        let (machine, store) = (Machine::new(), aws(Faults::none()));
        tool.begins(&store, &bytes(SIZE), &[1, 2, 3]).await;
        store.set_faults(
            Faults::none()
                .on(O::CompleteMultipartUpload, 1, Fault::LoseAnswer)
                .on_every(O::HeadObject, Fault::Answer(Refusal::BAD_GATEWAY)),
        );
        let error =
            machine.start_with(&store, with(&machine, Unfinished::Adopt)).await.unwrap_err();
        assert!(matches!(error, Error::InDoubt { .. }), "{}", chain(&error));
        store.set_faults(Faults::none());
        let sent = store.bytes_received();
        machine.start(&store).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(store.bytes_received(), sent, "{:?}", tool.declared);
        assert_eq!(machine.journals().list().unwrap().len(), 0);
    }
}
