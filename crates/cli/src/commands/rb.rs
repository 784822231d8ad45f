//! `haul rb s3://bucket`: removes an empty bucket.

use anyhow::Context;
use serde::Serialize;

use crate::args::StoreArgs;
use crate::exit::Exit;
use crate::failure::FailureContext;
use crate::output::Mode;
use crate::store;
use crate::target::Address;

#[derive(Serialize)]
#[serde(tag = "event", rename = "bucket-removed")]
struct BucketRemoved {
    bucket: String,
}

/// Removes it.
pub(crate) async fn run(args: &StoreArgs, bucket: &Address, mode: Mode) -> anyhow::Result<Exit> {
    let opened = store::open(bucket.scheme, args, mode).await?;
    let context = FailureContext::at(format!("cannot remove {bucket}"), bucket)
        .through(opened.store.endpoint());
    let removed = opened.store.delete_bucket(&bucket.bucket).await;
    opened.close().await;
    removed.map_err(|error| haul::Error::of_store(bucket.subject(), error)).context(context)?;
    mode.event(&BucketRemoved { bucket: bucket.bucket.to_string() });
    mode.result(&format!("removed {bucket}"));
    Ok(Exit::Done)
}
