//! Removes many objects at a time: by DeleteObjects if the store supports it, otherwise one by one.
//!
//! [`Remover`] removes given keys; [`remove_below`] finds keys by listing a prefix and removes them
//! while the listing continues. Only current versions are removed: in a bucket with versioning the
//! store keeps all versions behind delete markers.

mod below;
mod remover;

pub use below::{RemovalOptions, remove_below};
pub use remover::{Removed, Remover};
