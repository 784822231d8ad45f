//! Objects removed many at a time: by DeleteObjects where the store knows it, else one by one.
//!
//! [`Remover`] removes given keys; [`remove_below`] finds them by listing a prefix and removes them
//! while the listing continues. Only current versions are removed: in a bucket with versions the
//! store keeps them all behind delete markers.

mod below;
mod remover;

pub use below::{RemovalOptions, remove_below};
pub use remover::{Removed, Remover};
