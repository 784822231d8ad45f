//! The socket layer: accepting connections within limits, TLS, and time limits for stalled readers.

pub(crate) mod connections;
pub(crate) mod interim;
mod stalling_io;
pub(crate) mod tls;
mod tls_stream;
