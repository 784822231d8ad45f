//! Measurements of haul against its peers; started by `cargo xtask bench`.
fn main() {}
