//! What moves bytes: one folder for each kind of transfer, and what all kinds share.
//!
//! [`handle`] is what a caller holds of a running transfer, [`stop`] how it is stopped,
//! [`progress`] how far it is. [`pieces`] and [`lifecycle`] decide what happens next, without I/O;
//! [`mover`] is one attempt at one piece.

pub mod copy;
pub mod download;
mod handle;
pub mod lifecycle;
mod mover;
pub mod pieces;
mod progress;
mod stop;
pub mod upload;

pub(crate) use handle::Line;
pub use handle::Transfer;
pub use progress::Progress;
pub(crate) use stop::StopSignal;
pub use stop::{StopRequest, Stopper};
