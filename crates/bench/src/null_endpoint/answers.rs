//! The responses of the null endpoint: as much of S3 as clients need around an upload.

use std::collections::HashMap;
use std::fmt::Write;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::body::Received;
use super::generated;
use super::head::Head;

/// The length of each object, and of each part of incomplete uploads.
#[derive(Default)]
pub(super) struct Objects {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    objects: HashMap<String, u64>,
    uploads: HashMap<String, HashMap<String, u64>>,
    created: u64,
}

/// Not an MD5, so no client compares it with one.
const ETAG: &str = "\"discarded\"";
/// The name of `haul serve`, whose profile the measured client knows: it accepts trailers.
const SERVER: &str = "Haul";
const LAST_MODIFIED: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

/// The response to one request.
pub(super) enum Answer {
    /// Head and body.
    Whole(Vec<u8>),
    /// The head, and the bytes of a generated object that follow it.
    Generated { head: Vec<u8>, range: Range<u64> },
}

impl Objects {
    /// Returns the response.
    pub(super) fn answer(&self, head: &Head, body: &Received) -> Answer {
        if let ("GET", Some(length)) = (head.method.as_str(), generated::length(&head.path))
            && head.parameter("tagging").is_none()
        {
            return some_of(length, head.header("range"));
        }
        Answer::Whole(self.whole(head, body))
    }

    fn whole(&self, head: &Head, body: &Received) -> Vec<u8> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_object = head.path.trim_matches('/').contains('/');
        let upload = head.parameter("uploadId");
        match (head.method.as_str(), is_object, upload) {
            ("POST", true, None) if head.parameter("uploads").is_some() => known.create(head),
            ("POST", true, Some(upload)) => known.complete(head, upload),
            ("PUT", true, _) if head.header("x-amz-copy-source").is_some() => known.copied(head),
            ("PUT", true, Some(upload)) => {
                let parts = known.uploads.entry(upload.to_owned()).or_default();
                parts.insert(
                    head.parameter("partNumber").unwrap_or_default().to_owned(),
                    body.bytes,
                );
                stored(head, body)
            }
            ("PUT", true, None) => {
                known.objects.insert(head.path.clone(), body.bytes);
                stored(head, body)
            }
            ("DELETE", _, upload) => {
                upload.map(|upload| known.uploads.remove(upload));
                answer("204 No Content", &[], "")
            }
            ("HEAD", true, _) => match known.length(&head.path) {
                Some(length) => header_only(length, generated::length(&head.path).is_some()),
                None => answer("404 Not Found", &[], ""),
            },
            ("GET", true, Some(_)) => {
                document("ListPartsResult", "<IsTruncated>false</IsTruncated>")
            }
            ("GET", false, _) if head.parameter("uploads").is_some() => {
                document("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>")
            }
            ("GET", false, _) if head.parameter("location").is_some() => {
                document("LocationConstraint", "")
            }
            ("GET", false, _) => document(
                "ListBucketResult",
                "<IsTruncated>false</IsTruncated><KeyCount>0</KeyCount>",
            ),
            ("GET", true, _) if head.parameter("tagging").is_some() => {
                document("Tagging", "<TagSet/>")
            }
            ("GET", true, _) => answer("404 Not Found", &[], ""),
            _ => answer("200 OK", &[], ""),
        }
    }
}

impl Known {
    fn length(&self, path: &str) -> Option<u64> {
        generated::length(path).or_else(|| self.objects.get(path).copied())
    }

    /// CopyObject or UploadPartCopy. Nothing is moved.
    fn copied(&mut self, head: &Head) -> Vec<u8> {
        let source = head.header("x-amz-copy-source").unwrap_or_default();
        let whole = self.length(&format!("/{}", source.trim_start_matches('/'))).unwrap_or(0);
        let range = head.header("x-amz-copy-source-range");
        let range = range.and_then(|range| generated::range(range, whole)).unwrap_or(0..whole);
        let elements =
            format!("<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{ETAG}</ETag>");
        let Some(upload) = head.parameter("uploadId") else {
            self.objects.insert(head.path.clone(), whole);
            let checksum = generated::checksum(whole);
            let checksum = format!(
                "<ChecksumCRC64NVME>{checksum}</ChecksumCRC64NVME>\
                 <ChecksumType>FULL_OBJECT</ChecksumType>"
            );
            return document("CopyObjectResult", &format!("{elements}{checksum}"));
        };
        let number = head.parameter("partNumber").unwrap_or_default().to_owned();
        let parts = self.uploads.entry(upload.to_owned()).or_default();
        parts.insert(number, range.end - range.start);
        document("CopyPartResult", &elements)
    }

