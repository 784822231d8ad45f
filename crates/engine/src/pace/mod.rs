//! How fast, and how often again.
//!
//! [`gate`] limits the requests in flight at one store; [`throttle`] moves that limit. [`retry`]
//! decides when a request is repeated, [`budget`] limits what all repetitions cost. [`resources`]
//! holds what the transfers of an engine share.

mod budget;
mod gate;
mod resources;
mod retry;
pub mod throttle;

pub use budget::RetryBudget;
pub(crate) use gate::Turn;
pub use gate::{Gate, Pass};
pub use resources::{DEFAULT_CONCURRENCY, EngineOptions, Resources};
pub use retry::{Failure, Retries, RetryPolicy};
