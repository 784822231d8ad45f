//! The file that a download becomes: temporary until it is whole and verified.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rand::Rng;

use super::verify::{Verified, Verifier};
use crate::error::Error;
use crate::store::ObjectRef;

/// Gathered before a blocking thread writes and hashes it.
const BLOCK_BYTES: usize = 1024 * 1024;

pub(super) struct Target {
    path: PathBuf,
    temporary: Temporary,
    sink: Option<Sink>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    written_bytes: u64,
}

/// What the blocking side works on.
struct Sink {
    file: File,
    verifier: Verifier,
}

/// Removes the file unless it was given its name.
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // Nobody is left to tell; the name says what it is.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Target {
    pub(super) async fn create(path: &Path, verifier: Verifier) -> Result<Self, Error> {
        let unwritable = |source| Error::TargetUnwritable { path: path.to_owned(), source };
        if path.is_dir() {
            return Err(unwritable(io::ErrorKind::IsADirectory.into()));
        }
        let name = path.file_name().ok_or_else(|| unwritable(io::ErrorKind::InvalidFilename.into()))?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".haul-{:08x}", rand::rng().random::<u32>()));
        let temporary = path.with_file_name(temporary);
        let file = File::options().write(true).create_new(true).open(&temporary).map_err(unwritable)?;
        Ok(Self {
            path: path.to_owned(),
            temporary: Temporary(Some(temporary)),
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

    /// Compares what arrived with what the store said, syncs, and gives the file its name.
    pub(super) async fn publish(
        mut self,
        object: &ObjectRef,
        expected_bytes: u64,
    ) -> Result<Verified, Error> {
        let corrupt = |detail| Error::Corrupt { object: object.clone(), detail };
        if self.written_bytes != expected_bytes {
            return Err(corrupt(format!("{} bytes instead of {expected_bytes}", self.written_bytes)));
        }
        self.blocking(|sink| sink.file.sync_all()).await?;
        let Some(sink) = self.sink.take() else {
            return Err(Error::Internal("a download was published twice".into()));
        };
        let verified = sink.verifier.finish().map_err(corrupt)?;
        if let Some(temporary) = &self.temporary.0 {
            std::fs::rename(temporary, &self.path).map_err(|error| self.unwritable(error))?;
        }
        self.temporary.0 = None;
        Ok(verified)
    }

    async fn blocking(
        &mut self,
        work: impl FnOnce(&mut Sink) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Error> {
        let Some(mut sink) = self.sink.take() else {
            return Err(Error::Internal("a download went on after it had failed".into()));
        };
        let task = tokio::task::spawn_blocking(move || {
            let done = work(&mut sink);
            (sink, done)
        });
        let (sink, done) = task.await.map_err(|error| Error::Internal(error.to_string()))?;
        self.sink = Some(sink);
        done.map_err(|error| self.unwritable(error))
    }

    fn unwritable(&self, source: io::Error) -> Error {
        Error::TargetUnwritable { path: self.path.clone(), source }
    }
}
