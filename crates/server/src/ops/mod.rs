//! The operations of S3, each a method of [`Endpoint`](crate::endpoint::Endpoint), grouped by what they act on.

mod buckets;
mod conditions;
mod copy;
pub(crate) mod cors;
pub(crate) mod lifecycle;
mod list;
mod list_uploads;
mod objects;
mod read;
mod tagging;
mod unconfigured;
pub(crate) mod uploads;
