//! Reads lines of text through a small buffer, and bodies past it.

use std::io::{self, ErrorKind};

use super::wire::Wire;

/// Small: the bytes of a body in the buffer were copied, the rest need not be.
const BUFFER_BYTES: usize = 4096;
const LINE_BYTES_MAX: usize = 16 * 1024;

pub(crate) struct Reader<W> {
    wire: W,
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
}

impl<W: Wire> Reader<W> {
    pub(crate) fn new(wire: W) -> Self {
        Self { wire, buffer: vec![0; BUFFER_BYTES].into(), begin: 0, end: 0 }
    }

    pub(crate) fn wire(&mut self) -> &mut W {
        &mut self.wire
    }

    /// Returns the next line without its end; `None` if the connection was closed before it.
    pub(crate) fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            if self.begin == self.end {
                self.begin = 0;
                self.end = self.wire.fill(&mut self.buffer)?;
                if self.end == 0 {
                    return if line.is_empty() {
                        Ok(None)
                    } else {
                        Err(ErrorKind::UnexpectedEof.into())
                    };
                }
            }
            let held = &self.buffer[self.begin..self.end];
            let newline = held.iter().position(|byte| *byte == b'\n');
            line.extend_from_slice(&held[..newline.unwrap_or(held.len())]);
            self.begin += newline.map_or(held.len(), |at| at + 1);
            if newline.is_some() {
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            if line.len() > LINE_BYTES_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
        }
    }

    /// Returns the next line; a missing one is an error.
    pub(crate) fn needed_line(&mut self) -> io::Result<String> {
        self.line()?.ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }

    /// Discards `bytes` bytes.
    pub(crate) fn discard(&mut self, mut bytes: u64) -> io::Result<()> {
        while bytes > 0 {
            match self.discard_some(bytes)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                some => bytes -= some,
            }
        }
        Ok(())
    }

    /// Discards up to `most` bytes: those of the buffer first.
    pub(crate) fn discard_some(&mut self, most: u64) -> io::Result<u64> {
        if self.begin == self.end {
            return self.wire.discard(most);
        }
        let held = (self.end - self.begin).min(usize::try_from(most).unwrap_or(usize::MAX));
        self.begin += held;
        Ok(held as u64)
    }

    /// Reads some bytes: those of the buffer first.
    pub(crate) fn read_some(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.begin == self.end {
            return self.wire.fill(into);
        }
        let held = (self.end - self.begin).min(into.len());
        into[..held].copy_from_slice(&self.buffer[self.begin..self.begin + held]);
        self.begin += held;
        Ok(held)
    }
}
