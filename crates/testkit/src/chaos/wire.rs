//! Parses as much HTTP/1.1 as is needed to find the end of a head and the length of a body. Bytes
//! are kept unchanged.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

const HEAD_BYTES: usize = 64 * 1024;

/// The head of a request or a response.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The bytes as received, including the empty line.
    pub(super) bytes: Vec<u8>,
    /// The three words of the first line.
    pub(super) first: [String; 3],
    /// The headers, names in lower case.
    pub(super) headers: Vec<(String, String)>,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilClosed,
}

impl Head {
    /// Reads a head; `None` if the peer closed the connection before its first byte.
    pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Self>> {
        let mut head = Self::default();
        loop {
            let start = head.bytes.len();
            if from.read_until(b'\n', &mut head.bytes).await? == 0 {
                return if start == 0 { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
            if head.bytes.len() > HEAD_BYTES {
                return Err(Error::new(ErrorKind::InvalidData, "the head is too long"));
            }
            let line = String::from_utf8_lossy(&head.bytes[start..]).trim_end().to_owned();
            if start == 0 {
                let mut words = line.splitn(3, ' ').map(str::to_owned);
                head.first = std::array::from_fn(|_| words.next().unwrap_or_default());
            } else if line.is_empty() {
                return Ok(Some(head));
            } else if let Some((name, value)) = line.split_once(':') {
                head.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }

    /// Returns the first line and the headers with another value of `name`, whose own spelling is
    /// lost.
    pub(super) fn with_header(&self, name: &str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.retain(|(present, _)| present != name);
        headers.push((name.to_owned(), value.to_owned()));
        let mut text = self.first.join(" ");
        for (name, value) in &headers {
            text += &format!("\r\n{name}: {value}");
        }
        text += "\r\n\r\n";
        Self { bytes: text.into_bytes(), first: self.first.clone(), headers }
    }

    fn framing(&self) -> Option<Framing> {
        if self
            .header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            return Some(Framing::Chunked);
        }
        self.header("content-length")?.parse().ok().map(Framing::Length)
    }

    /// Returns the framing of this request's body.
    pub(super) fn request_framing(&self) -> Framing {
        self.framing().unwrap_or(Framing::Length(0))
    }

    /// Returns the framing of the body of this response to a request with `method`.
    pub(super) fn answer_framing(&self, method: &str) -> Framing {
        if method == "HEAD" || self.is_interim() || matches!(self.status(), 204 | 304) {
            return Framing::Length(0);
        }
        self.framing().unwrap_or(Framing::UntilClosed)
    }

    pub(super) fn status(&self) -> u16 {
        self.first[1].parse().unwrap_or(0)
    }

    /// Returns whether this is an interim response, such as 100 Continue, which the final one
    /// follows.
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status())
    }

    pub(super) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}
