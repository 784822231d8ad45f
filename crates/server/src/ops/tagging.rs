//! Handles tags of existing objects. Tags in the write itself are among its attributes.

use s3s::dto::*;
use s3s::{S3Request, S3Response};

use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::names;
use crate::ops::tags::{self, TagsOf};

impl Endpoint {
    pub(crate) async fn get_object_tagging(
        &self,
        req: S3Request<GetObjectTaggingInput>,
    ) -> Answered<GetObjectTaggingOutput> {
        let input = req.input;
        let object =
            self.existing_object(&input.bucket, &input.key, input.version_id.as_deref()).await?;
        let tag_set = tags::shown(object.attributes.tags);
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set, version_id: None }))
    }

    pub(crate) async fn put_object_tagging(
        &self,
        req: S3Request<PutObjectTaggingInput>,
    ) -> Answered<PutObjectTaggingOutput> {
        let input = req.input;
        let tags = TagsOf::Object.check(input.tagging.tag_set)?;
        let (bucket, key) = names::object(&input.bucket, &input.key, input.version_id.as_deref())?;
        self.on_store(move |store| store.set_object_tags(&bucket, &key, tags)).await?;
        Ok(S3Response::new(PutObjectTaggingOutput::default()))
    }

    pub(crate) async fn delete_object_tagging(
        &self,
        req: S3Request<DeleteObjectTaggingInput>,
    ) -> Answered<DeleteObjectTaggingOutput> {
        let input = req.input;
        let (bucket, key) = names::object(&input.bucket, &input.key, input.version_id.as_deref())?;
        self.on_store(move |store| store.set_object_tags(&bucket, &key, Default::default()))
            .await?;
        Ok(S3Response::new(DeleteObjectTaggingOutput::default()))
    }
}
