//! `haul rm s3://bucket/key`: removes one object.
//!
//! S3 answers the same whether the object was there or not; so does this command.

use anyhow::Context;
use serde::Serialize;

use crate::args::StoreArgs;
use crate::exit::Exit;
use crate::failure::{Doing, Usage};
use crate::output::{Mode, visible};
use crate::store;
use crate::target::Address;

#[derive(Serialize)]
#[serde(tag = "event", rename = "object-removed")]
struct Removed<'a> {
    bucket: &'a str,
    key: &'a str,
}

/// Removes it.
pub(crate) async fn run(args: &StoreArgs, address: &Address, mode: Mode) -> anyhow::Result<Exit> {
    let shown = visible(&address.to_string());
    let object = address.exact_object().map_err(Usage::from)?;
    let opened = store::open(address.scheme, args, mode).await?;
    let doing = Doing::at(format!("cannot remove {shown}"), address).through(opened.store.endpoint());
    let removed = opened.store.delete_object(&object).await;
    opened.close().await;
    removed.map_err(|error| haul::Error::of_store(address.to_string(), error)).context(doing)?;
    mode.event(&Removed { bucket: object.bucket.as_str(), key: object.key.as_str() });
    mode.result(&format!("removed {shown}"));
    Ok(Exit::Done)
}
