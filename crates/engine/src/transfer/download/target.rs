//! What the bytes of a download are written to, and the comparison that they must pass.
//!
//! A file is temporary until it is whole and verified. A pipe or a device gets the bytes in order
//! as they arrive, so they are verified when they are there already: the error says so.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;

use super::destination::Destination;
use super::modified;
use super::temporary::Temporary;
use super::verify::{Verified, Verifier};
use crate::error::Error;
use crate::remote::ObjectRef;

/// Gathered before a blocking thread writes and hashes it.
const BLOCK_BYTES: usize = 1024 * 1024;

pub(super) struct Target {
    path: PathBuf,
    end: End,
    sink: Option<Sink>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    written_bytes: u64,
}

/// What happens to the file when all of it is there.
enum End {
    /// It gets its name.
    Rename(Temporary),
    /// It is synced and stays where it is.
    Sync,
    /// Nothing: what went into a pipe is gone.
    Leave,
}

/// What the blocking side works on.
struct Sink {
    file: File,
    verifier: Verifier,
}

impl Target {
    /// Opens it. Of a pipe this waits for a reader.
    pub(super) async fn open(
        path: &Path,
        destination: Destination,
        verifier: Verifier,
    ) -> Result<Self, Error> {
        let opened = in_background(move || open(destination)).await?;
        let (file, end) =
            opened.map_err(|source| Error::TargetUnwritable { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.to_owned(),
            end,
            sink: Some(Sink { file, verifier }),
            gathered: vec![],
            gathered_bytes: 0,
            written_bytes: 0,
        })
    }

    /// Bytes in the file; what is gathered counts only after [`Target::flush`].
    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Bytes that were given, gathered ones included.
    pub(super) fn given_bytes(&self) -> u64 {
        self.written_bytes + self.gathered_bytes as u64
    }

    pub(super) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.gathered_bytes += bytes.len();
        self.gathered.push(bytes);
        if self.gathered_bytes >= BLOCK_BYTES { self.flush().await } else { Ok(()) }
    }

    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        let blocks = std::mem::take(&mut self.gathered);
        self.blocking(move |sink| {
            blocks.iter().try_for_each(|block| {
                sink.file.write_all(block)?;
                sink.verifier.update(block);
                Ok(())
            })
        })
        .await?;
        self.written_bytes += std::mem::take(&mut self.gathered_bytes) as u64;
        Ok(())
    }

    /// An error about the content; it names where bytes are that cannot be taken back.
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

    /// Compares what arrived with what the store said, syncs, and gives the file its name.
    pub(super) async fn publish(
        mut self,
        object: &ObjectRef,
        expected_bytes: u64,
        modified: Option<SystemTime>,
    ) -> Result<Verified, Error> {
        if self.written_bytes != expected_bytes {
            let detail = format!("{} bytes instead of {expected_bytes}", self.written_bytes);
            return Err(self.corrupt(object, detail));
        }
        match self.end {
            End::Rename(_) => {
                self.blocking(move |sink| {
                    modified::set(&sink.file, modified);
                    sink.file.sync_all()
                })
                .await?;
            }
            End::Sync => self.blocking(|sink| sink.file.sync_all()).await?,
            End::Leave => {}
        }
        let Some(sink) = self.sink.take() else {
            return Err(Error::Internal("a download was published twice".into()));
        };
        let verified = sink.verifier.finish().map_err(|detail| self.corrupt(object, detail))?;
        let Self { path, end, .. } = self;
        if let End::Rename(temporary) = end {
            let published = in_background(move || temporary.publish()).await?;
            published.map_err(|source| Error::TargetUnwritable { path, source })?;
        }
        Ok(verified)
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
