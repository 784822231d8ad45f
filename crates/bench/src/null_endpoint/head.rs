//! The head of a request.

use std::io::{self, ErrorKind};

use super::reader::Reader;
use super::wire::Wire;

const HEADERS_MAX: usize = 100;

pub(crate) struct Head {
    pub(crate) method: String,
    /// The path, percent-encoded, with the bucket.
    pub(crate) path: String,
    pub(crate) query: String,
    /// The headers, names in lower case.
    headers: Vec<(String, String)>,
}

impl Head {
    /// Reads the next head; `None` if the client has closed the connection.
    pub(crate) fn read(reader: &mut Reader<impl Wire>) -> io::Result<Option<Self>> {
        let Some(first) = reader.line()? else { return Ok(None) };
        let mut words = first.split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(ErrorKind::InvalidData.into());
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut head = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
        };
        loop {
            let line = reader.needed_line()?;
            if line.is_empty() {
                return Ok(Some(head));
            }
            let (name, value) = line.split_once(':').ok_or(ErrorKind::InvalidData)?;
            if head.headers.len() == HEADERS_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
            head.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Iterates over the checksums of the body in headers.
    pub(crate) fn checksums(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .filter(|(name, _)| is_checksum(name))
            .map(|(name, value)| (&**name, &**value))
    }

    /// Returns the value of a parameter; empty for one without a value.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub(crate) fn expects_continue(&self) -> bool {
        self.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }
}

/// Accepts `x-amz-checksum-crc32`, but not `x-amz-checksum-algorithm` and `-type`, which announce
/// one.
pub(crate) fn is_checksum(name: &str) -> bool {
    name.strip_prefix("x-amz-checksum-")
        .is_some_and(|rest| !matches!(rest, "algorithm" | "type" | "mode"))
}
