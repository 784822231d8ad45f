//! Object ownership, public access block and tags of a bucket. They are stored and returned without
//! effect, because there is one owner, and only the operator makes buckets public.

use haul_store::{ObjectOwnership as Ownership, PublicAccessBlock};
use http::{HeaderMap, StatusCode};
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

use crate::answer::overrides::StatusOverride;
use crate::answer::refusal::Refusal;
use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::names;
use crate::ops::tags::{self, TagsOf};

const OWNERSHIP_HEADER: &str = "x-amz-object-ownership";
const OWNERSHIPS: [(&str, Ownership); 3] = [
    ("BucketOwnerEnforced", Ownership::BucketOwnerEnforced),
    ("BucketOwnerPreferred", Ownership::BucketOwnerPreferred),
    ("ObjectWriter", Ownership::ObjectWriter),
];

impl Endpoint {
    pub(crate) async fn get_bucket_ownership_controls(
        &self,
        req: S3Request<GetBucketOwnershipControlsInput>,
    ) -> Answered<GetBucketOwnershipControlsOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        let ownership = self.on_store(move |store| store.bucket_ownership(&bucket)).await?;
        let rule = OwnershipControlsRule {
            object_ownership: ObjectOwnership::from_static(name(ownership)),
        };
        Ok(S3Response::new(GetBucketOwnershipControlsOutput {
            ownership_controls: Some(OwnershipControls { rules: vec![rule] }),
        }))
    }

    pub(crate) async fn put_bucket_ownership_controls(
        &self,
        req: S3Request<PutBucketOwnershipControlsInput>,
    ) -> Answered<PutBucketOwnershipControlsOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        let ownership = match req.input.ownership_controls.rules.as_slice() {
            [rule] => ownership(rule.object_ownership.as_str()),
            _ => None,
        };
        let ownership = ownership.ok_or_else(|| Refusal::new(S3ErrorCode::MalformedXML))?;
        self.on_store(move |store| store.set_bucket_ownership(&bucket, Some(ownership))).await?;
        Ok(S3Response::new(PutBucketOwnershipControlsOutput::default()))
    }

    pub(crate) async fn delete_bucket_ownership_controls(
        &self,
        req: S3Request<DeleteBucketOwnershipControlsInput>,
    ) -> Answered<DeleteBucketOwnershipControlsOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        self.on_store(move |store| store.set_bucket_ownership(&bucket, None)).await?;
        Ok(S3Response::new(DeleteBucketOwnershipControlsOutput::default()))
    }

    pub(crate) async fn get_public_access_block(
        &self,
        req: S3Request<GetPublicAccessBlockInput>,
    ) -> Answered<GetPublicAccessBlockOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        let block = self.on_store(move |store| store.bucket_public_access_block(&bucket)).await?;
        let shown = PublicAccessBlockConfiguration {
            block_public_acls: Some(block.block_public_acls),
            block_public_policy: Some(block.block_public_policy),
            ignore_public_acls: Some(block.ignore_public_acls),
            restrict_public_buckets: Some(block.restrict_public_buckets),
        };
        Ok(S3Response::new(GetPublicAccessBlockOutput {
            public_access_block_configuration: Some(shown),
        }))
    }

    /// Stores the settings; those that the document omits are off.
    pub(crate) async fn put_public_access_block(
        &self,
        req: S3Request<PutPublicAccessBlockInput>,
    ) -> Answered<PutPublicAccessBlockOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        let given = req.input.public_access_block_configuration;
        let block = PublicAccessBlock {
            block_public_acls: given.block_public_acls.unwrap_or(false),
            ignore_public_acls: given.ignore_public_acls.unwrap_or(false),
            block_public_policy: given.block_public_policy.unwrap_or(false),
            restrict_public_buckets: given.restrict_public_buckets.unwrap_or(false),
        };
        self.on_store(move |store| store.set_bucket_public_access_block(&bucket, Some(block)))
            .await?;
        Ok(S3Response::new(PutPublicAccessBlockOutput::default()))
    }

    pub(crate) async fn delete_public_access_block(
        &self,
        req: S3Request<DeletePublicAccessBlockInput>,
    ) -> Answered<DeletePublicAccessBlockOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        self.on_store(move |store| store.set_bucket_public_access_block(&bucket, None)).await?;
        Ok(S3Response::new(DeletePublicAccessBlockOutput::default()))
    }

    pub(crate) async fn get_bucket_tagging(
        &self,
        req: S3Request<GetBucketTaggingInput>,
    ) -> Answered<GetBucketTaggingOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        let tags = self.on_store(move |store| store.bucket_tags(&bucket)).await?;
        Ok(S3Response::new(GetBucketTaggingOutput { tag_set: tags::shown(tags) }))
    }

    pub(crate) async fn put_bucket_tagging(
        &self,
        req: S3Request<PutBucketTaggingInput>,
    ) -> Answered<PutBucketTaggingOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        let tags = TagsOf::Bucket.check(req.input.tagging.tag_set)?;
        self.on_store(move |store| store.set_bucket_tags(&bucket, tags)).await?;
        let mut response = S3Response::new(PutBucketTaggingOutput::default());
        // AWS sends this status, and `s3s` does not.
        response.extensions.insert(StatusOverride(StatusCode::NO_CONTENT));
        Ok(response)
    }

    pub(crate) async fn delete_bucket_tagging(
        &self,
        req: S3Request<DeleteBucketTaggingInput>,
    ) -> Answered<DeleteBucketTaggingOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        self.on_store(move |store| store.set_bucket_tags(&bucket, tags::Tags::new())).await?;
        Ok(S3Response::new(DeleteBucketTaggingOutput::default()))
    }
}

/// Returns the ownership for a new bucket.
///
/// # Errors
/// `InvalidArgument` for an unknown one.
pub(super) fn new_ownership(headers: &HeaderMap) -> Result<Ownership, Refusal> {
    let Some(given) = headers.get(OWNERSHIP_HEADER) else { return Ok(Ownership::default()) };
    let given = String::from_utf8_lossy(given.as_bytes());
    ownership(&given).ok_or_else(|| {
        let message = format!("Invalid {OWNERSHIP_HEADER} header: {given}");
        Refusal::with(S3ErrorCode::InvalidArgument, message).field("ArgumentName", OWNERSHIP_HEADER)
    })
}

fn ownership(name: &str) -> Option<Ownership> {
    OWNERSHIPS.iter().find(|(known, _)| *known == name).map(|(_, ownership)| *ownership)
}

fn name(ownership: Ownership) -> &'static str {
    OWNERSHIPS.iter().find(|(_, known)| *known == ownership).map_or("", |(name, _)| *name)
}
