//! Tags of objects after the write. Those that come with the write are among its attributes.

use s3s::dto::*;
use s3s::{S3Request, S3Response};

use crate::endpoint::{Answered, Endpoint};
use crate::ops::{attributes, names};

impl Endpoint {
    pub(crate) async fn get_object_tagging(
        &self,
        req: S3Request<GetObjectTaggingInput>,
    ) -> Answered<GetObjectTaggingOutput> {
        let input = req.input;
        let object = self.existing_object(&input.bucket, &input.key, input.version_id.as_deref()).await?;
        let tags = object.attributes.tags.into_iter();
        let tag_set = tags.map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect();
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set, version_id: None }))
    }

    pub(crate) async fn put_object_tagging(
        &self,
        req: S3Request<PutObjectTaggingInput>,
    ) -> Answered<PutObjectTaggingOutput> {
        let input = req.input;
        let pairs = input.tagging.tag_set.into_iter();
        let pairs = pairs.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
        let tags = attributes::check_tags(pairs)?;
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
        self.on_store(move |store| store.set_object_tags(&bucket, &key, Default::default())).await?;
        Ok(S3Response::new(DeleteObjectTaggingOutput::default()))
    }
}
