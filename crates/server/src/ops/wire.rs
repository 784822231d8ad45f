//! Converts small values between the store's types and those of `s3s`: ETags, times, checksums, the
//! owner.

use std::time::{Duration, SystemTime};

use haul_parts::{Checksum, ChecksumAlgorithm, ETag};
use haul_store::ObjectChecksum;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto;

use crate::answer::refusal::Refusal;
use crate::auth::owner::{OWNER_ID, OWNER_NAME};
use crate::body::checksum_elements;

/// The characters that `encoding-type=url` leaves unescaped; not `+`, because clients decode it as
/// a space.
const KEY_LETTERS: AsciiSet =
    NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

pub(crate) fn owner() -> dto::Owner {
    dto::Owner { display_name: Some(OWNER_NAME.to_owned()), id: Some(OWNER_ID.to_owned()) }
}

pub(crate) fn initiator() -> dto::Initiator {
    dto::Initiator { display_name: Some(OWNER_NAME.to_owned()), id: Some(OWNER_ID.to_owned()) }
}

pub(crate) fn etag(etag: &ETag) -> dto::ETag {
    dto::ETag::Strong(etag.unquoted().to_owned())
}

/// Formats a time for documents in whole seconds, like AWS (`.000Z`), so that it equals
/// `Last-Modified`.
pub(crate) fn document_time(time: SystemTime) -> dto::Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())).into()
}

/// Formats a time for `Last-Modified`.
pub(crate) fn http_date(time: SystemTime) -> HeaderValue {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    let text = time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::try_from(text).expect("a date is ASCII")
}

/// Escapes a key for `encoding-type=url` and the `Location` of an object.
pub(crate) fn url_encoded(text: &str) -> String {
    utf8_percent_encode(text, &KEY_LETTERS).to_string()
}

/// Sets a response header with a name and value of this server.
pub(crate) fn set(headers: &mut HeaderMap, name: &'static str, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::try_from(value.as_ref()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Sets the headers that echo the checksum of a part or object.
pub(crate) fn set_checksum(headers: &mut HeaderMap, checksum: &Checksum) {
    set(headers, checksum.algorithm().kept_header_name(), checksum.to_base64());
}

/// Sets the headers of the checksum stored with an object.
pub(crate) fn set_object_checksum(headers: &mut HeaderMap, checksum: &ObjectChecksum) {
    set(headers, checksum.algorithm().kept_header_name(), checksum.to_string());
    set(headers, "x-amz-checksum-type", checksum.checksum_type().s3_name());
}

/// A checksum in the five fields of `s3s`'s documents. An algorithm without a field there travels
/// in that of SHA-256 ([`checksum_elements`](crate::body::checksum_elements)).
#[derive(Default)]
pub(crate) struct ChecksumFields {
    pub(crate) crc32: Option<String>,
    pub(crate) crc32c: Option<String>,
    pub(crate) crc64nvme: Option<String>,
    pub(crate) sha1: Option<String>,
    pub(crate) sha256: Option<String>,
}

impl ChecksumFields {
    pub(crate) fn new(algorithm: ChecksumAlgorithm, value: String) -> Self {
        let mut fields = Self::default();
        fields.set(algorithm, value);
        fields
    }

    pub(crate) fn of(checksum: Option<&Checksum>) -> Self {
        checksum.map_or_else(Self::default, |checksum| {
            Self::new(checksum.algorithm(), checksum.to_base64())
        })
    }

    pub(crate) fn of_object(checksum: Option<&ObjectChecksum>) -> Self {
        checksum.map_or_else(Self::default, |checksum| {
            Self::new(checksum.algorithm(), checksum.to_string())
        })
    }

    pub(crate) fn set(&mut self, algorithm: ChecksumAlgorithm, value: String) {
        match algorithm {
            ChecksumAlgorithm::Crc32 => self.crc32 = Some(value),
            ChecksumAlgorithm::Crc32c => self.crc32c = Some(value),
            ChecksumAlgorithm::Crc64Nvme => self.crc64nvme = Some(value),
            ChecksumAlgorithm::Sha1 => self.sha1 = Some(value),
            ChecksumAlgorithm::Sha256 => self.sha256 = Some(value),
            newer => self.sha256 = Some(checksum_elements::carried(newer, &value)),
        }
    }

    /// Returns the checksum of a document, which may have only one.
    pub(crate) fn read(self) -> Result<Option<Checksum>, Refusal> {
        let (algorithm, sha256) = match self.sha256 {
            Some(text) => checksum_elements::uncarried(text),
            None => (ChecksumAlgorithm::Sha256, None),
        };
        let values = [
            (ChecksumAlgorithm::Crc32, self.crc32),
            (ChecksumAlgorithm::Crc32c, self.crc32c),
            (ChecksumAlgorithm::Crc64Nvme, self.crc64nvme),
            (ChecksumAlgorithm::Sha1, self.sha1),
            (algorithm, sha256),
        ];
        let mut given =
            values.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value?)));
        let Some((algorithm, value)) = given.next() else { return Ok(None) };
        if given.next().is_some() {
            return Err(Refusal::invalid_request("Multiple checksum Types are not allowed."));
        }
        crate::body::integrity::parse(algorithm, value.as_bytes()).map(Some)
    }
}

pub(crate) fn checksum_algorithm(algorithm: ChecksumAlgorithm) -> dto::ChecksumAlgorithm {
    dto::ChecksumAlgorithm::from_static(algorithm.s3_name())
}

pub(crate) fn checksum_type(checksum_type: haul_parts::ChecksumType) -> dto::ChecksumType {
    dto::ChecksumType::from_static(checksum_type.s3_name())
}

/// Converts a length to the type of `s3s`.
pub(crate) fn length(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
