//! `haul abort s3://bucket/key [--upload-id ID]`: removes one upload of a store, of any tool.

use std::sync::Arc;

use anyhow::Context;
use haul::pace::RetryPolicy;
use haul::parts::UploadId;
use haul::remote::UploadRef;
use haul::sweep::{Removal, UnfinishedUpload, remove};
use haul::{ObjectRef, Store};
use serde::Serialize;

use super::owned::Owned;
use super::store_uploads::{row, taken};
use super::summary::counted;
use crate::args::StoreArgs;
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext, Usage};
use crate::output::{Mode, visible};
use crate::size::human_size;
use crate::state_dir::journal_folder;
use crate::store;
use crate::target::Address;

#[derive(Serialize)]
#[serde(tag = "event", rename = "upload-aborted")]
struct UploadAborted<'a> {
    bucket: &'a str,
    key: &'a str,
    upload_id: &'a str,
    freed_bytes: u64,
}

/// Aborts the upload.
pub(crate) async fn run(
    args: &StoreArgs,
    address: &Address,
    upload_id: Option<&str>,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let object = address.exact_object().map_err(Usage::from)?;
    let opened = store::open(address.scheme, args, mode).await?;
    let done = abort(&opened.store, address, object, upload_id, mode).await;
    opened.close().await;
    done
}

async fn abort(
    store: &Arc<dyn Store>,
    address: &Address,
    object: ObjectRef,
    upload_id: Option<&str>,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let shown = visible(&address.to_string());
    let (upload, initiated) = match upload_id {
        Some(id) => {
            let upload_id = UploadId::new(id).map_err(|error| {
                Usage::new(
                    format!("{} is no upload id: {error}", visible(id)),
                    "copy it from haul uploads",
                )
            })?;
            (UploadRef { object, upload_id }, None)
        }
        None => {
            let upload = the_only_one(store.as_ref(), address, &object, mode).await?;
            (upload.upload, upload.initiated)
        }
    };
    let context = || {
        FailureContext::at(format!("cannot abort the upload of {shown}"), address)
            .through(store.endpoint())
    };
    let owned = Owned::read()?;
    let journal = owned
        .of(&upload, initiated)
        .filter(|journal| journal.upload_id.as_ref() == Some(&upload.upload_id));
    let removal = match journal {
        // Remove the journal with the upload, but not while another process holds it.
        Some(journal) => {
            let abandoned = haul::abandon(Arc::clone(store), &journal_folder()?, &journal.id).await;
            abandoned.map(|_| Removal::Removed { size_bytes: 0, part_count: 0 })
        }
        None => remove(store.as_ref(), &upload, &RetryPolicy::default())
            .await
            .map_err(|error| haul::Error::of_store(address.subject(), error)),
    };
    let freed_bytes = match removal.with_context(context)? {
        Removal::Removed { size_bytes, .. } => size_bytes,
        Removal::Gone | Removal::Active { .. } => return Err(none(&shown)),
    };
    let (bucket, key) = (upload.object.bucket.as_str(), upload.object.key.as_str());
    mode.event(&UploadAborted { bucket, key, upload_id: upload.upload_id.as_str(), freed_bytes });
    let freed = if freed_bytes > 0 {
        format!(", {} freed", human_size(freed_bytes))
    } else {
        String::new()
    };
    mode.result(&format!(
        "aborted the upload of {shown}: nothing of it is left at the store{freed}"
    ));
    Ok(Exit::Done)
}

async fn the_only_one(
    store: &dyn Store,
    address: &Address,
    object: &ObjectRef,
    mode: Mode,
) -> anyhow::Result<UnfinishedUpload> {
    let shown = visible(&address.to_string());
    let (found, now) = taken(store, address).await?;
    let mut found = found.uploads;
    found.retain(|upload| upload.upload.object == *object);
    match found.len() {
        0 => Err(none(&shown)),
        1 => Ok(found.remove(0)),
        several => {
            for upload in &found {
                mode.result(&row(upload, None, None, now, address.scheme));
            }
            Err(Usage::new(
                format!("{shown} has {}", counted(several as u64, "unfinished upload")),
                format!("name one: haul abort {shown} --upload-id ID"),
            )
            .into())
        }
    }
}

fn none(shown: &str) -> anyhow::Error {
    Ended {
        exit: Exit::Failed,
        code: "NoSuchUpload",
        message: format!("{shown} has no such unfinished upload"),
        hint: Some("list what is there: haul uploads s3://BUCKET".to_owned()),
    }
    .into()
}
