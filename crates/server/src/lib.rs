//! The S3 protocol over `haul-store`: authentication, routing, limits, the words of S3.
//!
//! [`start`] gives a [`RunningServer`] on a socket of its own; `haul serve`, `local://` and the tests are its users.
//! The protocol's parsing and signatures are `s3s`'s, guarded where it needs guarding; the bytes and
//! their safety are `haul-store`'s. This crate touches no file.
//!
//! A request's way: [`connections`] → [`front`] ([`gate`], [`request_body`]) → `s3s` ([`access`]) → [`service`] →
//! [`ops`] → `haul-store`; the answer's way back passes [`error_document`].

mod access;
mod admin;
mod attributes;
mod aws_chunked;
mod connections;
mod cors;
mod endpoint;
mod error;
mod error_document;
mod expiry;
mod front;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod grants;
mod integrity;
mod keys;
mod metrics;
mod names;
mod object_stream;
mod ops;
mod options;
mod query;
mod receive;
mod refusal;
mod request_body;
mod server;
mod service;
mod signed_payload;
mod stalling_io;
mod store_refusals;
mod sub_resource;
mod target;
mod tls;
mod wire;

pub use error::Error;
pub use grants::{AccessLevel, Grant, GrantsError, Scope};
pub use keys::{Credentials, Secret};
pub use options::{AutoCreateBuckets, DEFAULT_PORT, Limits, ServerOptions};
pub use server::{EndpointFile, RunningServer, running_endpoint, start};
pub use tls::TlsPem;
