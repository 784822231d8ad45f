//! Complete, case by case as `reference/aws-semantics.md` lists them; after each refusal the upload
//! is unchanged.

use haul_parts::{
    Checksum, ChecksumAlgorithm, ChecksumType, CompositeChecksum, ETag, Hasher, Limits,
    combine_full_object,
};
use haul_store::{
    CompleteOptions, CompletedPart, DiskStore, Error, ObjectChecksum, PartInfo, StoreOptions,
    UploadOptions, UploadRef, WriteCondition,
};

use crate::fixture::{Fixture, key, listed, part_number, pattern, stage_with};

/// An upload with parts 1, 2 and 3 of 100 bytes each.
struct Upload {
    fixture: Fixture,
    upload: UploadRef,
    parts: Vec<PartInfo>,
}

impl Upload {
    fn new() -> Self {
        Self::with(UploadOptions::default())
    }

    fn with(options: UploadOptions) -> Self {
        let fixture = Fixture::new();
        let algorithm = options.checksum_algorithm;
        let upload = fixture
            .store
            .create_multipart_upload(&fixture.bucket, &key("object"), options)
            .unwrap()
            .upload;
        let parts = (1..=3)
            .map(|number| {
                let bytes = pattern(u64::from(number), 100);
                let algorithm = algorithm.unwrap_or(ChecksumAlgorithm::Crc64Nvme);
                let staged = stage_with(&fixture.store, &bytes, &[algorithm]);
                let given = staged.checksum(algorithm);
                fixture.store.put_part(&upload, part_number(number), staged, given).unwrap()
            })
            .collect();
        Self { fixture, upload, parts }
    }

    fn complete(&self, list: Vec<CompletedPart>) -> Result<ETag, Error> {
        self.complete_with(list, CompleteOptions::default())
    }

    fn complete_with(
        &self,
        list: Vec<CompletedPart>,
        options: CompleteOptions,
    ) -> Result<ETag, Error> {
        let completed = self.fixture.store.complete_multipart_upload(&self.upload, list, options);
        completed.map(|object| object.etag)
    }

    fn list(&self) -> Vec<CompletedPart> {
        listed(&self.parts)
    }

    /// Returns the list with the checksum of each part.
    fn list_with_checksums(&self) -> Vec<CompletedPart> {
        self.parts
            .iter()
            .map(|part| CompletedPart {
                number: part.part_number,
                etag: part.etag.clone(),
                checksum: Some(part.checksum),
            })
            .collect()
    }

    /// Asserts that the upload still completes, after any refusal.
    fn still_completes(self) {
        assert_eq!(
            self.fixture.store.list_parts(&self.upload, None, None).unwrap().parts,
            self.parts
        );
        self.complete(self.list()).unwrap();
        assert_eq!(self.fixture.get("object").len(), 300);
    }
}

#[test]
fn an_unknown_part_or_a_wrong_etag_is_an_invalid_part() {
    let upload = Upload::new();
    let mut unknown = upload.list();
    unknown[2].number = part_number(4);
    let mut wrong = upload.list();
    wrong[1].etag = ETag::new("\"00000000000000000000000000000000\"");
    let mut nonsense = upload.list();
    nonsense[0].etag = ETag::new("nonsense");
    for (list, number) in [(unknown, 4), (wrong, 2), (nonsense, 1)] {
        match upload.complete(list).unwrap_err() {
            Error::InvalidPart { part_number: found, .. } => assert_eq!(found, part_number(number)),
            other => panic!("{other:?}"),
        }
    }
    upload.still_completes();
}

#[test]
fn an_etag_counts_with_and_without_quotes() {
    let upload = Upload::new();
    let mut list = upload.list();
    list[1].etag = ETag::new(list[1].etag.unquoted().to_uppercase());
    upload.complete(list).unwrap();
}

#[test]
fn the_list_is_in_ascending_order() {
    let upload = Upload::new();
    let mut list = upload.list();
    list.swap(0, 1);
    assert_eq!(upload.complete(list).unwrap_err().s3_code(), "InvalidPartOrder");
    let mut twice = upload.list();
    twice[1] = twice[0].clone();
    assert_eq!(upload.complete(twice).unwrap_err().s3_code(), "InvalidPartOrder");
    assert!(matches!(upload.complete(Vec::new()).unwrap_err(), Error::NoPartsListed));
    upload.still_completes();
}

