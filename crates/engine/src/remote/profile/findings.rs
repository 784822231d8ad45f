//! What a probe of one store found. It takes precedence over the table, because it is measured at
//! that store, at its release.

use std::collections::BTreeMap;

use haul_parts::ChecksumAlgorithm;
use serde::{Deserialize, Serialize};

use super::{Conditions, StoreKind, StoreProfile, Support};

/// The result of probing one store; [`Support::Unknown`] or `None` where it was not tested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreFindings {
    /// The kind that the answers named; [`StoreKind::Generic`] if they named none.
    pub kind: StoreKind,
    /// Whether all parts but the last must have the same size.
    pub equal_parts: Option<bool>,
    /// Checksums in a header: verified, ignored or refused.
    pub checksums: BTreeMap<ChecksumAlgorithm, Support>,
    /// HeadObject and GetObject with `x-amz-checksum-mode`.
    pub checksum_mode: Support,
    /// The checksum in an unsigned trailer.
    pub trailers: Support,
    /// Conditions on PutObject.
    pub on_put: Conditions,
    /// Conditions on CompleteMultipartUpload.
    pub on_complete: Conditions,
    /// The support for UploadPartCopy, also of a range.
    pub upload_part_copy: Support,
    /// ListMultipartUploads by a prefix.
    pub list_multipart_uploads: Support,
    /// Lifecycle rules with AbortIncompleteMultipartUpload.
    pub lifecycle_abort: Support,
    /// The support for GetObjectAttributes.
    pub get_object_attributes: Support,
    /// HeadObject with `partNumber`.
    pub part_number_head: Support,
}

impl StoreProfile {
    /// Returns the profile with the values that a probe found in place of those of the table.
    #[must_use]
    pub fn refined_by(mut self, found: &StoreFindings) -> Self {
        if let Some(equal_parts) = found.equal_parts {
            self.limits.equal_parts = equal_parts;
        }
        for (algorithm, support) in &found.checksums {
            let support = support.or(self.checksums.of(*algorithm));
            self.checksums = self.checksums.with(support, &[*algorithm]);
        }
        Self {
            checksum_mode: found.checksum_mode.or(self.checksum_mode),
            trailers: found.trailers.or(self.trailers),
            on_put: found.on_put.or(self.on_put),
            on_complete: found.on_complete.or(self.on_complete),
            upload_part_copy: found.upload_part_copy.or(self.upload_part_copy),
            list_multipart_uploads: found.list_multipart_uploads.or(self.list_multipart_uploads),
            lifecycle_abort: found.lifecycle_abort.or(self.lifecycle_abort),
            get_object_attributes: found.get_object_attributes.or(self.get_object_attributes),
            part_number_head: found.part_number_head.or(self.part_number_head),
            ..self
        }
    }
}
