//! Copies objects, and uses objects as parts: files are shared, and bytes are read only to compute
//! a hash.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use haul_parts::{Bucket, Checksum, ChecksumAlgorithm, Key, MultiHasher, PartNumber};

use crate::meta::{Batch, Extent, Layout, ObjectRecord, PartRecord};
use crate::reader::cut;
use crate::{
    CopyOptions, CopySource, DiskStore, Error, MetadataDirective, ObjectInfo, ObjectReader,
    PartInfo, Result, UploadRef,
};

/// The number of bytes per read while hashing a source.
const READ_BYTES: usize = 256 << 10;
/// The maximum number of attempts if the source is replaced while it is hashed.
const ATTEMPTS_MAX: usize = 3;

impl DiskStore {
    /// Copies an object without reading or writing its bytes: both share the files. The copy keeps
    /// ETag, checksum and parts of its source. A copy onto itself replaces the attributes.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchKey`], [`Error::SourceChanged`],
    /// [`Error::PreconditionFailed`].
    pub fn copy_object(
        &self,
        source: CopySource,
        bucket: &Bucket,
        key: &Key,
        options: CopyOptions,
    ) -> Result<ObjectInfo> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.inner.commit(None, move |batch| copy(batch, &source, &bucket, &key, options))
    }

    /// Makes an object, or a range of one, a part of an upload. The files are shared; bytes are
    /// read only if their MD5 or checksum is not known yet.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::NoSuchKey`], [`Error::SourceChanged`],
    /// [`Error::InvalidCopyRange`], [`Error::EntityTooLarge`].
    pub fn upload_part_copy(
        &self,
        upload: &UploadRef,
        part_number: PartNumber,
        source: CopySource,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<PartInfo> {
        let source = Arc::new(source);
        let range = range.map(RangeInclusive::into_inner);
        let mut attempt = 1;
        loop {
            match self.try_part_copy(upload, part_number, &source, range) {
                // The caller requested no specific version, so the new one is acceptable.
                Err(Error::SourceChanged { .. })
                    if source.version.is_none() && attempt < ATTEMPTS_MAX =>
                {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    fn try_part_copy(
        &self,
        upload: &UploadRef,
        part_number: PartNumber,
        source: &Arc<CopySource>,
        range: Option<(u64, u64)>,
    ) -> Result<PartInfo> {
        let core = &self.inner.core;
        let algorithm = self.head_multipart_upload(upload)?.checksum.algorithm;
        let opening = core.reaper.opening();
        let snapshot = core.snapshot()?;
        let object = snapshot.object(&source.bucket, &source.key)?;
        check_version(source, &object)?;
        let layout = snapshot.layout(&object)?;
        drop(snapshot);

        let range = copy_range(range, object.size_bytes)?;
        let size_bytes = range.end - range.start;
        let max_bytes = core.options.limits.part_size_max_bytes;
        if size_bytes > max_bytes {
            return Err(Error::EntityTooLarge { size_bytes, max_bytes });
        }
        let extents = cut(layout.extents(), &range);
        let hold = opening.hold(extents.iter().map(|extent| extent.file));
        let shared: Vec<Extent> = extents.iter().copied().collect();
        let reader =
            ObjectReader::new(self.inner.clone(), object.info(), range.clone(), extents, hold);
        let (md5, checksum) = match known_hashes(&layout, &range, algorithm) {
            Some(known) => known,
            None => hash(reader, algorithm)?,
        };

        let mut record = PartRecord {
            size_bytes,
            md5,
            modified_ms: 0,
            checksum,
            other_checksum: None,
            extents: shared,
        };
        let (upload, source) = (upload.clone(), Arc::clone(source));
        self.inner.commit(None, move |batch| {
            let (sequence, _) = batch.upload(&upload)?;
            for extent in &record.extents {
                if !batch.has_file(extent.file)? {
                    return Err(changed(&source));
                }
            }
            record.modified_ms = batch.now_ms;
            batch.share(&record.extents)?;
            batch.put_part(sequence, part_number, &record)?;
            Ok(record.info(part_number))
        })
    }
}

fn copy(
    batch: &mut Batch<'_>,
    source: &CopySource,
    bucket: &Bucket,
    key: &Key,
    options: CopyOptions,
) -> Result<ObjectInfo> {
    batch.bucket(&source.bucket)?;
    let object = batch.object(&source.bucket, &source.key)?.ok_or_else(|| Error::NoSuchKey {
        bucket: source.bucket.clone(),
        key: source.key.clone(),
    })?;
    check_version(source, &object)?;
    batch.bucket(bucket)?;
    let current = batch.object(bucket, key)?;
    Batch::check_condition(&options.condition, current.as_ref(), bucket, key)?;

    let layout = batch.layout(&object)?;
    // Share before the previous object of the key is removed: a copy onto itself would lose its
    // files.
    batch.share(layout.extents())?;
    let record = ObjectRecord {
        version: batch.next_sequence()?,
        modified_ms: batch.now_ms,
        attributes: match options.metadata {
            MetadataDirective::Copy => object.attributes.clone(),
            MetadataDirective::Replace(attributes) => *attributes,
        },
        layout: None,
        completed: None,
        ..object
    };
    Ok(batch.publish(bucket, key, record, layout)?.info())
}

fn check_version(source: &CopySource, object: &ObjectRecord) -> Result<()> {
    match source.version {
        Some(version) if version.0 != object.version => Err(changed(source)),
        _ => Ok(()),
    }
}

fn changed(source: &CopySource) -> Error {
    Error::SourceChanged { bucket: source.bucket.clone(), key: source.key.clone() }
}

/// Converts a range of first and last byte, and checks it against the size.
fn copy_range(range: Option<(u64, u64)>, size_bytes: u64) -> Result<Range<u64>> {
    let Some((first, last)) = range else { return Ok(0..size_bytes) };
    if first > last || last >= size_bytes {
        return Err(Error::InvalidCopyRange { size_bytes });
    }
    Ok(first..last + 1)
}

/// Returns the stored MD5 and checksum of a range that is exactly one part.
fn known_hashes(
    layout: &Layout,
    range: &Range<u64>,
    algorithm: ChecksumAlgorithm,
) -> Option<([u8; 16], Checksum)> {
    let mut begin = 0;
    for part in &layout.parts {
        let end = begin + part.size_bytes;
        if (begin..end) == *range {
            let checksum = part.checksum.filter(|checksum| checksum.algorithm() == algorithm)?;
            return Some((part.md5, checksum));
        }
        begin = end;
    }
    None
}

fn hash(mut reader: ObjectReader, algorithm: ChecksumAlgorithm) -> Result<([u8; 16], Checksum)> {
    let mut hasher = MultiHasher::new([ChecksumAlgorithm::Md5, algorithm]);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    let hashes = hasher.finish();
    let md5 = hashes[0].as_md5().expect("MD5 is the first algorithm of this hasher");
    // If MD5 is the requested algorithm, there is only one hash.
    Ok((md5, hashes[hashes.len() - 1]))
}
