//! A minimal client: SigV4 written from AWS's description, and HTTP/1.1 by hand on a socket.
//!
//! The HTTP is written by hand because the tests are about the corners of the protocol: truncated
//! bodies, contradicting headers, wrong chunk signatures. The client shares no code with the
//! server, so a bug would have to exist in both to go undetected.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use haul_server::{Credentials, RunningServer};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) credentials: Credentials,
}

/// How a request authenticates.
#[derive(Clone, PartialEq)]
pub(crate) enum Auth {
    Header,
    /// The signature is in the query and valid for this number of seconds.
    Presigned {
        expires: i64,
    },
    None,
}

#[derive(Clone)]
pub(crate) struct Request {
    client: Client,
    method: String,
    path: String,
    query: Vec<(String, String)>,
    pub(crate) headers: BTreeMap<String, String>,
    unsigned_headers: Vec<(String, String)>,
    body: Vec<u8>,
    payload: Option<String>,
    auth: Auth,
    age_seconds: i64,
    content_length: Option<usize>,
}

/// A request as sent, and the values for signing its chunks.
pub(crate) struct Signed {
    pub(crate) head: String,
    pub(crate) signature: String,
    pub(crate) signing_key: [u8; 32],
    pub(crate) timestamp: String,
    pub(crate) scope: String,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(server: &RunningServer) -> Self {
        Self { address: server.address(), credentials: server.credentials().clone() }
    }

    /// Creates a request. `target` is a path, percent-encoded where needed, with an optional query.
    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Request {
            client: self.clone(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            headers: BTreeMap::new(),
            unsigned_headers: Vec::new(),
            body: Vec::new(),
            payload: None,
            auth: Auth::Header,
            age_seconds: 0,
            content_length: None,
        }
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        self.request("GET", target).send().await
    }

    pub(crate) async fn put(&self, target: &str, body: impl Into<Vec<u8>>) -> Response {
        self.request("PUT", target).body(body).send().await
    }

    pub(crate) async fn post(&self, target: &str, body: impl Into<Vec<u8>>) -> Response {
        self.request("POST", target).body(body).send().await
    }

    /// Sends bytes unchanged and reads one response.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Response {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        Response::read(&mut stream, false).await.expect("an answer")
    }
}

