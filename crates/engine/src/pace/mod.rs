//! The pace of requests: concurrency and retries.
//!
//! [`gate`] limits the requests in flight at one store, by a [`concurrency`] that the caller chose;
//! [`throttle`] moves that limit, `ramp` at the start, and [`adaptive`] finds the one that a link
//! is worth. [`retry`] decides when a request is repeated, [`budget`] limits the number of all
//! repetitions. [`resources`] has the shared state of an engine's transfers.

pub mod adaptive;
mod budget;
mod concurrency;
mod gate;
mod ramp;
mod resources;
mod retry;
pub mod throttle;

pub use budget::RetryBudget;
pub use concurrency::{ADAPTIVE_MAX, Concurrency, DEFAULT_CONCURRENCY};
pub(crate) use gate::Turn;
pub use gate::{Gate, Pass, Success};
pub use resources::{EngineOptions, Resources};
pub use retry::{FailedAttempt, Retries, RetryPolicy};
pub use throttle::Refusal;
