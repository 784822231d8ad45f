//! Parses S3's error documents, and the region of a bucket that they contain.

use aws_smithy_xml::decode::{Document, try_data};

/// The header with the region of a bucket.
pub(super) const BUCKET_REGION: &str = "x-amz-bucket-region";

/// An S3 error document, as far as it can be parsed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorDocument {
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) request_id: Option<String>,
    /// The region to sign for, from `AuthorizationHeaderMalformed`.
    pub(super) region: Option<String>,
    /// The host of the bucket, from a redirect.
    pub(super) endpoint: Option<String>,
}

impl ErrorDocument {
    /// Parses a document. Never fails: the answer of a proxy or a broken store may be any text, and
    /// then the status decides.
    pub(super) fn read(body: &[u8]) -> Self {
        let mut found = Self::default();
        let Ok(text) = std::str::from_utf8(body) else { return found };
        let mut document = Document::new(text);
        let Ok(mut root) = document.root_element() else { return found };
        if !root.start_el().matches("Error") {
            return found;
        }
        while let Some(mut element) = root.next_tag() {
            let name = element.start_el().local().to_owned();
            let Ok(value) = try_data(&mut element) else { return found };
            let value = Some(value.into_owned());
            match name.as_str() {
                "Code" => found.code = value,
                "Message" => found.message = value,
                "RequestId" => found.request_id = value,
                "Region" => found.region = value,
                "Endpoint" => found.endpoint = value,
                _ => {}
            }
        }
        found
    }

    /// Returns the bucket's region, directly or from the name of AWS's host.
    pub(super) fn bucket_region(&self) -> Option<String> {
        self.region.clone().or_else(|| region_of_host(self.endpoint.as_deref()?))
    }
}

/// Returns the hint for a redirect that is not S3's: a login page, a moved host. `None` if the
/// redirect names a region or a code.
pub(super) fn redirect_remedy(
    status: u16,
    code: Option<&str>,
    region: Option<&str>,
    location: Option<&str>,
) -> Option<String> {
    let is_foreign = (300..400).contains(&status) && code.is_none() && region.is_none();
    let location = location.filter(|_| is_foreign)?;
    Some(format!("the endpoint redirects to {location}: name the store itself as the endpoint"))
}

/// Describes an obviously wrong document; `None` if only a parser can decide.
pub(super) fn fault_of_document(media_type: Option<&str>, body: &[u8]) -> Option<String> {
    /// The number of characters of the document to show.
    const SHOWN_CHARS: usize = 40;
    let Ok(text) = std::str::from_utf8(body) else {
        return Some("it is not UTF-8 text".to_owned());
    };
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Some("it is empty".to_owned());
    }
    let declared_page = media_type.is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
    let start: String = text.chars().take(SHOWN_CHARS).collect();
    let lower = start.to_ascii_lowercase();
    if declared_page || lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        return Some("it is a web page".to_owned());
    }
    (!text.starts_with('<')).then(|| format!("it is no XML and begins with {start:?}"))
}

/// Parses `bucket.s3.eu-central-1.amazonaws.com` and the older
/// `bucket.s3-eu-central-1.amazonaws.com`.
fn region_of_host(host: &str) -> Option<String> {
    let host =
        host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let (_, last) = host.rsplit_once('.').unwrap_or(("", host));
    let region = last.strip_prefix("s3-").unwrap_or(last);
    (region != "s3" && region.contains('-')).then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_is_read_and_anything_else_is_not() {
        let document = ErrorDocument::read(
            b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code><Message>Less \
                &amp; slower</Message><RequestId>7</RequestId></Error>",
        );
        assert_eq!(document.code.as_deref(), Some("SlowDown"));
        assert_eq!(document.message.as_deref(), Some("Less & slower"));
        assert_eq!(document.request_id.as_deref(), Some("7"));
        assert_eq!(document.bucket_region(), None);
        for other in
            [&b""[..], b"<html><body>502</body></html>", b"\xff\xfe", b"<Error><Code>", b"<Error"]
        {
            assert_eq!(ErrorDocument::read(other).message, None, "{other:?}");
        }
    }

    #[test]
    fn a_redirect_without_a_region_shows_it_by_its_target() {
        let remedy = |status, code, region| {
            redirect_remedy(status, code, region, Some("https://login.test/"))
        };
        let expected =
            "the endpoint redirects to https://login.test/: name the store itself as the endpoint";
        assert_eq!(remedy(302, None, None).as_deref(), Some(expected));
        assert_eq!(remedy(301, Some("PermanentRedirect"), None), None);
        assert_eq!(remedy(301, None, Some("eu-west-3")), None);
        assert_eq!(remedy(200, None, None), None);
    }

    #[test]
    fn an_invalid_document_is_recognised() {
        let fault = |body: &[u8]| fault_of_document(None, body).unwrap();
        assert_eq!(fault(b" \n"), "it is empty");
        assert_eq!(fault(b"\xff\xfe"), "it is not UTF-8 text");
        assert_eq!(fault(b"\n<!DOCTYPE html><html>"), "it is a web page");
        assert_eq!(
            fault(b"{\"status\": 200}"),
            "it is no XML and begins with \"{\\\"status\\\": 200}\""
        );
        assert_eq!(fault_of_document(Some("text/html"), b"<div>").unwrap(), "it is a web page");
        assert_eq!(fault_of_document(Some("application/xml"), b"<?xml version='1.0'?><List"), None);
    }

    #[test]
    fn the_region_stands_in_an_element_or_in_the_name_of_a_host() {
        let region = |elements: &str| {
            ErrorDocument::read(format!("<Error>{elements}</Error>").as_bytes()).bucket_region()
        };
        assert_eq!(region("<Region>eu-west-3</Region>").as_deref(), Some("eu-west-3"));
        let host = |host: &str| region(&format!("<Endpoint>{host}</Endpoint>"));
        assert_eq!(
            host("my.bucket.s3.eu-central-1.amazonaws.com").as_deref(),
            Some("eu-central-1")
        );
        assert_eq!(host("bucket.s3-us-west-2.amazonaws.com").as_deref(), Some("us-west-2"));
        assert_eq!(host("s3.cn-north-1.amazonaws.com.cn").as_deref(), Some("cn-north-1"));
        for elsewhere in ["bucket.s3.amazonaws.com", "s3.amazonaws.com", "storage.example.com", ""]
        {
            assert_eq!(host(elsewhere), None, "{elsewhere}");
        }
    }
}
