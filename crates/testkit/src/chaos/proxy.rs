//! The proxy for a test: an address, rules, and a record. Runs on its own thread, so that tests
//! with and without an async runtime can use it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::connection::serve;
use super::record::Record;
use super::{Kind, Rule, Seen};

/// A running proxy; dropping it closes all its connections.
#[derive(Debug)]
pub struct ChaosProxy {
    address: SocketAddr,
    record: Arc<Record>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ChaosProxy {
    /// Starts a proxy in front of `upstream`, an `http://127.0.0.1:PORT`.
    ///
    /// # Errors
    /// Fails if the address is invalid or no port is free.
    pub fn start(upstream: &str) -> Result<Self> {
        Self::start_at(upstream, (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Starts a proxy that listens on this address; port 0 lets the system choose.
    ///
    /// # Errors
    /// As [`ChaosProxy::start`].
    pub fn start_at(upstream: &str, listen: SocketAddr) -> Result<Self> {
        let upstream = upstream
            .trim_end_matches('/')
            .strip_prefix("http://")
            .context("only http can be proxied")?;
        let upstream: SocketAddr =
            upstream.parse().with_context(|| format!("{upstream} is not IP:PORT"))?;
        let listener = std::net::TcpListener::bind(listen).context("bind a loopback port")?;
        listener.set_nonblocking(true).context("make the listener non-blocking")?;
        let address = listener.local_addr().context("ask for the port")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start tokio")?;
        let record = Arc::new(Record::default());
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&record);
        let work = move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(listener, upstream, shared) => {}
                    // A dropped sender stops the proxy too.
                    _ = stopped => {}
                }
            });
            // Do not wait for stalled connections.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new()
            .name("chaos".to_owned())
            .spawn(work)
            .context("start a thread")?;
        Ok(Self { address, record, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns the address that the proxy listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the `http://IP:PORT` of the proxy.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a rule. If several rules apply to a request, the first added one takes effect.
    pub fn add(&self, rule: Rule) {
        self.record.add(rule);
    }

    /// Releases the requests that [`Fault::Hold`] holds, and holds no more requests.
    ///
    /// [`Fault::Hold`]: super::Fault::Hold
    pub fn release(&self) {
        self.record.release();
    }

    /// Returns all requests so far, in order of arrival.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.record.seen()
    }

    /// Counts the requests of this kind, including those with a fault.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.seen().iter().filter(|request| request.kind == kind).count()
    }

    /// Counts the bytes in the bodies of requests of this kind, without framing.
    #[must_use]
    pub fn body_bytes(&self, kind: Kind) -> u64 {
        self.seen().iter().filter(|request| request.kind == kind).map(Seen::payload_bytes).sum()
    }

    /// Waits until the record satisfies `enough`; returns false if that takes longer than `limit`.
    #[must_use]
    pub fn wait_until(&self, limit: Duration, enough: impl FnMut(&[Seen]) -> bool) -> bool {
        self.record.wait_until(limit, enough)
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been printed.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: std::net::TcpListener, upstream: SocketAddr, record: Arc<Record>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut connection = 0;
    loop {
        // An error concerns only the connection that failed, and its client sees it.
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, upstream, Arc::clone(&record), connection));
            connection += 1;
        }
    }
}
