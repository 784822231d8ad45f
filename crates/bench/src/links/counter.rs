//! The endpoint at the end of a link: a process in the server's namespace, which prints the bytes
//! that it has moved.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use haul_testkit::links::{Host, Link};

use crate::authority::{Authority, server_config};
use crate::null_endpoint::{Conditions, NullEndpoint};

const USAGE: &str =
    "usage: haul-bench counter ADDRESS:PORT CERTIFICATE KEY REQUESTS-PER-SECOND (0: all)";
/// The time between two lines.
const PERIOD: Duration = Duration::from_millis(50);

/// Runs the endpoint until the end of input: `haul-bench counter`.
pub(crate) fn serve(words: &[String]) -> Result<()> {
    let [address, certificate, key, requests] = words else { bail!("{USAGE}") };
    let address: SocketAddr = address.parse().context(USAGE)?;
    let requests_per_second = NonZeroU32::new(requests.parse().context(USAGE)?);
    let conditions = Conditions { requests_per_second, ..Conditions::default() };
    let moved = Arc::<AtomicU64>::default();
    let tls = server_config(Path::new(certificate), Path::new(key))?;
    let _endpoint = NullEndpoint::counted(address, tls, conditions, &moved)?;
    thread::spawn(move || -> io::Result<()> {
        loop {
            println!("{}", moved.load(Ordering::Relaxed));
            io::stdout().flush()?;
            thread::sleep(PERIOD);
        }
    });
    io::stdin().read_to_end(&mut Vec::new()).context("wait for the end of input")?;
    Ok(())
}

/// A running endpoint; dropping it ends it.
pub(super) struct Counter {
    child: Child,
    moved: Arc<AtomicU64>,
}

impl Counter {
    /// Starts the endpoint on all addresses of the link's server.
    pub(super) fn start(
        link: &Link,
        port: u16,
        authority: &Authority,
        requests: Option<NonZeroU32>,
    ) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.args(["counter", &format!("0.0.0.0:{port}")]);
        command.args([&authority.server_certificate, &authority.server_key]);
        command.arg(requests.map_or(0, NonZeroU32::get).to_string());
        let mut command = link.on(Host::Server, &command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start the endpoint")?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout was piped")?).lines();
        lines.next().context("the endpoint ended at once")?.context("read from the endpoint")?;
        let moved = Arc::<AtomicU64>::default();
        let seen = Arc::clone(&moved);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                seen.store(line.parse().unwrap_or_default(), Ordering::Relaxed);
            }
        });
        Ok(Self { child, moved })
    }

    /// Returns the bytes that the endpoint has moved so far, of both directions.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
