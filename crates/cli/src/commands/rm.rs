//! `haul rm s3://bucket/key`: removes one object.
//!
//! S3 answers DeleteObject the same whether the object was there or not, so it is looked for first:
//! "removed" must not be printed of a folder with everything in it. Keys that may delete but not
//! read cannot look; then the line says so.

use anyhow::Context;
use haul::{ObjectRef, Store, StoreError, StoreErrorKind};
use serde::Serialize;

use crate::args::StoreArgs;
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext, Usage};
use crate::output::{Mode, visible};
use crate::store;
use crate::target::Address;

#[derive(Serialize)]
#[serde(tag = "event", rename = "object-removed")]
struct ObjectRemoved<'a> {
    bucket: &'a str,
    key: &'a str,
    existence_checked: bool,
}

/// What was found before the removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Object,
    /// There is no such object, but there are objects below it.
    OnlyBelow,
    Nothing,
    /// The store does not say.
    NotChecked,
}

/// Removes it.
pub(crate) async fn run(args: &StoreArgs, address: &Address, mode: Mode) -> anyhow::Result<Exit> {
    let shown = visible(&address.to_string());
    let object = address.exact_object().map_err(Usage::from)?;
    let opened = store::open(address.scheme, args, mode).await?;
    let context = FailureContext::at(format!("cannot remove {shown}"), address)
        .through(opened.store.endpoint());
    let done = remove(opened.store.as_ref(), &object).await;
    opened.close().await;
    let found =
        done.map_err(|error| haul::Error::of_store(address.subject(), error)).context(context)?;
    let existence_checked = match found {
        Found::Object => true,
        Found::NotChecked => false,
        Found::OnlyBelow | Found::Nothing => return Err(missing(found, address, &shown).into()),
    };
    mode.event(&ObjectRemoved {
        bucket: object.bucket.as_str(),
        key: object.key.as_str(),
        existence_checked,
    });
    let remark = if existence_checked { "" } else { " (existence not checked)" };
    mode.result(&format!("removed {shown}{remark}"));
    Ok(Exit::Done)
}

/// Removes the object unless it is known to be missing.
async fn remove(store: &dyn Store, object: &ObjectRef) -> Result<Found, StoreError> {
    let retry = super::brief_retry();
    let found = match retry.run(|| store.head_object(object)).await {
        Ok(_) => Found::Object,
        // 403 is also what AWS answers for a missing key to those who may not list.
        Err(error) if error.kind == StoreErrorKind::AccessDenied => Found::NotChecked,
        Err(error) if error.kind == StoreErrorKind::NoSuchKey => return below(store, object).await,
        Err(error) => return Err(error),
    };
    retry.run(|| store.delete_object(object)).await?;
    Ok(found)
}

/// Whether there are objects below a key that is none. A bucket that is missing is reported here:
/// HEAD cannot tell.
async fn below(store: &dyn Store, object: &ObjectRef) -> Result<Found, StoreError> {
    let prefix = folder(object.key.as_str());
    let retry = super::brief_retry();
    match retry.run(|| store.list_objects(&object.bucket, &prefix, Some("/"), None)).await {
        Ok(page) if page.entries.is_empty() => Ok(Found::Nothing),
        Ok(_) => Ok(Found::OnlyBelow),
        // Without the right to list, nothing more can be said.
        Err(error) if error.kind == StoreErrorKind::AccessDenied => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}

fn folder(key: &str) -> String {
    if key.ends_with('/') { key.to_owned() } else { format!("{key}/") }
}

fn missing(found: Found, address: &Address, shown: &str) -> Ended {
    let folder = Address { key: folder(&address.key), ..address.clone() };
    let folder = visible(&folder.to_string());
    let hint = match found {
        Found::OnlyBelow => format!(
            "haul ls -r {folder} shows what is below it; haul rm removes one object at a time and \
             has no -r yet"
        ),
        _ => format!("look for it: haul ls {}", visible(&parent(address).to_string())),
    };
    Ended {
        exit: Exit::Failed,
        code: "NoSuchKey",
        message: format!("there is no object {shown}; nothing was removed"),
        hint: Some(hint),
    }
}

/// The folder that a key is in.
fn parent(address: &Address) -> Address {
    let key = address.key.trim_end_matches('/');
    let key = key.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    Address { key, ..address.clone() }
}
