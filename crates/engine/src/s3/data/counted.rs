//! One UploadPart that is built and signed and never sent, for counting instructions.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_async::time::TimeSource;
use bytes::Bytes;
use haul_parts::{Checksum, ChecksumAlgorithm, Hasher, PartNumber, UploadId};

use super::address::Address;
use super::request::DataRequest;
use super::sign::signed;
use crate::body::{Meter, Payload};
use crate::remote::{PartRequest, UploadRef};
use crate::s3::transport::Origin;

/// The parts of an upload to a store with an address, a key pair and a time that never change.
#[derive(Debug)]
pub struct PartToSign {
    address: Address,
    credentials: Credentials,
    upload: UploadRef,
    bytes: Bytes,
    checksum: Checksum,
}

/// 14 November 2023, 22:13:20 UTC.
#[derive(Debug)]
struct ThatDay;

impl TimeSource for ThatDay {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }
}

impl PartToSign {
    /// Creates the upload; its parts are short, because their bytes are not signed.
    pub fn new() -> Self {
        let uri = "https://bucket.s3.eu-central-1.amazonaws.com".parse().expect("a URL");
        let bytes = Bytes::from_static(b"the bytes of a part");
        let upload_id = "2~VmlkZW8gb2YgYSBsb25nIG5pZ2h0IGFuZCBpdHMgbW9ybmluZw";
        Self {
            address: Address {
                origin: Origin::of(&uri).expect("a URL has an origin"),
                path: "/videos/2026/a%20long%20night.mov".to_owned(),
                region: "eu-central-1".to_owned(),
                service: "s3".to_owned(),
            },
            credentials: Credentials::new("AKIDEXAMPLE", "a secret", None, None, "fixed"),
            upload: UploadRef {
                object: "s3://bucket/videos/2026/a long night.mov".parse().expect("a name"),
                upload_id: UploadId::new(upload_id).expect("an id"),
            },
            checksum: Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, &bytes),
            bytes,
        }
    }

    /// Builds and signs the request of one part. Returns the number of its headers.
    pub fn sign(&self, number: PartNumber) -> usize {
        let part = PartRequest {
            number,
            payload: Payload::from_bytes(self.bytes.clone()),
            checksum: Some(self.checksum),
            fresh_connection: false,
            wire: Meter::default(),
        };
        let request = DataRequest::upload_part(&self.upload, part);
        let signed = signed(&self.address, request, &self.credentials, &ThatDay);
        signed.expect("a plain request can be signed").headers().len()
    }
}

impl Default for PartToSign {
    fn default() -> Self {
        Self::new()
    }
}
