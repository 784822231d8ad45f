//! An upload from a custom source into a custom store: `cargo run -p haul --example own_store`.
//!
//! The source generates its bytes while they are read; the store keeps parts in a map and knows
//! only the operations that an upload needs.
#![allow(clippy::print_stdout, reason = "an example tells its reader what happened")]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use haul::body::PayloadBody;
use haul::parts::{ChecksumAlgorithm, ETag, Hasher, PartNumber, UploadId};
use haul::remote::{
    CompleteRequest, CompletedObject, CreateRequest, CreatedUpload, Operation, PartRequest,
    PartsPage, UploadRef, UploadedPart,
};
use haul::source::Change;
use haul::{
    Engine, EngineOptions, ObjectRef, Source, Store, StoreError, StoreErrorKind, UploadOptions,
};
use http_body_util::BodyExt;

const SIZE_BYTES: u64 = 20 << 20;

/// A source whose byte number N is the last digit of N in base 251.
struct Counting;

impl Source for Counting {
    fn size_bytes(&self) -> u64 {
        SIZE_BYTES
    }

    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        for (at, byte) in (offset_bytes..).zip(buffer) {
            *byte = u8::try_from(at % 251).unwrap_or_default();
        }
        Ok(())
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        Ok(())
    }

    fn name(&self) -> String {
        "counting".into()
    }
}

/// A store that keeps the length and the MD5 of each part.
#[derive(Default)]
struct PartsOnly {
    parts: Mutex<BTreeMap<PartNumber, (u64, [u8; 16])>>,
}

impl PartsOnly {
    fn parts(&self) -> std::sync::MutexGuard<'_, BTreeMap<PartNumber, (u64, [u8; 16])>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn md5_of(body: PayloadBody) -> Result<(u64, [u8; 16]), StoreError> {
    let bytes = body.collect().await.map_err(|error| {
        StoreError::local(Operation::UploadPart, StoreErrorKind::Source, "cannot read the part")
            .with_source(error)
    })?;
    let bytes = bytes.to_bytes();
    let md5 = Hasher::checksum(ChecksumAlgorithm::Md5, &bytes).as_md5().unwrap_or_default();
    Ok((bytes.len() as u64, md5))
}

#[async_trait]
impl Store for PartsOnly {
    async fn create_multipart_upload(
        &self,
        _: &ObjectRef,
        _: &CreateRequest,
    ) -> Result<CreatedUpload, StoreError> {
        let upload_id = UploadId::new("only").map_err(|error| {
            StoreError::local(
                Operation::CreateMultipartUpload,
                StoreErrorKind::Malformed,
                error.to_string(),
            )
        })?;
        Ok(CreatedUpload { upload_id, checksum: None, abort_date: None })
    }

    async fn upload_part(
        &self,
        _: &UploadRef,
        part: PartRequest,
    ) -> Result<UploadedPart, StoreError> {
        let (size_bytes, md5) = md5_of(part.payload.body()).await?;
        self.parts().insert(part.number, (size_bytes, md5));
        Ok(UploadedPart { etag: ETag::from_md5(md5), checksum: None, etag_is_opaque: false })
    }

    async fn complete_multipart_upload(
        &self,
        _: &UploadRef,
        request: &CompleteRequest,
    ) -> Result<CompletedObject, StoreError> {
        let parts = self.parts();
        let listed = request.parts.iter().filter_map(|part| Some(parts.get(&part.number)?.1));
        Ok(CompletedObject {
            etag: Some(ETag::composite(listed)),
            checksum: None,
            version_id: None,
        })
    }

    async fn list_parts(
        &self,
        _: &UploadRef,
        _: Option<PartNumber>,
    ) -> Result<PartsPage, StoreError> {
        Ok(PartsPage::default())
    }

    fn endpoint(&self) -> String {
        "memory".into()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Arc::new(PartsOnly::default());
    let engine = Engine::new(store.clone(), EngineOptions::default());
    let target = "s3://bucket/counted".parse()?;
    let report = engine.upload(Counting, target, UploadOptions::default()).await?;
    let kept_bytes: u64 = store.parts().values().map(|(size_bytes, _)| size_bytes).sum();
    println!("{kept_bytes} bytes in {} parts, {}", report.part_count, report.proof);
    Ok(())
}
