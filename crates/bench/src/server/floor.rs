//! The floor programs of servers, started like the servers that they are compared with.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::authority::Authority;

/// A floor program as a running server; killed on drop.
pub(super) struct Floor {
    child: Child,
    endpoint: String,
}

impl Floor {
    /// Starts `haul-bench floor WHAT PATH`, over TLS with an authority.
    pub(super) fn start(what: &str, path: &Path, authority: Option<&Authority>) -> Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let mut command = Command::new(program);
        command.args(["floor", what]).arg(path);
        if let Some(authority) = authority {
            command.args([&authority.server_certificate, &authority.server_key]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().context("start the floor")?;
        let mut endpoint = String::new();
        let stdout = child.stdout.take().context("stdout was piped")?;
        BufReader::new(stdout).read_line(&mut endpoint)?;
        Ok(Self { child, endpoint: endpoint.trim_end().to_owned() })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // An error means that it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
