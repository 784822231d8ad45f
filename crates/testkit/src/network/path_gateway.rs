//! A gateway that serves a store below a path, like API management products.
//!
//! The gateway accepts only requests below its path, and answers 404 to all others. The signature
//! of the client covers that path and the `Host` header of the gateway, so the gateway verifies it
//! and signs the shorter path for the store. Such products have their own keys; here both sides
//! have the same keys. Supports version 4 signatures in a header, and one request per connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::head;
use crate::TestStore;

/// A running gateway. Its threads end with the process.
#[derive(Debug)]
pub struct PathGateway {
    address: SocketAddr,
    path: String,
    targets: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct Rules {
    upstream: SocketAddr,
    path: String,
    secret_key: String,
}

impl PathGateway {
    /// Starts on a free loopback port, with `store` below `path`, which begins with a slash and
    /// ends without.
    ///
    /// # Errors
    /// No port is free, or `store` is not at `http://IP:PORT`.
    pub fn start(store: &TestStore, path: &str) -> Result<Self> {
        let upstream = store.endpoint.strip_prefix("http://").context("only http is forwarded")?;
        let upstream =
            upstream.trim_end_matches('/').parse().context("the store is not at IP:PORT")?;
        let rules = Arc::new(Rules {
            upstream,
            path: path.to_owned(),
            secret_key: store.secret_key.clone(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
        let address = listener.local_addr().context("the address")?;
        let targets = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&targets);
        thread::spawn(move || {
            for client in listener.incoming().map_while(io::Result::ok) {
                let (rules, seen) = (Arc::clone(&rules), Arc::clone(&seen));
                thread::spawn(move || rules.serve(client, &seen));
            }
        });
        Ok(Self { address, path: path.to_owned(), targets })
    }

    /// Returns `http://127.0.0.1:PORT/PATH`, without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }

    /// Returns path and query of all requests so far.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Rules {
    fn serve(&self, mut client: TcpStream, seen: &Mutex<Vec<String>>) -> io::Result<()> {
        let Some(head) = head::read(&mut client)? else { return Ok(()) };
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(target);
        let forwarded = match self.forwarded(&head) {
            Ok(forwarded) => forwarded,
            Err(status) => {
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                client.write_all(answer.as_bytes())?;
                return client.shutdown(Shutdown::Write);
            }
        };
        let mut store = TcpStream::connect(self.upstream)?;
        store.write_all(forwarded.as_bytes())?;
        let length =
            head::header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        if length > 0 && head::header(&head, "expect").is_some() {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        // The store may refuse the request and close the connection before the body ends.
        let sent = io::copy(&mut (&mut client).take(length), &mut store);
        if sent.is_ok_and(|bytes| bytes < length) {
            return Ok(()); // The client is gone: the store must not take this for a whole request.
        }
        io::copy(&mut store, &mut client)?;
        client.shutdown(Shutdown::Write)
    }

    /// Returns the head for the store, or the status of a refusal.
    fn forwarded(&self, head: &str) -> Result<String, &'static str> {
        let not_signed = "400 Bad Request";
        let (request, fields) = head.split_once("\r\n").ok_or(not_signed)?;
        let [method, target, version] = *request.split(' ').collect::<Vec<_>>() else {
            return Err(not_signed);
        };
        let below = target.strip_prefix(&self.path).ok_or("404 Not Found")?;
        let below = match below.chars().next() {
            None | Some('?') => format!("/{below}"),
            Some('/') => below.to_owned(),
            Some(_) => return Err("404 Not Found"),
        };
        let signature =
            head::header(head, "authorization").and_then(|text| text.split("Signature=").nth(1));
        let signature = signature.ok_or(not_signed)?;
        if self.signature(method, target, head) != Some(signature.to_owned()) {
            return Err("403 Forbidden");
        }
        let own = self.signature(method, &below, head).ok_or(not_signed)?;
        let fields = fields.replacen(signature, &own, 1);
        Ok(format!("{method} {below} {version}\r\nConnection: close\r\n{fields}"))
    }

    /// Computes the signature of a request with this head, for another target (AWS, "Signature
    /// Version 4 signing process"). Path and query are used as they are encoded.
    fn signature(&self, method: &str, target: &str, head: &str) -> Option<String> {
        let authorization = head::header(head, "authorization")?;
        let field = |name: &str| {
            let value = authorization.split(name).nth(1)?;
            Some(value.split([',', ' ']).next().unwrap_or(value))
        };
        let (_, scope) = field("Credential=")?.split_once('/')?;
        let signed = field("SignedHeaders=")?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut query: Vec<String> = query
            .split('&')
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| match parameter.contains('=') {
                true => parameter.to_owned(),
                false => format!("{parameter}="),
            })
            .collect();
        query.sort_unstable();
        let mut canonical = format!("{method}\n{path}\n{}\n", query.join("&"));
        for name in signed.split(';') {
            canonical += &format!("{name}:{}\n", head::header(head, name)?);
        }
        canonical += &format!("\n{signed}\n{}", head::header(head, "x-amz-content-sha256")?);
        let time = head::header(head, "x-amz-date")?;
        let hash = hex::encode(Sha256::digest(canonical));
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
        let secret = format!("AWS4{}", self.secret_key).into_bytes();
        let key = scope.split('/').fold(secret, |key, step| hmac(&key, step));
        Some(hex::encode(hmac(&key, &to_sign)))
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
