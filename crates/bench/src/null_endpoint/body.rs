//! Receives the body of a request: plain, in HTTP chunks, in `aws-chunked` chunks, or both
//! (botocore over TLS). Its bytes without framing go to a sink, which discards or stores them.

use std::io::{self, ErrorKind};

use super::head::{Head, is_checksum};
use super::reader::Reader;
use super::wire::Wire;

/// The destination of the bytes of a body.
pub(crate) trait Sink {
    /// Takes the next `bytes` bytes of a connection.
    fn take(&mut self, reader: &mut Reader<impl Wire>, bytes: u64) -> io::Result<()>;
}

pub(super) struct Discard;

impl Sink for Discard {
    fn take(&mut self, reader: &mut Reader<impl Wire>, bytes: u64) -> io::Result<()> {
        reader.discard(bytes)
    }
}

/// The facts about a received body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// The number of bytes without the framing.
    pub(super) bytes: u64,
    /// The checksums from the trailer.
    pub(super) checksums: Vec<(String, String)>,
}

pub(super) fn receive(
    reader: &mut Reader<impl Wire>,
    head: &Head,
    sink: &mut impl Sink,
) -> io::Result<Received> {
    let in_http_chunks =
        head.header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
    let payload = head.header("x-amz-content-sha256").unwrap_or_default();
    match (in_http_chunks, payload.starts_with("STREAMING-")) {
        (false, false) => {
            let length = head.header("content-length").unwrap_or("0");
            let bytes = length.parse().map_err(|_| ErrorKind::InvalidData)?;
            sink.take(reader, bytes)?;
            Ok(Received { bytes, ..Received::default() })
        }
        (true, true) => {
            let mut inner = Reader::new(HttpChunks { outer: reader, left: 0, ended: false });
            let body = chunks(&mut inner, sink)?;
            let rest = Reader::discard_some(&mut inner, u64::MAX)?;
            if rest > 0 { Err(ErrorKind::InvalidData.into()) } else { Ok(body) }
        }
        _ => chunks(reader, sink),
    }
}

/// Reads chunks of either framing, which differ only in the signature in the line of the size:
/// hexadecimal sizes, data, and a trailer after the empty chunk.
fn chunks<W: Wire>(reader: &mut Reader<W>, sink: &mut impl Sink) -> io::Result<Received> {
    let mut body = Received::default();
    loop {
        let size = chunk_size(&reader.needed_line()?)?;
        if size == 0 {
            break;
        }
        sink.take(reader, size)?;
        reader.needed_line()?;
        body.bytes += size;
    }
    loop {
        let line = reader.needed_line()?;
        let Some((name, value)) = line.split_once(':') else { return Ok(body) };
        if is_checksum(&name.to_ascii_lowercase()) {
            body.checksums.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

fn chunk_size(line: &str) -> io::Result<u64> {
    let digits = line.split(';').next().unwrap_or_default();
    u64::from_str_radix(digits.trim(), 16).map_err(|_| ErrorKind::InvalidData.into())
}

/// The content of HTTP chunks.
struct HttpChunks<'a, W> {
    outer: &'a mut Reader<W>,
    left: u64,
    ended: bool,
}

impl<W: Wire> HttpChunks<'_, W> {
    /// Returns the bytes up to the end of the chunk; 0 after the last one.
    fn available(&mut self) -> io::Result<u64> {
        if self.left == 0 && !self.ended {
            self.left = chunk_size(&self.outer.needed_line()?)?;
            self.ended = self.left == 0;
            if self.ended {
                while !self.outer.needed_line()?.is_empty() {}
            }
        }
        Ok(self.left)
    }

    fn took(&mut self, bytes: u64) -> io::Result<()> {
        self.left -= bytes;
        if self.left == 0 {
            self.outer.needed_line()?;
        }
        Ok(())
    }
}

impl<W: Wire> Wire for HttpChunks<'_, W> {
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.available()?).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.outer.read_some(&mut buffer[..most])?;
        self.took(read as u64)?;
        Ok(read)
    }

    fn discard(&mut self, most: u64) -> io::Result<u64> {
        let most = self.available()?.min(most);
        if most == 0 {
            return Ok(0);
        }
        let gone = self.outer.discard_some(most)?;
        self.took(gone)?;
        Ok(gone)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.outer.wire().send(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection on which these bytes have arrived.
    struct Arrived(Vec<u8>);

    impl Wire for Arrived {
        fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            // In small pieces, so that every boundary occurs.
            let some = buffer.len().min(self.0.len()).min(3);
            buffer[..some].copy_from_slice(&self.0[..some]);
            self.0.drain(..some);
            Ok(some)
        }

        fn discard(&mut self, most: u64) -> io::Result<u64> {
            let some = usize::try_from(most).unwrap_or(usize::MAX).min(self.0.len()).min(2);
            self.0.drain(..some);
            Ok(some as u64)
        }

        fn send(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
    }

    fn received(request: &str) -> Received {
        let mut reader =
            Reader::new(Arrived(format!("{request}NEXT / HTTP/1.1\r\n\r\n").into_bytes()));
        let head = Head::read(&mut reader).unwrap().unwrap();
        let body = receive(&mut reader, &head, &mut Discard).unwrap();
        assert_eq!(
            Head::read(&mut reader).unwrap().unwrap().method,
            "NEXT",
            "it ends where it should"
        );
        body
    }

    #[test]
    fn bodies_are_received_to_their_end_in_every_framing() {
        let plain = received("PUT /b/k HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(plain, Received { bytes: 5, checksums: vec![] });

        let inner =
            "5;chunk-signature=0\r\nhello\r\n1\r\n!\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        let streaming = "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER";
        let expected = Received {
            bytes: 6,
            checksums: vec![("x-amz-checksum-crc32".into(), "AAAAAA==".into())],
        };
        let length = inner.len();
        let aws = received(&format!(
            "PUT /b/k HTTP/1.1\r\n{streaming}\r\nContent-Length: {length}\r\n\r\n{inner}"
        ));
        assert_eq!(aws, expected);

        let (one, two) = inner.split_at(9);
        let both = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
        let both = received(&format!(
            "PUT /b/k HTTP/1.1\r\n{streaming}\r\nTransfer-Encoding: chunked\r\n\r\n{both}"
        ));
        assert_eq!(both, expected);
    }
}
