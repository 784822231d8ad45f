//! A store with scripted responses: hostile, broken, or merely unlike AWS.
//!
//! [`chaos`](crate::chaos) forwards to a real store and damages the traffic; this server has no
//! store. It uses one thread per connection and as much HTTP/1.1 as a client needs, and ignores
//! signatures.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::TestStore;
use crate::servers::REGION;

/// A request as received.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The path without the query: `/bucket/key`.
    pub path: String,
    /// Names and values of the query as written, such as `prefix` and `a%20b`.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// Returns the value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a parameter, as written.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }
}

/// A scripted response.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    framing: ReplyFraming,
}

#[derive(Debug, Clone, Copy)]
enum ReplyFraming {
    /// Announces this `Content-Length`, which need not be that of the body.
    Length(u64),
    /// Sends the body this many times, in chunks, without an announced length.
    Chunks(u64),
}

impl Reply {
    /// Creates a 200 with a body.
    #[must_use]
    pub fn of(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let framing = ReplyFraming::Length(body.len() as u64);
        Self { status: 200, headers: vec![], body, framing }
    }

    /// Creates a 200 with an S3 document.
    #[must_use]
    pub fn xml(body: impl Into<Vec<u8>>) -> Self {
        Self::of(body).with("Content-Type", "application/xml")
    }

    /// Creates an S3 error document.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::xml(format!(
            "<?xml version=\"1.0\" \
             encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        ))
        .status(status)
    }

    /// Sets another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Announces this length regardless of the body; a shorter body ends with the connection.
    #[must_use]
    pub fn announcing(mut self, length_bytes: u64) -> Self {
        self.framing = ReplyFraming::Length(length_bytes);
        self
    }

    /// Sends the body several times and announces no length.
    #[must_use]
    pub fn in_chunks(mut self, times: u64) -> Self {
        self.framing = ReplyFraming::Chunks(times);
        self
    }

    fn write(&self, method: &str, to: &mut TcpStream) -> Result<()> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match self.framing {
            ReplyFraming::Length(length) => head += &format!("Content-Length: {length}\r\n\r\n"),
            ReplyFraming::Chunks(_) => head += "Transfer-Encoding: chunked\r\n\r\n",
        }
        to.write_all(head.as_bytes())?;
        if method == "HEAD" {
            return Ok(());
        }
        match self.framing {
            ReplyFraming::Length(_) => to.write_all(&self.body),
            ReplyFraming::Chunks(times) => {
                for _ in 0..times {
                    write!(to, "{:x}\r\n", self.body.len())?;
                    to.write_all(&self.body)?;
                    to.write_all(b"\r\n")?;
                }
                to.write_all(b"0\r\n\r\n")
            }
        }
    }

    /// Returns whether the connection cannot be reused.
    fn ends_the_connection(&self, method: &str) -> bool {
        let sent = self.body.len() as u64;
        let short = matches!(self.framing, ReplyFraming::Length(length) if length != sent);
        short && method != "HEAD"
    }
}

/// A running server; its threads end with the process that runs the test.
#[derive(Debug)]
pub struct ScriptedServer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl ScriptedServer {
    /// Starts a server that answers every request with the result of `answer`.
    ///
    /// # Panics
    /// Panics if no port is free.
    #[must_use]
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("the port");
        let (answer, seen) = (Arc::new(answer), Arc::new(Mutex::new(vec![])));
        let record = Arc::clone(&seen);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (answer, record) = (Arc::clone(&answer), Arc::clone(&record));
                // The client sees an error of the server as a closed connection.
                std::thread::spawn(move || serve(client, answer.as_ref(), &record));
            }
        });
        Self { address, seen }
    }

    /// Returns the address and keys for a client.
    #[must_use]
    pub fn store(&self) -> TestStore {
        TestStore {
            endpoint: format!("http://{}", self.address),
            region: REGION.to_owned(),
            access_key: "SCRIPTED".to_owned(),
            secret_key: "not looked at".to_owned(),
        }
    }

    /// Returns all requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Request> {
        lock(&self.seen).clone()
    }
}

fn lock(seen: &Mutex<Vec<Request>>) -> MutexGuard<'_, Vec<Request>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(
    client: TcpStream,
    answer: &(impl Fn(&Request) -> Reply + ?Sized),
    seen: &Mutex<Vec<Request>>,
) -> Result<()> {
    let mut to = client.try_clone()?;
    let mut from = BufReader::new(client);
    while let Some(request) = read(&mut from)? {
        let length =
            request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        std::io::copy(&mut (&mut from).take(length), &mut std::io::sink())?;
        lock(seen).push(request.clone());
        let reply = answer(&request);
        reply.write(&request.method, &mut to)?;
        if reply.ends_the_connection(&request.method) {
            break;
        }
    }
    Ok(())
}

fn read(from: &mut impl BufRead) -> Result<Option<Request>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.split('&').filter(|text| !text.is_empty()).map(pair).collect(),
        headers: vec![],
    };
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            return Ok(Some(request));
        }
        if let Some((name, value)) = line.split_once(':') {
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}
