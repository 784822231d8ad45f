//! Local bytes compared with objects of every shape: which evidence proves that they are equal,
//! which proves that they differ, and which proves nothing.

use std::sync::Arc;

use haul::parts::{ChecksumAlgorithm, ETag, ObjectChecksum, PartLayout};
use haul::remote::{CompleteRequest, CompletedPart, CreateRequest, Operation, Store, UploadRef};
use haul::testing::memory::{EtagKind, Fault, Faults, MemoryStore, Quirks, Refusal};
use haul::verify::receipt::{Receipt, ReceiptError, ReceiptPart};
use haul::verify::{
    Difference, Evidence, HashOptions, LayoutSource, Unproven, Verdict, Verification, Verifier,
};
use haul::{BytesSource, Error, Source};
use haul_parts::{Checksum, ChecksumType, Hasher, PartNumber};

use crate::harness::{bytes, object, part_request, put_request, store};

const PART: usize = 1000;
const SIZE: usize = 5 * PART + 17;

/// Returns the behaviour of AWS with small parts, so that many parts have few bytes.
fn quirks() -> Quirks {
    Quirks { part_size_min_bytes: 1, ..Quirks::AWS }
}

/// Returns a behaviour without any checksum, so that only ETags are left.
fn etags_only() -> Quirks {
    Quirks { echo_checksums: false, default_checksum: None, ..quirks() }
}

async fn verify(store: &MemoryStore, local: Vec<u8>) -> Result<Verification, Error> {
    let retry = haul::pace::RetryPolicy::default();
    let verifier = Verifier::new(Arc::new(store.clone()), retry, HashOptions::default());
    verifier.verify(Arc::new(BytesSource::new(local)), &object()).await
}

async fn verdict(store: &MemoryStore, local: Vec<u8>) -> Verdict {
    verify(store, local).await.unwrap().verdict
}

/// Uploads an object of these pieces.
async fn upload(
    quirks: Quirks,
    pieces: &[&[u8]],
    checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
) -> MemoryStore {
    let store = store(quirks, Faults::none());
    let request = CreateRequest { checksum, ..CreateRequest::default() };
    let created = store.create_multipart_upload(&object(), &request).await.unwrap();
    let upload = UploadRef { object: object(), upload_id: created.upload_id };
    let mut parts = Vec::new();
    for (piece, number) in pieces.iter().zip(1..) {
        let number = PartNumber::new(number).unwrap();
        let mut request = part_request(number, piece);
        request.checksum = checksum.map(|(algorithm, _)| Hasher::checksum(algorithm, piece));
        let sent = store.upload_part(&upload, request).await.unwrap();
        parts.push(CompletedPart { number, etag: sent.etag, checksum: sent.checksum });
    }
    let complete = CompleteRequest { parts, ..CompleteRequest::default() };
    store.complete_multipart_upload(&upload, &complete).await.unwrap();
    store
}

async fn put(quirks: Quirks, content: &[u8], checksum: Option<ChecksumAlgorithm>) -> MemoryStore {
    let store = store(quirks, Faults::none());
    let mut request = put_request(content);
    request.checksum = checksum.map(|algorithm| Hasher::checksum(algorithm, content));
    store.put_object(&object(), request).await.unwrap();
    store
}

fn equal_pieces(content: &[u8]) -> Vec<&[u8]> {
    content.chunks(PART).collect()
}

fn flipped(mut content: Vec<u8>) -> Vec<u8> {
    let middle = content.len() / 2;
    content[middle] ^= 1;
    content
}

fn layout() -> PartLayout {
    PartLayout::equal(SIZE as u64, PART as u64).unwrap()
}

