//! Examines one file more closely than a listing: sends HeadObject, and compares the content if
//! necessary.

use std::path::Path;
use std::sync::Arc;

use haul_parts::ObjectRef;

use super::compare::{CompareBy, Direction, Verdict, listed, looked, same_time};
use super::entry::{Entry, Place};
use super::feed;
use super::file::{self, Shared, To, Work};
use crate::error::Error;
use crate::pace::Success;
use crate::remote::{ObjectHead, Store, StoreErrorKind};
use crate::source::FileSource;
use crate::transfer::mtime;

/// The reason for examining a file before it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The listing does not suffice for the comparison.
    By(CompareBy),
    /// An earlier run started to copy the file, and may have finished.
    Begun,
}

/// Returns whether the file is already at its target.
pub(super) async fn is_there(shared: &Shared, work: &Work, look: Look) -> Result<bool, Error> {
    match (&work.entry.place, &work.to) {
        (Place::File(path), To::Object(object)) => {
            if look == Look::By(CompareBy::Content) {
                return same_content(shared, object, path).await;
            }
            let store = &shared.resources.store;
            let Some(head) = head(shared, store.as_ref(), object).await? else { return Ok(false) };
            match look {
                Look::By(by) => Ok(looked(by, Direction::Up, &work.entry, &head)),
                Look::Begun => Ok(is_of(&work.entry, &head)),
            }
        }
        (Place::Object { .. }, To::File(path)) => is_downloaded(shared, work, path, look).await,
        (Place::Object { .. }, To::Object(object)) => is_copied(shared, work, object, look).await,
        (Place::File(_), To::File(_)) => Ok(false),
    }
}

async fn is_downloaded(
    shared: &Shared,
    work: &Work,
    path: &Path,
    look: Look,
) -> Result<bool, Error> {
    let local = feed::of_file(path, &work.entry.name)
        .map_err(|source| Error::TargetUnwritable { path: path.to_owned(), source })?;
    let Some(local) = local else { return Ok(false) };
    let by = match look {
        Look::By(by) => by,
        Look::Begun => CompareBy::SizeAndTime,
    };
    match listed(by, Direction::Down, &work.entry, &local) {
        Verdict::Same => return Ok(true),
        Verdict::Differs => return Ok(false),
        Verdict::Look => {}
    }
    let Some(object) = work.source_object(shared) else { return Ok(false) };
    if by == CompareBy::Content {
        return same_content(shared, &object, path).await;
    }
    let store = shared.source_store();
    let Some(head) = head(shared, store.as_ref(), &object).await? else { return Ok(false) };
    Ok(looked(by, Direction::Down, &local, &head))
}

async fn is_copied(
    shared: &Shared,
    work: &Work,
    object: &ObjectRef,
    look: Look,
) -> Result<bool, Error> {
    let store = &shared.resources.store;
    let Some(target) = head(shared, store.as_ref(), object).await? else { return Ok(false) };
    let there = feed::of_head(&target, object.key.clone(), work.entry.name.clone());
    let by = match look {
        Look::By(by) => by,
        // Only an equal ETag shows that the object is our copy.
        Look::Begun => CompareBy::Content,
    };
    match listed(by, Direction::Between, &work.entry, &there) {
        Verdict::Same => return Ok(true),
        Verdict::Differs => return Ok(false),
        Verdict::Look => {}
    }
    let Some(from) = work.source_object(shared) else { return Ok(false) };
    let Some(source) = head(shared, shared.source_store().as_ref(), &from).await? else {
        return Ok(false);
    };
    let same_whole = source.checksum.is_some() && source.checksum == target.checksum;
    // A composite checksum depends on the parts too: equal ones are of equal parts.
    Ok(same_whole || source.composite.is_some() && source.composite == target.composite)
}

/// Returns whether the object is an upload of this version of the file, judged by its length and
/// the modification time in its metadata.
fn is_of(file: &Entry, head: &ObjectHead) -> bool {
    let stored = mtime::stored(head).and_then(mtime::nanoseconds);
    file.size_bytes == head.size_bytes && same_time(stored, file.modified_ns)
}

/// Sends HeadObject; `None` if there is no object.
pub(super) async fn head(
    shared: &Shared,
    store: &dyn Store,
    object: &ObjectRef,
) -> Result<Option<ObjectHead>, Error> {
    let pass = shared.resources.gate.enter().await;
    match shared.resources.retry.run(|| store.head_object(object)).await {
        Ok(head) => {
            pass.succeeded(Success::Short);
            Ok(Some(head))
        }
        Err(error) if error.kind == StoreErrorKind::NoSuchKey => {
            pass.succeeded(Success::Short);
            Ok(None)
        }
        Err(error) => Err(Error::of_store(object.clone(), error)),
    }
}

/// Returns whether the store's evidence proves that a file has the object's bytes. False if there
/// is no object, and if nothing is proven: then the file is copied once more.
async fn same_content(shared: &Shared, object: &ObjectRef, path: &Path) -> Result<bool, Error> {
    let pass = shared.resources.gate.enter().await;
    let description = match shared.verifier.describe(object).await {
        Ok(description) => description,
        Err(Error::Store { source, .. }) if source.kind == StoreErrorKind::NoSuchKey => {
            pass.succeeded(Success::Short);
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    pass.succeeded(Success::Short);
    let opened = path.to_owned();
    let source = file::blocking(move || FileSource::open(&opened)).await?.map_err(Error::from)?;
    let verdict = shared.verifier.compare(Arc::new(source), object, &description).await?;
    Ok(matches!(verdict, crate::verify::Verdict::Same(_)))
}
