//! Transfers: one folder for each kind, and the code that all kinds share.
//!
//! [`handle`] is the caller's handle of a running transfer, [`stop`] carries stop requests, and
//! [`progress`] shows how far a transfer is. [`pieces`] and [`lifecycle`] decide what happens next,
//! without I/O; [`mover`] makes one attempt at one piece, and [`hedge`] watches the last ones.

pub mod copy;
pub mod download;
mod handle;
mod hedge;
pub mod lifecycle;
mod mover;
mod mtime;
pub mod pieces;
mod progress;
mod stop;
pub mod tree;
pub mod upload;

pub(crate) use handle::Line;
pub use handle::Transfer;
pub use mtime::{MTIME_METADATA, mtime_value};
pub use progress::{Progress, TreeProgress};
pub(crate) use stop::StopSignal;
pub use stop::{StopRequest, Stopper};
pub use upload::OWN_METADATA;
