//! Checks that an answer about an object comes from an S3 store.
//!
//! The console of a store, a captive portal or a router answers every path with 200 and a web page.
//! Such a page was once saved under the object's name. S3 answers HeadObject and GetObject with an
//! ETag and a time, and nearly every store adds its own headers (`x-amz-request-id`); a web page
//! has none of these, or only the time.

use crate::remote::{Operation, StoreError, StoreErrorKind};

/// The properties of an answer that identify a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs<'a> {
    /// Whether it has a header that only S3 has.
    pub(super) amazon_header: bool,
    pub(super) etag: Option<&'a str>,
    pub(super) has_last_modified: bool,
    pub(super) content_type: Option<&'a str>,
}

/// Collects the properties of an answer of the SDK.
macro_rules! signs_of {
    ($answer:expr) => {{
        use aws_sdk_s3::operation::{RequestId as _, RequestIdExt as _};
        $crate::s3::genuine::Signs {
            amazon_header: $answer.request_id().is_some()
                || $answer.extended_request_id().is_some()
                || $answer.version_id().is_some()
                || $answer.storage_class().is_some()
                || $answer.metadata().is_some_and(|metadata| !metadata.is_empty()),
            etag: $answer.e_tag(),
            has_last_modified: $answer.last_modified().is_some(),
            content_type: $answer.content_type(),
        }
    }};
}
pub(super) use signs_of;

/// Fails if no S3 store would send this answer.
pub(super) fn check(operation: Operation, signs: &Signs<'_>) -> Result<(), StoreError> {
    if is_genuine(signs) {
        return Ok(());
    }
    let kind = signs.content_type.unwrap_or("unknown type");
    let missing = match (signs.etag.is_some(), signs.has_last_modified) {
        (false, false) => "without ETag and Last-Modified",
        (false, true) => "without ETag",
        _ => "whose ETag is not one of S3",
    };
    let message = format!("the answer is not an object of S3 but a page ({kind}) {missing}");
    Err(StoreError::local(operation, StoreErrorKind::Malformed, message))
}

fn is_genuine(signs: &Signs<'_>) -> bool {
    if signs.amazon_header {
        return true;
    }
    let media_type =
        signs.content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_page = ["text/html", "application/xhtml+xml"]
        .iter()
        .any(|page| media_type.eq_ignore_ascii_case(page));
    match signs.etag {
        Some(etag) if is_page => has_the_shape_of_s3(etag),
        Some(_) => true,
        None => signs.has_last_modified && !is_page,
    }
}

/// Returns whether an ETag is an MD5, optionally with a number of parts. Web servers build ETags
/// from a time and a length: `"5f3c1a-264"`.
fn has_the_shape_of_s3(etag: &str) -> bool {
    let etag = haul_parts::ETag::new(etag);
    let text = etag.opaque();
    let md5 = text.rsplit_once('-').map_or(text, |(md5, _)| md5);
    md5.len() == 32 && md5.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Signs<'static> =
        Signs { amazon_header: false, etag: None, has_last_modified: false, content_type: None };

    #[test]
    fn pages_are_refused() {
        let html = Some("text/html; charset=utf-8");
        let pages = [
            NOTHING,
            Signs { content_type: html, ..NOTHING },
            Signs { content_type: html, has_last_modified: true, ..NOTHING },
            Signs {
                content_type: html,
                has_last_modified: true,
                etag: Some("\"5f3c1a2b-264\""),
                ..NOTHING
            },
            Signs { content_type: Some("application/json"), ..NOTHING },
        ];
        for page in pages {
            let error = check(Operation::HeadObject, &page).unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::Malformed, "{page:?}");
        }
    }

    #[test]
    fn objects_of_plain_stores_are_taken() {
        let (html, md5) = (Some("text/html"), Some("\"900150983cd24fb0d6963f7d28e17f72\""));
        let objects = [
            Signs { etag: md5, ..NOTHING },
            Signs { etag: md5, content_type: html, ..NOTHING },
            Signs {
                etag: Some("W/\"900150983cd24fb0d6963f7d28e17f72-3\""),
                content_type: html,
                ..NOTHING
            },
            Signs { amazon_header: true, content_type: html, ..NOTHING },
            Signs { has_last_modified: true, content_type: Some("video/mp4"), ..NOTHING },
        ];
        for object in objects {
            assert!(check(Operation::GetObject, &object).is_ok(), "{object:?}");
        }
    }
}