#[test]
fn gaps_are_fine_except_with_checksums() {
    let upload = Upload::new();
    let gap = |list: Vec<CompletedPart>| vec![list[0].clone(), list[2].clone()];
    let error = upload.complete(gap(upload.list_with_checksums())).unwrap_err();
    assert!(
        matches!(error, Error::InvalidPartOrder { part_number: number } if number == part_number(3))
    );
    upload.complete(gap(upload.list())).unwrap();
    assert_eq!(upload.fixture.data_files().0, 2);
}

#[test]
fn all_parts_but_the_last_have_a_minimum() {
    let limits = Limits { part_size_min_bytes: 101, ..Limits::AWS };
    let upload = Upload::new();
    let Upload { fixture, upload, parts } = upload;
    let bucket = fixture.bucket.clone();
    let list = listed(&parts);
    drop(fixture.store);
    let store = DiskStore::open(
        fixture.dir.path().join("store"),
        StoreOptions { limits, ..StoreOptions::default() },
    );
    let store = store.unwrap();
    match store
        .complete_multipart_upload(&upload, list.clone(), CompleteOptions::default())
        .unwrap_err()
    {
        Error::EntityTooSmall { part_number: number, size_bytes: 100, min_bytes: 101, etag } => {
            assert_eq!((number, etag), (part_number(1), parts[0].etag.clone()));
        }
        other => panic!("{other:?}"),
    }
    // As the only part of the list, the first part is also the last.
    store
        .complete_multipart_upload(&upload, list[..1].to_vec(), CompleteOptions::default())
        .unwrap();
    assert_eq!(store.head_object(&bucket, &key("object")).unwrap().etag.part_count(), Some(1));
}

#[test]
fn the_size_of_the_object_is_compared() {
    let upload = Upload::new();
    let size = |bytes| CompleteOptions {
        mpu_object_size_bytes: Some(bytes),
        ..CompleteOptions::default()
    };
    let error = upload.complete_with(upload.list(), size(301)).unwrap_err();
    assert!(matches!(error, Error::ObjectSizeMismatch { given_bytes: 301, computed_bytes: 300 }));
    upload.complete_with(upload.list(), size(300)).unwrap();
}

#[test]
fn an_identical_complete_succeeds_while_its_object_exists() {
    let upload = Upload::new();
    let etag = upload.complete(upload.list()).unwrap();
    assert_eq!(upload.complete(upload.list()).unwrap(), etag);
    let shorter = upload.list()[..2].to_vec();
    assert_eq!(upload.complete(shorter).unwrap_err().s3_code(), "NoSuchUpload");
    let abort = upload.fixture.store.abort_multipart_upload(&upload.upload);
    assert_eq!(abort.unwrap_err().s3_code(), "NoSuchUpload");
    // The same after the store is opened again, but not once the object has another version.
    let Upload { fixture, upload: reference, parts } = upload;
    let upload = Upload { fixture: fixture.reopen(), upload: reference, parts };
    assert_eq!(upload.complete(upload.list()).unwrap(), etag);
    upload.fixture.put("object", b"another version");
    assert_eq!(upload.complete(upload.list()).unwrap_err().s3_code(), "NoSuchUpload");
}

#[test]
fn an_upload_belongs_to_its_key() {
    let upload = Upload::new();
    let mut other = upload.upload.clone();
    other.object.key = key("other");
    let store = &upload.fixture.store;
    assert_eq!(store.list_parts(&other, None, None).unwrap_err().s3_code(), "NoSuchUpload");
    assert_eq!(store.abort_multipart_upload(&other).unwrap_err().s3_code(), "NoSuchUpload");
    let completed =
        store.complete_multipart_upload(&other, upload.list(), CompleteOptions::default());
    assert_eq!(completed.unwrap_err().s3_code(), "NoSuchUpload");
    upload.still_completes();
}

#[test]
fn if_none_match_refuses_existing_and_just_deleted_keys() {
    let condition =
        || CompleteOptions { condition: WriteCondition::IfNoneMatch, ..CompleteOptions::default() };
    let upload = Upload::new();
    upload.fixture.put("object", b"in the way");
    let error = upload.complete_with(upload.list(), condition()).unwrap_err();
    assert!(matches!(error, Error::PreconditionFailed { condition: "If-None-Match" }));
    let store = &upload.fixture.store;
    store.delete_object(&upload.fixture.bucket, &key("object"), WriteCondition::Always).unwrap();
    let error = upload.complete_with(upload.list(), condition()).unwrap_err();
    assert_eq!(error.s3_code(), "ConditionalRequestConflict");
    upload.still_completes();
    let upload = Upload::new();
    upload.complete_with(upload.list(), condition()).unwrap();
}

