//! Complete: turns the listed parts into an object, in one step that writes no data.
//!
//! All checks are inside the publishing transaction, so concurrent Completes, Aborts and Puts have
//! a consistent outcome. Reads precede writes, so a refused Complete leaves the upload unchanged.
//! upload unchanged.

use haul_parts::{
    Checksum, ChecksumAlgorithm, ChecksumType, CompositeChecksum, ETag, Hasher, PartNumber,
    combine_full_object,
};

use crate::meta::{
    Batch, CompletedUpload, KeyHistory, Layout, ObjectRecord, PartRecord, UploadRecord,
    upload_id_bytes,
};
use crate::{
    ChecksumOrigin, CompleteOptions, CompletedPart, DiskStore, Error, ObjectChecksum, ObjectInfo,
    Result, UploadChecksum, UploadRef, WriteCondition,
};
use haul_parts::Limits;

impl DiskStore {
    /// Publishes the listed parts as an object and ends the upload, in one step that writes no
    /// data. A repeated call with an identical list returns the same result while that version is
    /// the object.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::NoPartsListed`], [`Error::InvalidPart`],
    /// [`Error::InvalidPartOrder`], [`Error::EntityTooSmall`], [`Error::EntityTooLarge`],
    /// [`Error::ObjectSizeMismatch`], [`Error::BadDigest`], [`Error::MissingPartChecksum`],
    /// [`Error::ChecksumTypeMismatch`], [`Error::PreconditionFailed`],
    /// [`Error::ConditionalRequestConflict`], [`Error::NoSuchKey`]: each leaves the upload
    /// unchanged.
    pub fn complete_multipart_upload(
        &self,
        upload: &UploadRef,
        parts: Vec<CompletedPart>,
        options: CompleteOptions,
    ) -> Result<ObjectInfo> {
        let limits = self.inner.core.options.limits;
        let upload = upload.clone();
        self.inner.commit(None, move |batch| complete(batch, &upload, &parts, &options, &limits))
    }
}

fn complete(
    batch: &mut Batch<'_>,
    upload: &UploadRef,
    listed: &[CompletedPart],
    options: &CompleteOptions,
    limits: &Limits,
) -> Result<ObjectInfo> {
    let (sequence, record) = match batch.upload(upload) {
        Ok(found) => found,
        Err(gone @ Error::NoSuchUpload { .. }) => {
            return completed_before(batch, upload, listed)?.ok_or(gone);
        }
        Err(error) => return Err(error),
    };
    check_order(listed)?;
    check_condition(batch, upload, &options.condition, sequence, &record)?;
    let (chosen, unlisted) = choose(batch.parts_of(sequence)?, listed, upload, &record.checksum)?;
    let size_bytes = check_sizes(&chosen, limits)?;
    if let Some(given_bytes) = options.mpu_object_size_bytes.filter(|&given| given != size_bytes) {
        return Err(Error::ObjectSizeMismatch { given_bytes, computed_bytes: size_bytes });
    }
    let checksum = object_checksum(&chosen, &record.checksum)?;
    check_object_checksum(options, &checksum, record.checksum.origin)?;

    batch.retire_upload(upload, sequence)?;
    batch.release(unlisted.iter().flat_map(|part| &part.extents))?;
    let part_count = u16::try_from(chosen.len()).map_err(|_| too_many(&chosen))?;
    let object = ObjectRecord {
        version: batch.next_sequence()?,
        size_bytes,
        etag: ETag::composite(chosen.iter().map(|(_, part)| part.md5)),
        modified_ms: batch.now_ms,
        attributes: record.attributes,
        checksum: Some(checksum),
        part_count: Some(part_count),
        layout: None,
        completed: Some(CompletedUpload { upload_id: record.upload_id, list: list_digest(listed) }),
    };
    let layout = Layout {
        parts: chosen.into_iter().map(|(number, part)| part.into_layout(number.get())).collect(),
    };
    Ok(batch.publish(&upload.object.bucket, &upload.object.key, object, layout)?.info())
}

fn too_many(chosen: &[(PartNumber, PartRecord)]) -> Error {
    Error::Damaged { what: format!("an upload has {} parts", chosen.len()) }
}

