//! The socket: connections accepted inside limits, TLS where it is asked for, readers that take
//! nothing given up.

pub(crate) mod connections;
pub(crate) mod interim;
mod stalling_io;
pub(crate) mod tls;
