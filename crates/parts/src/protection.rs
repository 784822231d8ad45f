//! The protection of an object: who may access it, how the store encrypts it, and how long it must
//! stay.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The protection that a write requests for its object.
///
/// Client journals hold this as JSON: a field without a value is left out. It contains no secret:
/// of a customer's key only the MD5 is here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Protection {
    /// The canned ACL (`x-amz-acl`), such as `bucket-owner-full-control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<String>,
    /// Grantees by permission, in the form of the `x-amz-grant-*` headers: `id="…", uri="…"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub grants: BTreeMap<GrantPermission, String>,
    /// `x-amz-server-side-encryption`: `AES256`, `aws:kms` or `aws:kms:dsse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
    /// The id or ARN of the KMS key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// The KMS encryption context: JSON in base64, as in the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_context: Option<String>,
    /// Whether to use a bucket key between the object and KMS; `None`: as the bucket is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_key: Option<bool>,
    /// The MD5 of the customer's key (SSE-C), in base64. The store connection has the key itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_key_md5: Option<String>,
    /// The mode of the object lock: `GOVERNANCE` or `COMPLIANCE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_mode: Option<String>,
    /// The end of the retention, in the format of RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_retain_until: Option<String>,
    /// The legal hold: `ON` or `OFF`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<String>,
}

/// A permission that a grant gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantPermission {
    /// Everything below.
    FullControl,
    /// Read the object and its metadata.
    Read,
    /// Read the ACL.
    ReadAcp,
    /// Write the ACL.
    WriteAcp,
}

impl GrantPermission {
    /// Returns the name of the header.
    pub const fn header_name(self) -> &'static str {
        match self {
            Self::FullControl => "x-amz-grant-full-control",
            Self::Read => "x-amz-grant-read",
            Self::ReadAcp => "x-amz-grant-read-acp",
            Self::WriteAcp => "x-amz-grant-write-acp",
        }
    }
}

impl Protection {
    /// Returns true if nothing is requested.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the headers of PutObject, CopyObject and CreateMultipartUpload, without those of a
    /// customer's key. UploadPart and Complete have none of them.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let bucket_key = self.bucket_key.map(|enabled| enabled.to_string());
        let fixed = [
            ("x-amz-acl", &self.acl),
            ("x-amz-server-side-encryption", &self.encryption),
            ("x-amz-server-side-encryption-aws-kms-key-id", &self.kms_key_id),
            ("x-amz-server-side-encryption-context", &self.kms_context),
            ("x-amz-server-side-encryption-bucket-key-enabled", &bucket_key),
            ("x-amz-object-lock-mode", &self.lock_mode),
            ("x-amz-object-lock-retain-until-date", &self.lock_retain_until),
            ("x-amz-object-lock-legal-hold", &self.legal_hold),
        ];
        let grants = self.grants.iter();
        let grants =
            grants.map(|(permission, grantees)| (permission.header_name(), grantees.clone()));
        let fixed = fixed.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        fixed.chain(grants).collect()
    }
}
