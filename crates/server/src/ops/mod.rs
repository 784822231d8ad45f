//! The operations of S3, each a method of [`Endpoint`](crate::ops::endpoint::Endpoint), grouped by
//! what they act on.

pub(crate) mod acl;
pub(crate) mod attributes;
mod bucket_settings;
mod buckets;
mod conditions;
mod copy;
pub(crate) mod cors;
pub(crate) mod encryption;
pub(crate) mod endpoint;
pub(crate) mod lifecycle;
pub(crate) mod list;
mod list_uploads;
pub(crate) mod names;
mod object_attributes;
pub(crate) mod object_stream;
mod objects;
mod read;
mod tagging;
pub(crate) mod tags;
mod unconfigured;
pub(crate) mod uploads;
mod user_metadata;
pub(crate) mod wire;
