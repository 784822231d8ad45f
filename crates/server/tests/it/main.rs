//! The protocol's corners over real sockets and a real store; what ordinary clients do is tested by ordinary clients in
//! `crates/cli/tests`. Each row of `docs/s3-compatibility.md` names one of these tests.
// `allow-unwrap-in-tests` knows functions marked as tests only, and this whole binary is one.
#![allow(clippy::unwrap_used)]

mod admin;
mod auth;
mod buckets;
mod client;
mod cors;
mod damage;
mod docs;
mod documents;
mod expiry;
mod fixture;
mod fuzz_seeds;
mod integrity;
mod kill;
mod limits;
mod listing;
mod million;
mod multipart;
mod multipart_checksums;
mod names;
mod objects;
mod signatures;
mod start;
