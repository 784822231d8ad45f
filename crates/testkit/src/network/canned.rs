//! A server that answers as it is told: what no real store does.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use super::head;

/// Answers every request in the same way, on threads that end with the process.
#[derive(Debug)]
pub struct CannedServer {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl CannedServer {
    /// On a free loopback port. `answer` is given the head of each request and writes what is to
    /// come back; an error of its ends the connection.
    ///
    /// # Errors
    /// When no port is free.
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

    /// The same bytes for every request.
    ///
    /// # Errors
    /// When no port is free.
    pub fn always(answer: impl Into<String>) -> Result<Self> {
        let answer = answer.into();
        Self::start(move |_, stream| stream.write_all(answer.as_bytes()))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of all requests so far.
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
