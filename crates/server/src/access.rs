//! Who may come in: key pairs by id for `s3s`'s signature check, and the decision after it.
//!
//! Nobody is let in without a signature. The secret is given to `s3s` only for the one request that names its id;
//! signatures are compared there, in constant time.

use std::sync::Arc;

use async_trait::async_trait;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3ErrorCode, S3Result};

use crate::keys::Credentials;
use crate::refusal::Refusal;

/// The keys of this endpoint.
#[derive(Clone, Debug)]
pub(crate) struct KeyRing {
    owner: Arc<Credentials>,
}

impl KeyRing {
    pub(crate) fn new(owner: Arc<Credentials>) -> Self {
        Self { owner }
    }
}

#[async_trait]
impl S3Auth for KeyRing {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.owner.access_key_id {
            return Ok(SecretKey::from(self.owner.secret_access_key.expose()));
        }
        Err(Refusal::new(S3ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", access_key).into())
    }
}

#[async_trait]
impl S3Access for KeyRing {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        if cx.credentials().is_none() {
            return Err(Refusal::new(S3ErrorCode::AccessDenied).into());
        }
        let empty = cx.headers().get(http::header::CONTENT_LENGTH).is_some_and(|length| length == "0");
        if cx.s3_op().name() == "CompleteMultipartUpload" && empty {
            // s3s would call the missing list malformed XML; here is the last place before it looks.
            return Err(Refusal::invalid_request("You must specify at least one part").into());
        }
        Ok(())
    }
}
