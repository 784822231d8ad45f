//! The bytes of a request: slices from a pool under a memory budget ([`pool`]), a body made of them
//! ([`payload`]), a meter that counts what leaves ([`meter`]), and
//! a limit on its rate ([`bandwidth`]).

mod bandwidth;
mod buffer;
pub(crate) mod framing;
mod meter;
mod own_time;
mod payload;
mod pool;
mod range;
mod stream;

pub use bandwidth::Bandwidth;
pub(crate) use buffer::SLICE_ALIGNMENT;
pub use buffer::{PooledBuffer, PooledSlice};
pub use meter::Meter;
pub(crate) use meter::Tap;
pub(crate) use payload::HELD_PARTS_MIN;
pub use payload::{BodyError, Payload, PayloadBody, Piece, digest};
pub(crate) use pool::SMALL_SLICE_BYTES;
pub use pool::{BufferPool, DEFAULT_BUDGET_BYTES, Permit, SLICE_BYTES};
pub use range::Range;
