//! Examines one file more closely than a listing: sends HeadObject, and compares the content if
//! necessary.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use haul_parts::{ObjectRef, PartNumber};

use super::compare::{CompareBy, Direction, Verdict, listed, looked, same_time};
use super::entry::{Entry, Place};
use super::feed;
use super::file::{Shared, To, Work};
use crate::error::Error;
use crate::remote::{ObjectHead, Store, StoreErrorKind};
use crate::transfer::download::verify::{BodyVerifier, Verified};
use crate::transfer::mtime;

/// Bytes of one read.
const READ_BYTES: usize = 1 << 18;

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
            let store = &shared.resources.store;
            let Some(head) = head(shared, store.as_ref(), object).await? else { return Ok(false) };
            match look {
                Look::By(CompareBy::Content) => Ok(work.entry.size_bytes == head.size_bytes
                    && same_content(store, object, &head, path).await?),
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
    let store = shared.source_store();
    let Some(head) = head(shared, store.as_ref(), &object).await? else { return Ok(false) };
    match by {
        CompareBy::Content => same_content(store, &object, &head, path).await,
        by => Ok(looked(by, Direction::Down, &local, &head)),
    }
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
    Ok(source.checksum.is_some() && source.checksum == target.checksum)
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
            pass.succeeded();
            Ok(Some(head))
        }
        Err(error) if error.kind == StoreErrorKind::NoSuchKey => {
            pass.succeeded();
            Ok(None)
        }
        Err(error) => Err(Error::of_store(object.clone(), error)),
    }
}

/// Returns whether the store's evidence shows that a file has the object's bytes; false if there is
/// no evidence.
pub(super) async fn same_content(
    store: &Arc<dyn Store>,
    object: &ObjectRef,
    head: &ObjectHead,
    path: &Path,
) -> Result<bool, Error> {
    let in_parts =
        head.checksum.is_none() && (head.composite.is_some() || head.etag.part_count().is_some());
    let part_size_bytes = match in_parts {
        true => store.head_part(object, PartNumber::MIN).await.ok().flatten(),
        false => None,
    };
    let mut verifier = BodyVerifier::new(head, part_size_bytes.map(|part| part.size_bytes));
    let size_bytes = head.size_bytes;
    let read = path.to_owned();
    let verified = tokio::task::spawn_blocking(move || {
        let mut file = File::open(&read)?;
        let mut buffer = vec![0; READ_BYTES];
        let mut read_bytes = 0;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            read_bytes += count as u64;
            verifier.update(&buffer[..count]);
        }
        if read_bytes != size_bytes {
            return Ok(None);
        }
        Ok(verifier.finish().ok())
    });
    let verified: std::io::Result<_> =
        verified.await.map_err(|error| Error::Internal(error.to_string()))?;
    let verified = verified.map_err(|source| Error::SourceUnreadable {
        source_name: path.display().to_string(),
        source,
    })?;
    Ok(verified.is_some_and(|verified| !matches!(verified, Verified::OnlySize(_))))
}
