//! The pace of requests: concurrency and retries.
//!
//! [`gate`] limits the requests in flight at one store; [`throttle`] moves that limit, and
//! [`adaptive`] finds the one that a link is worth. [`retry`] decides when a request is repeated,
//! [`budget`] limits the number of all repetitions.
//! [`resources`] has the shared state of an engine's transfers.

pub mod adaptive;
mod budget;
mod gate;
mod resources;
mod retry;
pub mod throttle;

pub use budget::RetryBudget;
pub(crate) use gate::Turn;
pub use gate::{Gate, Pass};
pub use resources::{DEFAULT_CONCURRENCY, EngineOptions, Resources};
pub use retry::{FailedAttempt, Retries, RetryPolicy};
