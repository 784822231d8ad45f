//! Parses the framing of a body in chunks (RFC 9112, 7.1). The bytes of the chunks do not pass
//! through here: the parser states how many of them follow.

use bytes::{Buf, BytesMut};

/// The maximum length of a line: the size of a chunk and its extensions, or a trailer.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// The maximum number of trailers.
const TRAILERS_MAX: u32 = 256;

/// The position in a body in chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::s3::data) enum Chunked {
    /// Before the size of a chunk.
    Size,
    /// Within a chunk: the number of its bytes that are still to be read.
    Bytes(u64),
    /// Behind a chunk, before the end of its line.
    ChunkEnd,
    /// Behind the last chunk: the number of trailers so far.
    Trailers(u32),
    /// Behind the body.
    End,
}

impl Chunked {
    /// Parses as much framing as `ahead` has. Stops within a chunk, at the end of the body, or when
    /// more bytes are needed: then it returns true.
    ///
    /// # Errors
    /// What is wrong with the framing.
    pub(super) fn parse(&mut self, ahead: &mut BytesMut) -> Result<bool, String> {
        loop {
            match self {
                Self::Bytes(0) => *self = Self::ChunkEnd,
                Self::Bytes(_) | Self::End => return Ok(false),
                Self::Size | Self::ChunkEnd | Self::Trailers(_) => {
                    let Some(line) = take_line(ahead)? else { return Ok(true) };
                    self.advance(&line)?;
                }
            }
        }
    }

    /// Records that bytes of the chunk have been read.
    pub(super) fn took(&mut self, bytes: u64) {
        if let Self::Bytes(left) = self {
            *left = left.saturating_sub(bytes);
        }
    }

    fn advance(&mut self, line: &[u8]) -> Result<(), String> {
        *self = match self {
            Self::Size => match size_of(line)? {
                0 => Self::Trailers(0),
                size => Self::Bytes(size),
            },
            Self::ChunkEnd if line.is_empty() => Self::Size,
            Self::ChunkEnd => return Err("a chunk that is longer than its size".into()),
            Self::Trailers(_) if line.is_empty() => Self::End,
            Self::Trailers(count) if *count < TRAILERS_MAX => Self::Trailers(*count + 1),
            Self::Trailers(_) => return Err("too many trailers".into()),
            Self::Bytes(_) | Self::End => return Ok(()),
        };
        Ok(())
    }
}

/// Takes a line without its end. `None`: it is not complete yet.
fn take_line(ahead: &mut BytesMut) -> Result<Option<BytesMut>, String> {
    let Some(end) = ahead.iter().position(|byte| *byte == b'\n') else {
        return if ahead.len() > LINE_BYTES_MAX {
            Err("a line of framing that does not end".into())
        } else {
            Ok(None)
        };
    };
    let mut line = ahead.split_to(end);
    ahead.advance(1);
    if line.pop_cr() { Ok(Some(line)) } else { Err("a line of framing without its end".into()) }
}

trait PopCr {
    fn pop_cr(&mut self) -> bool;
}

impl PopCr for BytesMut {
    /// Removes a carriage return at the end.
    fn pop_cr(&mut self) -> bool {
        let ends = self.last() == Some(&b'\r');
        if ends {
            self.truncate(self.len() - 1);
        }
        ends
    }
}

fn size_of(line: &[u8]) -> Result<u64, String> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits).ok();
    let text = text.filter(|text| text.bytes().all(|digit| digit.is_ascii_hexdigit()));
    text.and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or_else(|| "a chunk without a valid size".into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes a body whose bytes become available in pieces of `step` bytes.
    fn decoded(mut wire: &[u8], step: usize) -> Result<(Vec<u8>, bool), String> {
        let (mut state, mut ahead, mut body) = (Chunked::Size, BytesMut::new(), vec![]);
        loop {
            if state.parse(&mut ahead)? {
                if wire.is_empty() {
                    return Ok((body, false));
                }
                let (now, rest) = wire.split_at(step.min(wire.len()));
                ahead.extend_from_slice(now);
                wire = rest;
                continue;
            }
            match state {
                Chunked::Bytes(_) if ahead.is_empty() && wire.is_empty() => {
                    return Ok((body, false));
                }
                Chunked::Bytes(left) => {
                    if ahead.is_empty() {
                        let (now, rest) = wire.split_at(step.min(wire.len()));
                        ahead.extend_from_slice(now);
                        wire = rest;
                    }
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(ahead.len());
                    body.extend_from_slice(&ahead.split_to(count));
                    state.took(count as u64);
                }
                _ => return Ok((body, true)),
            }
        }
    }

    #[test]
    fn chunks_of_any_division_are_joined() {
        let wire = b"4\r\nWiki\r\n6;name=\"x\"\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\n\
                     x-amz-checksum-crc32: AAAAAA==\r\n\r\n";
        for step in 1..=wire.len() {
            let (body, ended) = decoded(wire, step).unwrap();
            assert_eq!(body, b"Wikipedia in \r\n\r\nchunks.", "{step}");
            assert!(ended, "{step}");
        }
        for cut in 0..wire.len() {
            assert!(!decoded(&wire[..cut], 5).unwrap().1, "{cut}");
        }
    }

    #[test]
    fn wrong_framing_is_an_error() {
        for wire in [
            "\r\n",
            "-1\r\n",
            "+1\r\n",
            "g\r\n",
            "3\r\nabcd\r\n",
            "3\nabc\r\n",
            "11111111111111111\r\n",
        ] {
            assert!(decoded(wire.as_bytes(), 3).is_err(), "{wire:?}");
        }
        let endless = vec![b'1'; 2 * LINE_BYTES_MAX];
        assert!(decoded(&endless, LINE_BYTES_MAX + 1).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_framing_never_panics(
            wire in proptest::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'3'), any::<u8>()], 0..200),
            step in 1..50_usize,
        ) {
            let whole = decoded(&wire, wire.len().max(1));
            prop_assert_eq!(decoded(&wire, step), whole);
        }
    }
}
