//! The servers under measurement.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use haul_testkit::TestStore;
use haul_testkit::files::random_hex;
use haul_testkit::servers::{Daemon, Fsync, Garage, HaulServe, REGION, free_port};
use tempfile::TempDir;

use super::Place;
use super::floor::Floor;
use crate::authority::Authority;
use crate::options::Options;

/// The names of our servers in the table.
pub(super) const HAUL: &str = "haul serve";
pub(super) const FLOOR: &str = "floor";
/// The name of Garage that syncs as `haul serve` does.
pub(super) const GARAGE_WITH_FSYNC: &str = "garage, fsync";

const START_LIMIT: Duration = Duration::from_secs(30);

/// A running server.
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) store: TestStore,
    pub(super) id: u32,
    // Held, not used: the server ends with it.
    _server: Server,
}

enum Server {
    Floor { _server: Floor, _folder: TempDir },
    Haul { _server: HaulServe },
    S3sFs { _server: Daemon },
    Garage { _server: Garage },
}

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The program that receives, hashes, writes and syncs.
    Floor,
    Haul,
    /// The sample that the same protocol library ships: it never syncs, and copies every part again
    /// at Complete.
    S3sFs,
    Garage,
    /// Syncs as `haul serve` always does.
    GarageWithFsync,
}

impl Kind {
    /// Returns `haul serve` and the peers for which the options name a binary.
    pub(super) fn measured(options: &Options) -> Vec<Self> {
        let mut kinds = vec![Self::Haul];
        if options.s3s_fs.is_some() {
            kinds.push(Self::S3sFs);
        }
        if options.garage.is_some() {
            kinds.extend([Self::Garage, Self::GarageWithFsync]);
        }
        kinds
    }

    /// Starts a server of this kind with an empty folder of its own; only ours serve TLS.
    pub(super) fn start(self, place: &Place<'_>, tls: bool) -> Result<Subject> {
        let (options, folder) = (place.options, place.folder);
        let authority = tls.then_some(&place.authority);
        match self {
            Self::Floor => Subject::floor(folder, authority),
            Self::Haul => Subject::haul(options, &folder.join(random_hex(8)?), authority),
            Self::S3sFs => s3s_fs(options, folder),
            Self::Garage => garage(options, folder, "garage", Fsync::Never),
            Self::GarageWithFsync => garage(options, folder, GARAGE_WITH_FSYNC, Fsync::Always),
        }
    }
}

impl Subject {
    /// Starts `haul serve` on this data folder, over TLS with an authority. The objects of
    /// [`super::BUCKET`] can be read without keys.
    pub(super) fn haul(
        options: &Options,
        data: &Path,
        authority: Option<&Authority>,
    ) -> Result<Self> {
        let pem = authority.map(|authority| {
            [&authority.server_certificate, &authority.server_key]
                .map(|it| it.display().to_string())
        });
        let mut more = vec!["--public-read", super::BUCKET];
        if let Some([certificate, key]) = &pem {
            more.extend(["--tls-cert", certificate, "--tls-key", key]);
        }
        let server = HaulServe::start_with(&options.haul, data, &more)?;
        let (store, id) = (server.store().clone(), server.id());
        Ok(Self { name: HAUL, store, id, _server: Server::Haul { _server: server } })
    }

    /// Starts the floor program that receives uploads, over TLS with an authority.
    fn floor(folder: &Path, authority: Option<&Authority>) -> Result<Self> {
        let folder = tempfile::tempdir_in(folder).context("make a folder for the floor")?;
        let server = Floor::start("receive", folder.path(), authority)?;
        let store = TestStore {
            endpoint: server.endpoint().to_owned(),
            region: REGION.to_owned(),
            access_key: random_hex(10)?,
            secret_key: random_hex(20)?,
        };
        let id = server.id();
        let server = Server::Floor { _server: server, _folder: folder };
        Ok(Self { name: FLOOR, store, id, _server: server })
    }
}

fn s3s_fs(options: &Options, folder: &Path) -> Result<Subject> {
    let binary = options.s3s_fs.as_ref().context("bench server needs --s3s-fs")?;
    let data = folder.join(random_hex(8)?);
    std::fs::create_dir_all(&data).context("make a folder for s3s-fs")?;
    let port = free_port()?;
    let store = TestStore {
        endpoint: format!("http://127.0.0.1:{port}"),
        region: REGION.to_owned(),
        access_key: random_hex(10)?,
        secret_key: random_hex(20)?,
    };
    let mut command = Command::new(binary);
    command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--access-key", &store.access_key, "--secret-key", &store.secret_key]).arg(&data);
    let mut server = Daemon::start(&command, &folder.join("s3s-fs.log"))?;
    server.wait_until(START_LIMIT, || std::net::TcpStream::connect(("127.0.0.1", port)).ok())?;
    let id = server.id();
    Ok(Subject { name: "s3s-fs", store, id, _server: Server::S3sFs { _server: server } })
}

fn garage(options: &Options, folder: &Path, name: &'static str, fsync: Fsync) -> Result<Subject> {
    let binary = options.garage.as_ref().context("bench server needs --garage")?;
    let server = Garage::start(binary, &folder.join(random_hex(8)?), fsync)?;
    let (store, id) = (server.store().clone(), server.id());
    Ok(Subject { name, store, id, _server: Server::Garage { _server: server } })
}
