//! The target that receives the bytes of a download, and the final comparison.
//!
//! A file is temporary until it is complete and verified. A pipe or a device gets the bytes in
//! order as they arrive, so a failed verification can no longer take them back; the error says so.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;

use super::destination::Destination;
use super::modified;
use super::temporary::Temporary;
use super::verify::{BodyVerifier, Mismatch, Verified};
use crate::error::Error;
use crate::remote::ObjectRef;

/// Bytes that are collected before a blocking thread writes and hashes them.
const BLOCK_BYTES: usize = 1024 * 1024;

pub(super) struct OpenTarget {
    path: PathBuf,
    end: End,
    sink: Option<Sink>,
    /// The length of the whole object in bytes.
    size_bytes: u64,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    /// Bytes written or withheld so far, and hashed.
    taken_bytes: u64,
    written_bytes: u64,
    /// The last bytes for a pipe or a device, withheld until all bytes are verified.
    withheld: Vec<Bytes>,
}

/// The last step of a download, after all bytes are written.
enum End {
    /// The file is renamed to its final name.
    Rename(Temporary),
    /// The file is synced and stays where it is.
    Sync,
    /// Nothing: bytes in a pipe cannot be synced.
    Leave,
}

/// The open file that bytes are written to, and the verifier that hashes them.
struct Sink {
    file: File,
    verifier: BodyVerifier,
}

impl OpenTarget {
    /// Opens the target for this number of bytes. For a pipe this waits for a reader.
    pub(super) async fn open(
        path: &Path,
        destination: Destination,
        size_bytes: u64,
        verifier: BodyVerifier,
    ) -> Result<Self, Error> {
        let opened = in_background(move || open(destination)).await?;
        let (file, end) =
            opened.map_err(|source| Error::TargetUnwritable { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.to_owned(),
            end,
            sink: Some(Sink { file, verifier }),
            size_bytes,
            gathered: vec![],
            gathered_bytes: 0,
            taken_bytes: 0,
            written_bytes: 0,
            withheld: vec![],
        })
    }

    /// Replaces the verifier. Must be called before any byte was received.
    pub(super) fn verify_by(&mut self, verifier: BodyVerifier) {
        if let Some(sink) = &mut self.sink {
            sink.verifier = verifier;
        }
    }

    /// Returns the number of bytes taken; collected bytes count only after [`OpenTarget::flush`].
    pub(super) fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }

    /// Returns the number of bytes received, including the collected ones.
    pub(super) fn given_bytes(&self) -> u64 {
        self.taken_bytes + self.gathered_bytes as u64
    }

    pub(super) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.gathered_bytes += bytes.len();
        self.gathered.push(bytes);
        if self.gathered_bytes >= BLOCK_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Writes and hashes the collected bytes. The last bytes for a pipe or a device are only
    /// hashed: they are written when the whole object is verified.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        let blocks = std::mem::take(&mut self.gathered);
        let bytes = std::mem::take(&mut self.gathered_bytes) as u64;
        let withholds =
            !matches!(self.end, End::Rename(_)) && self.taken_bytes + bytes == self.size_bytes;
        if withholds {
            self.withheld.extend(blocks.iter().cloned());
        }
        self.blocking(move |sink| {
            blocks.iter().try_for_each(|block| {
                if !withholds {
                    sink.file.write_all(block)?;
                }
                sink.verifier.update(block);
                Ok(())
            })
        })
        .await?;
        self.taken_bytes += bytes;
        if !withholds {
            self.written_bytes += bytes;
        }
        Ok(())
    }

    /// Returns an error about the content; it names the target if its bytes cannot be taken back.
    pub(super) fn corrupt(&self, object: &ObjectRef, detail: String) -> Error {
        let detail = match self.end {
            End::Rename(_) => detail,
            End::Sync | End::Leave if self.written_bytes == 0 => detail,
            End::Sync | End::Leave => {
                format!(
                    "{detail}; {} bytes are in {} already",
                    self.written_bytes,
                    self.path.display()
                )
            }
        };
        Error::Corrupt { object: object.clone(), detail }
    }

    /// Compares the taken bytes with the store's values.
    pub(super) fn verify(&mut self) -> Result<Verified, Mismatch> {
        if self.taken_bytes != self.size_bytes {
            let detail = format!("{} bytes instead of {}", self.taken_bytes, self.size_bytes);
            return Err(Mismatch { detail, if_parts_are_equal: false });
        }
        match &mut self.sink {
            Some(sink) => std::mem::replace(&mut sink.verifier, BodyVerifier::Nothing("")).finish(),
            None => Ok(Verified::OnlySize("it was not written")),
        }
    }

    /// Writes the withheld bytes, and syncs a file or a device.
    pub(super) async fn complete(&mut self, modified: Option<SystemTime>) -> Result<(), Error> {
        let (withheld, renames) =
            (std::mem::take(&mut self.withheld), matches!(self.end, End::Rename(_)));
        let syncs = !matches!(self.end, End::Leave);
        self.blocking(move |sink| {
            withheld.iter().try_for_each(|block| sink.file.write_all(block))?;
            if renames {
                modified::set(&sink.file, modified);
            }
            if syncs { sink.file.sync_all() } else { Ok(()) }
        })
        .await
    }

    /// Renames a file to its final name.
    pub(super) async fn publish(self) -> Result<(), Error> {
        let Self { path, end, .. } = self;
        let End::Rename(temporary) = end else { return Ok(()) };
        let published = in_background(move || temporary.publish()).await?;
        published.map_err(|source| Error::TargetUnwritable { path, source })
    }

    async fn blocking(
        &mut self,
        work: impl FnOnce(&mut Sink) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Error> {
        let Some(mut sink) = self.sink.take() else {
            return Err(Error::Internal("a download was continued after it had failed".into()));
        };
        let (sink, done) = in_background(move || {
            let done = work(&mut sink);
            (sink, done)
        })
        .await?;
        self.sink = Some(sink);
        done.map_err(|source| Error::TargetUnwritable { path: self.path.clone(), source })
    }
}

fn open(destination: Destination) -> io::Result<(File, End)> {
    match destination {
        Destination::File { path, permissions } => {
            let (temporary, file) = Temporary::create(&path, permissions.as_ref())?;
            Ok((file, End::Rename(temporary)))
        }
        Destination::Open(file) => Ok((file, End::Leave)),
        Destination::Stream { path, syncs } => {
            let file = File::options().write(true).open(path)?;
            Ok((file, if syncs { End::Sync } else { End::Leave }))
        }
    }
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}
