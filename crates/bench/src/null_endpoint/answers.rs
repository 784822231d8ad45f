//! The responses of the null endpoint: as much of S3 as clients need around an upload.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use super::body::Discarded;
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

impl Objects {
    /// Returns the response, head and body.
    pub(super) fn answer(&self, head: &Head, body: &Discarded) -> Vec<u8> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_object = head.path.trim_matches('/').contains('/');
        let upload = head.parameter("uploadId");
        match (head.method.as_str(), is_object, upload) {
            ("POST", true, None) if head.parameter("uploads").is_some() => known.create(head),
            ("POST", true, Some(upload)) => known.complete(head, upload),
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
            ("HEAD", true, _) => match known.objects.get(&head.path) {
                Some(length) => header_only(*length),
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
            ("GET", true, _) => answer("404 Not Found", &[], ""),
            _ => answer("200 OK", &[], ""),
        }
    }
}

impl Known {
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
fn stored(head: &Head, body: &Discarded) -> Vec<u8> {
    let trailing = body.checksums.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut headers: Vec<_> = head.checksums().chain(trailing).collect();
    headers.push(("etag", ETAG));
    answer("200 OK", &headers, "")
}

fn header_only(length: u64) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nx-amz-request-id: null\r\nserver: {SERVER}\r\netag: \
         {ETAG}\r\nlast-modified: {LAST_MODIFIED}\r\n\
         accept-ranges: bytes\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes()
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
