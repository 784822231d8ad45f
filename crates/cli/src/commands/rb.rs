//! `haul rb s3://bucket`: removes an empty bucket, or with `--force` one with its content.

use std::sync::Arc;

use anyhow::Context;
use haul::pace::RetryPolicy;
use haul::sweep::{InventoryOptions, inventory, remove};
use serde::Serialize;

use super::owned::Owned;
use super::rm_many;
use super::summary::counted;
use crate::args::{RbArgs, StoreArgs};
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext};
use crate::output::{Mode, visible};
use crate::selection::Selection;
use crate::size::human_size;
use crate::state_dir::journal_folder;
use crate::store::{self, OpenedStore};
use crate::target::Address;
use crate::waiting::noted;

#[derive(Serialize)]
#[serde(tag = "event", rename = "bucket-removed")]
struct BucketRemoved {
    bucket: String,
}

/// Removes the bucket.
pub(crate) async fn run(args: &StoreArgs, what: &RbArgs, mode: Mode) -> anyhow::Result<Exit> {
    let bucket = &what.bucket;
    let opened = store::open(bucket.scheme, args, mode).await?;
    let removed = async {
        if what.force {
            empty(&opened, bucket, mode).await?;
        }
        let removed = noted(mode, opened.store.delete_bucket(&bucket.bucket)).await;
        let context = FailureContext::at(format!("cannot remove {bucket}"), bucket)
            .through(opened.store.endpoint());
        let context = match &removed {
            Err(error) if error.code.as_deref() == Some("BucketNotEmpty") => {
                context.hinting(not_empty(bucket, what.force))
            }
            _ => context,
        };
        removed.map_err(|error| haul::Error::of_store(bucket.subject(), error)).context(context)
    };
    let removed = Box::pin(removed).await;
    opened.close().await;
    removed?;
    mode.event(&BucketRemoved { bucket: bucket.bucket.to_string() });
    mode.result(&format!("removed {bucket}"));
    Ok(Exit::Done)
}

fn not_empty(bucket: &Address, force: bool) -> String {
    if force {
        return "versions of objects, or objects written meanwhile, are still there; haul removes \
                no versions"
            .to_owned();
    }
    format!("haul ls -r {bucket} shows what is in it; haul rb --force {bucket} removes that too")
}

/// Removes the bucket's objects, then its unfinished uploads.
async fn empty(opened: &OpenedStore, bucket: &Address, mode: Mode) -> anyhow::Result<()> {
    let everything = Selection::below(bucket);
    let failed = |error| {
        let context = FailureContext::at(format!("cannot empty {bucket}"), bucket)
            .through(opened.store.endpoint());
        anyhow::Error::from(haul::Error::of_store(bucket.subject(), error)).context(context)
    };
    if mode == Mode::Terminal {
        let count = noted(mode, rm_many::count(opened, &everything, |_| ())).await;
        let count = count.map_err(failed)?;
        let (objects, size) = (counted(count.objects, "object"), human_size(count.size_bytes));
        mode.remark(&format!("removing {objects}, {size}, then the unfinished uploads"));
    }
    let mut summary = rm_many::RemovalSummary::default();
    let (stopped, found) = rm_many::run(opened, bucket, &everything, &mut summary, mode).await;
    mode.event(&summary);
    mode.result(&summary.words());
    found.map_err(failed)?;
    if let Some(signal) = stopped {
        return Err(Ended {
            exit: Exit::Interrupted,
            code: "Interrupted",
            message: format!("{signal}: {}; {bucket} and the rest stay", summary.words()),
            hint: None,
        }
        .into());
    }
    if summary.failed() > 0 {
        return Err(summary.failure(&bucket.to_string()).into());
    }
    let uploads = noted(mode, remove_uploads(opened, bucket)).await?;
    if uploads > 0 {
        mode.result(&format!("removed {}", counted(uploads, "unfinished upload")));
    }
    Ok(())
}

/// Aborts every unfinished upload of the bucket, with its journal if this machine has one.
async fn remove_uploads(opened: &OpenedStore, bucket: &Address) -> anyhow::Result<u64> {
    let retry = RetryPolicy::default();
    let store = opened.store.as_ref();
    let context = || {
        FailureContext::at(format!("cannot remove the unfinished uploads of {bucket}"), bucket)
            .through(opened.store.endpoint())
    };
    let of_store = |error| haul::Error::of_store(bucket.subject(), error);
    let found = inventory(store, &bucket.bucket, "", &InventoryOptions::default()).await;
    let found = found.map_err(of_store).with_context(context)?;
    let uploads = found.uploads.into_iter().map(|upload| (upload.upload, upload.initiated));
    let unlisted = found.unlisted.into_iter().filter_map(|unlisted| {
        let key = haul::parts::Key::new(unlisted.summary.key).ok()?;
        let object = haul::ObjectRef { bucket: bucket.bucket.clone(), key };
        let upload_id = unlisted.summary.upload_id;
        Some((haul::remote::UploadRef { object, upload_id }, unlisted.summary.initiated))
    });
    let owned = Owned::read()?;
    let mut removed = 0;
    for (upload, initiated) in uploads.chain(unlisted) {
        let shown = visible(upload.object.key.as_str());
        match owned.of(&upload, initiated).map(|journal| journal.id.clone()) {
            Some(id) => {
                let store = Arc::clone(&opened.store);
                let abandoned = haul::abandon(store, &journal_folder()?, &id).await;
                abandoned.map(drop).with_context(|| {
                    FailureContext::at(format!("cannot abort the upload of {shown}"), bucket)
                        .hinting(format!("haul abort {id}"))
                })?;
            }
            None => {
                let gone = remove(store, &upload, &retry).await;
                gone.map(drop).map_err(of_store).with_context(context)?;
            }
        }
        removed += 1;
    }
    Ok(removed)
}
