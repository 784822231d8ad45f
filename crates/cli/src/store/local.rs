//! Finds the endpoint behind `local://`: the one that `haul serve` runs on the folder, else a new
//! one inside this process.
//!
//! Processes that run an endpoint inside take turns, by a separate lock in the folder. Sharing the
//! first one's endpoint would be faster, but it would disappear when that process ends.

use std::fs::{DirBuilder, File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use haul::s3::StaticCredentials;
use haul_server::{AutoCreateBuckets, RunningServer, ServerOptions};

use super::LocalEndpoint;
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext};
use crate::output::Mode;

/// The lock file of processes that run an endpoint inside.
const TURN_FILE: &str = "turn";

/// The number of checks for an address: a server that has just locked the folder publishes its
/// address a moment later.
const LOOKS_FOR_ADDRESS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// An endpoint inside this process.
pub(crate) struct Inside {
    server: RunningServer,
    // The lock, released after the server has stopped.
    turn: File,
}

impl Inside {
    /// Stops the endpoint.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
        drop(self.turn);
    }
}

/// Finds or starts the endpoint of a folder.
pub(super) async fn endpoint_of(folder: &Path, mode: Mode) -> anyhow::Result<LocalEndpoint> {
    let context = || {
        FailureContext::of(format!("cannot open the store in {}", folder.display()))
            .hinting("check the folder, or choose another one with --data or HAUL_DATA_DIR")
    };
    for _ in 0..LOOKS_FOR_ADDRESS {
        let turn = take_turn(folder, mode).await.with_context(context)?;
        let mut options = ServerOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: folder.to_owned(),
            auto_create_buckets: AutoCreateBuckets::OnFirstWrite,
            ..ServerOptions::default()
        };
        crate::open_files::make_room(&mut options.limits);
        let region = options.region.clone();
        match haul_server::start(options).await {
            Ok(server) => {
                let keys = server.credentials().clone();
                return Ok(LocalEndpoint {
                    endpoint: server.endpoint(),
                    region,
                    credentials: static_credentials(&keys),
                    inside: Some(Inside { server, turn }),
                });
            }
            Err(error) if error.is_locked() => {
                drop(turn);
                if let Some(running) =
                    haul_server::running_endpoint(folder).with_context(context)?
                {
                    return Ok(LocalEndpoint {
                        endpoint: running.endpoint(),
                        region: running.region,
                        credentials: static_credentials(&running.credentials),
                        inside: None,
                    });
                }
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
            Err(error) => return Err(error).with_context(context),
        }
    }
    Err(Ended {
        exit: Exit::Failed,
        code: "NoEndpoint",
        message: format!(
            "another process holds {} and does not say where it listens",
            folder.display()
        ),
        hint: Some("stop that process, or choose another folder with --data".to_owned()),
    }
    .into())
}

fn static_credentials(keys: &haul_server::Credentials) -> StaticCredentials {
    StaticCredentials {
        access_key_id: keys.access_key_id.clone(),
        secret_access_key: keys.secret_access_key.expose().to_owned(),
    }
}

/// Waits until no other process has an endpoint inside on this folder.
async fn take_turn(folder: &Path, mode: Mode) -> anyhow::Result<File> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    // Objects are private to their owner by default.
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let file = haul_store::side_file::open_for_locking(folder, TURN_FILE)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            mode.remark(&format!("waiting for another haul that uses {}", folder.display()));
            Ok(tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await??)
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
