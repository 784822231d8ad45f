//! Implements ListObjects, ListObjectsV2 and ListObjectVersions: one page of the store in three
//! document formats.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use haul_store::{ListObjects, ObjectPage, ObjectSummary};
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

use crate::answer::refusal::Refusal;
use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::{names, wire};

/// The encoding of names in the document.
#[derive(Clone, Copy)]
pub(super) enum Encoding {
    AsTheyAre,
    Url,
}

impl Encoding {
    pub(super) fn read(encoding_type: Option<&EncodingType>) -> Result<Self, Refusal> {
        match encoding_type.map(EncodingType::as_str) {
            None => Ok(Self::AsTheyAre),
            Some("url") => Ok(Self::Url),
            Some(other) => {
                let message = "Invalid Encoding Method specified in Request";
                Err(Refusal::invalid_argument("encoding-type", other, message))
            }
        }
    }

    pub(super) fn apply(self, text: impl Into<String>) -> String {
        match self {
            Self::AsTheyAre => text.into(),
            Self::Url => wire::url_encoded(&text.into()),
        }
    }

    pub(super) fn apply_opt(self, text: Option<String>) -> Option<String> {
        text.map(|text| self.apply(text))
    }

    pub(super) fn prefixes(self, prefixes: Vec<String>) -> Option<Vec<CommonPrefix>> {
        Some(
            prefixes
                .into_iter()
                .map(|prefix| CommonPrefix { prefix: Some(self.apply(prefix)) })
                .collect(),
        )
    }
}

impl Endpoint {
    pub(crate) async fn list_objects(
        &self,
        req: S3Request<ListObjectsInput>,
    ) -> Answered<ListObjectsOutput> {
        let ListObjectsInput { bucket, delimiter, encoding_type, marker, max_keys, prefix, .. } =
            req.input;
        let encoding = Encoding::read(encoding_type.as_ref())?;
        let delimiter = given(delimiter);
        let max_keys = names::page_size("maxKeys", max_keys)?;
        let page = self.page(&bucket, &prefix, &delimiter, marker.clone(), max_keys).await?;
        // Without a delimiter, the last key is the next marker, and AWS leaves the client to find
        // it.
        let next_marker = page.next.clone().filter(|_| delimiter.is_some());
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(bucket),
            prefix: Some(encoding.apply(prefix.unwrap_or_default())),
            marker: Some(encoding.apply(marker.unwrap_or_default())),
            max_keys: Some(max_keys.into()),
            is_truncated: Some(page.next.is_some()),
            contents: Some(contents(page.objects, encoding, Owners::Shown)),
            common_prefixes: encoding.prefixes(page.common_prefixes),
            delimiter: encoding.apply_opt(delimiter),
            next_marker: encoding.apply_opt(next_marker),
            encoding_type,
            request_charged: None,
        }))
    }

    pub(crate) async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> Answered<ListObjectsV2Output> {
        let ListObjectsV2Input {
            bucket,
            continuation_token,
            delimiter,
            encoding_type,
            fetch_owner,
            max_keys,
            prefix,
            start_after,
            ..
        } = req.input;
        let encoding = Encoding::read(encoding_type.as_ref())?;
        let delimiter = given(delimiter);
        let max_keys = names::page_size("maxKeys", max_keys)?;
        let after = match &continuation_token {
            Some(token) => Some(read_token(token)?),
            None => start_after.clone(),
        };
        let page = self.page(&bucket, &prefix, &delimiter, after, max_keys).await?;
        let key_count = page.objects.len() + page.common_prefixes.len();
        let owners = if fetch_owner == Some(true) { Owners::Shown } else { Owners::Left };
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(bucket),
            prefix: Some(encoding.apply(prefix.unwrap_or_default())),
            max_keys: Some(max_keys.into()),
            key_count: Some(i32::try_from(key_count).expect("a page has at most 1000 entries")),
            continuation_token,
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
            contents: Some(contents(page.objects, encoding, owners)),
            common_prefixes: encoding.prefixes(page.common_prefixes),
            delimiter: encoding.apply_opt(delimiter),
            encoding_type,
            start_after: encoding.apply_opt(start_after),
            request_charged: None,
        }))
    }

    /// Lists one version named `null` per object, as in a bucket without versioning.
    pub(crate) async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> Answered<ListObjectVersionsOutput> {
        let ListObjectVersionsInput {
            bucket,
            delimiter,
            encoding_type,
            key_marker,
            max_keys,
            prefix,
            version_id_marker,
            ..
        } = req.input;
        let encoding = Encoding::read(encoding_type.as_ref())?;
        check_version_marker(version_id_marker.as_deref(), key_marker.as_deref())?;
        let delimiter = given(delimiter);
        let max_keys = names::page_size("maxKeys", max_keys)?;
        let page = self.page(&bucket, &prefix, &delimiter, key_marker.clone(), max_keys).await?;
        let next = page.next.clone();
        let versions = page
            .objects
            .into_iter()
            .map(|object| ObjectVersion {
                checksum_algorithm: object
                    .checksum
                    .map(|(algorithm, _)| vec![wire::checksum_algorithm(algorithm)]),
                checksum_type: object
                    .checksum
                    .map(|(_, checksum_type)| wire::checksum_type(checksum_type)),
                e_tag: Some(wire::etag(&object.etag)),
                is_latest: Some(true),
                key: Some(encoding.apply(String::from(object.key))),
                last_modified: Some(wire::document_time(object.last_modified)),
                owner: Some(wire::owner()),
                size: Some(wire::length(object.size_bytes)),
                storage_class: Some(
                    object.storage_class.unwrap_or_else(|| "STANDARD".to_owned()).into(),
                ),
                version_id: Some("null".to_owned()),
                ..Default::default()
            })
            .collect();
        Ok(S3Response::new(ListObjectVersionsOutput {
            common_prefixes: encoding.prefixes(page.common_prefixes),
            delimiter: encoding.apply_opt(delimiter),
            encoding_type,
            is_truncated: Some(next.is_some()),
            key_marker: Some(encoding.apply(key_marker.unwrap_or_default())),
            max_keys: Some(max_keys.into()),
            name: Some(bucket),
            next_version_id_marker: next.as_ref().map(|_| "null".to_owned()),
            next_key_marker: encoding.apply_opt(next),
            prefix: Some(encoding.apply(prefix.unwrap_or_default())),
            version_id_marker: Some(version_id_marker.unwrap_or_default()),
            versions: Some(versions),
            ..Default::default()
        }))
    }

    async fn page(
        &self,
        bucket: &str,
        prefix: &Option<String>,
        delimiter: &Option<String>,
        start_after: Option<String>,
        max_keys: u16,
    ) -> Result<ObjectPage, Refusal> {
        let bucket = names::bucket(bucket)?;
        let what = ListObjects {
            prefix: prefix.clone().unwrap_or_default(),
            delimiter: delimiter.clone(),
            start_after,
            max_keys: Some(max_keys),
        };
        self.on_store(move |store| {
            if max_keys == 0 {
                return store.head_bucket(&bucket).map(|_| ObjectPage::default());
            }
            store.list_objects(&bucket, what)
        })
        .await
    }
}

