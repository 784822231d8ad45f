//! Handles server-side encryption in the headers of a request.
//!
//! This endpoint encrypts nothing. The operator may declare that its volume is encrypted: `AES256`
//! is then accepted, and every response about an object reports it, as on AWS, even if the client
//! did not request it. Otherwise requests for encryption are refused, because an error is better
//! than an object that is wrongly believed to be encrypted. Refusals have status 400, because
//! clients retry 501.

use http::{HeaderMap, StatusCode};
use s3s::dto::*;
use s3s::{S3Request, S3Response};

use crate::answer::refusal::Refusal;
use crate::ops::endpoint::{Answered, Endpoint};

const HEADER: &str = "x-amz-server-side-encryption";
/// The headers of client-provided keys, for the object and for the source of a copy.
const CUSTOMER_KEYS: [&str; 2] = [
    "x-amz-server-side-encryption-customer-",
    "x-amz-copy-source-server-side-encryption-customer-",
];
/// The headers of KMS keys.
const OF_KMS: [&str; 2] =
    ["x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-context"];
const AES256: &str = "AES256";
const KMS: [&str; 2] = ["aws:kms", "aws:kms:dsse"];

/// The operator's declaration about the volume below the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    Encrypted,
    Unknown,
}

impl Volume {
    /// Refuses a write that requests an encryption that the object would not get.
    ///
    /// # Errors
    /// `InvalidRequest`; `InvalidArgument` for an unknown method.
    pub(crate) fn check_write(self, headers: &HeaderMap) -> Result<(), Refusal> {
        check_customer_keys(headers)?;
        if let Some(name) = OF_KMS.iter().find(|name| headers.contains_key(**name)) {
            return Err(no_kms().field("Header", *name));
        }
        let Some(method) = headers.get(HEADER) else { return Ok(()) };
        self.check_method(&String::from_utf8_lossy(method.as_bytes()))
    }

    fn check_method(self, method: &str) -> Result<(), Refusal> {
        match (self, method) {
            (Self::Encrypted, AES256) => Ok(()),
            (Self::Unknown, AES256) => Err(Refusal::invalid_request(
                "This endpoint does not encrypt objects. If the volume below it is encrypted, its \
                 operator can say so with --volume-is-encrypted.",
            )
            .field("Header", HEADER)),
            (_, method) if KMS.contains(&method) => Err(no_kms().field("Header", HEADER)),
            (_, other) => Err(Refusal::invalid_argument(
                HEADER,
                other,
                "The encryption method specified is not supported",
            )),
        }
    }

    /// Marks an object, part or upload as encrypted in a response.
    pub(crate) fn announce(self, headers: &mut HeaderMap) {
        if self == Self::Encrypted {
            crate::ops::wire::set(headers, HEADER, AES256);
        }
    }
}

/// Refuses a read, or an upload of a part, that requests encryption, which is decided when the
/// object or upload is created.
///
/// # Errors
/// `InvalidRequest` for client-provided keys, `InvalidArgument` for a method.
pub(crate) fn check_read(headers: &HeaderMap) -> Result<(), Refusal> {
    check_customer_keys(headers)?;
    match headers.get(HEADER) {
        None => Ok(()),
        Some(method) => Err(Refusal::invalid_argument(
            HEADER,
            String::from_utf8_lossy(method.as_bytes()),
            "x-amz-server-side-encryption header is not supported for this operation.",
        )),
    }
}

/// Refuses client-provided keys, because no object here is encrypted with one.
///
/// # Errors
/// `InvalidRequest`.
pub(crate) fn check_customer_keys(headers: &HeaderMap) -> Result<(), Refusal> {
    let of_customer = |name: &&str| CUSTOMER_KEYS.iter().any(|prefix| name.starts_with(prefix));
    match headers.keys().map(http::HeaderName::as_str).find(of_customer) {
        Some(name) => Err(Refusal::invalid_request(
            "Encryption with keys of the client is not available at this endpoint.",
        )
        .field("Header", name)),
        None => Ok(()),
    }
}

fn no_kms() -> Refusal {
    Refusal::invalid_request("Encryption with keys of KMS is not available at this endpoint.")
}

impl Endpoint {
    pub(crate) async fn get_bucket_encryption(
        &self,
        req: S3Request<GetBucketEncryptionInput>,
    ) -> Answered<GetBucketEncryptionOutput> {
        self.existing_bucket(&req.input.bucket).await?;
        if self.volume == Volume::Unknown {
            return Err(Refusal::custom(
                "ServerSideEncryptionConfigurationNotFoundError",
                StatusCode::NOT_FOUND,
                "The server side encryption configuration was not found",
            )
            .field("BucketName", req.input.bucket));
        }
        let rule = ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
                kms_master_key_id: None,
                sse_algorithm: ServerSideEncryption::from_static(AES256),
            }),
            bucket_key_enabled: Some(false),
        };
        let configuration = ServerSideEncryptionConfiguration { rules: vec![rule] };
        Ok(S3Response::new(GetBucketEncryptionOutput {
            server_side_encryption_configuration: Some(configuration),
        }))
    }

    /// Accepts the setting that every bucket has by default.
    pub(crate) async fn put_bucket_encryption(
        &self,
        req: S3Request<PutBucketEncryptionInput>,
    ) -> Answered<PutBucketEncryptionOutput> {
        self.existing_bucket(&req.input.bucket).await?;
        let rules = req.input.server_side_encryption_configuration.rules;
        let [
            ServerSideEncryptionRule {
                apply_server_side_encryption_by_default: Some(default), ..
            },
        ] = rules.as_slice()
        else {
            return Err(Refusal::new(s3s::S3ErrorCode::MalformedXML));
        };
        if default.sse_algorithm.as_str() == AES256 && default.kms_master_key_id.is_some() {
            return Err(Refusal::with(
                s3s::S3ErrorCode::InvalidArgument,
                "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or \
                 aws:kms:dsse",
            )
            .field("ArgumentName", "ApplyServerSideEncryptionByDefault"));
        }
        self.volume.check_method(default.sse_algorithm.as_str())?;
        Ok(S3Response::new(PutBucketEncryptionOutput::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_declared_volume_takes_aes256_and_nothing_is_501() {
        for (name, value, unknown, encrypted) in [
            (HEADER, "AES256", Some("InvalidRequest"), None),
            (HEADER, "aws:kms", Some("InvalidRequest"), Some("InvalidRequest")),
            (HEADER, "aes256", Some("InvalidArgument"), Some("InvalidArgument")),
            (HEADER, "", Some("InvalidArgument"), Some("InvalidArgument")),
            (OF_KMS[0], "key", Some("InvalidRequest"), Some("InvalidRequest")),
            (
                "x-amz-server-side-encryption-customer-algorithm",
                "AES256",
                Some("InvalidRequest"),
                Some("InvalidRequest"),
            ),
            ("x-amz-server-side-encryption-bucket-key-enabled", "true", None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            for (volume, expected) in [(Volume::Unknown, unknown), (Volume::Encrypted, encrypted)] {
                let refusal = volume.check_write(&headers).err();
                assert_eq!(refusal.as_ref().map(Refusal::code), expected, "{name}: {value}");
                assert!(refusal.is_none_or(|refusal| refusal.status() == StatusCode::BAD_REQUEST));
            }
        }
    }
}
