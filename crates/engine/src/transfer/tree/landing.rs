//! Renames downloaded files to their final names, many of them with one sync of the file system.
//!
//! A file must be on disk before it gets its name, and one sync for each of ten thousand short
//! files would take longer than all other work. Files that arrive while a sync runs wait for the
//! next one: so each sync serves all waiting files, and no file waits for more than two.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};

use crate::error::Error;
use crate::transfer::download::temporary::Temporary;

/// Maximum number of files that wait for a sync.
const WAITING_MAX: usize = 1024;

/// A written file that waits for its final name.
struct Written {
    temporary: Temporary,
    file: File,
    path: PathBuf,
    landed: oneshot::Sender<Result<(), Error>>,
}

/// The queue of written files; clones share it.
#[derive(Clone)]
pub(super) struct Landing(mpsc::Sender<Written>);

impl Landing {
    /// Starts the task that syncs; the task ends when the last clone is dropped.
    pub(super) fn start() -> Self {
        let (sender, mut receiver) = mpsc::channel::<Written>(WAITING_MAX);
        tokio::spawn(async move {
            let mut batch = vec![];
            while receiver.recv_many(&mut batch, WAITING_MAX).await > 0 {
                let written = std::mem::take(&mut batch);
                let _ = tokio::task::spawn_blocking(move || land(written)).await;
            }
        });
        Self(sender)
    }

    /// Waits until the file is on disk and has its final name.
    pub(super) async fn land(
        &self,
        temporary: Temporary,
        file: File,
        path: PathBuf,
    ) -> Result<(), Error> {
        let (landed, end) = oneshot::channel();
        let lost = || Error::Internal("the files that were written were not given names".into());
        self.0.send(Written { temporary, file, path, landed }).await.map_err(|_| lost())?;
        end.await.map_err(|_| lost())?
    }
}

fn land(batch: Vec<Written>) {
    let synced = sync(&batch);
    for Written { temporary, file, path, landed } in batch {
        drop(file);
        let done = match &synced {
            Ok(()) => temporary.publish_unsynced(),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        let _ = landed.send(done.map_err(|source| Error::TargetUnwritable { path, source }));
    }
}

/// Syncs the file systems of these files.
#[cfg(target_os = "linux")]
fn sync(batch: &[Written]) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    if let [only] = batch {
        return only.file.sync_all();
    }
    let mut synced = vec![];
    for written in batch {
        let device = written.file.metadata()?.dev();
        if !synced.contains(&device) {
            rustix::fs::syncfs(&written.file)?;
            synced.push(device);
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn sync(batch: &[Written]) -> io::Result<()> {
    batch.iter().try_for_each(|written| written.file.sync_all())
}
