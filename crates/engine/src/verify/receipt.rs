//! Writes and reads the receipt of an upload: a file that proves the object's content, even after
//! the store has removed the object.
//!
//! A receipt is JSON, described in `docs/formats.md`. It contains no secrets: no keys, no
//! credentials, no query of a URL. It contains its own checksum, so that a damaged receipt is not
//! mistaken for the receipt of another file.

use std::sync::Arc;

use haul_parts::{
    Bucket, Checksum, ChecksumAlgorithm, ETag, Hasher, Key, ObjectChecksum, ObjectRef, PartLayout,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HashOptions;
use super::compare::{Claim, opaque_etag};
use super::digest::digest;
use super::verdict::{Difference, Evidence, LayoutSource, Unproven, Verdict};
use crate::error::Error;
use crate::remote::ObjectDescription;
use crate::source::Source;

/// The value of `format`.
const FORMAT: &str = "haul-receipt";

/// The version that is written, and the newest that can be read.
const VERSION: u32 = 1;

/// The field with the checksum of all other fields.
const CHECKSUM_FIELD: &str = "receipt_checksum";

/// The proof of an object at the time of its upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The bucket and key of the object.
    pub object: ObjectRef,
    /// The endpoint of the object's store.
    pub endpoint: String,
    /// The version id, in a bucket with versioning.
    pub version_id: Option<String>,
    /// The ETag that the store returned.
    pub etag: ETag,
    /// The checksum that the store keeps of the whole object.
    pub checksum: Option<ObjectChecksum>,
    /// The time after the upload had ended, when the receipt was created.
    pub time: Timestamp,
    /// The parts in order; a single one for an object put in one request.
    pub parts: Vec<ReceiptPart>,
}

/// One part of the object that a receipt describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptPart {
    /// The length of the part in bytes.
    pub size_bytes: u64,
    /// The checksum that was sent with it.
    pub checksum: Option<Checksum>,
    /// The MD5 of the part, if its ETag is one.
    pub md5: Option<[u8; 16]>,
}

/// The reason why a text is not a usable receipt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The text is not a receipt.
    #[error("it is not a receipt of haul")]
    NotAReceipt,
    /// A newer Haul wrote the receipt.
    #[error("it is a receipt of version {version}; this haul reads up to version {VERSION}")]
    NewerVersion {
        /// The version of the receipt.
        version: u64,
    },
    /// The content of the receipt is not what was written.
    #[error("the receipt is damaged: its own checksum does not match")]
    Damaged,
    /// The checksum of the receipt matches, but a field contains an impossible value.
    #[error("the receipt holds an impossible value: {detail}")]
    Impossible {
        /// The field and its value.
        detail: String,
    },
}

