//! Implements the S3 protocol over `haul-store`: authentication, routing, limits, S3's errors.
//!
//! [`start`] returns a [`RunningServer`] on its own socket; `haul serve`, `local://` and the tests
//! use it. `s3s` parses the protocol and verifies signatures, with guards where it is too lenient;
//! `haul-store` stores the bytes. This crate touches no file.
//!
//! The path of a request: [`socket`] → [`front`] → `s3s`, which asks [`auth`] → [`service`] →
//! [`ops`], which reads the [`body`] of an object or part → `haul-store`; the response passes
//! [`front`] again, and [`answer`] if it is a refusal.

mod admin;
mod answer;
mod auth;
mod body;
#[doc(hidden)]
pub mod counting;
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