/// Returns the object that an identical list completed, while it still exists.
fn completed_before(
    batch: &Batch<'_>,
    upload: &UploadRef,
    listed: &[CompletedPart],
) -> Result<Option<ObjectInfo>> {
    let Some(upload_id) = upload_id_bytes(&upload.upload_id) else { return Ok(None) };
    let wanted = CompletedUpload { upload_id, list: list_digest(listed) };
    let object = batch.object(&upload.object.bucket, &upload.object.key)?;
    Ok(object.filter(|object| object.completed == Some(wanted)).map(|object| object.info()))
}

/// Hashes numbers and ETags in order: two lists with equal digests are identical.
fn list_digest(listed: &[CompletedPart]) -> [u8; 16] {
    let mut hasher = Hasher::new(ChecksumAlgorithm::Md5);
    for part in listed {
        hasher.update(&part.number.get().to_be_bytes());
        hasher.update(part.etag.unquoted().as_bytes());
        hasher.update(&[0]);
    }
    hasher.finish().as_md5().expect("the hasher runs MD5")
}

fn check_order(listed: &[CompletedPart]) -> Result<()> {
    if listed.is_empty() {
        return Err(Error::NoPartsListed);
    }
    for pair in listed.windows(2) {
        if pair[1].number <= pair[0].number {
            return Err(Error::InvalidPartOrder { part_number: pair[1].number });
        }
    }
    // If each part has a checksum, AWS requires numbers from 1 without gaps.
    if listed.iter().all(|part| part.checksum.is_some()) {
        for (index, part) in listed.iter().enumerate() {
            if part.number.index() != index {
                return Err(Error::InvalidPartOrder { part_number: part.number });
            }
        }
    }
    Ok(())
}

/// Checks the condition as for any write; in addition, a key that changed since Create is a
/// conflict, not a failed condition.
fn check_condition(
    batch: &Batch<'_>,
    upload: &UploadRef,
    condition: &WriteCondition,
    sequence: u64,
    record: &UploadRecord,
) -> Result<()> {
    let current = batch.object(&upload.object.bucket, &upload.object.key)?;
    Batch::check_condition(condition, current.as_ref(), &upload.object.bucket, &upload.object.key)?;
    let conflict = match (condition, current) {
        (WriteCondition::IfNoneMatch, None) if record.history == KeyHistory::Deleted => {
            "If-None-Match"
        }
        (WriteCondition::IfMatch(_), Some(current)) if current.version > sequence => "If-Match",
        _ => return Ok(()),
    };
    Err(Error::ConditionalRequestConflict { condition: conflict, key: upload.object.key.clone() })
}

type Chosen = (Vec<(PartNumber, PartRecord)>, Vec<PartRecord>);

/// Splits the parts into listed and unlisted ones. Both inputs are sorted by number, so one pass
/// suffices.
fn choose(
    uploaded: Vec<(PartNumber, PartRecord)>,
    listed: &[CompletedPart],
    upload: &UploadRef,
    checksum: &UploadChecksum,
) -> Result<Chosen> {
    let mut chosen = Vec::with_capacity(listed.len());
    let mut unlisted = Vec::new();
    let mut wanted = listed.iter().peekable();
    for (number, part) in uploaded {
        if wanted.peek().is_none_or(|wanted| number < wanted.number) {
            unlisted.push(part);
        } else if let Some(entry) = wanted.next_if(|wanted| wanted.number == number) {
            check_entry(entry, &part, upload, checksum)?;
            chosen.push((number, part));
        } else {
            break;
        }
    }
    match wanted.next() {
        Some(missing) => Err(invalid_part(missing, upload)),
        None => Ok((chosen, unlisted)),
    }
}