#[derive(Serialize, Deserialize)]
struct ReceiptRecord {
    format: String,
    version: u32,
    bucket: String,
    key: String,
    endpoint: String,
    version_id: Option<String>,
    etag: String,
    size_bytes: u64,
    checksum: Option<ChecksumRecord>,
    /// RFC 3339, in UTC.
    time: String,
    parts: Vec<PartRecord>,
    /// See [`CHECKSUM_FIELD`].
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_checksum: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PartRecord {
    part_number: u32,
    size_bytes: u64,
    checksum: Option<ChecksumRecord>,
    /// In base64, as in `Content-MD5`.
    md5: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ChecksumRecord {
    algorithm: ChecksumAlgorithm,
    value: String,
}

impl Receipt {
    /// Returns the length of the object in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.size_bytes).sum()
    }

    /// Returns the layout of the object; `None` if the object was put in one request.
    pub fn layout(&self) -> Option<PartLayout> {
        PartLayout::of_sizes(self.parts.iter().map(|part| part.size_bytes))
    }

    /// Formats the receipt as the text of its file.
    pub fn to_json(&self) -> String {
        let checksum = |checksum: Checksum| ChecksumRecord {
            algorithm: checksum.algorithm(),
            value: checksum.to_base64(),
        };
        let parts = self.parts.iter().zip(1..).map(|(part, part_number)| PartRecord {
            part_number,
            size_bytes: part.size_bytes,
            checksum: part.checksum.map(checksum),
            md5: part.md5.map(|md5| Checksum::from_md5(md5).to_base64()),
        });
        let mut record = ReceiptRecord {
            format: FORMAT.to_owned(),
            version: VERSION,
            bucket: self.object.bucket.as_str().to_owned(),
            key: self.object.key.as_str().to_owned(),
            endpoint: self.endpoint.clone(),
            version_id: self.version_id.clone(),
            etag: self.etag.as_given().to_owned(),
            size_bytes: self.size_bytes(),
            checksum: self.checksum.map(|checksum| ChecksumRecord {
                algorithm: checksum.algorithm(),
                value: checksum.value(),
            }),
            time: self.time.to_string(),
            parts: parts.collect(),
            receipt_checksum: None,
        };
        let value = serde_json::to_value(&record).expect("texts and numbers are JSON");
        record.receipt_checksum = Some(own_checksum(&value));
        let text = serde_json::to_string_pretty(&record).expect("texts and numbers are JSON");
        text + "\n"
    }

    /// Parses the text of a receipt.
    ///
    /// # Errors
    /// If the text is not a receipt, is damaged, or was written by a newer Haul.
    pub fn parse(text: &str) -> Result<Self, ReceiptError> {
        let mut value: Value = serde_json::from_str(text).map_err(|_| {
            // A text that names the format but is not valid JSON was truncated or overwritten.
            if text.contains(FORMAT) { ReceiptError::Damaged } else { ReceiptError::NotAReceipt }
        })?;
        let fields = value.as_object_mut().ok_or(ReceiptError::NotAReceipt)?;
        let Some(Value::String(recorded)) = fields.remove(CHECKSUM_FIELD) else {
            let is_ours = fields.get("format").is_some_and(|format| format == FORMAT);
            return Err(if is_ours { ReceiptError::Damaged } else { ReceiptError::NotAReceipt });
        };
        if own_checksum(&value) != recorded {
            return Err(ReceiptError::Damaged);
        }
        match (value["format"].as_str(), value["version"].as_u64()) {
            (Some(FORMAT), Some(version)) if version <= u64::from(VERSION) => {}
            (Some(FORMAT), Some(version)) => return Err(ReceiptError::NewerVersion { version }),
            _ => return Err(ReceiptError::NotAReceipt),
        }
        let impossible = |detail: String| ReceiptError::Impossible { detail };
        let record: ReceiptRecord =
            serde_json::from_value(value).map_err(|error| impossible(error.to_string()))?;
        Self::of_record(record).map_err(impossible)
    }

    fn of_record(record: ReceiptRecord) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let checksum = match &record.checksum {
            Some(ChecksumRecord { algorithm, value }) => Some(
                ObjectChecksum::parse(*algorithm, value)
                    .ok_or_else(|| format!("{algorithm} value {value:?}"))?,
            ),
            None => None,
        };
        let mut parts = Vec::with_capacity(record.parts.len());
        for (part, number) in record.parts.iter().zip(1..) {
            if part.part_number != number {
                return Err(format!("part {} in place of {number}", part.part_number));
            }
            let checksum = part.checksum.as_ref();
            let checksum = checksum.map(|one| Checksum::from_base64(one.algorithm, &one.value));
            let md5 = part.md5.as_ref();
            let md5 = md5.map(|md5| Checksum::from_base64(ChecksumAlgorithm::Md5, md5));
            parts.push(ReceiptPart {
                size_bytes: part.size_bytes,
                checksum: checksum.transpose().map_err(|error| text(&error))?,
                md5: md5.transpose().map_err(|error| text(&error))?.and_then(|md5| md5.as_md5()),
            });
        }
        let layout = PartLayout::of_sizes(parts.iter().map(|part| part.size_bytes));
        if layout.map(|layout| layout.size_bytes()) != Some(record.size_bytes) {
            return Err(format!("parts that do not make {} bytes", record.size_bytes));
        }
        Ok(Self {
            object: ObjectRef {
                bucket: Bucket::name_or_arn(&record.bucket).map_err(|error| text(&error))?,
                key: Key::new(record.key).map_err(|error| text(&error))?,
            },
            endpoint: record.endpoint,
            version_id: record.version_id,
            etag: ETag::new(record.etag),
            checksum,
            time: record.time.parse().map_err(|_| format!("time {:?}", record.time))?,
            parts,
        })
    }

