//! Implements [`Store`] for [`MemoryStore`]: each operation passes through the link to the world
//! and back.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use haul_parts::{Bucket, PartNumber};
use jiff::Timestamp;

use super::MemoryStore;
use super::faults::Fault;
use super::link::{broken, flip_a_bit, time_of};
use super::objects::Put;
use super::uploads::Landing;
use crate::remote::{
    CompleteRequest, CompletedObject, CopyRequest, CreateRequest, CreatedUpload, DeleteEntry,
    DeleteResults, GetRequest, ListedBucket, Listing, ObjectBody, ObjectBytes, ObjectDescription,
    ObjectHead, ObjectPartsPage, ObjectRef, Operation, PartCopyRequest, PartRequest, PartsPage,
    PutRequest, Store, StoreError, StoredPart, UploadMarker, UploadRef, UploadedPart, UploadsPage,
};

/// The size in bytes of one item of a GetObject stream.
const GET_SLICE_BYTES: usize = 64 * 1024;

#[async_trait]
impl Store for MemoryStore {
    async fn create_multipart_upload(
        &self,
        object: &ObjectRef,
        request: &CreateRequest,
    ) -> Result<CreatedUpload, StoreError> {
        let (object, request) = (object.clone(), request.clone());
        let asked = self.ask(Operation::CreateMultipartUpload);
        asked.carry_out(move |world| world.create_upload(&object, &request)).await
    }

    async fn upload_part(
        &self,
        upload: &UploadRef,
        part: PartRequest,
    ) -> Result<UploadedPart, StoreError> {
        let mut asked = self.ask_of_part(Operation::UploadPart, &upload.upload_id, part.number);
        let bytes = asked.receive(&part.payload, &part.wire).await?;
        let landing = match asked.fault() {
            Some(Fault::LagListing(listings)) => Landing::Lagging(*listings),
            Some(Fault::FlipAtRest) => Landing::Damaged,
            Some(Fault::LandAfterAbort) => Landing::AfterAbort,
            _ => Landing::Plain,
        };
        let unharmed = !matches!(asked.fault(), Some(Fault::FlipInTransit | Fault::FlipAtRest));
        let (number, checksum, to) = (part.number, part.checksum, upload.clone());
        let answer = asked
            .carry_out_received(move |world| {
                world.upload_part(&to, number, &bytes, checksum.as_ref(), landing)
            })
            .await?;
        if unharmed {
            self.ledger().acknowledge(&upload.upload_id, number);
        }
        Ok(answer)
    }

    async fn round_trip(&self, _: &ObjectRef) -> Option<Duration> {
        *super::lock(&self.shared.round_trip)
    }

    async fn list_parts(
        &self,
        upload: &UploadRef,
        after: Option<PartNumber>,
    ) -> Result<PartsPage, StoreError> {
        let of = upload.clone();
        let asked = self.ask_of_upload(Operation::ListParts, &upload.upload_id);
        asked.carry_out(move |world| world.list_parts(&of, after)).await
    }

    async fn complete_multipart_upload(
        &self,
        upload: &UploadRef,
        request: &CompleteRequest,
    ) -> Result<CompletedObject, StoreError> {
        let (of, request) = (upload.clone(), request.clone());
        let asked = self.ask_of_upload(Operation::CompleteMultipartUpload, &upload.upload_id);
        asked.carry_out(move |world| world.complete_upload(&of, &request)).await
    }

    async fn abort_multipart_upload(&self, upload: &UploadRef) -> Result<(), StoreError> {
        let of = upload.clone();
        let asked = self.ask_of_upload(Operation::AbortMultipartUpload, &upload.upload_id);
        asked.carry_out(move |world| world.abort_upload(&of)).await
    }

