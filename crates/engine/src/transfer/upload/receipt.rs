//! The receipt of a finished upload: the proof of its parts, and the store's description of the
//! object.

use haul_parts::{Checksum, ETag, ObjectChecksum};
use jiff::Timestamp;

use super::UploadReport;
use crate::remote::ObjectDescription;
use crate::transfer::mover::SentPart;
use crate::verify::receipt::{Receipt, ReceiptPart};

/// A part of a finished upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedPart {
    /// The length of the part in bytes.
    pub size_bytes: u64,
    /// The ETag that the store returned.
    pub etag: ETag,
    /// The checksum that was sent with it.
    pub checksum: Option<Checksum>,
}

impl From<&SentPart> for ReportedPart {
    fn from(part: &SentPart) -> Self {
        Self { size_bytes: part.size_bytes, etag: part.etag.clone(), checksum: part.checksum }
    }
}

impl UploadReport {
    /// Creates the receipt of this upload. `described` is the object as the store describes it
    /// after the upload; if it is missing, or if it is another version by now, the receipt has
    /// neither version id nor MD5s.
    pub fn receipt(
        &self,
        described: Option<&ObjectDescription>,
        endpoint: String,
        time: Timestamp,
    ) -> Receipt {
        let ours = described.filter(|found| {
            found.head.size_bytes == self.size_bytes
                && found.head.etag.opaque() == self.etag.opaque()
        });
        let plain_etags = ours.is_some_and(|found| !found.encryption.makes_etag_opaque());
        let parts = self.parts.iter().map(|part| ReceiptPart {
            size_bytes: part.size_bytes,
            checksum: part.checksum,
            md5: part.etag.as_md5().filter(|_| plain_etags),
        });
        Receipt {
            object: self.object.clone(),
            endpoint,
            version_id: ours.and_then(|found| found.version_id.clone()),
            etag: self.etag.clone(),
            checksum: ours
                .and_then(|found| found.checksum)
                .or_else(|| self.checksum.map(ObjectChecksum::FullObject)),
            time,
            parts: parts.collect(),
        }
    }
}
