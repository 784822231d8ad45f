//! A body that is hashed while it is sent, with its checksum in a trailer.

use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use haul_parts::{Checksum, ChecksumAlgorithm, Hasher};

use super::framing;
use super::payload::{BodyError, Piece};
use super::pool::{BufferPool, Permit};
use super::range::{Range, SliceReader};

/// The shared state of all bodies of one payload: attempts follow each other, and each reads again.
pub(super) struct Streamed {
    pub(super) range: Range,
    pub(super) pool: BufferPool,
    pub(super) algorithm: ChecksumAlgorithm,
    /// The checksum of the last body that was read to its end.
    pub(super) sent: Mutex<Option<Checksum>>,
    pub(super) _permit: Permit,
}

impl Streamed {
    pub(super) fn sent_checksum(&self) -> Option<Checksum> {
        *self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wire_bytes(&self) -> u64 {
        framing::wire_bytes(self.range.size_bytes, self.algorithm)
    }
}

/// The sending of one body.
pub(super) struct Streaming {
    reader: SliceReader,
    next: Next,
}

enum Next {
    Head,
    Data(Box<Hasher>),
    Nothing,
}

impl Streaming {
    pub(super) fn new(streamed: &Streamed) -> Self {
        Self {
            reader: SliceReader::new(streamed.range.clone(), streamed.pool.clone()),
            next: Next::Head,
        }
    }

    /// Returns the next piece of the body on the wire, including framing; `None` at its end.
    pub(super) fn poll_piece(
        &mut self,
        streamed: &Streamed,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Piece>, BodyError>> {
        let piece = match &mut self.next {
            Next::Nothing => None,
            Next::Head => {
                *streamed.sent.lock().unwrap_or_else(PoisonError::into_inner) = None;
                self.next = Next::Data(Box::new(Hasher::new(streamed.algorithm)));
                Some(Piece::Bytes(framing::head(streamed.range.size_bytes)))
            }
            Next::Data(hasher) => match ready!(self.reader.poll_next(context))
                .map_err(BodyError::Source)?
            {
                Some(slice) => {
                    hasher.update(slice.as_ref());
                    Some(Piece::Slice(slice))
                }
                None => {
                    let Next::Data(hasher) = std::mem::replace(&mut self.next, Next::Nothing)
                    else {
                        return Poll::Ready(Ok(None));
                    };
                    let checksum = hasher.finish();
                    *streamed.sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(checksum);
                    Some(Piece::Bytes(framing::tail(&checksum)))
                }
            },
        };
        Poll::Ready(Ok(piece))
    }
}
