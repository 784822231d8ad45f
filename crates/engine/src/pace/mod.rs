//! How fast, and how often again: when a request is repeated ([`retry`]) and what all repetitions may cost ([`budget`]).

mod budget;
mod retry;

pub use budget::RetryBudget;
pub use retry::{Failure, RetryPolicy};
