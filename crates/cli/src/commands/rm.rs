//! `haul rm`: removes objects by key, below a folder, or by a pattern.
//!
//! S3 answers DeleteObject the same whether the object existed or not, so each key is checked
//! first: without the check, `haul rm` of a folder's name would report "removed" although its
//! objects remain. A caller that may delete but not read cannot check; the line then has a remark.
//! `rm_many.rs` removes objects that a listing finds.

use anyhow::Context;
use futures_util::StreamExt as _;
use haul::{ObjectRef, Store, StoreError, StoreErrorKind};
use serde::Serialize;

use super::rm_many;
use crate::args::{RmArgs, StoreArgs};
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext, Usage};
use crate::output::{Mode, visible};
use crate::selection::{Selection, folder};
use crate::several::Several;
use crate::store::{self, OpenedStore};
use crate::target::Address;
use crate::waiting::noted;

/// The number of keys checked and removed at a time.
const AT_ONCE: usize = 16;

#[derive(Serialize)]
#[serde(tag = "event", rename = "object-removed")]
pub(super) struct ObjectRemoved<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) existence_checked: bool,
    /// Whether the bucket keeps the versions of the object behind a delete marker.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) delete_marker: bool,
}

/// A line of `--dry-run`.
#[derive(Serialize)]
#[serde(tag = "event", rename = "object-would-be-removed")]
pub(super) struct ObjectWouldBeRemoved<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
}

/// The result of the check before a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Object,
    /// There is no such object, but there are objects below it.
    OnlyBelow,
    Nothing,
    /// The store does not allow the check.
    NotChecked,
}

/// The objects that one argument names.
enum Named {
    /// One object, by its key.
    One(ObjectRef),
    /// The objects of a listing.
    Many(Selection),
}

/// Removes the objects of the arguments, one argument after the other.
pub(crate) async fn run(args: &StoreArgs, what: &RmArgs, mode: Mode) -> anyhow::Result<Exit> {
    // Parse all arguments before anything is removed.
    let named: Vec<Named> =
        what.objects.iter().map(|address| named(address, what)).collect::<Result<_, Usage>>()?;
    let (ones, many): (Vec<_>, Vec<_>) =
        named.into_iter().zip(&what.objects).partition(|(named, _)| matches!(named, Named::One(_)));
    let mut several = Several::of(what.objects.len(), mode);
    for scheme in [crate::target::Scheme::S3, crate::target::Scheme::Local] {
        if !what.objects.iter().any(|address| address.scheme == scheme) {
            continue;
        }
        let opened = store::open(scheme, args, mode).await?;
        let ones: Vec<_> = ones
            .iter()
            .filter_map(|(named, address)| match named {
                Named::One(object) if address.scheme == scheme => Some((*address, object)),
                _ => None,
            })
            .collect();
        let removed = futures_util::stream::iter(ones)
            .map(|(address, object)| one(&opened, address, object, what.dry_run, mode))
            .buffered(AT_ONCE)
            .collect::<Vec<_>>();
        for result in noted(mode, removed).await {
            several.take(result.map(|()| Exit::Done));
        }
        for (named, address) in &many {
            if let Named::Many(selection) = named
                && address.scheme == scheme
                && !several.interrupted()
            {
                let many = rm_many::remove(&opened, address, selection, what.dry_run, mode);
                several.take(Box::pin(many).await.map(|()| Exit::Done));
            }
        }
        opened.close().await;
    }
    several.end()
}

fn named(address: &Address, what: &RmArgs) -> Result<Named, Usage> {
    let shown = visible(&address.to_string());
    let pattern = if what.raw { None } else { Selection::pattern(address) };
    match (what.recursive, pattern) {
        (true, Some(_)) => Err(Usage::new(
            format!("{shown} has wildcards, which are not for -r: * matches / too"),
            "leave -r out, or add --raw if the key has these characters itself",
        )),
        (true, None) => Ok(Named::Many(Selection::below(address).filtered(what.filter.filter()))),
        (false, Some(pattern)) => Ok(Named::Many(pattern.filtered(what.filter.filter()))),
        (false, None) => {
            if let Some(flag) = what.filter.first_flag() {
                return Err(Usage::new(
                    format!("{flag} is for -r and for wildcards; {shown} is one object"),
                    format!("haul rm -r {shown} removes what is below it"),
                ));
            }
            match address.exact_object() {
                Ok(object) => Ok(Named::One(object)),
                Err(error) => Err(Usage::new(
                    error.to_string(),
                    format!("haul rm -r {shown} removes every object of the bucket"),
                )),
            }
        }
    }
}

/// Removes one object.
async fn one(
    opened: &OpenedStore,
    address: &Address,
    object: &ObjectRef,
    dry_run: bool,
    mode: Mode,
) -> anyhow::Result<()> {
    let shown = visible(&address.to_string());
    let context = FailureContext::at(format!("cannot remove {shown}"), address)
        .through(opened.store.endpoint());
    let done = remove(opened.store.as_ref(), object, dry_run).await;
    let found =
        done.map_err(|error| haul::Error::of_store(address.subject(), error)).context(context)?;
    let existence_checked = match found {
        Found::Object => true,
        Found::NotChecked => false,
        Found::OnlyBelow | Found::Nothing => return Err(missing(found, address, &shown).into()),
    };
    let remark = if existence_checked { "" } else { " (existence not checked)" };
    let (bucket, key) = (object.bucket.as_str(), object.key.as_str());
    if dry_run {
        mode.event(&ObjectWouldBeRemoved { bucket, key });
        mode.result(&format!("would remove {shown}{remark}"));
    } else {
        mode.event(&ObjectRemoved { bucket, key, existence_checked, delete_marker: false });
        mode.result(&format!("removed {shown}{remark}"));
    }
    Ok(())
}

/// Removes the object unless it is known to be missing.
async fn remove(store: &dyn Store, object: &ObjectRef, dry_run: bool) -> Result<Found, StoreError> {
    let retry = super::brief_retry();
    let found = match retry.run(|| store.head_object(object)).await {
        Ok(_) => Found::Object,
        // AWS also answers 403 for a missing key to callers without the permission to list.
        Err(error) if error.kind == StoreErrorKind::AccessDenied => Found::NotChecked,
        Err(error) if error.kind == StoreErrorKind::NoSuchKey => return below(store, object).await,
        Err(error) => return Err(error),
    };
    if !dry_run {
        retry.run(|| store.delete_object(object)).await?;
    }
    Ok(found)
}

/// Returns whether there are objects below a missing key. Fails if the bucket is missing, which
/// HEAD cannot distinguish from a missing key.
async fn below(store: &dyn Store, object: &ObjectRef) -> Result<Found, StoreError> {
    let prefix = folder(object.key.as_str());
    let retry = super::brief_retry();
    match retry.run(|| store.list_objects(&object.bucket, &prefix, Some("/"), None)).await {
        Ok(page) if page.entries.is_empty() => Ok(Found::Nothing),
        Ok(_) => Ok(Found::OnlyBelow),
        // Without the permission to list, nothing more is known.
        Err(error) if error.kind == StoreErrorKind::AccessDenied => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}

fn missing(found: Found, address: &Address, shown: &str) -> Ended {
    let below = Address { key: folder(&address.key), ..address.clone() };
    let below = visible(&below.to_string());
    let hint = match found {
        Found::OnlyBelow => format!(
            "haul ls -r {below} shows what is below it, and haul rm -r {below} removes that"
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

/// Returns the address of the folder that contains the key.
fn parent(address: &Address) -> Address {
    let key = address.key.trim_end_matches('/');
    let key = key.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    Address { key, ..address.clone() }
}
