//! Receives the bytes of an object or part: from the socket, through chunk framing and integrity
//! checks, to the store.

pub(crate) mod aws_chunked;
pub(crate) mod checksum_elements;
pub(crate) mod document;
pub(crate) mod gather;
pub(crate) mod holding;
pub(crate) mod integrity;
pub(crate) mod patience;
pub(crate) mod payload_hash;
pub(crate) mod receive;
pub(crate) mod request_body;
pub(crate) mod room;