/// Treats an empty delimiter as absent, and omits it from the response.
pub(super) fn given(delimiter: Option<String>) -> Option<String> {
    delimiter.filter(|delimiter| !delimiter.is_empty())
}

/// Whether the document names the owner of each object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owners {
    Shown,
    Left,
}

fn contents(objects: Vec<ObjectSummary>, encoding: Encoding, owners: Owners) -> Vec<Object> {
    let object = |object: ObjectSummary| Object {
        checksum_algorithm: object
            .checksum
            .map(|(algorithm, _)| vec![wire::checksum_algorithm(algorithm)]),
        checksum_type: object.checksum.map(|(_, checksum_type)| wire::checksum_type(checksum_type)),
        e_tag: Some(wire::etag(&object.etag)),
        key: Some(encoding.apply(String::from(object.key))),
        last_modified: Some(wire::document_time(object.last_modified)),
        owner: (owners == Owners::Shown).then(wire::owner),
        restore_status: None,
        size: Some(wire::length(object.size_bytes)),
        storage_class: Some(object.storage_class.unwrap_or_else(|| "STANDARD".to_owned()).into()),
    };
    objects.into_iter().map(object).collect()
}

/// Returns the entries of a page as `encoding-type=url` asks for them.
pub(crate) fn url_encoded_contents(objects: Vec<ObjectSummary>) -> Vec<Object> {
    contents(objects, Encoding::Url, Owners::Left)
}

/// Checks that the version is `null`, the name of the only version.
fn check_version_marker(version_id: Option<&str>, key: Option<&str>) -> Result<(), Refusal> {
    let Some(version_id) = version_id else { return Ok(()) };
    let message = match (version_id, key) {
        (_, None | Some("")) => "A version-id marker cannot be specified without a key marker.",
        ("null", _) => return Ok(()),
        _ => "Invalid version id specified",
    };
    Err(Refusal::invalid_argument("version-id-marker", version_id, message))
}

fn read_token(token: &str) -> Result<String, Refusal> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| {
        Refusal::with(S3ErrorCode::InvalidArgument, "The continuation token provided is incorrect")
            .field("ArgumentName", "continuation-token")
    })
}