#[test]
fn if_match_wants_the_object_that_was_there_before() {
    let condition = |etag: &ETag| CompleteOptions {
        condition: WriteCondition::IfMatch(etag.clone()),
        ..CompleteOptions::default()
    };
    let upload = Upload::new();
    let code =
        |etag: &ETag| upload.complete_with(upload.list(), condition(etag)).unwrap_err().s3_code();
    assert_eq!(code(&ETag::new("any")), "NoSuchKey");
    let newer = upload.fixture.put("object", b"came after Create");
    assert_eq!(code(&ETag::new("any")), "PreconditionFailed");
    assert_eq!(code(&newer.etag), "ConditionalRequestConflict");

    let fixture = Fixture::new();
    let older = fixture.put("object", b"was there before");
    let reference = fixture.create("object");
    let part = fixture.put_part(&reference, 1, b"part");
    let completed = fixture.store.complete_multipart_upload(
        &reference,
        listed([&part]),
        condition(&older.etag),
    );
    completed.unwrap();
    assert_eq!(fixture.get("object"), b"part");
}

fn with_checksum(algorithm: ChecksumAlgorithm, checksum_type: ChecksumType) -> UploadOptions {
    UploadOptions {
        checksum_algorithm: Some(algorithm),
        checksum_type: Some(checksum_type),
        ..UploadOptions::default()
    }
}

#[test]
fn full_object_checksums_are_combined_and_compared() {
    for algorithm in
        [ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc32]
    {
        let upload = Upload::with(with_checksum(algorithm, ChecksumType::FullObject));
        let whole: Vec<u8> = (1..=3).flat_map(|seed| pattern(seed, 100)).collect();
        let right = Hasher::checksum(algorithm, &whole);
        let options = |checksum: Checksum| CompleteOptions {
            checksum: Some(checksum),
            checksum_type: Some(ChecksumType::FullObject),
            ..CompleteOptions::default()
        };
        let wrong = Hasher::checksum(algorithm, b"something else");
        let error = upload.complete_with(upload.list(), options(wrong)).unwrap_err();
        assert!(
            matches!(&error, Error::BadObjectDigest { claimed, computed }
                if *claimed == wrong && **computed == right),
            "{error}"
        );
        let composite =
            CompleteOptions { checksum_type: Some(ChecksumType::Composite), ..options(right) };
        let error = upload.complete_with(upload.list(), composite).unwrap_err();
        assert!(matches!(
            error,
            Error::ChecksumTypeMismatch { expected: Some(ChecksumType::FullObject) }
        ));
        upload.complete_with(upload.list_with_checksums(), options(right)).unwrap();
        let head =
            upload.fixture.store.head_object(&upload.fixture.bucket, &key("object")).unwrap();
        assert_eq!(head.checksum, Some(ObjectChecksum::FullObject(right)));
        let parts = upload.parts.iter().map(|part| (part.checksum, part.size_bytes));
        assert_eq!(combine_full_object(parts).unwrap(), right);
    }
}

#[test]
fn composite_checksums_want_one_per_part() {
    let algorithm = ChecksumAlgorithm::Sha256;
    let upload = Upload::with(with_checksum(algorithm, ChecksumType::Composite));
    let error = upload.complete(upload.list()).unwrap_err();
    let first = part_number(1);
    assert!(
        matches!(error, Error::MissingPartChecksum { part_number: number, .. } if number == first)
    );
    let mut wrong = upload.list_with_checksums();
    wrong[2].checksum = Some(Hasher::checksum(algorithm, b"other bytes"));
    assert_eq!(upload.complete(wrong).unwrap_err().s3_code(), "InvalidPart");
    let composite =
        CompositeChecksum::from_parts(upload.parts.iter().map(|part| part.checksum)).unwrap();
    let of_parts = |count| CompleteOptions {
        checksum: Some(composite.checksum()),
        checksum_part_count: Some(count),
        ..CompleteOptions::default()
    };
    let error = upload.complete_with(upload.list_with_checksums(), of_parts(2)).unwrap_err();
    assert!(matches!(error, Error::BadObjectDigest { .. }), "{error}");
    upload.complete_with(upload.list_with_checksums(), of_parts(3)).unwrap();
    let head = upload.fixture.store.head_object(&upload.fixture.bucket, &key("object")).unwrap();
    assert_eq!(head.checksum, Some(ObjectChecksum::Composite(composite)));
    assert!(head.checksum.unwrap().to_string().ends_with("-3"));
}

