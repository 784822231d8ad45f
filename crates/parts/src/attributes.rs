//! The attributes of an object: the headers and tags that a client sends with it and gets back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Protection;

/// The attributes of an object, as its client sent them. Stores keep them and do not interpret
/// them.
///
/// Client journals and store records hold this as JSON: a field without a value is left out, and a
/// missing field reads as no value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectAttributes {
    /// The `Content-Type` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The `Cache-Control` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// The `Content-Disposition` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// The `Content-Encoding` header, without `aws-chunked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// The `Content-Language` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// The `Expires` header, as the client sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The `x-amz-website-redirect-location` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website_redirect_location: Option<String>,
    /// The `x-amz-storage-class` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// User metadata: the `x-amz-meta-*` headers, names in lower case and without the prefix.
    // Journals up to 0.1 call this field `metadata`.
    #[serde(
        rename = "user_metadata",
        alias = "metadata",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub metadata: BTreeMap<String, String>,
    /// Tags, from `x-amz-tagging`. HeadObject and GetObject do not return them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// ACL, encryption and lock that a write requests. HeadObject and GetObject leave it empty, and
    /// so do the records of the store.
    #[serde(skip_serializing_if = "Protection::is_empty")]
    pub protection: Protection,
}

impl ObjectAttributes {
    /// Returns the first attribute that these request and that an upload begun with `begun` does
    /// not give its object, by the name of its option. An attribute that these leave open
    /// contradicts nothing, except for a customer's key, without which nothing can be sent.
    /// `own_metadata` are names of metadata that clients add by themselves.
    pub fn contradiction(&self, begun: &Self, own_metadata: &[&str]) -> Option<&'static str> {
        let other = |asked: &Option<String>, had: &Option<String>| asked.is_some() && asked != had;
        let of_user = |metadata: &BTreeMap<String, String>| {
            let mut metadata = metadata.clone();
            metadata.retain(|name, _| !own_metadata.contains(&name.as_str()));
            metadata
        };
        let (asked_metadata, had_metadata) = (of_user(&self.metadata), of_user(&begun.metadata));
        let (asked, had) = (&self.protection, &begun.protection);
        let contradictions = [
            (other(&self.content_type, &begun.content_type), "content-type"),
            (other(&self.cache_control, &begun.cache_control), "cache-control"),
            (other(&self.content_disposition, &begun.content_disposition), "content-disposition"),
            (other(&self.content_encoding, &begun.content_encoding), "content-encoding"),
            (other(&self.content_language, &begun.content_language), "content-language"),
            (other(&self.expires, &begun.expires), "expires"),
            (
                other(&self.website_redirect_location, &begun.website_redirect_location),
                "website-redirect",
            ),
            (other(&self.storage_class, &begun.storage_class), "storage-class"),
            (!asked_metadata.is_empty() && asked_metadata != had_metadata, "metadata"),
            (!self.tags.is_empty() && self.tags != begun.tags, "tag"),
            (other(&asked.acl, &had.acl), "acl"),
            (!asked.grants.is_empty() && asked.grants != had.grants, "grants"),
            (asked.customer_key_md5 != had.customer_key_md5, "sse-c-key-file"),
            (other(&asked.encryption, &had.encryption), "sse"),
            (other(&asked.kms_key_id, &had.kms_key_id), "sse-kms-key-id"),
            (other(&asked.kms_context, &had.kms_context), "sse-kms-context"),
            (asked.bucket_key.is_some() && asked.bucket_key != had.bucket_key, "bucket-key"),
            (other(&asked.lock_mode, &had.lock_mode), "object-lock-mode"),
            (other(&asked.lock_retain_until, &had.lock_retain_until), "object-lock-retain-until"),
            (other(&asked.legal_hold, &had.legal_hold), "legal-hold"),
        ];
        contradictions.iter().find(|(contradicts, _)| *contradicts).map(|(_, name)| *name)
    }

    /// Returns the first metadata name that no HTTP header can carry: an empty one, or one with a
    /// character that is no `tchar` (RFC 9110, section 5.6.2).
    pub fn impossible_name(&self) -> Option<&str> {
        let possible = |name: &str| !name.is_empty() && name.bytes().all(is_token_byte);
        self.metadata.keys().map(String::as_str).find(|name| !possible(name))
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