fn check_entry(
    entry: &CompletedPart,
    part: &PartRecord,
    upload: &UploadRef,
    checksum: &UploadChecksum,
) -> Result<()> {
    if entry.etag.as_md5() != Some(part.md5) {
        return Err(invalid_part(entry, upload));
    }
    match entry.checksum {
        Some(given) if given != part.checksum => Err(invalid_part(entry, upload)),
        None if checksum.origin == ChecksumOrigin::Requested
            && checksum.checksum_type == ChecksumType::Composite =>
        {
            Err(Error::MissingPartChecksum {
                algorithm: checksum.algorithm,
                part_number: entry.number,
            })
        }
        _ => Ok(()),
    }
}

fn invalid_part(entry: &CompletedPart, upload: &UploadRef) -> Error {
    Error::InvalidPart {
        part_number: entry.number,
        etag: entry.etag.clone(),
        upload_id: upload.upload_id.clone(),
    }
}

/// Returns the size of the object. Fails if a part other than the last is too small, or the object
/// is too large.
fn check_sizes(chosen: &[(PartNumber, PartRecord)], limits: &Limits) -> Result<u64> {
    let min_bytes = limits.part_size_min_bytes;
    let all_but_last = &chosen[..chosen.len().saturating_sub(1)];
    if let Some((number, part)) = all_but_last.iter().find(|(_, part)| part.size_bytes < min_bytes)
    {
        return Err(Error::EntityTooSmall {
            part_number: *number,
            etag: ETag::from_md5(part.md5),
            size_bytes: part.size_bytes,
            min_bytes,
        });
    }
    let size_bytes = chosen.iter().map(|(_, part)| part.size_bytes).sum();
    let max_bytes = limits.object_size_max_bytes;
    if size_bytes > max_bytes {
        Err(Error::EntityTooLarge { size_bytes, max_bytes })
    } else {
        Ok(size_bytes)
    }
}

fn object_checksum(
    chosen: &[(PartNumber, PartRecord)],
    checksum: &UploadChecksum,
) -> Result<ObjectChecksum> {
    let parts = chosen.iter().map(|(_, part)| (part.checksum, part.size_bytes));
    let whole = match checksum.checksum_type {
        ChecksumType::FullObject => combine_full_object(parts).map(ObjectChecksum::FullObject),
        ChecksumType::Composite => {
            CompositeChecksum::from_parts(parts.map(|(checksum, _)| checksum))
                .map(ObjectChecksum::Composite)
        }
    };
    whole.map_err(|error| Error::Damaged { what: format!("the checksums of the parts: {error}") })
}

/// Compares the client's checksum of the whole object. `value-N` is composite; a value without `N`
/// and without a type has the default type of its algorithm. If the object has the other type, the
/// values differ, which AWS reports as `BadDigest`.
fn check_object_checksum(
    options: &CompleteOptions,
    computed: &ObjectChecksum,
    origin: ChecksumOrigin,
) -> Result<()> {
    let expected = computed.checksum_type();
    let counted = options.checksum_part_count.map(|_| ChecksumType::Composite);
    match (options.checksum_type, origin) {
        (Some(_), ChecksumOrigin::Default) => {
            return Err(Error::ChecksumTypeMismatch { expected: None });
        }
        (named, ChecksumOrigin::Requested)
            if named.or(counted).is_some_and(|given| given != expected) =>
        {
            return Err(Error::ChecksumTypeMismatch { expected: Some(expected) });
        }
        _ => {}
    }
    let Some(given) = options.checksum else { return Ok(()) };
    let (value, part_count): (Checksum, Option<u16>) = match computed {
        ObjectChecksum::FullObject(checksum) => (*checksum, None),
        ObjectChecksum::Composite(composite) => {
            (composite.checksum(), Some(composite.part_count()))
        }
    };
    if origin == ChecksumOrigin::Default && given.algorithm() != value.algorithm() {
        // If AWS chose the algorithm itself, it compares no checksum of another algorithm.
        return Ok(());
    }
    let given_type = options.checksum_type.or(counted).unwrap_or(given.algorithm().default_type());
    // A different number of parts is a mismatch, whatever precedes the dash.
    let same_count = options.checksum_part_count.is_none_or(|given| Some(given) == part_count);
    if given == value && given_type == expected && same_count {
        Ok(())
    } else {
        Err(Error::BadObjectDigest { claimed: given, computed: Box::new(value) })
    }
}
