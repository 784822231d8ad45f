//! The S3 protocol over `haul-store`: authentication, routing, limits, the words of S3.
//!
//! [`start`] gives a [`RunningServer`] on a socket of its own; `haul serve`, `local://` and the
//! tests are its users. The protocol's parsing and signatures are `s3s`'s, guarded where it needs
//! guarding; the bytes and their safety are `haul-store`'s. This crate touches no file.
//!
//! A request's way: [`socket`] → [`front`] → `s3s`, which asks [`auth`] → [`service`] → [`ops`],
//! with the [`body`] of an object or part read on the way → `haul-store`; the answer passes
//! [`front`] again, and [`answer`] when it is a refusal.

mod admin;
mod answer;
mod auth;
mod body;
mod error;
mod expiry;
mod front;
#[doc(hidden)]
pub mod fuzzing;
mod metrics;
mod ops;
mod options;
mod request;
mod server;
mod service;
mod socket;
mod store_call;

pub use auth::grants::{AccessLevel, Grant, Scope};
pub use auth::keys::{Credentials, Secret};
pub use error::{Error, GrantsError};
pub use options::{AutoCreateBuckets, DEFAULT_PORT, Limits, ServerOptions, TlsPem};
pub use server::{EndpointFile, RunningServer, running_endpoint, start};
