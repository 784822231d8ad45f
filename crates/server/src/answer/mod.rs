//! Refusals and error responses: S3's codes, the mapping of the store's errors, and the documents
//! that clients receive.

pub(crate) mod error_document;
pub(crate) mod overrides;
pub(crate) mod refusal;
pub(crate) mod store_refusals;
pub(crate) mod xml_characters;
