//! Writes the error document of S3: `Code`, `Message`, the elements that belong to the code,
//! `Resource`, `RequestId`.
//!
//! `s3s` writes only code and message (and no message for most errors that it detects itself), so
//! every error response passes through this file. The text of an unexpected cause is never
//! included; it is in the log under the request id.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt;
use s3s::Body;

use crate::answer::refusal::{Refusal, take_fields};

/// The maximum bytes to read of an error document of `s3s`, which has a few hundred.
const DOCUMENT_BYTES: usize = 64 * 1024;

/// The parts of a request that an error document names, besides code and message.
pub(crate) struct RequestLabel<'a> {
    pub(crate) method: &'a Method,
    /// The path of the request, as sent.
    pub(crate) resource: &'a str,
    pub(crate) request_id: &'a str,
}

/// Marks a response whose document is complete.
#[derive(Clone, Copy)]
struct Finished;

/// Creates the response to a request that was refused before `s3s` saw it.
pub(crate) fn refuse(refusal: &Refusal, label: &RequestLabel<'_>) -> Response<Body> {
    let fields: Vec<(String, String)> =
        refusal.fields().iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let message = refusal.message().map(escape);
    let document = document(refusal.code(), message.as_deref(), &fields, label);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = refusal.status();
    response.extensions_mut().insert(Finished);
    fill(&mut response, document, label);
    response
}

/// Completes a response of `s3s` if it is an error; leaves others unchanged.
pub(crate) async fn complete(
    mut response: Response<Body>,
    label: &RequestLabel<'_>,
) -> Response<Body> {
    let status = response.status();
    if status == StatusCode::NOT_MODIFIED {
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(CONTENT_TYPE);
        response.headers_mut().remove(CONTENT_LENGTH);
        return response;
    }
    // Refusals by the front already have their document.
    let finished = response.extensions().get::<Finished>().is_some();
    if finished || !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let body = std::mem::take(response.body_mut());
    let text = match http_body_util::Limited::new(body, DOCUMENT_BYTES).collect().await {
        Ok(collected) => String::from_utf8_lossy(&collected.to_bytes()).into_owned(),
        Err(_) => String::new(),
    };
    let code = element(&text, "Code").unwrap_or("InternalError").to_owned();
    // The message of an internal error of s3s may reveal internals.
    let message =
        element(&text, "Message").filter(|_| !status.is_server_error() || code != "InternalError");
    // Replace invalid characters: s3s quotes values of the query unchanged.
    let message = message.map(|text| text.replace(|c| !is_of_xml(c), "\u{fffd}"));
    let fields = take_fields(response.headers_mut());
    let document = document(&code, message.as_deref(), &fields, label);
    fill(&mut response, document, label);
    response
}