    /// Compares local bytes with the receipt, without any request.
    ///
    /// # Errors
    /// If the source cannot be read, or changes meanwhile.
    pub async fn verify_source(
        &self,
        source: Arc<dyn Source>,
        options: HashOptions,
    ) -> Result<Verdict, Error> {
        let (local_bytes, object_bytes) = (source.size_bytes(), self.size_bytes());
        if local_bytes != object_bytes {
            return Ok(Verdict::Different(Difference::Size { local_bytes, object_bytes }));
        }
        let (Some(layout), Some(expected)) = (self.layout(), self.part_values()) else {
            return Ok(Verdict::Unproven(Unproven::NothingToCompare));
        };
        let algorithm = expected.first().map_or(ChecksumAlgorithm::Md5, Checksum::algorithm);
        let found = digest(source, vec![(layout.clone(), algorithm)], options).await?;
        let found = found.first().map(|parts| &parts.checksums[..]).unwrap_or_default();
        let numbered = (1..).zip(expected.iter().zip(found));
        let numbers: Vec<u32> = numbered
            .filter(|(_, (expected, found))| expected != found)
            .map(|(number, _)| number)
            .collect();
        Ok(if numbers.is_empty() {
            Verdict::Same(Evidence::PartChecksums(algorithm))
        } else {
            let part_count = layout.part_count();
            Verdict::Different(Difference::Parts { numbers, part_count })
        })
    }

    /// Compares an object, as its store describes it, with the receipt.
    pub fn verify_object(&self, object: &ObjectRef, description: &ObjectDescription) -> Verdict {
        let head = &description.head;
        let (local_bytes, object_bytes) = (self.size_bytes(), head.size_bytes);
        if local_bytes != object_bytes {
            return Verdict::Different(Difference::Size { local_bytes, object_bytes });
        }
        if head.etag.is_strong() && head.etag == self.etag {
            return Verdict::Same(Evidence::ETag);
        }
        let judged = |is_same: bool, compared: Evidence, local: String, object: String| {
            if is_same {
                Verdict::Same(compared)
            } else {
                Verdict::Different(Difference::Value { compared, local, object })
            }
        };
        if let (Some(ObjectChecksum::FullObject(ours)), Some(ObjectChecksum::FullObject(theirs))) =
            (self.checksum, description.checksum)
            && ours.algorithm() == theirs.algorithm()
        {
            let compared = Evidence::FullObjectChecksum(ours.algorithm());
            return judged(ours == theirs, compared, ours.to_base64(), theirs.to_base64());
        }
        let layout = self.layout().unwrap_or(PartLayout::one_part(object_bytes));
        if let Some(ObjectChecksum::Composite(theirs)) = description.checksum
            && self.checksum == description.checksum
        {
            let algorithm = theirs.checksum().algorithm();
            let source = LayoutSource::Receipt;
            return Verdict::Same(Evidence::CompositeChecksum { algorithm, layout, source });
        }
        let one_piece = match (&self.parts[..], Claim::of(description)) {
            ([part], Claim::Md5(theirs)) => part.md5.map(|ours| (ours, theirs)),
            _ => None,
        };
        match (one_piece, opaque_etag(object, description)) {
            (Some((ours, theirs)), None) => judged(
                ours == theirs,
                Evidence::Md5,
                ETag::from_md5(ours).unquoted().to_owned(),
                head.etag.unquoted().to_owned(),
            ),
            (_, Some(why)) => Verdict::Unproven(why),
            (None, None) => Verdict::Unproven(Unproven::NotInReceipt),
        }
    }

    /// Returns the checksums of all parts if they have one algorithm, otherwise their MD5s.
    fn part_values(&self) -> Option<Vec<Checksum>> {
        let checksums: Option<Vec<_>> = self.parts.iter().map(|part| part.checksum).collect();
        let of_one_algorithm = |values: &Vec<Checksum>| {
            values.iter().all(|value| value.algorithm() == values[0].algorithm())
        };
        checksums
            .filter(|values| !values.is_empty())
            .filter(of_one_algorithm)
            .or_else(|| self.parts.iter().map(|part| part.md5.map(Checksum::from_md5)).collect())
    }
}

/// Adds the checksum to the fields of a receipt, for fuzzing.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn sealed(fields: &[u8]) -> Option<String> {
    let mut value: Value = serde_json::from_slice(fields).ok()?;
    let own = own_checksum(&value);
    value.as_object_mut()?.insert(CHECKSUM_FIELD.to_owned(), Value::String(own));
    Some(value.to_string())
}

/// Returns the SHA-256 of the fields, sorted by name and without whitespace.
fn own_checksum(value: &Value) -> String {
    let text = sorted(value).to_string();
    Hasher::checksum(ChecksumAlgorithm::Sha256, text.as_bytes()).to_base64()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(entries) => entries.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<_> =
                fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(fields.into_iter().collect())
        }
        other => other.clone(),
    }
}