#[track_caller]
fn assert_different(verdict: &Verdict, evidence: &Evidence) {
    match verdict {
        Verdict::Different(Difference::Value { compared, local, object }) => {
            assert_eq!(compared, evidence);
            assert_ne!(local, object);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_object_checksum_of_any_algorithm_decides() {
    for algorithm in ChecksumAlgorithm::ALL {
        if algorithm == ChecksumAlgorithm::Md5 {
            continue;
        }
        let store = put(quirks(), &bytes(SIZE), Some(algorithm)).await;
        let evidence = Evidence::FullObjectChecksum(algorithm);
        assert_eq!(verdict(&store, bytes(SIZE)).await, Verdict::Same(evidence.clone()));
        assert_different(&verdict(&store, flipped(bytes(SIZE))).await, &evidence);
        assert_eq!(store.calls(Operation::HeadObject), 2, "one request each");
        assert_eq!(store.calls(Operation::GetObject), 0, "nothing is downloaded");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_object_checksum_of_parts_needs_no_layout() {
    let (content, kind) = (bytes(SIZE), ChecksumType::FullObject);
    let declared = (ChecksumAlgorithm::Crc32c, kind);
    let store = upload(quirks(), &equal_pieces(&content), Some(declared)).await;
    let evidence = Evidence::FullObjectChecksum(ChecksumAlgorithm::Crc32c);
    assert_eq!(verdict(&store, content.clone()).await, Verdict::Same(evidence.clone()));
    assert_different(&verdict(&store, flipped(content)).await, &evidence);
}

#[tokio::test(start_paused = true)]
async fn a_composite_checksum_is_recomputed_over_the_parts() {
    use ChecksumAlgorithm::{Crc32, Crc32c, Sha1, Sha256};
    let content = bytes(SIZE);
    for algorithm in [Crc32, Crc32c, Sha1, Sha256] {
        let declared = (algorithm, ChecksumType::Composite);
        let store = upload(quirks(), &equal_pieces(&content), Some(declared)).await;
        let evidence = |source| Evidence::CompositeChecksum { algorithm, layout: layout(), source };
        let same = Verdict::Same(evidence(LayoutSource::PartHeads));
        assert_eq!(verdict(&store, content.clone()).await, same);
        let different = verdict(&store, flipped(content.clone())).await;
        assert_different(&different, &evidence(LayoutSource::Attributes));
    }
}

#[tokio::test(start_paused = true)]
async fn etags_are_recomputed_over_equal_and_unequal_parts() {
    let content = bytes(SIZE);
    let unequal = [&content[..3000], &content[3000..3001], &content[3001..4999], &content[4999..]];
    for pieces in [equal_pieces(&content), unequal.to_vec(), vec![&content[..]]] {
        let store = upload(etags_only(), &pieces, None).await;
        let layout = PartLayout::of_sizes(pieces.iter().map(|piece| piece.len() as u64)).unwrap();
        let evidence = Evidence::MultipartETag { layout, source: LayoutSource::PartHeads };
        assert_eq!(verdict(&store, content.clone()).await, Verdict::Same(evidence.clone()));
        assert_different(&verdict(&store, flipped(content.clone())).await, &evidence);
    }
}

/// The first, the second and the last part agree with equal parts, and two others between them do
/// not: a verdict from these three alone would be wrong.
#[tokio::test(start_paused = true)]
async fn parts_that_only_look_equal_are_all_asked_for() {
    let content = bytes(SIZE);
    let sizes = [1000, 1000, 1500, 500, 1000, 17];
    let mut rest = &content[..];
    let pieces: Vec<&[u8]> = sizes
        .iter()
        .map(|size| {
            let (piece, later) = rest.split_at(*size);
            rest = later;
            piece
        })
        .collect();
    let store = upload(etags_only(), &pieces, None).await;
    let layout = PartLayout::of_sizes(sizes.map(|size| size as u64)).unwrap();
    let evidence = Evidence::MultipartETag { layout, source: LayoutSource::PartHeads };
    assert_eq!(verdict(&store, content.clone()).await, Verdict::Same(evidence.clone()));
    assert_different(&verdict(&store, flipped(content)).await, &evidence);
}

/// With a guessed layout a match is a proof; a difference may only mean that the guess was wrong.
#[tokio::test(start_paused = true)]
async fn a_guessed_layout_proves_equality_and_never_a_difference() {
    const MIB: usize = 1024 * 1024;
    let content = bytes(17 * MIB);
    let silent = || Quirks { tells_parts: false, ..etags_only() };
    for part in [5 * MIB, 8 * MIB] {
        let pieces: Vec<&[u8]> = content.chunks(part).collect();
        let part_count = u16::try_from(pieces.len()).unwrap();
        let store = upload(silent(), &pieces, None).await;
        let layout = PartLayout::equal(content.len() as u64, part as u64).unwrap();
        let evidence = Evidence::MultipartETag { layout, source: LayoutSource::Guess };
        assert_eq!(verdict(&store, content.clone()).await, Verdict::Same(evidence));
        match verdict(&store, flipped(content.clone())).await {
            Verdict::Unproven(Unproven::UnknownLayout { part_count: count, tried }) => {
                assert_eq!((count, tried > 1), (part_count, true));
            }
            other => panic!("{other:?}"),
        }
    }
    let odd = [&content[..MIB + 7], &content[MIB + 7..2 * MIB], &content[2 * MIB..]];
    let store = upload(silent(), &odd, None).await;
    let found = verdict(&store, content).await;
    assert!(matches!(found, Verdict::Unproven(Unproven::UnknownLayout { .. })), "{found:?}");
}

/// Ceph RGW 16.2 answers GetObjectAttributes with a 403 about its signature. If every file asked
/// again, the credential provider would be asked for new credentials a million times.
#[tokio::test(start_paused = true)]
async fn a_refused_operation_is_not_asked_for_again() {
    let content = bytes(SIZE);
    let silent = Quirks { tells_parts: false, ..etags_only() };
    let store = upload(silent, &equal_pieces(&content), None).await;
    let retry = haul::pace::RetryPolicy::default();
    let verifier = Verifier::new(Arc::new(store.clone()), retry, HashOptions::default());
    for _ in 0..3 {
        let source = Arc::new(BytesSource::new(content.clone()));
        verifier.verify(source, &object()).await.unwrap();
    }
    assert_eq!(store.calls(Operation::GetObjectAttributes), 1);
}

#[tokio::test(start_paused = true)]
async fn an_etag_under_encryption_disproves_nothing() {
    let encrypted = || Quirks { etags: EtagKind::Encrypted, ..etags_only() };
    let content = bytes(SIZE);
    let kms = Verdict::Unproven(Unproven::OpaqueETag { encryption: Some("aws:kms".into()) });
    let one_piece = put(encrypted(), &content, None).await;
    assert_eq!(verdict(&one_piece, content.clone()).await, kms);
    let opaque = Quirks { etags: EtagKind::Opaque, ..etags_only() };
    let unknown = upload(opaque, &equal_pieces(&content), None).await;
    let nothing = Verdict::Unproven(Unproven::NothingToCompare);
    assert_eq!(verdict(&unknown, content.clone()).await, nothing);
    // A checksum covers the plain bytes, whatever encrypts them.
    let quirks = Quirks { etags: EtagKind::Encrypted, ..quirks() };
    let store = put(quirks, &content, Some(ChecksumAlgorithm::Sha256)).await;
    let evidence = Evidence::FullObjectChecksum(ChecksumAlgorithm::Sha256);
    assert_eq!(verdict(&store, content.clone()).await, Verdict::Same(evidence.clone()));
    assert_different(&verdict(&store, flipped(content)).await, &evidence);
}

#[tokio::test(start_paused = true)]
async fn lengths_then_the_md5_of_one_piece_are_compared() {
    for content in [bytes(SIZE), vec![]] {
        let store = put(etags_only(), &content, None).await;
        assert_eq!(verdict(&store, content.clone()).await, Verdict::Same(Evidence::Md5));
        let longer = [&content[..], b"x"].concat();
        let difference = Difference::Size {
            local_bytes: longer.len() as u64,
            object_bytes: content.len() as u64,
        };
        assert_eq!(verdict(&store, longer).await, Verdict::Different(difference));
    }
    let store = put(etags_only(), &bytes(SIZE), None).await;
    assert_different(&verdict(&store, flipped(bytes(SIZE))).await, &Evidence::Md5);
}

/// A store answers HeadObject of an object under a customer's key (SSE-C) with a bare 400. The
/// listing still has its length, which can prove a difference, and an ETag, which cannot.
#[tokio::test(start_paused = true)]
async fn an_object_under_a_customers_key_is_compared_by_the_listing() {
    let content = bytes(SIZE);
    let store = put(etags_only(), &content, None).await;
    for (local, is_different) in [(flipped(content.clone()), false), (content[1..].to_vec(), true)]
    {
        let bare = Fault::Answer(Refusal::new(400, None));
        store.set_faults(Faults::none().on_every(Operation::HeadObject, bare));
        let found = verdict(&store, local).await;
        let unproven = Verdict::Unproven(Unproven::OpaqueETag { encryption: Some("SSE-C".into()) });
        assert_eq!(matches!(found, Verdict::Different(_)), is_different);
        assert!(is_different || found == unproven, "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_object_is_an_error() {
    let store = store(quirks(), Faults::none());
    let error = verify(&store, vec![1]).await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{error}");
}

fn receipt(content: &[u8], part_bytes: usize, with_checksums: bool) -> Receipt {
    let crc = |bytes: &[u8]| Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, bytes);
    let md5 = |bytes: &[u8]| Hasher::checksum(ChecksumAlgorithm::Md5, bytes).as_md5().unwrap();
    let parts: Vec<ReceiptPart> = content
        .chunks(part_bytes)
        .map(|part| ReceiptPart {
            size_bytes: part.len() as u64,
            checksum: with_checksums.then(|| crc(part)),
            md5: Some(md5(part)),
        })
        .collect();
    Receipt {
        object: object(),
        endpoint: "https://s3.example".into(),
        version_id: Some("v1".into()),
        etag: ETag::composite(content.chunks(part_bytes).map(md5)),
        checksum: with_checksums.then(|| ObjectChecksum::FullObject(crc(content))),
        time: "2026-03-01T12:00:00Z".parse().unwrap(),
        parts,
    }
}

#[test]
fn a_receipt_survives_as_text() {
    for with_checksums in [false, true] {
        let receipt = receipt(&bytes(SIZE), PART, with_checksums);
        let text = receipt.to_json();
        assert_eq!(Receipt::parse(&text).unwrap(), receipt);
        // Another program may have written the receipt with its fields in another order.
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(Receipt::parse(&value.to_string()).unwrap(), receipt);
    }
}

/// Each byte of a receipt is changed once; no result is accepted as a receipt of another file.
#[test]
fn a_damaged_receipt_is_recognised() {
    let receipt = receipt(&bytes(2500), PART, true);
    let text = receipt.to_json();
    for at in 0..text.len() {
        let mut damaged = text.clone().into_bytes();
        damaged[at] ^= 1;
        let Ok(damaged) = String::from_utf8(damaged) else { continue };
        match Receipt::parse(&damaged) {
            Err(_) => {}
            // The changed byte was a blank between two fields.
            Ok(same) => assert_eq!(same, receipt, "byte {at}"),
        }
    }
    assert!(matches!(Receipt::parse(&text[..200]), Err(ReceiptError::Damaged)));
    assert!(matches!(Receipt::parse("{}"), Err(ReceiptError::NotAReceipt)));
    assert!(matches!(Receipt::parse("no"), Err(ReceiptError::NotAReceipt)));
}

async fn against(receipt: &Receipt, local: Vec<u8>) -> Verdict {
    let source: Arc<dyn Source> = Arc::new(BytesSource::new(local));
    receipt.verify_source(source, HashOptions::default()).await.unwrap()
}

#[tokio::test]
async fn a_receipt_proves_a_file_and_names_the_parts_that_differ() {
    let content = bytes(SIZE);
    for (with_checksums, algorithm) in
        [(true, ChecksumAlgorithm::Crc64Nvme), (false, ChecksumAlgorithm::Md5)]
    {
        let receipt = receipt(&content, PART, with_checksums);
        let same = Verdict::Same(Evidence::PartChecksums(algorithm));
        assert_eq!(against(&receipt, content.clone()).await, same);
        let mut other = content.clone();
        (other[1500], other[SIZE - 1]) = (!other[1500], !other[SIZE - 1]);
        let difference = Difference::Parts { numbers: vec![2, 6], part_count: 6 };
        assert_eq!(against(&receipt, other).await, Verdict::Different(difference));
        let shorter = against(&receipt, content[1..].to_vec()).await;
        assert!(matches!(shorter, Verdict::Different(Difference::Size { .. })), "{shorter:?}");
    }
    let mut bare = receipt(&content, PART, false);
    bare.parts.iter_mut().for_each(|part| part.md5 = None);
    let unproven = Verdict::Unproven(Unproven::NothingToCompare);
    assert_eq!(against(&bare, content).await, unproven);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_is_compared_with_the_object_that_is_there_now() {
    let content = bytes(SIZE);
    let of = |store: MemoryStore, receipt: Receipt| async move {
        let description = store.describe_object(&object()).await.unwrap();
        receipt.verify_object(&object(), &description)
    };
    let crc = Evidence::FullObjectChecksum(ChecksumAlgorithm::Crc64Nvme);
    let pieces = equal_pieces(&content);
    let same = upload(etags_only(), &pieces, None).await;
    assert_eq!(of(same, receipt(&content, PART, true)).await, Verdict::Same(Evidence::ETag));
    // The same bytes uploaded again in one piece have another ETag and the same checksum.
    let again = put(quirks(), &content, Some(ChecksumAlgorithm::Crc64Nvme)).await;
    assert_eq!(of(again, receipt(&content, PART, true)).await, Verdict::Same(crc.clone()));
    let other = put(quirks(), &flipped(content.clone()), Some(ChecksumAlgorithm::Crc64Nvme)).await;
    assert_different(&of(other, receipt(&content, PART, true)).await, &crc);
    let recut = upload(etags_only(), &[&content[..2000], &content[2000..]], None).await;
    let unproven = Verdict::Unproven(Unproven::NotInReceipt);
    assert_eq!(of(recut, receipt(&content, PART, true)).await, unproven);
    let one_piece = put(etags_only(), &flipped(content.clone()), None).await;
    let mut whole = receipt(&content, SIZE, false);
    let md5: Checksum = Hasher::checksum(ChecksumAlgorithm::Md5, &content);
    whole.etag = ETag::from_md5(md5.as_md5().unwrap());
    assert_different(&of(one_piece, whole).await, &Evidence::Md5);
}
