//! The servers that all tests share: started once per run, found through variables, stopped with
//! the run.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};
use haul_testkit::servers::{Fsync, Garage, LocalStack, Rgw};

use crate::cache::{Cache, RunFolder};
use crate::{debian, tools};

/// The servers to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    /// Those that are quick to install: Ceph RGW and LocalStack.
    Usual,
    /// Garage too, which takes 40 minutes to build for the first time.
    Full,
}

/// The programs that the servers need.
#[derive(Debug)]
pub(crate) struct Needs {
    peers: PathBuf,
    clients: PathBuf,
    js: PathBuf,
    localstack: PathBuf,
    garage: Option<PathBuf>,
}

impl Needs {
    /// Installs or builds everything, or reports what is unavailable.
    pub(crate) fn meet(cache: &Cache, range: Range) -> Result<Self> {
        let peers = tools::peers(cache)?;
        let clients = tools::clients(cache)?;
        let js = tools::js(cache, &clients)?;
        let localstack = tools::localstack(cache)?;
        debian::ceph()?;
        debian::faketime()?;
        debian::openssl()?;
        debian::strace()?;
        debian::iproute2()?;
        debian::restic()?;
        debian::shells()?;
        let garage = (range == Range::Full).then(|| tools::garage(cache)).transpose()?;
        Ok(Self { peers, clients, js, localstack, garage })
    }
}

/// The running servers; dropping them ends them.
#[derive(Debug)]
pub(crate) struct Servers {
    rgw: Rgw,
    localstack: LocalStack,
    garage: Option<Garage>,
    /// The folders of clients, each with the variable through which tests find it.
    clients: [(&'static str, PathBuf); 3],
    /// Last, so that it is removed after the servers in it have ended.
    _folder: RunFolder,
}

impl Servers {
    pub(crate) fn start(cache: &Cache, needs: Needs) -> Result<Self> {
        let folder = cache.run_folder()?;
        crate::say("starting LocalStack 4.14.0");
        let localstack = LocalStack::start(&needs.localstack, &folder.path("localstack"))
            .context("LocalStack")?;
        crate::say("starting Ceph RGW 16.2");
        let rgw = Rgw::start(&folder.path("rgw")).context("Ceph RGW")?;
        let garage = match needs.garage {
            Some(binary) => {
                crate::say("starting Garage");
                Some(
                    Garage::start(&binary, &folder.path("garage"), Fsync::Never)
                        .context("Garage")?,
                )
            }
            None => None,
        };
        let clients = [
            ("HAUL_TEST_VENV", needs.peers),
            ("HAUL_TEST_CLIENTS", needs.clients),
            ("HAUL_TEST_JS", needs.js),
        ];
        Ok(Self { rgw, localstack, garage, clients, _folder: folder })
    }

    /// Returns the variables through which tests find the servers.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let mut variables = self.rgw.store().variables("RGW");
        variables.extend(self.localstack.store().variables("LOCALSTACK"));
        variables.extend(self.garage.iter().flat_map(|garage| garage.store().variables("GARAGE")));
        variables.extend(
            self.clients
                .iter()
                .map(|(name, folder)| ((*name).to_owned(), folder.display().to_string())),
        );
        variables
    }
}

/// Starts the servers for a shell: prints the variables, and waits for the end of standard input.
pub(crate) fn hold(range: Range) -> Result<()> {
    let cache = Cache::open()?;
    let needs = Needs::meet(&cache, range)?;
    let servers = Servers::start(&cache, needs)?;
    for (name, value) in servers.variables() {
        println!("export {name}='{value}'");
    }
    crate::say(
        "ready: run tests with these variables; end of input (Ctrl-D) or Ctrl-C stops the servers",
    );
    std::io::stdin().read_to_end(&mut Vec::new()).context("wait for the end of input")?;
    Ok(())
}
