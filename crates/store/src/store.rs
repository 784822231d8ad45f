//! The store: what the server calls.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use haul_parts::{Bucket, Checksum, Key, PartNumber, UploadId};

use crate::*;

/// A store on one folder. Cheap to clone; the folder is let go when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Store {}

#[allow(unused_variables, clippy::needless_pass_by_value)] // the public shape; the bodies follow file by file
impl Store {
    /// Opens the store in a folder, which is made when it does not exist: locks it, recovers, removes orphaned files.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process (or this one) holds it, [`Error::FormatTooNew`], or what the disk says.
    pub fn open(dir: impl AsRef<Path>, options: StoreOptions) -> Result<Self> {
        Err(Error::Closed)
    }

    /// Creates a bucket.
    ///
    /// # Errors
    /// [`Error::BucketAlreadyExists`].
    pub fn create_bucket(&self, bucket: &Bucket) -> Result<BucketInfo> {
        Err(Error::Closed)
    }

    /// Tells of a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn head_bucket(&self, bucket: &Bucket) -> Result<BucketInfo> {
        Err(Error::Closed)
    }

    /// Deletes a bucket without objects. Open uploads do not stand in the way: they go with it.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::BucketNotEmpty`].
    pub fn delete_bucket(&self, bucket: &Bucket) -> Result<()> {
        Err(Error::Closed)
    }

    /// All buckets by name.
    ///
    /// # Errors
    /// What the disk says.
    pub fn list_buckets(&self) -> Result<Vec<BucketInfo>> {
        Err(Error::Closed)
    }

    /// Begins to take the bytes of a part or of an object; nothing of it is visible until it is put.
    ///
    /// # Errors
    /// [`Error::StorageFull`] when the hint does not fit, [`Error::EntityTooLarge`], [`Error::ReadOnlyAfterSyncFailure`].
    pub fn begin_part(&self, options: WriteOptions) -> Result<PartWriter> {
        Err(Error::Closed)
    }

    /// Publishes staged bytes as an object. It is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::BadDigest`], [`Error::PreconditionFailed`]; for `If-Match` on a key without an
    /// object [`Error::NoSuchKey`].
    pub fn put_object(
        &self,
        bucket: &Bucket,
        key: &Key,
        part: StagedPart,
        options: PutOptions,
    ) -> Result<ObjectInfo> {
        Err(Error::Closed)
    }

    /// Tells of an object.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchKey`].
    pub fn head_object(&self, bucket: &Bucket, key: &Key) -> Result<ObjectInfo> {
        Err(Error::Closed)
    }

    /// The parts of an object after a marker; at most 1,000.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchKey`].
    pub fn object_parts(
        &self,
        bucket: &Bucket,
        key: &Key,
        after: Option<PartNumber>,
        max_parts: Option<u16>,
    ) -> Result<ObjectPartPage> {
        Err(Error::Closed)
    }

    /// Opens an object for reading. Decide conditional headers on [`ObjectReader::object`].
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchKey`], [`Error::InvalidRange`], [`Error::InvalidPartNumber`].
    pub fn read_object(&self, bucket: &Bucket, key: &Key, range: ReadRange) -> Result<ObjectReader> {
        Err(Error::Closed)
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::PreconditionFailed`]; with `If-Match` [`Error::NoSuchKey`].
    pub fn delete_object(&self, bucket: &Bucket, key: &Key, condition: WriteCondition) -> Result<Deleted> {
        Err(Error::Closed)
    }

    /// Deletes several objects in one step, all or none; answers in the order of the keys.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn delete_objects(&self, bucket: &Bucket, keys: Vec<Key>) -> Result<Vec<Deleted>> {
        Err(Error::Closed)
    }

    /// Copies an object without reading or writing its bytes: both share the files. The copy keeps ETag, checksum and
    /// parts of its source. Onto itself it replaces the attributes.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchKey`], [`Error::SourceChanged`], [`Error::PreconditionFailed`].
    pub fn copy_object(
        &self,
        source: CopySource,
        bucket: &Bucket,
        key: &Key,
        options: CopyOptions,
    ) -> Result<ObjectInfo> {
        Err(Error::Closed)
    }

    /// A page of objects.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn list_objects(&self, bucket: &Bucket, what: ListObjects) -> Result<ObjectPage> {
        Err(Error::Closed)
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::ChecksumPair`].
    pub fn create_multipart_upload(
        &self,
        bucket: &Bucket,
        key: &Key,
        options: UploadOptions,
    ) -> Result<UploadInfo> {
        Err(Error::Closed)
    }

    /// Tells of an open upload.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::NoSuchBucket`].
    pub fn head_multipart_upload(&self, upload: &UploadRef) -> Result<UploadInfo> {
        Err(Error::Closed)
    }

    /// Makes staged bytes a part of an upload; a part of the same number is replaced. It is on disk when this returns.
    /// `checksum` is what the client gave with it (not Content-MD5, which the caller compares with
    /// [`StagedPart::md5`] itself).
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::BadDigest`], [`Error::ChecksumAlgorithmMismatch`].
    pub fn put_part(
        &self,
        upload: &UploadRef,
        part_number: PartNumber,
        part: StagedPart,
        checksum: Option<Checksum>,
    ) -> Result<PartInfo> {
        Err(Error::Closed)
    }

    /// Makes an object, or a range of one, a part of an upload. The files are shared; bytes are read only when their MD5
    /// or checksum is not known yet.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::NoSuchKey`], [`Error::SourceChanged`], [`Error::InvalidCopyRange`].
    pub fn upload_part_copy(
        &self,
        upload: &UploadRef,
        part_number: PartNumber,
        source: CopySource,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<PartInfo> {
        Err(Error::Closed)
    }

    /// A page of the parts of an upload.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`].
    pub fn list_parts(
        &self,
        upload: &UploadRef,
        after: Option<PartNumber>,
        max_parts: Option<u16>,
    ) -> Result<PartPage> {
        Err(Error::Closed)
    }

    /// A page of the open uploads of a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::InvalidUploadIdMarker`].
    pub fn list_multipart_uploads(&self, bucket: &Bucket, what: ListUploads) -> Result<UploadPage> {
        Err(Error::Closed)
    }

    /// Publishes the listed parts as an object and ends the upload, in one step that writes no data. An identical list
    /// again answers the same while that version is the object.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::NoPartsListed`], [`Error::InvalidPart`], [`Error::InvalidPartOrder`],
    /// [`Error::EntityTooSmall`], [`Error::EntityTooLarge`], [`Error::ObjectSizeMismatch`], [`Error::BadDigest`],
    /// [`Error::MissingPartChecksum`], [`Error::ChecksumTypeMismatch`], [`Error::PreconditionFailed`],
    /// [`Error::ConditionalRequestConflict`], [`Error::NoSuchKey`]: after each the upload is as it was.
    pub fn complete_multipart_upload(
        &self,
        upload: &UploadRef,
        parts: Vec<CompletedPart>,
        options: CompleteOptions,
    ) -> Result<ObjectInfo> {
        Err(Error::Closed)
    }

    /// Ends an upload and lets go of its parts.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`].
    pub fn abort_multipart_upload(&self, upload: &UploadRef) -> Result<()> {
        Err(Error::Closed)
    }

    /// Aborts all uploads that were created longer ago than this, and says how many.
    ///
    /// # Errors
    /// What the disk says.
    pub fn expire_uploads(&self, older_than: Duration) -> Result<u64> {
        Err(Error::Closed)
    }

    /// Aborts the uploads whose time has come by the lifecycle of their bucket, and says how many.
    ///
    /// # Errors
    /// What the disk says.
    pub fn apply_lifecycles(&self) -> Result<u64> {
        Err(Error::Closed)
    }

    /// Removes files that nothing refers to, and says how many. (Opening does it too.)
    ///
    /// # Errors
    /// What the disk says.
    pub fn sweep(&self) -> Result<u64> {
        Err(Error::Closed)
    }

    /// The lifecycle of a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchSetting`].
    pub fn bucket_lifecycle(&self, bucket: &Bucket) -> Result<LifecycleConfiguration> {
        Err(Error::Closed)
    }

    /// Sets the lifecycle of a bucket; `None` removes it.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn set_bucket_lifecycle(
        &self,
        bucket: &Bucket,
        lifecycle: Option<LifecycleConfiguration>,
    ) -> Result<()> {
        Err(Error::Closed)
    }

    /// What browsers may do with a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchSetting`].
    pub fn bucket_cors(&self, bucket: &Bucket) -> Result<CorsConfiguration> {
        Err(Error::Closed)
    }

    /// Sets what browsers may do with a bucket; `None` removes it.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn set_bucket_cors(&self, bucket: &Bucket, cors: Option<CorsConfiguration>) -> Result<()> {
        Err(Error::Closed)
    }

    /// Waits until the files of everything deleted so far are gone.
    pub fn settle(&self) {}
}

/// Unused until uploads are written.
#[allow(dead_code)]
fn upload_id(text: String) -> Option<UploadId> {
    UploadId::new(text).ok()
}
