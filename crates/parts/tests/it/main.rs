//! The laws of `haul-parts`, through its public API.

mod attributes;
mod checksum;
mod etag;
mod growing;
mod lanes;
mod layout;
mod names;
mod part_layout;
mod part_number;
mod plan;
