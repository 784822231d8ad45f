//! `haul mb s3://bucket`: creates a bucket.

use anyhow::Context;
use serde::Serialize;

use crate::args::StoreArgs;
use crate::exit::Exit;
use crate::failure::FailureContext;
use crate::output::Mode;
use crate::store;
use crate::target::Address;

#[derive(Serialize)]
#[serde(tag = "event", rename = "bucket-made")]
struct Made {
    bucket: String,
}

/// Creates the bucket.
pub(crate) async fn run(args: &StoreArgs, bucket: &Address, mode: Mode) -> anyhow::Result<Exit> {
    let opened = store::open(bucket.scheme, args, mode).await?;
    let context = FailureContext::at(format!("cannot make {bucket}"), bucket)
        .through(opened.store.endpoint());
    let made = opened.store.create_bucket(&bucket.bucket).await;
    opened.close().await;
    made.map_err(|error| haul::Error::of_store(bucket.subject(), error)).context(context)?;
    mode.event(&Made { bucket: bucket.bucket.to_string() });
    mode.result(&format!("made {bucket}"));
    Ok(Exit::Done)
}
