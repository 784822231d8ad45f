//! The operations of S3, each a method of [`Endpoint`](crate::endpoint::Endpoint), grouped by what they act on.

pub(crate) mod acl;
pub(crate) mod attributes;
mod buckets;
mod conditions;
mod copy;
pub(crate) mod cors;
pub(crate) mod lifecycle;
mod list;
mod list_uploads;
pub(crate) mod names;
mod object_stream;
mod objects;
mod read;
mod tagging;
mod unconfigured;
pub(crate) mod uploads;
pub(crate) mod wire;
