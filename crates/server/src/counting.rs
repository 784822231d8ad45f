//! The document of a listing, for the program that counts its instructions (`counts`, in
//! `crates/bench/examples`).
//!
//! Not part of the API.

use haul_store::ObjectPage;
use s3s::dto::ListObjectsV2Output;
use s3s::xml::{Serialize, Serializer};

use crate::ops::list;

/// Returns ListObjectsV2's document of a page, with names in their URL encoding.
pub fn listing_document(page: ObjectPage) -> Vec<u8> {
    let output = ListObjectsV2Output {
        name: Some("bucket".to_owned()),
        is_truncated: Some(page.next.is_some()),
        contents: Some(list::url_encoded_contents(page.objects)),
        ..ListObjectsV2Output::default()
    };
    let mut document = Vec::new();
    let mut serializer = Serializer::new(&mut document);
    serializer.decl().and_then(|()| output.serialize(&mut serializer)).expect("memory takes it");
    document
}