impl Request {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a header that the signature does not cover.
    pub(crate) fn unsigned_header(mut self, name: &str, value: &str) -> Self {
        self.unsigned_headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets an `x-amz-content-sha256` other than the hash of the body.
    pub(crate) fn payload(mut self, payload: &str) -> Self {
        self.payload = Some(payload.to_owned());
        self
    }

    pub(crate) fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Signs with a time in the past.
    pub(crate) fn aged(mut self, seconds: i64) -> Self {
        self.age_seconds = seconds;
        self
    }

    /// Sets a Content-Length that is not the body's.
    pub(crate) fn content_length(mut self, length: usize) -> Self {
        self.content_length = Some(length);
        self
    }

    pub(crate) async fn send(self) -> Response {
        let mut stream = TcpStream::connect(self.client.address).await.unwrap();
        self.send_on(&mut stream).await
    }

    /// Like `send`, on a connection that may be used again, with or without TLS.
    pub(crate) async fn send_on(
        self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> Response {
        let mut bytes = self.sign().head.into_bytes();
        bytes.extend_from_slice(&self.body);
        // The server may refuse and close the connection before everything is written.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.flush().await;
        Response::read(stream, self.method == "HEAD").await.expect("an answer")
    }

    /// Like `send`, to a server that may be killed at any moment: `None` without a whole response.
    pub(crate) async fn try_send(self) -> Option<Response> {
        let mut bytes = self.sign().head.into_bytes();
        bytes.extend_from_slice(&self.body);
        let mut stream = TcpStream::connect(self.client.address).await.ok()?;
        let _ = stream.write_all(&bytes).await;
        let response = Response::read(&mut stream, self.method == "HEAD").await?;
        let length =
            response.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        (response.body.len() == length).then_some(response)
    }

    pub(crate) async fn expect(self, status: u16) -> Response {
        let what = format!("{} {}", self.method, self.path);
        let response = self.send().await;
        assert_eq!(response.status, status, "{what}: {}", response.text());
        response
    }

    pub(crate) async fn refused(self, status: u16, code: &str) -> Response {
        let response = self.expect(status).await;
        assert_eq!(response.element("Code").as_deref(), Some(code), "{}", response.text());
        response
    }

    /// Returns the head of the request, including the empty line.
    pub(crate) fn sign(&self) -> Signed {
        let now = jiff::Timestamp::now()
            .checked_sub(jiff::SignedDuration::from_secs(self.age_seconds))
            .unwrap();
        let timestamp = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let scope = format!("{}/us-east-1/s3/aws4_request", &timestamp[..8]);
        let payload =
            self.payload.clone().unwrap_or_else(|| hex::encode(Sha256::digest(&self.body)));

        let mut headers = self.headers.clone();
        headers.entry("host".to_owned()).or_insert_with(|| self.client.address.to_string());
        let mut query = self.query.clone();
        let key_id = &self.client.credentials.access_key_id;
        let payload_signed = match &self.auth {
            Auth::Presigned { expires } => {
                let names = headers.keys().cloned().collect::<Vec<_>>().join("%3B");
                let pairs = [
                    ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
                    ("X-Amz-Credential", format!("{key_id}/{scope}").replace('/', "%2F")),
                    ("X-Amz-Date", timestamp.clone()),
                    ("X-Amz-Expires", expires.to_string()),
                    ("X-Amz-SignedHeaders", names),
                ];
                query.extend(pairs.map(|(name, value)| (name.to_owned(), value)));
                UNSIGNED.to_owned()
            }
            _ => {
                headers.insert("x-amz-date".to_owned(), timestamp.clone());
                headers.insert("x-amz-content-sha256".to_owned(), payload.clone());
                payload
            }
        };
        query.sort();
        let names = headers.keys().cloned().collect::<Vec<_>>().join(";");
        let mut canonical = format!("{}\n{}\n{}\n", self.method, self.path, join(&query));
        for (name, value) in &headers {
            canonical.push_str(&format!("{name}:{}\n", value.trim()));
        }
        canonical.push_str(&format!("\n{names}\n{payload_signed}"));
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{}",
            hex::encode(Sha256::digest(canonical.as_bytes()))
        );
        let mut signing_key = hmac(
            format!("AWS4{}", self.client.credentials.secret_access_key.expose()).as_bytes(),
            &timestamp.as_bytes()[..8],
        );
        for step in ["us-east-1", "s3", "aws4_request"] {
            signing_key = hmac(&signing_key, step.as_bytes());
        }
        let signature = hex::encode(hmac(&signing_key, to_sign.as_bytes()));

        match self.auth {
            Auth::Header => {
                let value = format!(
                    "AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, \
                     Signature={signature}"
                );
                headers.insert("authorization".to_owned(), value);
            }
            Auth::Presigned { .. } => query.push(("X-Amz-Signature".to_owned(), signature.clone())),
            Auth::None => {}
        }
        let target = if query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, join(&query))
        };
        let mut head = format!("{} {target} HTTP/1.1\r\n", self.method);
        for (name, value) in headers.iter().chain(self.unsigned_headers.iter().map(|(n, v)| (n, v)))
        {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = self.content_length.unwrap_or(self.body.len());
        if !headers.contains_key("transfer-encoding") {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head.push_str("\r\n");
        Signed { head, signature, signing_key, timestamp, scope }
    }
}

impl Response {
    /// Reads one response; `None` if the connection ends before its head.
    pub(crate) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        headless: bool,
    ) -> Option<Self> {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut body = bytes[head_end..].to_vec();
        let length = match (headless, headers.get("content-length")) {
            (true, _) => 0,
            (false, Some(length)) => length.parse().unwrap(),
            (false, None) if status == 204 || status == 304 || status == 100 => 0,
            (false, None) => usize::MAX,
        };
        while body.len() < length {
            if stream.read_buf(&mut body).await.unwrap_or(0) == 0 {
                break;
            }
        }
        Some(Self { status, headers, body })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns the text of the first element of a name.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        self.elements(name).into_iter().next()
    }

    /// Returns the texts of all elements of a name, unescaped.
    pub(crate) fn elements(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        text.split(&open)
            .skip(1)
            .map(|rest| rest.split(&close).next().unwrap())
            .map(|text| {
                text.replace("&quot;", "\"")
                    .replace("&apos;", "'")
                    .replace("&lt;", "<")
                    .replace("&gt;", ">")
                    .replace("&amp;", "&")
            })
            .collect()
    }

    pub(crate) fn etag(&self) -> String {
        self.header("etag").expect("an ETag").to_owned()
    }
}

fn join(query: &[(String, String)]) -> String {
    query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Computes HMAC-SHA256 (RFC 2104).
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| block.map(|b| b ^ pad);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}
