//! Determines the S3 operation of a request from its method, path and query alone.

/// The operations that tests name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the S3 API")]
pub enum Kind {
    CreateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
    ListMultipartUploads,
    PutObject,
    CopyObject,
    GetObject,
    HeadObject,
    DeleteObject,
    GetBucketLifecycleConfiguration,
    /// Any other operation on a bucket, or on buckets.
    Other,
}

impl Kind {
    /// Determines the operation; `copy_source` is the `x-amz-copy-source` header.
    pub(super) fn of(method: &str, target: &str, copy_source: Option<&str>) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
        let of_object =
            path.trim_start_matches('/').split_once('/').is_some_and(|(_, key)| !key.is_empty());
        match (method, of_object) {
            ("POST", true) if has("uploads") => Self::CreateMultipartUpload,
            ("POST", true) if has("uploadId") => Self::CompleteMultipartUpload,
            ("PUT", true) if has("uploadId") && copy_source.is_some() => Self::UploadPartCopy,
            ("PUT", true) if has("uploadId") => Self::UploadPart,
            ("DELETE", true) if has("uploadId") => Self::AbortMultipartUpload,
            ("GET", true) if has("uploadId") => Self::ListParts,
            ("GET", false) if has("uploads") => Self::ListMultipartUploads,
            ("GET", false) if has("lifecycle") => Self::GetBucketLifecycleConfiguration,
            ("PUT", true) if copy_source.is_some() => Self::CopyObject,
            ("PUT", true) => Self::PutObject,
            ("GET", true) => Self::GetObject,
            ("HEAD", true) => Self::HeadObject,
            ("DELETE", true) => Self::DeleteObject,
            _ => Self::Other,
        }
    }

    /// Returns whether the operation can change the content of the store.
    #[must_use]
    pub fn changes_the_store(self) -> bool {
        !matches!(
            self,
            Self::ListParts
                | Self::ListMultipartUploads
                | Self::GetObject
                | Self::HeadObject
                | Self::GetBucketLifecycleConfiguration
                | Self::Other
        )
    }
}

/// Returns the `partNumber` of a target, if it has one.
pub(super) fn part_number(target: &str) -> Option<u32> {
    let (_, query) = target.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("partNumber="))?.parse().ok()
}
