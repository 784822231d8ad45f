//! Corner cases of the protocol over real sockets and a real store; ordinary clients test the
//! ordinary cases in `crates/cli/tests`. Each row of `docs/s3-compatibility.md` names one of these
//! tests.

// Tests look at files and variables, not the library.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]
// `allow-unwrap-in-tests` covers only functions marked as tests, and this whole binary is one.
#![allow(clippy::unwrap_used)]

mod admin;
mod auth;
mod bucket_settings;
mod buckets;
mod client;
mod cors;
mod damage;
mod deletes;
mod docs;
mod documents;
mod encryption;
mod expect_continue;
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
mod object_headers;
mod objects;
mod secure;
mod sending;
mod signatures;
mod slow_senders;
mod start;
mod tags;
