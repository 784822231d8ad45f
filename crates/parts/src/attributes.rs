//! The attributes of an object: what a client gives with it and gets back with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The attributes of an object, as its client gave them. Stores keep them and do not interpret
/// them.
///
/// Journals of the client and records of the store hold this as JSON: a field without a value is
/// left out, and a field that is missing has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectAttributes {
    /// `Content-Type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Content-Encoding`, without `aws-chunked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Expires`, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// `x-amz-website-redirect-location`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website_redirect_location: Option<String>,
    /// `x-amz-storage-class`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// `x-amz-meta-*`, names without the prefix, in lower case.
    // Journals up to 0.1 have it as `metadata`.
    #[serde(
        rename = "user_metadata",
        alias = "metadata",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub metadata: BTreeMap<String, String>,
    /// Tags, from `x-amz-tagging`. HeadObject and GetObject do not show them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl ObjectAttributes {
    /// The first metadata name that no HTTP header can carry: an empty one, or one with a letter
    /// that is no `tchar` of RFC 9110, section 5.6.2.
    pub fn impossible_name(&self) -> Option<&str> {
        let possible = |name: &str| !name.is_empty() && name.bytes().all(is_token_byte);
        self.metadata.keys().map(String::as_str).find(|name| !possible(name))
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
