//! A proxy in front of a real endpoint that injects faults on command, and records the traffic.
//!
//! It forwards HTTP/1.1 byte for byte, apart from the configured faults: the client signs the
//! `Host` header of the proxy, so a store that checks the signature against the received header
//! accepts it. It understands just enough of S3 to distinguish requests by [`Kind`].
//!
//! ```no_run
//! use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
//!
//! let proxy = ChaosProxy::start("http://127.0.0.1:9000").unwrap();
//! proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).part(3).times(2));
//! // … an upload through proxy.endpoint() …
//! assert_eq!(proxy.count(Kind::UploadPart), 12);
//! ```

mod connection;
mod exchange;
mod kind;
mod proxy;
mod record;
mod rule;
#[cfg(test)]
mod tests;
mod wire;

pub use kind::Kind;
pub use proxy::ChaosProxy;
pub use record::Seen;
pub use rule::{Fault, Rule};
