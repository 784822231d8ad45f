//! The bytes of a request: slices from a pool under a memory budget ([`pool`]), a body made of them ([`payload`]), and a
//! meter that counts what leaves ([`meter`]).

mod meter;
mod payload;
mod pool;

pub use meter::Meter;
pub(crate) use meter::Tap;
pub use payload::{Payload, PayloadBody, Range, digest};
pub use pool::{BufferPool, DEFAULT_BUDGET_BYTES, Permit, PooledBuffer, SLICE_BYTES};