    async fn list_multipart_uploads(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Result<UploadsPage, StoreError> {
        let (bucket, prefix, after) = (bucket.clone(), prefix.to_owned(), after.cloned());
        let asked = self.ask(Operation::ListMultipartUploads);
        asked.carry_out(move |world| world.list_uploads(&bucket, &prefix, after.as_ref())).await
    }

    async fn put_object(
        &self,
        object: &ObjectRef,
        request: PutRequest,
    ) -> Result<UploadedPart, StoreError> {
        let mut asked = self.ask(Operation::PutObject);
        let bytes = asked.receive(&request.payload, &request.wire).await?;
        let PutRequest { attributes, checksum, md5, if_none_match, if_match, .. } = request;
        let put = Put { bytes, attributes, checksum, md5, if_none_match, if_match };
        let object = object.clone();
        asked.carry_out_received(move |world| world.put_object(&object, &put)).await
    }

    async fn copy_object(
        &self,
        object: &ObjectRef,
        request: &CopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        let (object, request) = (object.clone(), request.clone());
        let asked = self.ask(Operation::CopyObject);
        asked.carry_out(move |world| world.copy_object(&object, &request)).await
    }

    async fn upload_part_copy(
        &self,
        upload: &UploadRef,
        request: &PartCopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        let (to, request) = (upload.clone(), request.clone());
        let asked = self.ask_of_part(Operation::UploadPartCopy, &upload.upload_id, request.number);
        let landing = match asked.fault() {
            Some(Fault::FlipAtRest) => Landing::Damaged,
            Some(Fault::LandAfterAbort) => Landing::AfterAbort,
            _ => Landing::Plain,
        };
        asked.carry_out(move |world| world.upload_part_copy(&to, &request, landing)).await
    }

    async fn get_object_tagging(
        &self,
        object: &ObjectRef,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let object = object.clone();
        self.ask(Operation::GetObjectTagging)
            .carry_out(move |world| world.get_object_tagging(&object))
            .await
    }

    async fn put_object_tagging(
        &self,
        object: &ObjectRef,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        let (object, tags) = (object.clone(), tags.clone());
        self.ask(Operation::PutObjectTagging)
            .carry_out(move |world| {
                world.change_attributes(Operation::PutObjectTagging, &object, |attributes| {
                    attributes.tags.clone_from(&tags);
                })
            })
            .await
    }

    async fn put_object_retention(
        &self,
        object: &ObjectRef,
        mode: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let (object, mode) = (object.clone(), mode.to_owned());
        self.ask(Operation::PutObjectRetention)
            .carry_out(move |world| {
                world.change_attributes(Operation::PutObjectRetention, &object, |attributes| {
                    attributes.protection.lock_mode = Some(mode.clone());
                    attributes.protection.lock_retain_until = Some(until.to_string());
                })
            })
            .await
    }

    async fn put_object_legal_hold(
        &self,
        object: &ObjectRef,
        status: &str,
    ) -> Result<(), StoreError> {
        let (object, status) = (object.clone(), status.to_owned());
        self.ask(Operation::PutObjectLegalHold)
            .carry_out(move |world| {
                world.change_attributes(Operation::PutObjectLegalHold, &object, |attributes| {
                    attributes.protection.legal_hold = Some(status.clone());
                })
            })
            .await
    }

    async fn head_object(&self, object: &ObjectRef) -> Result<ObjectHead, StoreError> {
        let object = object.clone();
        self.ask(Operation::HeadObject).carry_out(move |world| world.head_object(&object)).await
    }

    async fn describe_object(&self, object: &ObjectRef) -> Result<ObjectDescription, StoreError> {
        let object = object.clone();
        self.ask(Operation::HeadObject).carry_out(move |world| world.describe_object(&object)).await
    }

    async fn get_object_attributes(
        &self,
        object: &ObjectRef,
        after: Option<PartNumber>,
    ) -> Result<ObjectPartsPage, StoreError> {
        let object = object.clone();
        self.ask(Operation::GetObjectAttributes)
            .carry_out(move |world| world.get_object_attributes(&object, after))
            .await
    }

    async fn head_part(
        &self,
        object: &ObjectRef,
        number: PartNumber,
    ) -> Result<Option<StoredPart>, StoreError> {
        let object = object.clone();
        self.ask(Operation::HeadObject)
            .carry_out(move |world| world.head_part(&object, number))
            .await
    }

    async fn get_object(
        &self,
        object: &ObjectRef,
        request: &GetRequest,
    ) -> Result<ObjectBody, StoreError> {
        let (object, request) = (object.clone(), request.clone());
        let asked = self.ask(Operation::GetObject);
        let fault = asked.fault().cloned();
        let bytes_per_s = if let Some(Fault::Slow(rate)) = fault { Some(rate) } else { None };
        let (head, mut bytes) =
            asked.carry_out(move |world| world.get_object(&object, &request)).await?;
        let mut end = None;
        match fault {
            Some(Fault::CutBody) => {
                bytes.truncate(bytes.len() / 2);
                end = Some(Err(broken(Operation::GetObject)));
            }
            Some(Fault::FlipInTransit) => {
                let mut flipped = bytes.to_vec();
                flip_a_bit(&mut flipped);
                bytes = flipped.into();
            }
            _ => {}
        }
        let slices = stream::iter(slices(bytes).map(Ok).chain(end)).then(move |slice| async move {
            if let (Some(rate), Ok(bytes)) = (bytes_per_s, &slice) {
                tokio::time::sleep(time_of(bytes.len(), rate)).await;
            }
            slice
        });
        let announced_bytes = Some(head.size_bytes);
        Ok(ObjectBody {
            head,
            announced_bytes,
            ignores_range: false,
            bytes: ObjectBytes::new(slices),
        })
    }

    async fn list_objects(
        &self,
        bucket: &Bucket,
        prefix: &str,
        delimiter: Option<&str>,
        continuation: Option<&str>,
    ) -> Result<Listing, StoreError> {
        let (bucket, prefix) = (bucket.clone(), prefix.to_owned());
        let (delimiter, continuation) =
            (delimiter.map(str::to_owned), continuation.map(str::to_owned));
        let asked = self.ask(Operation::ListObjectsV2);
        asked
            .carry_out(move |world| {
                world.list_objects(&bucket, &prefix, delimiter.as_deref(), continuation.as_deref())
            })
            .await
    }

    async fn delete_object(&self, object: &ObjectRef) -> Result<(), StoreError> {
        let object = object.clone();
        self.ask(Operation::DeleteObject).carry_out(move |world| world.delete_object(&object)).await
    }

    async fn delete_objects(
        &self,
        bucket: &Bucket,
        entries: &[DeleteEntry],
    ) -> Result<DeleteResults, StoreError> {
        let (bucket, entries) = (bucket.clone(), entries.to_vec());
        self.ask(Operation::DeleteObjects)
            .carry_out(move |world| world.delete_objects(&bucket, &entries))
            .await
    }

    async fn create_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        let bucket = bucket.clone();
        self.ask(Operation::CreateBucket).carry_out(move |world| world.create_bucket(&bucket)).await
    }

    async fn delete_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        let bucket = bucket.clone();
        self.ask(Operation::DeleteBucket).carry_out(move |world| world.delete_bucket(&bucket)).await
    }

    async fn list_buckets(&self) -> Result<Vec<ListedBucket>, StoreError> {
        self.ask(Operation::ListBuckets).carry_out(|world| Ok(world.list_buckets())).await
    }

    fn now(&self) -> Timestamp {
        self.world().now()
    }

    fn endpoint(&self) -> String {
        "memory".into()
    }
}

fn slices(mut bytes: Bytes) -> impl Iterator<Item = Bytes> + Send {
    std::iter::from_fn(move || {
        let slice = bytes.split_to(bytes.len().min(GET_SLICE_BYTES));
        if slice.is_empty() { None } else { Some(slice) }
    })
}