    fn create(&mut self, head: &Head) -> Vec<u8> {
        self.created += 1;
        let upload = format!("upload-{}", self.created);
        self.uploads.insert(upload.clone(), HashMap::new());
        let echoed: Vec<_> = ["x-amz-checksum-algorithm", "x-amz-checksum-type"]
            .into_iter()
            .filter_map(|name| Some((name, head.header(name)?)))
            .collect();
        let (bucket, key) = bucket_and_key(&head.path);
        let elements =
            format!("<Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{upload}</UploadId>");
        answer("200 OK", &echoed, &xml("InitiateMultipartUploadResult", &elements))
    }

    fn complete(&mut self, head: &Head, upload: &str) -> Vec<u8> {
        let parts = self.uploads.remove(upload).unwrap_or_default();
        self.objects.insert(head.path.clone(), parts.values().sum());
        let (bucket, key) = bucket_and_key(&head.path);
        let elements = format!("<Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>{ETAG}</ETag>");
        document("CompleteMultipartUploadResult", &elements)
    }
}

/// Returns every checksum of the request, like a store that has verified it.
fn stored(head: &Head, body: &Received) -> Vec<u8> {
    let trailing = body.checksums.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut headers: Vec<_> = head.checksums().chain(trailing).collect();
    headers.push(("etag", ETAG));
    answer("200 OK", &headers, "")
}

/// The response to a request that a busy store refuses.
pub(super) fn slow_down(head: &Head) -> Vec<u8> {
    // A response to HEAD has no body.
    let body = if head.method == "HEAD" {
        ""
    } else {
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code><Message>Please \
         reduce your request rate.</Message></Error>"
    };
    answer("503 Slow Down", &[("content-type", "application/xml")], body)
}

fn header_only(length: u64, is_generated: bool) -> Vec<u8> {
    let checksum = if is_generated { checksum_headers(length) } else { String::new() };
    object_head("200 OK", length, &checksum)
}

/// The head of a response with `length` bytes of an object.
fn object_head(status: &str, length: u64, more: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nx-amz-request-id: null\r\nserver: {SERVER}\r\netag: \
         {ETAG}\r\nlast-modified: {LAST_MODIFIED}\r\n\
         accept-ranges: bytes\r\n{more}content-length: {length}\r\n\r\n"
    )
    .into_bytes()
}

fn checksum_headers(length: u64) -> String {
    let checksum = generated::checksum(length);
    format!("x-amz-checksum-crc64nvme: {checksum}\r\nx-amz-checksum-type: FULL_OBJECT\r\n")
}

/// GetObject, whole or in part, of a generated object.
fn some_of(length: u64, range: Option<&str>) -> Answer {
    let Some(range) = range else {
        let head = object_head("200 OK", length, &checksum_headers(length));
        return Answer::Generated { head, range: 0..length };
    };
    let Some(range) = generated::range(range, length) else {
        return Answer::Whole(answer("416 Requested Range Not Satisfiable", &[], ""));
    };
    let named = format!("content-range: bytes {}-{}/{length}\r\n", range.start, range.end - 1);
    let head = object_head("206 Partial Content", range.end - range.start, &named);
    Answer::Generated { head, range }
}

fn document(root: &str, elements: &str) -> Vec<u8> {
    answer("200 OK", &[], &xml(root, elements))
}

fn xml(root: &str, elements: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{elements}</{root}>"
    )
}

fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\nx-amz-request-id: null\r\nserver: {SERVER}\r\n");
    for (name, value) in headers {
        // Writing to a string cannot fail.
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let _ = write!(text, "content-length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}

fn bucket_and_key(path: &str) -> (&str, &str) {
    path.trim_matches('/').split_once('/').unwrap_or_default()
}
