//! Implements GetObject and HeadObject.
//!
//! Both open the object in the same way (HEAD reads none of its bytes), so their responses cannot
//! differ. Headers are set here and not through `s3s`'s fields, because stored headers are returned
//! exactly as they were received.

use haul_parts::{Bucket, Key, PartNumber};
use haul_store::{ObjectInfo, ObjectReader, ReadRange};
use http::header::IF_RANGE;
use http::{HeaderMap, HeaderValue, StatusCode};
use s3s::dto::{Range, *};
use s3s::{S3Request, S3Response};

use super::conditions::{ReadConditions, Verdict, is_still};
use crate::answer::overrides::StatusOverride;
use crate::answer::refusal::Refusal;
use crate::auth::requester::Requester;
use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::object_stream::object_stream;
use crate::ops::{attributes, encryption, names, wire};
use crate::request::query::Query;

/// An object ready to be read, and the headers that describe it.
struct OpenedObject {
    reader: ObjectReader,
    headers: HeaderMap,
    status: StatusCode,
}

impl Endpoint {
    pub(crate) async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> Answered<GetObjectOutput> {
        let opened = self.open(&req.uri, &req.headers, req.input).await?;
        let requester = req.extensions.get::<Requester>().cloned();
        let body = match opened.status {
            StatusCode::NOT_MODIFIED => None,
            _ => Some(object_stream(opened.reader, &self.sends, requester).await?),
        };
        let mut response = S3Response::new(GetObjectOutput { body, ..Default::default() });
        response.headers = opened.headers;
        response.extensions.insert(StatusOverride(opened.status));
        Ok(response)
    }

    pub(crate) async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> Answered<HeadObjectOutput> {
        let opened = self.open(&req.uri, &req.headers, as_get(req.input)).await?;
        let mut response = S3Response::new(HeadObjectOutput::default());
        response.headers = opened.headers;
        response.extensions.insert(StatusOverride(opened.status));
        Ok(response)
    }

