//! Builds UploadPart, PutObject and GetObject as HTTP requests, unsigned.

use bytes::Bytes;
use haul_parts::{ChecksumAlgorithm, ETag};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_TYPE, EXPIRES, HOST, HeaderName, IF_MATCH, IF_NONE_MATCH, RANGE, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::address::Address;
use crate::body::{Payload, PayloadBody};
use crate::remote::{
    GetRequest, Meter, ObjectAttributes, Operation, PartRequest, PutRequest, UploadRef,
    metadata_header,
};
use crate::s3::RequestHeaders;
use crate::s3::convert;
use crate::s3::profile::CHECKSUM_MODE;
use crate::s3::transport::USER_AGENT_NAME;

/// The unreserved characters of RFC 3986; SigV4 requires all others to be encoded.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const DECODED_CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");

/// A request that carries the bytes of an object, in its own body or in that of its answer.
pub(super) struct DataRequest {
    pub(super) operation: Operation,
    pub(super) fresh_connection: bool,
    method: Method,
    query: String,
    /// The headers; their names are validated when the HTTP request is built.
    headers: Vec<(String, String)>,
    payload: Payload,
    checksum: Option<haul_parts::Checksum>,
    pub(super) wire: Meter,
}

impl DataRequest {
    pub(super) fn upload_part(upload: &UploadRef, part: PartRequest) -> Self {
        let upload_id = utf8_percent_encode(upload.upload_id.as_str(), QUERY);
        Self {
            operation: Operation::UploadPart,
            fresh_connection: part.fresh_connection,
            method: Method::PUT,
            query: format!("?partNumber={}&uploadId={upload_id}", part.number.get()),
            headers: vec![],
            payload: part.payload,
            checksum: part.checksum,
            wire: part.wire,
        }
    }

    pub(super) fn put_object(put: PutRequest) -> Self {
        let mut headers = attribute_headers(&put.attributes);
        if put.if_none_match {
            headers.push((IF_NONE_MATCH.to_string(), "*".into()));
        }
        headers
            .extend(put.if_match.as_ref().map(|etag: &ETag| (IF_MATCH.to_string(), etag.quoted())));
        let md5_name = ChecksumAlgorithm::Md5.header_name();
        headers.extend(put.md5.map(|md5| (md5_name.to_owned(), md5.to_base64())));
        Self {
            operation: Operation::PutObject,
            fresh_connection: put.fresh_connection,
            method: Method::PUT,
            query: String::new(),
            headers,
            payload: put.payload,
            checksum: put.checksum,
            wire: put.wire,
        }
    }

    /// Removes a header.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self
    }

    /// Creates a GetObject request. `fresh_connection`: do not use an idle connection.
    pub(super) fn get_object(get: &GetRequest, fresh_connection: bool) -> Self {
        let mut headers = vec![(CHECKSUM_MODE.to_owned(), "ENABLED".to_owned())];
        headers.extend(get.range().map(|range| (RANGE.to_string(), range)));
        headers
            .extend(get.if_match.as_ref().map(|etag: &ETag| (IF_MATCH.to_string(), etag.quoted())));
        Self {
            operation: Operation::GetObject,
            fresh_connection,
            method: Method::GET,
            query: String::new(),
            headers,
            payload: Payload::from_bytes(Bytes::new()),
            checksum: None,
            wire: Meter::default(),
        }
    }

    /// Adds the headers that every request of the connection carries.
    pub(super) fn with(mut self, common: &RequestHeaders) -> Self {
        let headers = common.of(&self.operation.to_string());
        self.headers.extend(headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// Returns true if the request sends bytes.
    pub(super) fn has_body(&self) -> bool {
        self.method != Method::GET
    }

    /// Returns the algorithm whose checksum the answer may repeat.
    pub(super) fn checksum_algorithm(&self) -> Option<ChecksumAlgorithm> {
        self.payload.trailer().or_else(|| self.checksum.map(|checksum| checksum.algorithm()))
    }

    /// Returns true if the checksum follows the body.
    pub(super) fn has_trailer(&self) -> bool {
        self.payload.trailer().is_some()
    }

    pub(super) fn into_http(self, address: &Address) -> Result<Request<PayloadBody>, http::Error> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(&address.origin.authority)?);
        headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_NAME));
        if self.has_body() {
            headers.insert(CONTENT_LENGTH, self.payload.wire_bytes().into());
        }
        if let Some(algorithm) = self.payload.trailer() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("aws-chunked"));
            headers.insert(DECODED_CONTENT_LENGTH, self.payload.size_bytes().into());
            headers.insert(TRAILER, HeaderValue::from_static(algorithm.header_name()));
        }
        if let Some(checksum) = self.checksum {
            let name = HeaderName::from_static(checksum.algorithm().header_name());
            headers.insert(name, HeaderValue::from_str(&checksum.to_base64())?);
        }
        for (name, value) in self.headers {
            headers
                .insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(&value)?);
        }
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("{}{}", address.path, self.query))
            .body(self.payload.counted_body(self.wire))?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn attribute_headers(attributes: &ObjectAttributes) -> Vec<(String, String)> {
    let fixed = [
        (CONTENT_TYPE.as_str(), &attributes.content_type),
        (CACHE_CONTROL.as_str(), &attributes.cache_control),
        (CONTENT_DISPOSITION.as_str(), &attributes.content_disposition),
        (CONTENT_ENCODING.as_str(), &attributes.content_encoding),
        (CONTENT_LANGUAGE.as_str(), &attributes.content_language),
        (EXPIRES.as_str(), &attributes.expires),
        ("x-amz-website-redirect-location", &attributes.website_redirect_location),
        ("x-amz-tagging", &convert::tagging(&attributes.tags)),
        ("x-amz-storage-class", &attributes.storage_class),
    ];
    let fixed =
        fixed.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    let protection = attributes.protection.headers().into_iter();
    let fixed = fixed.chain(protection.map(|(name, value)| (name.to_owned(), value)));
    let metadata = attributes.metadata.iter();
    fixed.chain(metadata.map(|(name, value)| (metadata_header(name), value.clone()))).collect()
}