fn fill(response: &mut Response<Body>, document: String, label: &RequestLabel<'_>) {
    response.headers_mut().remove(CONTENT_LENGTH);
    if label.method == Method::HEAD {
        *response.body_mut() = Body::empty();
        return;
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    *response.body_mut() = Body::from(Bytes::from(document));
}

/// Writes the document; `message` must already be escaped.
fn document(
    code: &str,
    message: Option<&str>,
    fields: &[(String, String)],
    label: &RequestLabel<'_>,
) -> String {
    let mut text = String::with_capacity(512);
    text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
    let mut add = |name: &str, escaped: &str| {
        for piece in ["<", name, ">", escaped, "</", name, ">"] {
            text.push_str(piece);
        }
    };
    add("Code", code);
    add("Message", message.unwrap_or_else(|| usual_message(code)));
    for (name, value) in fields {
        add(name, &escape(value));
    }
    add("Resource", &escape(label.resource));
    add("RequestId", label.request_id);
    text.push_str("</Error>");
    text
}

/// Returns the text between `<name>` and `</name>`, still escaped.
fn element<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// Escapes markup, and replaces characters that XML cannot contain: a client that cannot parse the
/// document could not read the code either.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(c),
            c if !is_of_xml(c) => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Returns whether a document may contain a character. Excludes U+0080 to U+009F, which XML allows
/// but no reader of an error wants.
fn is_of_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Returns AWS's message for a code, from the S3 API Reference's list of error codes.
#[rustfmt::skip]
pub(crate) fn usual_message(code: &str) -> &'static str {
    match code {
        "AccessDenied" => "Access Denied",
        "AuthorizationHeaderMalformed" => "The authorization header that you provided is not \
         valid.",
        "BadDigest" => "The Content-MD5 or checksum value that you specified did not match what \
         the server received.",
        "BucketAlreadyExists" => "The requested bucket name is not available.",
        "BucketAlreadyOwnedByYou" => "Your previous request to create the named bucket succeeded \
         and you already own it.",
        "BucketNotEmpty" => "The bucket you tried to delete is not empty",
        "ConditionalRequestConflict" => "The conditional request cannot succeed due to a \
         conflicting operation against this resource.",
        "EntityTooLarge" => "Your proposed upload exceeds the maximum allowed size",
        "EntityTooSmall" => "Your proposed upload is smaller than the minimum allowed size",
        "IncompleteBody" => "You did not provide the number of bytes specified by the \
         Content-Length HTTP header",
        "InsufficientStorage" => "There is not enough space left for this request.",
        "InternalError" => "We encountered an internal error. Please try again.",
        "InvalidAccessKeyId" => "The AWS Access Key Id you provided does not exist in our records.",
        "InvalidArgument" => "Invalid Argument",
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidDigest" => "The Content-MD5 or checksum value that you specified is not valid.",
        "InvalidPart" => "One or more of the specified parts could not be found.  The part may not \
         have been uploaded, or the specified entity tag may not match the part's entity tag.",
        "InvalidPartNumber" => "The requested partnumber is not satisfiable",
        "InvalidPartOrder" => "The list of parts was not in ascending order. Parts must be ordered \
         by part number.",
        "InvalidRange" => "The requested range is not satisfiable",
        "InvalidRequest" => "Invalid Request",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "KeyTooLongError" => "Your key is too long",
        "MalformedXML" => "The XML you provided was not well-formed or did not validate against \
         our published schema",
        "MaxMessageLengthExceeded" => "Your request was too large.",
        "MetadataTooLarge" => "Your metadata headers exceed the maximum allowed metadata size",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "MissingRequestBodyError" => "Request body is empty.",
        "NoSuchBucket" => "The specified bucket does not exist",
        "NoSuchCORSConfiguration" => "The CORS configuration does not exist",
        "NoSuchKey" => "The specified key does not exist.",
        "NoSuchLifecycleConfiguration" => "The lifecycle configuration does not exist",
        "NoSuchPublicAccessBlockConfiguration" => "The public access block configuration was not \
         found",
        "NoSuchTagSet" => "The TagSet does not exist",
        "NoSuchVersion" => "The specified version does not exist.",
        "NoSuchUpload" => "The specified upload does not exist. The upload ID may be invalid, or \
         the upload may have been aborted or completed.",
        "NotImplemented" => "A header you provided implies functionality that is not implemented",
        "OwnershipControlsNotFoundError" => "The bucket ownership controls were not found",
        "PreconditionFailed" => "At least one of the pre-conditions you specified did not hold",
        "RequestTimeout" => "Your socket connection to the server was not read from or written to \
         within the timeout period.",
        "RequestTimeTooSkewed" => "The difference between the request time and the current time is \
         too large.",
        "ServiceUnavailable" => "Service is unable to handle request.",
        "SignatureDoesNotMatch" => "The request signature we calculated does not match the \
         signature you provided. Check your key and signing method.",
        "SlowDown" => "Please reduce your request rate.",
        "XAmzContentSHA256Mismatch" => "The provided 'x-amz-content-sha256' header does not match \
         what was computed.",
        _ => "The request was refused.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_escapes_what_it_quotes() {
        let refusal = Refusal::with(s3s::S3ErrorCode::NoSuchKey, "a < b").field("Key", "<&\u{1}>");
        let label = RequestLabel { method: &Method::GET, resource: "/b/<x>", request_id: "1" };
        let fields: Vec<_> =
            refusal.fields().iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        let text = document(refusal.code(), Some(&escape("a < b")), &fields, &label);
        assert!(
            text.contains("<Message>a &lt; b</Message><Key>&lt;&amp;\u{fffd}&gt;</Key>"),
            "{text}"
        );
        assert!(
            text.contains("<Resource>/b/&lt;x&gt;</Resource><RequestId>1</RequestId>"),
            "{text}"
        );
    }
}
