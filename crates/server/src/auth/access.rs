//! Who may come in: key pairs by id for `s3s`'s signature check, and the decision after it.
//!
//! Nobody is let in without a signature, except to read objects of buckets that were made public by
//! name. The secret is given to `s3s` only for the one request that names its id; version 4 is
//! compared there, in constant time, version 2 in [`version_2`](crate::auth::version_2). What a
//! request touches is decided from its path, and for copies and batches from their input too.

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

/// Listings, which a key with a prefix may make below its prefix.
const LISTINGS: [&str; 4] =
    ["ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"];
/// What a key with a prefix may ask of the bucket itself: clients do before anything else.
const ABOUT_BUCKET: [&str; 2] = ["HeadBucket", "GetBucketLocation"];
/// Of which account the bucket, or that of a copy's source, has to be.
const EXPECTED_OWNER: [&str; 2] =
    ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"];
/// What anybody may do in a public bucket.
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

    /// Takes the place of all grants but the owner's, for requests that come from now on.
    pub(crate) fn replace(&self, grants: Vec<Grant>) {
        let grants = grants
            .into_iter()
            .map(|grant| (grant.credentials.access_key_id.clone(), Arc::new(grant)));
        *self.grants.write().unwrap_or_else(PoisonError::into_inner) = grants.collect();
    }

    /// The grant of an access key id. The owner's cannot be shadowed.
    pub(crate) fn grant(&self, access_key_id: &str) -> Option<Arc<Grant>> {
        if access_key_id == self.owner.credentials.access_key_id {
            return Some(Arc::clone(&self.owner));
        }
        self.grants.read().unwrap_or_else(PoisonError::into_inner).get(access_key_id).cloned()
    }

    /// Whether others than the owner may come in: otherwise one key pair could only be in its own
    /// way.
    fn is_shared(&self) -> bool {
        !self.public.is_empty()
            || !self.grants.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The grant of a request, or the refusal of one that has none.
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

/// A link to a public object must not make it a page, or a download, of another kind: only who may
/// sign can say so.
fn check_anonymous(query: &Query) -> Result<(), Refusal> {
    if query.pairs().iter().any(|(name, _)| name.starts_with("response-")) {
        return Err(Refusal::invalid_request(
            "Request specific response headers cannot be used for anonymous GET requests.",
        ));
    }
    Ok(())
}

/// Whoever names the account that the bucket must be of wants nothing of another's: writing into it
/// least of all.
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

/// Whether a grant covers an operation on a path.
fn allows(grant: &Grant, operation: &str, path: &S3Path, query: &Query) -> bool {
    let reads = ["Get", "Head", "List"].iter().any(|verb| operation.starts_with(verb));
    if !reads && !grant.writes() {
        return false;
    }
    match path {
        // The list shows each key its own buckets.
        S3Path::Root => operation == "ListBuckets",
        S3Path::Object { bucket, key } => grant.covers(bucket, key),
        S3Path::Bucket { bucket } if LISTINGS.contains(&operation) => {
            grant.covers(bucket, query.get("prefix").unwrap_or(""))
        }
        S3Path::Bucket { bucket } if ABOUT_BUCKET.contains(&operation) => grant.sees_bucket(bucket),
        // Each key of the batch is looked at when the document has been read.
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
