//! Parses the head of a request before authentication: its target, its query, its signature, and
//! values that are passed in its extensions.

pub(crate) mod extensions;
pub(crate) mod query;
pub(crate) mod signature;
pub(crate) mod sub_resource;
pub(crate) mod target;
