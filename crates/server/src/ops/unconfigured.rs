//! Answers requests that clients send by habit as AWS does for a bucket without any configuration.
//!
//! Each operation first checks that the bucket (or object) exists, because a response about a
//! missing bucket would mislead. `s3s` answers all other requests `NotImplemented`.

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response};

use crate::answer::refusal::Refusal;
use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::names;
use crate::ops::wire;

impl Endpoint {
    /// Fails unless the bucket exists.
    pub(super) async fn existing_bucket(&self, name: &str) -> Result<(), Refusal> {
        let bucket = names::bucket(name)?;
        self.on_store(move |store| store.head_bucket(&bucket)).await.map(drop)
    }

    /// Returns `code`, if the bucket exists.
    pub(crate) async fn unconfigured<T>(
        &self,
        bucket: &str,
        code: &'static str,
        message: &'static str,
    ) -> Answered<T> {
        self.existing_bucket(bucket).await?;
        Err(Refusal::custom(code, StatusCode::NOT_FOUND, message).field("BucketName", bucket))
    }

    /// Returns the response of a bucket without any setting.
    pub(crate) async fn empty<T: Default>(&self, bucket: &str) -> Answered<T> {
        self.existing_bucket(bucket).await?;
        Ok(S3Response::new(T::default()))
    }

    /// Returns the response about an object without a lock, because no bucket has Object Lock.
    pub(crate) async fn without_lock<T>(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> Answered<T> {
        self.existing_object(bucket, key, version_id).await?;
        Err(Refusal::invalid_request("Bucket is missing Object Lock Configuration"))
    }

    pub(crate) async fn put_object_lock_configuration(
        &self,
        req: S3Request<PutObjectLockConfigurationInput>,
    ) -> Answered<PutObjectLockConfigurationOutput> {
        self.existing_bucket(&req.input.bucket).await?;
        Err(Refusal::custom(
            "InvalidBucketState",
            StatusCode::CONFLICT,
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
        ))
    }

    pub(crate) async fn get_bucket_acl(
        &self,
        req: S3Request<GetBucketAclInput>,
    ) -> Answered<GetBucketAclOutput> {
        self.existing_bucket(&req.input.bucket).await?;
        Ok(S3Response::new(GetBucketAclOutput {
            grants: Some(vec![full_control()]),
            owner: Some(wire::owner()),
        }))
    }

    pub(crate) async fn get_object_acl(
        &self,
        req: S3Request<GetObjectAclInput>,
    ) -> Answered<GetObjectAclOutput> {
        self.existing_object(&req.input.bucket, &req.input.key, req.input.version_id.as_deref())
            .await?;
        Ok(S3Response::new(GetObjectAclOutput {
            grants: Some(vec![full_control()]),
            owner: Some(wire::owner()),
            request_charged: None,
        }))
    }

    pub(crate) async fn get_bucket_request_payment(
        &self,
        req: S3Request<GetBucketRequestPaymentInput>,
    ) -> Answered<GetBucketRequestPaymentOutput> {
        self.existing_bucket(&req.input.bucket).await?;
        let payer = Payer::from_static(Payer::BUCKET_OWNER);
        Ok(S3Response::new(GetBucketRequestPaymentOutput { payer: Some(payer) }))
    }

    pub(super) async fn existing_object(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> Result<haul_store::ObjectInfo, Refusal> {
        let (bucket, key) = names::object(bucket, key, version_id)?;
        self.on_store(move |store| store.head_object(&bucket, &key)).await
    }
}

fn full_control() -> Grant {
    let owner = wire::owner();
    Grant {
        grantee: Some(Grantee {
            display_name: owner.display_name,
            email_address: None,
            id: owner.id,
            type_: Type::from_static(Type::CANONICAL_USER),
            uri: None,
        }),
        permission: Some(Permission::from_static(Permission::FULL_CONTROL)),
    }
}
