//! The differences between stores that affect transfers, as data: one profile per kind of store.
//!
//! A kind is chosen by its name, by the host of the endpoint ([`hosts`]) or by an answer
//! ([`answers`]). [`servers`] and [`clouds`] contain the table, with the source of each value;
//! [`StoreFindings`] of a probe and the answers of the store refine it, never the reverse. Proof
//! does not depend on the table: every answer is verified by itself ([`crate::proof`]).

mod answers;
mod choice;
mod clouds;
mod findings;
mod hosts;
mod kind;
mod properties;
mod servers;
mod support;

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;

pub use choice::ProfileChoice;
pub use findings::StoreFindings;
pub use kind::{StoreKind, UnknownStoreKind};
pub use properties::{Conditions, StoreProfile};
pub use support::{ChecksumSupport, Support};
