//! Why a request is not served: in S3's words, for the store's errors too, and as the document that
//! clients read.

pub(crate) mod error_document;
pub(crate) mod overrides;
pub(crate) mod refusal;
pub(crate) mod store_refusals;
pub(crate) mod xml_characters;
