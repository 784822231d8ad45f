//! Authentication and authorization: key pairs, their grants, and the decision about a request.

pub(crate) mod access;
pub(crate) mod caller;
pub(crate) mod grants;
pub(crate) mod keys;
pub(crate) mod mismatch;
pub(crate) mod owner;
pub(crate) mod request_slots;
pub(crate) mod requester;
pub(crate) mod version_2;
