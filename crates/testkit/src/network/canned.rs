//! A server with fixed responses, for behaviour that no real store shows.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use super::head;

/// A server that answers every request in the same way. Its threads end with the process.
#[derive(Debug)]
pub struct CannedServer {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl CannedServer {
    /// Starts on a free loopback port. `answer` gets the head of each request and writes the
    /// response; an error that it returns ends the connection.
    ///
    /// # Errors
    /// Fails if no port is free.
    pub fn start(
        answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
        let address = listener.local_addr().context("the address")?;
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let (seen, answer) = (Arc::clone(&heads), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Ok(Self { address, heads })
    }

    /// Starts a server that sends the same bytes for every request.
    ///
    /// # Errors
    /// Fails if no port is free.
    pub fn always(answer: impl Into<String>) -> Result<Self> {
        let answer = answer.into();
        Self::start(move |_, stream| stream.write_all(answer.as_bytes()))
    }

    /// Returns the address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address as a URL: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the heads of all requests so far.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<String>>,
    answer: &(dyn Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync),
) {
    while let Ok(Some(head)) = head::read(&mut stream) {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
        let length = head::header(&head, "content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        let drained = io::copy(&mut (&mut stream).take(length), &mut io::sink());
        if drained.is_err() || answer(&head, &mut stream).is_err() {
            return;
        }
    }
}
