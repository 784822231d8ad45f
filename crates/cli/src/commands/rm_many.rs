//! `haul rm -r` and `haul rm` with wildcards: removes the objects of a listing in batches while the
//! listing continues.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::StreamExt as _;
use haul::StoreError;
use haul::listing::{ListingQuery, pages};
use haul::pace::RetryPolicy;
use haul::remote::ListingEntry;
use haul::removal::{RemovalOptions, Removed, Remover, remove_below};
use serde::Serialize;

use super::rm::{ObjectRemoved, ObjectWouldBeRemoved};
use super::summary::counted;
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext};
use crate::interrupt::{Interrupts, Role};
use crate::output::{Mode, Shown, paint, visible};
use crate::selection::Selection;
use crate::size::human_size;
use crate::store::OpenedStore;
use crate::target::Address;
use crate::waiting::noted;

/// The summary, for programs.
#[derive(Debug, Default, Serialize)]
#[serde(tag = "event", rename = "removal-summary")]
pub(super) struct RemovalSummary {
    dry_run: bool,
    /// Objects removed, or with `--dry-run` found.
    objects: u64,
    /// Keys that may still exist.
    failed: u64,
    /// Removed objects whose versions the bucket keeps.
    delete_markers: u64,
}

/// A key that may still exist, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "object-not-removed")]
struct NotRemoved<'a> {
    bucket: &'a str,
    key: &'a str,
    code: String,
    error: String,
}

/// Removes the objects that `selection` admits; `address` is the user's argument.
pub(super) async fn remove(
    opened: &OpenedStore,
    address: &Address,
    selection: &Selection,
    dry_run: bool,
    mode: Mode,
) -> anyhow::Result<()> {
    let shown = visible(&address.to_string());
    let failed = |error: StoreError| {
        let action = format!("cannot remove everything that {shown} names");
        let context = FailureContext::at(action, address).through(opened.store.endpoint());
        anyhow::Error::from(haul::Error::of_store(address.subject(), error)).context(context)
    };
    if dry_run {
        let found = noted(
            mode,
            count(opened, selection, |key| {
                mode.event(&ObjectWouldBeRemoved { bucket: selection.bucket.as_str(), key });
                mode.result(&format!("would remove {}", shown_key(address, key)));
            }),
        );
        let found = found.await.map_err(failed)?;
        found.refuse_if_nothing(selection, &shown)?;
        let summary =
            RemovalSummary { dry_run, objects: found.objects, ..RemovalSummary::default() };
        mode.event(&summary);
        mode.result(&format!(
            "would remove {}, {}",
            counted(found.objects, "object"),
            human_size(found.size_bytes)
        ));
        return Ok(());
    }
    if mode == Mode::Terminal {
        let found = noted(mode, count(opened, selection, |_| ())).await.map_err(failed)?;
        found.refuse_if_nothing(selection, &shown)?;
        let (objects, size) = (counted(found.objects, "object"), human_size(found.size_bytes));
        mode.remark(&format!("removing {objects}, {size}"));
    }
    let mut summary = RemovalSummary::default();
    let (stopped, found) = run(opened, address, selection, &mut summary, mode).await;
    mode.event(&summary);
    mode.result(&summary.words());
    let found = found.map_err(failed)?;
    if let Some(signal) = stopped {
        return Err(Ended {
            exit: Exit::Interrupted,
            code: "Interrupted",
            message: format!("{signal}: {}; the rest stays", summary.words()),
            hint: None,
        }
        .into());
    }
    if summary.failed > 0 {
        return Err(summary.failure(&shown).into());
    }
    if found == 0 && stopped.is_none() {
        return Err(nothing(selection, &shown).into());
    }
    Ok(())
}

fn nothing(selection: &Selection, shown: &str) -> Ended {
    let how = if selection.is_pattern() { "matches" } else { "is below" };
    Ended {
        exit: Exit::Failed,
        code: "NothingFound",
        message: format!("nothing {how} {shown}; nothing was removed"),
        hint: Some("haul ls shows what there is".to_owned()),
    }
}

