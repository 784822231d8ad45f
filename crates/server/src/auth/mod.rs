//! Who asks, and what they may: key pairs, what each is granted, and the decision about a request.

pub(crate) mod access;
pub(crate) mod grants;
pub(crate) mod keys;
