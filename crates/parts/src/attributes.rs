//! The attributes of an object: the headers and tags that a client sends with it and gets back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
}

impl ObjectAttributes {
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
