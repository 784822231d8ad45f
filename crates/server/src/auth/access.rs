//! Access control: finds key pairs by id for the signature check of `s3s`, and decides what a
//! caller may do.
//!
//! Every request needs a signature, except reads of objects in buckets that the operator made
//! public. `s3s` gets a secret only for the request that names its id. It compares version 4
//! signatures in constant time; [`version_2`](crate::auth::version_2) compares version 2.
//! Permission follows from the path; copies and batches are also checked by their input.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use haul_parts::Bucket;
use http::{Extensions, HeaderMap};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{CopyObjectInput, CopySource, DeleteObjectsInput, UploadPartCopyInput};
use s3s::path::S3Path;
use s3s::{S3ErrorCode, S3Request, S3Result};

use crate::answer::refusal::Refusal;
use crate::auth::caller::Caller;
use crate::auth::grants::Grant;
use crate::auth::owner::OWNER_ID;
use crate::auth::requester::Requester;
use crate::request::query::Query;

/// Listings that a key with a prefix may request, below its prefix.
const LISTINGS: [&str; 4] =
    ["ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"];
/// Requests about the bucket itself that a key with a prefix may send, because clients send them
/// first.
const ABOUT_BUCKET: [&str; 2] = ["HeadBucket", "GetBucketLocation"];
/// The headers that name the expected account of the bucket, or of a copy's source.
const EXPECTED_OWNER: [&str; 2] =
    ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"];
/// The operations that are allowed without a signature in a public bucket.
const PUBLIC: [&str; 2] = ["GetObject", "HeadObject"];

/// The keys of this endpoint; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct KeyRing {
    owner: Arc<Grant>,
    grants: Arc<RwLock<HashMap<String, Arc<Grant>>>>,
    public: Arc<[Bucket]>,
}

impl KeyRing {
    pub(crate) fn new(owner: Grant, grants: Vec<Grant>, public: Vec<Bucket>) -> Self {
        let ring = Self { owner: Arc::new(owner), grants: Arc::default(), public: public.into() };
        ring.replace(grants);
        ring
    }

    /// Replaces all grants but the owner's. Later requests use the new ones.
    pub(crate) fn replace(&self, grants: Vec<Grant>) {
        let grants = grants
            .into_iter()
            .map(|grant| (grant.credentials.access_key_id.clone(), Arc::new(grant)));
        *self.grants.write().unwrap_or_else(PoisonError::into_inner) = grants.collect();
    }

    /// Returns the grant of an access key id. No grant can shadow the owner's.
    pub(crate) fn grant(&self, access_key_id: &str) -> Option<Arc<Grant>> {
        if access_key_id == self.owner.credentials.access_key_id {
            return Some(Arc::clone(&self.owner));
        }
        self.grants.read().unwrap_or_else(PoisonError::into_inner).get(access_key_id).cloned()
    }

    /// Returns whether there are keys besides the owner's: a single key pair could only compete
    /// with itself.
    fn is_shared(&self) -> bool {
        !self.public.is_empty()
            || !self.grants.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Returns the grant of a request, or the refusal if the request has none.
    pub(crate) fn of(&self, extensions: &Extensions) -> Result<Arc<Grant>, Refusal> {
        Caller::of(extensions).and_then(|Caller(id)| self.grant(id)).ok_or_else(denied)
    }

    fn check_source(&self, extensions: &Extensions, source: &CopySource) -> Result<(), Refusal> {
        match source {
            CopySource::Bucket { bucket, key, .. } if self.of(extensions)?.covers(bucket, key) => {
                Ok(())
            }
            _ => Err(denied()),
        }
    }
}

/// Refuses parameters that would serve a public object as another content type or as a download;
/// only signed requests may use them.
fn check_anonymous(query: &Query) -> Result<(), Refusal> {
    if query.pairs().iter().any(|(name, _)| name.starts_with("response-")) {
        return Err(Refusal::invalid_request(
            "Request specific response headers cannot be used for anonymous GET requests.",
        ));
    }
    Ok(())
}

/// Rejects `x-amz-expected-bucket-owner` values other than ours.
fn check_expected_owner(headers: &HeaderMap) -> Result<(), Refusal> {
    let values = EXPECTED_OWNER.iter().flat_map(|name| headers.get_all(*name));
    match values.into_iter().find(|expected| expected.as_bytes() != OWNER_ID.as_bytes()) {
        Some(_) => Err(denied()),
        None => Ok(()),
    }
}

fn denied() -> Refusal {
    Refusal::new(S3ErrorCode::AccessDenied)
}

/// Returns whether a grant covers an operation on a path.
fn allows(grant: &Grant, operation: &str, path: &S3Path, query: &Query) -> bool {
    let reads = ["Get", "Head", "List"].iter().any(|verb| operation.starts_with(verb));
    if !reads && !grant.writes() {
        return false;
    }
    match path {
        // The list shows each key only its own buckets.
        S3Path::Root => operation == "ListBuckets",
        S3Path::Object { bucket, key } => grant.covers(bucket, key),
        S3Path::Bucket { bucket } if LISTINGS.contains(&operation) => {
            grant.covers(bucket, query.get("prefix").unwrap_or(""))
        }
        S3Path::Bucket { bucket } if ABOUT_BUCKET.contains(&operation) => grant.sees_bucket(bucket),
        // The keys of the batch are checked once the document has been read.
        S3Path::Bucket { bucket } if operation == "DeleteObjects" => grant.sees_bucket(bucket),
        S3Path::Bucket { bucket } => grant.covers(bucket, ""),
    }
}

#[async_trait]
impl S3Auth for KeyRing {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.grant(access_key) {
            Some(grant) => Ok(SecretKey::from(grant.credentials.secret_access_key.expose())),
            None => Err(Refusal::new(S3ErrorCode::InvalidAccessKeyId)
                .field("AWSAccessKeyId", access_key)
                .into()),
        }
    }
}

#[async_trait]
impl S3Access for KeyRing {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let caller = Caller::of(cx.extensions_mut()).cloned();
        let requester = cx.extensions_mut().get::<Requester>();
        if requester.is_some_and(|requester| !requester.has_slot()) && self.is_shared() {
            return Err(Refusal::new(S3ErrorCode::SlowDown).into());
        }
        let operation = cx.s3_op().name();
        check_expected_owner(cx.headers())?;
        let Some(caller) = caller else {
            let public = |name: &str| self.public.iter().any(|bucket| bucket.as_str() == name);
            let query = Query::parse(cx.uri().query().unwrap_or(""));
            return match cx.s3_path() {
                S3Path::Object { bucket, .. } if PUBLIC.contains(&operation) && public(bucket) => {
                    Ok(check_anonymous(&query)?)
                }
                _ => Err(denied().into()),
            };
        };
        let grant = self.grant(&caller.0).ok_or_else(denied)?;
        let query = Query::parse(cx.uri().query().unwrap_or(""));
        if !allows(&grant, operation, cx.s3_path(), &query) {
            return Err(denied().into());
        }
        Ok(())
    }

    async fn copy_object(&self, req: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        Ok(self.check_source(&req.extensions, &req.input.copy_source)?)
    }

    async fn upload_part_copy(&self, req: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        Ok(self.check_source(&req.extensions, &req.input.copy_source)?)
    }

    async fn delete_objects(&self, req: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let grant = self.of(&req.extensions)?;
        let bucket = &req.input.bucket;
        match req.input.delete.objects.iter().find(|object| !grant.covers(bucket, &object.key)) {
            Some(outside) => Err(denied().field("Key", outside.key.as_str()).into()),
            None => Ok(()),
        }
    }
}
