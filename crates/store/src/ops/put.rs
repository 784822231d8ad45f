//! Puts an object in one piece.

use haul_parts::{Bucket, ChecksumAlgorithm, Key};

use crate::meta::{Batch, Extent, Layout, LayoutPart, ObjectRecord};
use crate::{
    DiskStore, ObjectChecksum, ObjectInfo, PartWriter, PutOptions, Result, StagedPart, WriteOptions,
};

impl DiskStore {
    /// Starts to write the bytes of a part or an object; they are invisible until they are put.
    ///
    /// # Errors
    /// [`StorageFull`](crate::Error::StorageFull) if the size hint does not fit,
    /// [`EntityTooLarge`](crate::Error::EntityTooLarge),
    /// [`ReadOnlyAfterSyncFailure`](crate::Error::ReadOnlyAfterSyncFailure).
    pub fn begin_part(&self, options: WriteOptions) -> Result<PartWriter> {
        PartWriter::new(self.inner.clone(), options)
    }

    /// Publishes staged bytes as an object. Durable on return.
    ///
    /// # Errors
    /// [`NoSuchBucket`](crate::Error::NoSuchBucket), [`BadDigest`](crate::Error::BadDigest),
    /// [`PreconditionFailed`](crate::Error::PreconditionFailed); for `If-Match` on a key without an
    /// object [`NoSuchKey`](crate::Error::NoSuchKey).
    pub fn put_object(
        &self,
        bucket: &Bucket,
        key: &Key,
        part: StagedPart,
        options: PutOptions,
    ) -> Result<ObjectInfo> {
        part.check(options.checksum.as_ref())?;
        let checksum = options.checksum.or_else(|| part.checksum(ChecksumAlgorithm::Crc64Nvme));
        let layout = Layout {
            parts: vec![LayoutPart {
                number: 1,
                size_bytes: part.size_bytes(),
                md5: part.md5(),
                checksum,
                extents: part.extents(),
            }],
        };
        let (bucket, key) = (bucket.clone(), key.clone());
        let result = self
            .inner
            .commit(part.folder(), move |batch| put(batch, &bucket, &key, layout, options));
        part.settle(result)
    }
}

fn put(
    batch: &mut Batch<'_>,
    bucket: &Bucket,
    key: &Key,
    layout: Layout,
    options: PutOptions,
) -> Result<ObjectInfo> {
    batch.bucket(bucket)?;
    let current = batch.object(bucket, key)?;
    Batch::check_condition(&options.condition, current.as_ref(), bucket, key)?;

    let part = &layout.parts[0];
    for &Extent { file, size_bytes, .. } in &part.extents {
        batch.add_file(file, size_bytes, part.md5)?;
    }
    let record = ObjectRecord {
        version: batch.next_sequence()?,
        size_bytes: part.size_bytes,
        etag: haul_parts::ETag::from_md5(part.md5),
        modified_ms: batch.now_ms,
        attributes: options.attributes,
        checksum: part.checksum.map(ObjectChecksum::FullObject),
        part_count: None,
        layout: None,
        completed: None,
    };
    Ok(batch.publish(bucket, key, record, layout)?.info())
}
