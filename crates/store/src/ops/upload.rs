//! Creates, finds and aborts uploads.

use haul_parts::{Bucket, ChecksumAlgorithm, Key};

use crate::meta::{KeyHistory, UploadRecord, upload_id_text};
use crate::{
    ChecksumOrigin, DiskStore, Error, Result, UploadChecksum, UploadInfo, UploadOptions, UploadRef,
};

impl DiskStore {
    /// Creates an upload. Its id cannot be guessed.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::ChecksumPair`].
    pub fn create_multipart_upload(
        &self,
        bucket: &Bucket,
        key: &Key,
        options: UploadOptions,
    ) -> Result<UploadInfo> {
        let checksum = upload_checksum(&options)?;
        let upload_id = rand::random::<[u8; 16]>();
        let upload = UploadRef::new(bucket.clone(), key.clone(), upload_id_text(upload_id));
        self.inner.commit(None, move |batch| {
            batch.bucket(&upload.object.bucket)?;
            let record = UploadRecord {
                upload_id,
                initiated_ms: batch.now_ms,
                attributes: options.attributes,
                checksum,
                history: KeyHistory::NotDeleted,
            };
            let sequence = batch.next_sequence()?;
            batch.put_upload(&upload.object.bucket, &upload.object.key, sequence, &record)?;
            Ok(record.info(upload))
        })
    }

    /// Returns the description of an open upload.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::NoSuchBucket`].
    pub fn head_multipart_upload(&self, upload: &UploadRef) -> Result<UploadInfo> {
        let (_, record) = self.inner.core.snapshot()?.upload(upload)?;
        Ok(record.info(upload.clone()))
    }

    /// Aborts an upload and releases its parts. Parts still in flight are refused when they arrive.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`].
    pub fn abort_multipart_upload(&self, upload: &UploadRef) -> Result<()> {
        let upload = upload.clone();
        self.inner.commit_removal(move |batch| {
            let (sequence, _) = batch.upload(&upload)?;
            batch.abort_upload(&upload, sequence)
        })
    }
}

fn upload_checksum(options: &UploadOptions) -> Result<UploadChecksum> {
    let origin = match options.checksum_algorithm {
        Some(_) => ChecksumOrigin::Requested,
        None => ChecksumOrigin::Default,
    };
    let algorithm = options.checksum_algorithm.unwrap_or(ChecksumAlgorithm::Crc64Nvme);
    let checksum_type = options.checksum_type.unwrap_or(algorithm.default_type());
    if !algorithm.supports(checksum_type) {
        return Err(Error::ChecksumPair { algorithm, checksum_type });
    }
    Ok(UploadChecksum { algorithm, checksum_type, origin })
}
