//! The laws of `haul-parts`, through its public API.

mod checksum;
mod etag;
mod layout;
mod md5_lanes;
mod names;
mod part_number;
mod plan;