    async fn open(
        &self,
        uri: &http::Uri,
        request: &HeaderMap,
        input: GetObjectInput,
    ) -> Result<OpenedObject, Refusal> {
        encryption::check_read(request)?;
        let GetObjectInput { bucket, key, version_id, range, part_number, checksum_mode, .. } =
            input;
        let conditions = ReadConditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        let query = Query::parse(uri.query().unwrap_or(""));
        names::unversioned(version_id.as_deref())?;
        let part = part_number.map(names::part_number).transpose()?;
        let wanted = wanted_range(range, part)?;
        let if_range = request.get(IF_RANGE).filter(|_| range.is_some());
        let (bucket, key) = (names::bucket(&bucket)?, names::key(&key)?);
        let of = (bucket.clone(), key.clone());
        let text = range.map(|range| range.to_header_string());
        let mut partial = wanted != ReadRange::Whole;
        let mut opened = self.on_store(move |store| store.read_object(&bucket, &key, wanted)).await;
        if let Some(if_range) = if_range
            && let Some(whole) = self.whole_if_another(&of, &opened, if_range).await?
        {
            (opened, partial) = (Ok(whole), false);
        }
        let reader = opened.map_err(|refusal| match text {
            Some(text) if refusal.code() == "InvalidRange" => refusal.field("RangeRequested", text),
            _ => refusal,
        })?;

        let object = reader.object();
        let mut headers = HeaderMap::new();
        headers.insert(http::header::LAST_MODIFIED, wire::http_date(object.last_modified));
        wire::set(&mut headers, "etag", object.etag.quoted());
        match conditions.decide(object) {
            Verdict::Met => {}
            Verdict::NotModified => {
                return Ok(OpenedObject { reader, headers, status: StatusCode::NOT_MODIFIED });
            }
            Verdict::Failed(condition) => return Err(Refusal::precondition(condition)),
        }

        wire::set(&mut headers, "accept-ranges", "bytes");
        self.volume.announce(&mut headers);
        attributes::write(&object.attributes, &query, &mut headers);
        let bytes = reader.range();
        headers.insert(http::header::CONTENT_LENGTH, (bytes.end - bytes.start).into());
        if partial && !bytes.is_empty() {
            let content_range =
                format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, object.size_bytes);
            wire::set(&mut headers, "content-range", content_range);
        }
        if let (Some(_), Some(count)) = (part, object.part_count) {
            headers.insert("x-amz-mp-parts-count", count.into());
        }
        if checksum_mode.is_some() {
            match part.filter(|_| object.part_count.is_some()) {
                Some(part) => self.set_part_checksum(&of, object, part, &mut headers).await,
                None => set_whole_checksum(object, &bytes, &mut headers),
            }
        }
        let status = if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        Ok(OpenedObject { reader, headers, status })
    }

    /// Opens the whole object if it is not the one that `If-Range` names: the client has a part of
    /// another one, and the range may lie outside this one.
    async fn whole_if_another(
        &self,
        (bucket, key): &(Bucket, Key),
        opened: &Result<ObjectReader, Refusal>,
        if_range: &HeaderValue,
    ) -> Result<Option<ObjectReader>, Refusal> {
        match opened {
            Ok(reader) if is_still(if_range, reader.object()) => return Ok(None),
            Err(refusal) if refusal.code() != "InvalidRange" => return Ok(None),
            _ => {}
        }
        let (bucket, key) = (bucket.clone(), key.clone());
        let whole =
            self.on_store(move |store| store.read_object(&bucket, &key, ReadRange::Whole)).await?;
        let outside = opened.is_err() && is_still(if_range, whole.object());
        Ok((!outside).then_some(whole))
    }

    /// Sets the checksum of a part, if the object is still the one being read.
    async fn set_part_checksum(
        &self,
        (bucket, key): &(Bucket, Key),
        object: &ObjectInfo,
        part: PartNumber,
        headers: &mut HeaderMap,
    ) {
        let (bucket, key) = (bucket.clone(), key.clone());
        let before = PartNumber::new(u32::from(part.get()) - 1).ok();
        let page =
            self.on_store(move |store| store.object_parts(&bucket, &key, before, Some(1))).await;
        // The object may be deleted by now; the read continues without this header.
        let Ok(page) = page else { return };
        if page.object.version == object.version
            && let Some(checksum) = page.parts.first().and_then(|part| part.checksum)
        {
            wire::set_checksum(headers, &checksum);
            wire::set(headers, "x-amz-checksum-type", object_type(object));
        }
    }
}

/// Converts a HEAD to the equivalent GET.
fn as_get(input: HeadObjectInput) -> GetObjectInput {
    GetObjectInput {
        bucket: input.bucket,
        key: input.key,
        version_id: input.version_id,
        range: input.range,
        part_number: input.part_number,
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
        checksum_mode: input.checksum_mode,
        ..Default::default()
    }
}

/// Sets the checksum of the whole object, except for a range, whose bytes would not match it.
fn set_whole_checksum(object: &ObjectInfo, bytes: &std::ops::Range<u64>, headers: &mut HeaderMap) {
    if let Some(checksum) = object.checksum.as_ref().filter(|_| *bytes == (0..object.size_bytes)) {
        wire::set_object_checksum(headers, checksum);
    }
}

fn object_type(object: &ObjectInfo) -> &'static str {
    object.checksum.as_ref().map_or("FULL_OBJECT", |checksum| checksum.checksum_type().s3_name())
}

fn wanted_range(range: Option<Range>, part: Option<PartNumber>) -> Result<ReadRange, Refusal> {
    match (range, part) {
        (Some(_), Some(_)) => Err(Refusal::invalid_request(
            "Cannot specify both Range header and partNumber query parameter",
        )),
        (None, Some(part)) => Ok(ReadRange::Part(part)),
        (None, None) => Ok(ReadRange::Whole),
        (Some(Range::Int { first, last: Some(last) }), None) => Ok(ReadRange::Bytes(first..=last)),
        (Some(Range::Int { first, last: None }), None) => Ok(ReadRange::From(first)),
        (Some(Range::Suffix { length }), None) => Ok(ReadRange::Suffix(length)),
    }
}
