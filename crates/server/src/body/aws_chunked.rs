//! Reframes aws-chunked bodies for the reader of `s3s`, which buffers each chunk completely before
//! it passes the bytes on.
//!
//! A signed chunk must be held until its signature is checked, so its size is limited. An unsigned
//! chunk need not be, and some SDKs send a whole 5 GiB part as one chunk: it is split into chunks
//! of the bytes that have arrived, without copying. Bytes after the last chunk (the trailers) pass
//! unchanged. Only framing is handled here: signatures, trailers and the decoded length are checked
//! later.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use http::HeaderMap;

/// The maximum bytes of one chunk header: size, extension, CRLF.
const HEADER_BYTES: usize = 1024;

/// The kind of chunks, and the changes that it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: chunks are split into small ones.
    Unsigned,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD` and `-TRAILER`: chunks pass unchanged, up to this many
    /// bytes each.
    Signed { limit_bytes: usize },
}

impl Chunks {
    /// Returns the framing of a body, by its declared payload hash.
    pub(crate) fn of(headers: &HeaderMap, limit_bytes: usize) -> Option<Self> {
        match headers.get("x-amz-content-sha256")?.as_bytes() {
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Some(Self::Unsigned),
            kind if kind.starts_with(b"STREAMING-") => Some(Self::Signed { limit_bytes }),
            _ => None,
        }
    }
}

/// The reason why the framing of a body is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadFraming {
    /// A chunk header is too long or not a hexadecimal size.
    Header,
    /// The bytes of a chunk are not followed by CRLF.
    NoLineEnd,
    /// A signed chunk is larger than the limit.
    ChunkTooLarge,
    /// The body ends without an empty chunk. If chunks are signed, the signature of the empty chunk
    /// proves that no chunk is missing.
    NoFinalChunk,
}

enum ChunkPart {
    Header,
    Data { left: usize },
    LineEnd { left: usize },
    Trailers,
}

/// A reframer: takes the pieces of a body as they arrive and returns the pieces to pass on.
pub(crate) struct Reframer {
    chunks: Chunks,
    part: ChunkPart,
    header: Vec<u8>,
    ready: VecDeque<Bytes>,
}

impl Reframer {
    pub(crate) fn new(chunks: Chunks) -> Self {
        Self { chunks, part: ChunkPart::Header, header: Vec::new(), ready: VecDeque::new() }
    }

    /// Returns the next piece to pass on, if one is ready.
    pub(crate) fn next_ready(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// Returns whether every chunk that has started has also ended.
    pub(crate) fn is_between_chunks(&self) -> bool {
        self.ready.is_empty() && matches!(self.part, ChunkPart::Header | ChunkPart::Trailers)
    }

    /// Adds a piece from the client.
    pub(crate) fn push(&mut self, mut bytes: Bytes) -> Result<(), BadFraming> {
        while !bytes.is_empty() {
            match self.part {
                ChunkPart::Header => self.take_header(&mut bytes)?,
                ChunkPart::Data { left } => {
                    let data = bytes.split_to(left.min(bytes.len()));
                    let left = left - data.len();
                    self.pass_data(data);
                    self.part = if left > 0 {
                        ChunkPart::Data { left }
                    } else {
                        ChunkPart::LineEnd { left: 2 }
                    };
                }
                ChunkPart::LineEnd { left } => self.take_line_end(&mut bytes, left)?,
                ChunkPart::Trailers => self.ready.push_back(std::mem::take(&mut bytes)),
            }
        }
        Ok(())
    }

    /// Checks that the body is complete. Call it after the last piece.
    pub(crate) fn finish(&self) -> Result<(), BadFraming> {
        match self.part {
            ChunkPart::Trailers => Ok(()),
            _ => Err(BadFraming::NoFinalChunk),
        }
    }

    fn take_header(&mut self, bytes: &mut Bytes) -> Result<(), BadFraming> {
        let line = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| end + 1);
        if self.header.len() + line > HEADER_BYTES {
            return Err(BadFraming::Header);
        }
        self.header.extend_from_slice(&bytes.split_to(line));
        if self.header.last() != Some(&b'\n') {
            return Ok(());
        }
        let header = std::mem::take(&mut self.header);
        let size = chunk_size(&header)?;
        match self.chunks {
            // s3s reads eight digits and ignores the rest, so it would read a longer number
            // differently.
            Chunks::Signed { .. } if digits(&header).len() > 8 => {
                return Err(BadFraming::Header);
            }
            Chunks::Signed { limit_bytes } if size > limit_bytes => {
                return Err(BadFraming::ChunkTooLarge);
            }
            Chunks::Signed { .. } => self.ready.push_back(header.into()),
            Chunks::Unsigned if size == 0 => self.ready.push_back(header.into()),
            // Drop the header: each piece gets a new one.
            Chunks::Unsigned => {}
        }
        self.part = if size == 0 { ChunkPart::Trailers } else { ChunkPart::Data { left: size } };
        Ok(())
    }

    fn pass_data(&mut self, data: Bytes) {
        match self.chunks {
            Chunks::Signed { .. } => self.ready.push_back(data),
            Chunks::Unsigned => {
                self.ready.push_back(Bytes::from(format!("{:x}\r\n", data.len())));
                self.ready.push_back(data);
                self.ready.push_back(Bytes::from_static(b"\r\n"));
            }
        }
    }

    fn take_line_end(&mut self, bytes: &mut Bytes, left: usize) -> Result<(), BadFraming> {
        let expected = if left == 2 { b'\r' } else { b'\n' };
        if bytes[0] != expected {
            return Err(BadFraming::NoLineEnd);
        }
        bytes.advance(1);
        if left == 2 {
            self.part = ChunkPart::LineEnd { left: 1 };
            return Ok(());
        }
        if matches!(self.chunks, Chunks::Signed { .. }) {
            self.ready.push_back(Bytes::from_static(b"\r\n"));
        }
        self.part = ChunkPart::Header;
        Ok(())
    }
}

/// Returns the size in a chunk header such as `10000;chunk-signature=…\r\n`.
fn chunk_size(header: &[u8]) -> Result<usize, BadFraming> {
    // Refuse a line end inside, which a later reader could interpret differently.
    let line = header.strip_suffix(b"\r\n").ok_or(BadFraming::Header)?;
    if line.contains(&b'\r') {
        return Err(BadFraming::Header);
    }
    let digits = std::str::from_utf8(digits(header)).map_err(|_| BadFraming::Header)?;
    if digits.is_empty() || digits.len() > 16 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(BadFraming::Header);
    }
    usize::from_str_radix(digits, 16).map_err(|_| BadFraming::Header)
}

/// Returns the bytes before the extension or the line end.
fn digits(header: &[u8]) -> &[u8] {
    let end = header.iter().position(|b| matches!(b, b';' | b'\r')).unwrap_or(header.len());
    &header[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `body` in pieces of `step` bytes and joins the output.
    fn run(chunks: Chunks, body: &[u8], step: usize) -> Result<(Vec<u8>, usize), BadFraming> {
        let mut reframer = Reframer::new(chunks);
        let (mut out, mut largest) = (Vec::new(), 0);
        for piece in body.chunks(step) {
            reframer.push(Bytes::copy_from_slice(piece))?;
            while let Some(ready) = reframer.next_ready() {
                largest = largest.max(ready.len());
                out.extend_from_slice(&ready);
            }
        }
        Ok((out, largest))
    }

    /// Returns the bytes inside the chunks and those after them, with the simplest possible reader.
    fn decode(mut body: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut data = Vec::new();
        loop {
            let end = body.windows(2).position(|w| w == b"\r\n").unwrap();
            let size = chunk_size(&body[..end + 2]).unwrap();
            body = &body[end + 2..];
            if size == 0 {
                return (data, body.to_vec());
            }
            data.extend_from_slice(&body[..size]);
            assert_eq!(&body[size..size + 2], b"\r\n");
            body = &body[size + 2..];
        }
    }

    #[test]
    fn a_large_unsigned_chunk_is_cut_and_says_the_same() {
        let payload: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        let mut body = format!("{:x}\r\n", payload.len()).into_bytes();
        body.extend_from_slice(&payload);
        body.extend_from_slice(b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
        for step in [1, 7, 4096, body.len()] {
            let (out, largest) = run(Chunks::Unsigned, &body, step).unwrap();
            assert!(largest <= step.max(64));
            let (data, trailers) = decode(&out);
            assert!(data == payload, "step {step}");
            assert_eq!(trailers, b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n");
        }
    }

    #[test]
    fn signed_chunks_pass_unchanged_up_to_their_limit() {
        let body = b"4;chunk-signature=ab\r\nabcd\r\n0;chunk-signature=cd\r\n\r\n";
        for step in [1, 3, body.len()] {
            let (out, _) = run(Chunks::Signed { limit_bytes: 4 }, body, step).unwrap();
            assert_eq!(out, body);
            assert_eq!(
                run(Chunks::Signed { limit_bytes: 3 }, body, step),
                Err(BadFraming::ChunkTooLarge)
            );
        }
    }

    #[test]
    fn a_body_without_a_final_chunk_is_not_whole() {
        for (body, expected) in [
            ("4\r\nabcd\r\n0\r\n", Ok(())),
            ("4\r\nabcd\r\n0\r\n\r\n", Ok(())),
            ("4\r\nabcd\r\n0\r", Err(BadFraming::NoFinalChunk)),
            ("4\r\nabcd\r\n", Err(BadFraming::NoFinalChunk)),
            ("4\r\nabc", Err(BadFraming::NoFinalChunk)),
            ("", Err(BadFraming::NoFinalChunk)),
        ] {
            let mut reframer = Reframer::new(Chunks::Unsigned);
            reframer.push(Bytes::copy_from_slice(body.as_bytes())).unwrap();
            assert_eq!(reframer.finish(), expected, "{body:?}");
        }
    }

    #[test]
    fn bad_framing_is_refused() {
        for body in [
            &b"zz\r\n"[..],
            b"\r\n",
            b"4\r\nabcdXX",
            b"4\nabcd\r\n",
            b"11111111111111111\r\n",
            b"0\rx\r\n",
            &[b'1'; 2000],
        ] {
            assert!(run(Chunks::Unsigned, body, 5).is_err(), "{body:?}");
        }
    }
}
