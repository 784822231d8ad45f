//! Removes files and objects: the sources of a move, and files that only the target of a sync has.
//!
//! In case of doubt nothing is removed: a source is removed only if its copy is proven and the
//! source is still the version that was copied.

use std::path::Path;
use std::sync::Arc;

use haul_parts::ObjectRef;

use super::entry::Place;
use super::file::{Copied, Shared, Work};
use super::look;
use super::names;
use super::spool::Spool;
use super::{TreeFailure, TreeTarget};
use crate::error::Error;
use crate::remote::{DELETE_KEYS_MAX, Store, StoreErrorKind};
use crate::removal::{Removed, Remover};
use crate::source::FileIdentity;
use crate::subject::Subject;

/// Removes the source of a move.
pub(super) async fn remove_source(
    shared: &Shared,
    work: &Work,
    copied: &Copied,
) -> Result<(), Error> {
    let kept = |reason: &str| Error::SourceKept {
        source_name: work.source(shared),
        reason: reason.to_owned(),
    };
    if !copied.proven {
        return Err(kept("the store gave nothing that proves the copy"));
    }
    match &work.entry.place {
        // The walk warned about the link.
        Place::File(_) if work.entry.is_behind_link => Ok(()),
        Place::File(path) => {
            let now = std::fs::metadata(path).map(|metadata| FileIdentity::of(&metadata));
            let now = now.map_err(|error| kept(&format!("it cannot be examined: {error}")))?;
            if copied.read.as_ref().is_none_or(|read| read.change_to(&now).is_some()) {
                return Err(kept("it changed since it was read"));
            }
            std::fs::remove_file(path)
                .map_err(|error| kept(&format!("it cannot be removed: {error}")))
        }
        Place::Object { etag, .. } => {
            let Some(object) = work.source_object(shared) else {
                return Err(kept("it is not known where it is"));
            };
            let store = shared.source_store();
            let Some(now) = look::head(shared, store.as_ref(), &object).await? else {
                return Ok(());
            };
            let same = etag.as_ref().is_some_and(|etag| *etag == now.etag)
                && now.size_bytes == work.entry.size_bytes;
            if !same {
                return Err(kept("it is another version than the one that was copied"));
            }
            remove_object(shared, store, &object).await
        }
    }
}

async fn remove_object(
    shared: &Shared,
    store: &Arc<dyn Store>,
    object: &ObjectRef,
) -> Result<(), Error> {
    match shared.resources.retry.run(|| store.delete_object(object)).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind == StoreErrorKind::NoSuchKey => Ok(()),
        Err(error) => Err(Error::of_store(object.clone(), error)),
    }
}

/// The result of removing one extra file.
pub(super) enum Extra {
    Removed(String),
    Failed(TreeFailure),
}

/// The result of removing all extra files.
pub(super) enum Through {
    Finished,
    /// The tree was stopped.
    Stopped,
}

/// Removes files that only the target has, in batches; calls `removed` for each of them.
pub(super) async fn remove_extra(
    shared: &Shared,
    extra: Spool,
    mut removed: impl FnMut(Extra),
) -> Result<Through, Error> {
    let unreadable = |source| {
        let source_name = "the list of what to remove".to_owned();
        Error::SourceUnreadable { source_name, source }
    };
    let remover = Remover::new(Arc::clone(&shared.resources.store), shared.resources.retry.clone());
    let mut names = extra.read().map_err(unreadable)?;
    let mut stop = shared.stop.clone();
    loop {
        let batch: std::io::Result<Vec<String>> = names.by_ref().take(DELETE_KEYS_MAX).collect();
        let batch = batch.map_err(unreadable)?;
        if batch.is_empty() {
            return Ok(Through::Finished);
        }
        let done = tokio::select! {
            biased;
            _ = stop.stronger() => {
                return Ok(Through::Stopped);
            }
            done = remove_batch(shared, &remover, batch) => done?,
        };
        done.into_iter().for_each(&mut removed);
    }
}

async fn remove_batch(
    shared: &Shared,
    remover: &Remover,
    names: Vec<String>,
) -> Result<Vec<Extra>, Error> {
    let dry_run = shared.options.dry_run;
    match &shared.target {
        TreeTarget::Folder(folder) => {
            let remove = |name: String| {
                let path = folder.join(&name);
                let target = path.display().to_string();
                match if dry_run { Ok(()) } else { remove_file(&path) } {
                    Ok(()) => Extra::Removed(target),
                    Err(error) => failed(name, target, error),
                }
            };
            Ok(names.into_iter().map(remove).collect())
        }
        TreeTarget::Prefix(bucket, prefix) => {
            let address = |key: &str| format!("s3://{bucket}/{key}");
            let (mut done, mut keys) = (vec![], vec![]);
            for name in names {
                match names::key_below(prefix, &name) {
                    Ok(key) if dry_run => done.push(Extra::Removed(address(key.as_str()))),
                    Ok(key) => keys.push(key),
                    Err(error) => {
                        let (target, reason) = (address(&name), error.to_string());
                        let error = Error::UnusableName { name: name.clone(), reason };
                        done.push(failed(name, target, error));
                    }
                }
            }
            let removed = remover.remove(bucket, keys).await;
            let removed = removed.map_err(|error| {
                let (bucket, prefix) = (bucket.clone(), prefix.clone());
                Error::of_store(Subject::Bucket { bucket, prefix }, error)
            })?;
            done.extend(removed.into_iter().map(|Removed { key, result }| {
                let target = address(&key);
                match result {
                    Ok(_) => Extra::Removed(target),
                    Err(error) => {
                        let name = key.strip_prefix(prefix.as_str()).unwrap_or(&key).to_owned();
                        let (bucket, prefix) = (bucket.clone(), key.clone());
                        let subject = Subject::Bucket { bucket, prefix };
                        failed(name, target, Error::of_store(subject, error))
                    }
                }
            }));
            Ok(done)
        }
    }
}

fn failed(name: String, target: String, error: Error) -> Extra {
    Extra::Failed(TreeFailure { name, source: String::new(), target, error })
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|source| Error::TargetUnwritable { path: path.to_owned(), source }),
    }
}
