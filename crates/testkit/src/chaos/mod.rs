//! A proxy in front of a real endpoint that makes bad weather on command, and remembers what
//! passed.
//!
//! It forwards HTTP/1.1 byte for byte, apart from the faults it is told to make: the client signs
//! the `Host` header of the proxy, and a store that checks the signature against the header as
//! received is satisfied. It understands just enough of S3 to tell one kind of request from another
//! ([`Kind`]).
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
