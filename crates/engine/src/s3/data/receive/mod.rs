//! Receives the answers to GetObject: the bytes of a body go from the socket, or from TLS, into the
//! reader's own buffer, without a copy or a task in between (decision 0017).
//!
//! A reader gives pages of a pooled buffer, hashes what arrives there, and writes them past the
//! page cache. hyper, which sends the requests with bodies, reads into buffers of its own and hands
//! them from its task to the reader's.

mod body;
mod buffered;
mod chunked;
mod connection;
mod framing;
mod head;

pub(super) use body::ReceivedBody;
pub(super) use connection::GetConnection;
pub(super) use head::ReceivedHead;