/// Removes the objects and reports each. The first signal stops new requests and waits for those in
/// flight. Returns the signal, and the number of keys found, including those that the filter
/// excludes.
pub(super) async fn run(
    opened: &OpenedStore,
    address: &Address,
    selection: &Selection,
    summary: &mut RemovalSummary,
    mode: Mode,
) -> (Option<&'static str>, Result<u64, StoreError>) {
    let stop = AtomicBool::new(false);
    let remover = Remover::new(Arc::clone(&opened.store), RetryPolicy::default());
    let seen = AtomicU64::new(0);
    let admits = |key: &str| {
        seen.fetch_add(u64::from(selection.names(key)), Ordering::Relaxed);
        selection.admits(key)
    };
    let options = RemovalOptions {
        bucket: &selection.bucket,
        prefix: &selection.prefix,
        admits: &admits,
        stop: &stop,
    };
    let mut work = pin!(remove_below(&remover, options, |one| {
        summary.take(address, &one, mode);
    }));
    let Ok(mut interrupts) = Interrupts::new(Role::Work) else {
        return (None, work.await.map(|()| seen.load(Ordering::Relaxed)));
    };
    let mut stopped = None;
    loop {
        tokio::select! {
            biased;
            signal = interrupts.next() => {
                if stopped.is_some() {
                    return (stopped, Ok(seen.load(Ordering::Relaxed)));
                }
                stop.store(true, Ordering::Relaxed);
                stopped = Some(signal);
            }
            done = &mut work => {
                return (stopped, done.map(|()| seen.load(Ordering::Relaxed)));
            }
        }
    }
}

impl RemovalSummary {
    fn take(&mut self, address: &Address, one: &Removed, mode: Mode) {
        let (bucket, key) = (address.bucket.as_str(), one.key.as_str());
        match &one.result {
            Ok(deleted) => {
                let delete_marker = deleted.delete_marker;
                self.objects += 1;
                self.delete_markers += u64::from(delete_marker);
                mode.event(&ObjectRemoved { bucket, key, existence_checked: true, delete_marker });
                mode.result(&format!("removed {}", shown_key(address, key)));
            }
            Err(error) => {
                self.failed += 1;
                let problem = format!("cannot remove {}: {error}", shown_key(address, key));
                Shown::default().labelled(&paint("error"), &problem).complain();
                let code = error.code.clone().unwrap_or_else(|| format!("{:?}", error.kind));
                mode.event(&NotRemoved { bucket, key, code, error: error.to_string() });
            }
        }
    }

    /// Formats `removed 12 objects`.
    pub(super) fn words(&self) -> String {
        let objects = counted(self.objects, "object");
        match self.delete_markers {
            0 => format!("removed {objects}"),
            _ => format!("removed {objects}; the bucket keeps their versions"),
        }
    }

    /// Returns the number of keys that may still exist.
    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    /// Returns the failure of a removal in which some keys failed.
    pub(super) fn failure(&self, shown: &str) -> Ended {
        Ended {
            exit: Exit::Failed,
            code: "SomeNotRemoved",
            message: format!(
                "{} that {shown} names could not be removed",
                counted(self.failed, "object")
            ),
            hint: Some("the lines above say why; the same command again tries the rest".to_owned()),
        }
    }
}

fn shown_key(address: &Address, key: &str) -> String {
    let key = Address { key: key.to_owned(), ..address.clone() };
    visible(&key.to_string())
}

/// The number of objects in a selection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) objects: u64,
    pub(super) size_bytes: u64,
    /// Objects that match but that the filter excludes.
    left_out: u64,
}

impl Count {
    fn refuse_if_nothing(self, selection: &Selection, shown: &str) -> Result<(), Ended> {
        if self.objects + self.left_out > 0 { Ok(()) } else { Err(nothing(selection, shown)) }
    }
}

/// Counts the selection, and calls `each` with every key.
pub(super) async fn count(
    opened: &OpenedStore,
    selection: &Selection,
    each: impl Fn(&str),
) -> Result<Count, StoreError> {
    let query =
        ListingQuery { bucket: &selection.bucket, prefix: &selection.prefix, delimiter: None };
    let retry = RetryPolicy::default();
    let mut pages = pin!(pages(opened.store.as_ref(), query, &retry));
    let mut count = Count::default();
    while let Some(page) = pages.next().await {
        for entry in page? {
            let ListingEntry::Object { key, size_bytes, .. } = entry else { continue };
            if selection.admits(&key) {
                count.objects += 1;
                count.size_bytes += size_bytes;
                each(&key);
            } else {
                count.left_out += u64::from(selection.names(&key));
            }
        }
    }
    Ok(count)
}
