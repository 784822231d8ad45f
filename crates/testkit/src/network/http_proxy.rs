//! A forward proxy as in companies: forwards plain requests with absolute URLs, and opens tunnels
//! (CONNECT).

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use super::head;

/// A proxy that sends all requests to one server, whatever host they name, and records them.
#[derive(Debug)]
pub struct HttpProxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

/// The rules that a client must follow.
#[derive(Clone, Debug)]
struct Rules {
    upstream: SocketAddr,
    /// The required value of `Proxy-Authorization`.
    authorization: Option<String>,
}

impl HttpProxy {
    /// Starts on a free loopback port, in front of the server at `upstream`.
    ///
    /// # Errors
    /// Fails if no port is free.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        Self::run(Rules { upstream, authorization: None })
    }

    /// Starts with a password: answers 407 to clients that do not send this `Proxy-Authorization`.
    ///
    /// # Errors
    /// Fails if no port is free.
    pub fn start_with_password(upstream: SocketAddr, authorization: &str) -> Result<Self> {
        Self::run(Rules { upstream, authorization: Some(authorization.to_owned()) })
    }

    fn run(rules: Rules) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
        let address = listener.local_addr().context("the address")?;
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (seen, rules) = (Arc::clone(&seen), rules.clone());
                thread::spawn(move || rules.serve(client, &seen));
            }
        });
        Ok(Self { address, heads })
    }

    /// Returns the address that the proxy listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the heads of all requests so far.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Rules {
    fn serve(&self, mut client: TcpStream, seen: &Mutex<Vec<String>>) -> io::Result<()> {
        let Some(head) = head::read(&mut client)? else { return Ok(()) };
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
        let authorized =
            head::header(&head, "proxy-authorization") == self.authorization.as_deref();
        if self.authorization.is_some() && !authorized {
            let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: \
                0\r\nConnection: close\r\n\r\n";
            client.write_all(refusal.as_bytes())?;
            return client.shutdown(Shutdown::Write);
        }
        let mut server = TcpStream::connect(self.upstream)?;
        if head.starts_with("CONNECT ") {
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        } else {
            server.write_all(for_the_server(&head).as_bytes())?;
        }
        splice(client, server)
    }
}

/// Rewrites the head with only the path in its first line. The connection ends with the response;
/// the next request needs a new one.
fn for_the_server(head: &str) -> String {
    let (first, rest) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut words = first.split(' ');
    let (method, url) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path =
        url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|slash| &rest[slash..]));
    let kept: Vec<_> =
        rest.lines().filter(|line| !line.to_ascii_lowercase().starts_with("proxy-")).collect();
    let kept = kept.join("\r\n");
    format!("{method} {} HTTP/1.1\r\nConnection: close\r\n{kept}\r\n", path.unwrap_or("/"))
}

fn splice(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server, client);
    io::copy(&mut from_server, &mut to_client)?;
    to_client.shutdown(Shutdown::Write)
}
