//! Implements CreateBucket, HeadBucket, DeleteBucket, ListBuckets and GetBucketLocation.

use haul_store::BucketOptions;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

use crate::answer::refusal::Refusal;
use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::tags::{Tags, TagsOf};
use crate::ops::wire::{self, owner};
use crate::ops::{acl, bucket_settings, names};
use crate::request::extensions::NewBucketTags;

/// The region whose location constraint is empty. In this region, CreateBucket for a bucket that
/// the caller already owns succeeds.
const OLDEST_REGION: &str = "us-east-1";

impl Endpoint {
    /// Creates a bucket. Accepts any location constraint, because clients send the region of their
    /// profile, and this endpoint has no fixed region.
    pub(crate) async fn create_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> Answered<CreateBucketOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        if bucket.reserved().is_some() {
            return Err(
                Refusal::new(S3ErrorCode::InvalidBucketName).field("BucketName", bucket.as_str())
            );
        }
        if req.input.object_lock_enabled_for_bucket == Some(true) {
            return Err(Refusal::new(S3ErrorCode::NotImplemented)
                .field("Header", "x-amz-bucket-object-lock-enabled"));
        }
        acl::check_bucket(&req.headers)?;
        let ownership = bucket_settings::new_ownership(&req.headers)?;
        let tags = match req.extensions.get::<NewBucketTags>() {
            Some(NewBucketTags(tags)) => TagsOf::Bucket.check(tags.iter().cloned())?,
            None => Tags::new(),
        };
        let options = BucketOptions { ownership, tags };
        let location = format!("/{bucket}");
        let again_is_fine = &*self.region == OLDEST_REGION;
        self.on_store(move |store| match store.create_bucket_with(&bucket, options) {
            Err(haul_store::Error::BucketAlreadyExists { .. }) if again_is_fine => Ok(()),
            created => created.map(drop),
        })
        .await?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(location) }))
    }

    pub(crate) async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> Answered<HeadBucketOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        self.on_store(move |store| store.head_bucket(&bucket)).await?;
        let mut response = S3Response::new(HeadBucketOutput::default());
        wire::set(&mut response.headers, "x-amz-bucket-region", &*self.region);
        Ok(response)
    }

    pub(crate) async fn delete_bucket(
        &self,
        req: S3Request<DeleteBucketInput>,
    ) -> Answered<DeleteBucketOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        self.on_store(move |store| store.delete_bucket(&bucket)).await?;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    pub(crate) async fn list_buckets(
        &self,
        req: S3Request<ListBucketsInput>,
    ) -> Answered<ListBucketsOutput> {
        let grant = self.keys.of(&req.extensions)?;
        let ListBucketsInput { bucket_region, continuation_token, max_buckets, prefix } = req.input;
        // All buckets of this endpoint are in one region.
        let in_region = bucket_region.as_deref().is_none_or(|asked| asked == &*self.region);
        let limit = match max_buckets {
            None => usize::MAX,
            Some(asked) => match usize::try_from(asked) {
                Ok(asked @ 1..=10_000) => asked,
                _ => {
                    let message = "Argument max-buckets must be an integer between 1 and 10000";
                    return Err(Refusal::invalid_argument(
                        "max-buckets",
                        asked.to_string(),
                        message,
                    ));
                }
            },
        };
        let buckets = self.on_store(haul_store::DiskStore::list_buckets).await?;
        let mut wanted = buckets.into_iter().filter(|bucket| {
            let name = bucket.name.as_str();
            in_region
                && grant.sees_bucket(name)
                && prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
                && continuation_token.as_deref().is_none_or(|after| name > after)
        });
        let page: Vec<_> = wanted.by_ref().take(limit).collect();
        let next = wanted.next().and(page.last()).map(|bucket| bucket.name.to_string());
        let buckets = page
            .into_iter()
            .map(|bucket| Bucket {
                bucket_region: Some(self.region.to_string()),
                creation_date: Some(wire::document_time(bucket.created)),
                name: Some(bucket.name.to_string()),
            })
            .collect();
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets),
            continuation_token: next,
            owner: Some(owner()),
            prefix,
        }))
    }

    pub(crate) async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> Answered<GetBucketLocationOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        self.on_store(move |store| store.head_bucket(&bucket)).await?;
        let location = (&*self.region != OLDEST_REGION).then(|| self.region.to_string().into());
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint: location }))
    }
}