#[test]
fn parts_carry_what_create_asked_for() {
    let upload = Upload::with(with_checksum(ChecksumAlgorithm::Sha256, ChecksumType::Composite));
    let info = upload.fixture.store.head_multipart_upload(&upload.upload).unwrap();
    for given in [None, Some(ChecksumAlgorithm::Crc32)] {
        let error = info.part_checksums(given).unwrap_err();
        assert_eq!(error.s3_code(), "InvalidRequest");
        let staged = stage_with(&upload.fixture.store, b"bytes", &[ChecksumAlgorithm::Crc32]);
        let given = given.and_then(|algorithm| staged.checksum(algorithm));
        let error = upload
            .fixture
            .store
            .put_part(&upload.upload, part_number(9), staged, given)
            .unwrap_err();
        assert!(matches!(error, Error::ChecksumAlgorithmMismatch { .. }), "{error}");
    }
    let pair = with_checksum(ChecksumAlgorithm::Sha256, ChecksumType::FullObject);
    let store = &upload.fixture.store;
    let error = store.create_multipart_upload(&upload.fixture.bucket, &key("x"), pair).unwrap_err();
    assert_eq!(
        error.to_string(),
        "The FULL_OBJECT checksum type cannot be used with the sha256 checksum algorithm."
    );
}

#[test]
fn by_default_there_is_a_crc64nvme_of_the_whole() {
    let upload = Upload::new();
    let info = upload.fixture.store.head_multipart_upload(&upload.upload).unwrap();
    let both = [ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Sha1];
    assert_eq!(info.part_checksums(Some(ChecksumAlgorithm::Sha1)).unwrap(), both);
    let staged = stage_with(&upload.fixture.store, &pattern(3, 100), &both);
    let sha1 = staged.checksum(ChecksumAlgorithm::Sha1).unwrap();
    let part =
        upload.fixture.store.put_part(&upload.upload, part_number(3), staged, Some(sha1)).unwrap();
    assert_eq!(part.other_checksum, Some(sha1));
    // The checksum is stored with the part, and must not be named in the list.
    let mut list = upload.list();
    list[2].checksum = Some(sha1);
    assert_eq!(upload.complete(list).unwrap_err().s3_code(), "InvalidPart");
    // Create chose no type, so Complete has no type to name; values of another algorithm are not
    // compared.
    for checksum_type in [ChecksumType::FullObject, ChecksumType::Composite] {
        let named =
            CompleteOptions { checksum_type: Some(checksum_type), ..CompleteOptions::default() };
        let error = upload.complete_with(upload.list(), named).unwrap_err();
        assert!(matches!(error, Error::ChecksumTypeMismatch { expected: None }), "{error}");
    }
    let wrong = Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, b"other");
    let options =
        |checksum| CompleteOptions { checksum: Some(checksum), ..CompleteOptions::default() };
    let error = upload.complete_with(upload.list(), options(wrong)).unwrap_err();
    assert!(matches!(error, Error::BadObjectDigest { .. }), "{error}");
    upload.complete_with(upload.list(), options(sha1)).unwrap();
    let whole: Vec<u8> = (1..=3).flat_map(|seed| pattern(seed, 100)).collect();
    let head = upload.fixture.store.head_object(&upload.fixture.bucket, &key("object")).unwrap();
    let crc = Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, &whole);
    assert_eq!(head.checksum, Some(ObjectChecksum::FullObject(crc)));
}

#[test]
fn wrong_bytes_are_refused_before_they_are_a_part() {
    let upload = Upload::new();
    let staged = stage_with(&upload.fixture.store, b"arrived", &[ChecksumAlgorithm::Crc64Nvme]);
    let sent = Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, b"was sent");
    let error = upload
        .fixture
        .store
        .put_part(&upload.upload, part_number(2), staged, Some(sent))
        .unwrap_err();
    assert!(matches!(error, Error::BadDigest { .. }));
    assert_eq!(upload.fixture.data_files().0, 3);
    upload.still_completes();
}
