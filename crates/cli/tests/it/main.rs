//! End-to-end tests of the program, against real servers and real clients.
//!
//! Every test here runs the `haul` binary as a user would, and checks the result with programs that
//! share no code with it. Run the tests with `cargo xtask test`, which starts the servers and
//! installs the clients; a test fails if it does not find them.
#![allow(clippy::unwrap_used, reason = "what cannot go on in a test has failed")]

mod acknowledged_stays;
mod adoption;
mod attributes;
mod bandwidth;
mod client_rides_out;
mod clients;
mod closed_stdout;
mod completing;
mod conditions;
mod config_file;
mod conformance;
mod connecting;
mod copies;
mod corrections;
mod counting;
mod customer_keys;
mod damaged_journals;
mod doctor;
mod download_targets;
mod downloads;
mod elsewhere;
mod endpoint_path;
mod event_schema;
mod examples;
mod failures;
mod forgetting;
mod hints;
mod hostile_words;
mod interrupts;
mod killed_copies;
mod killed_downloads;
mod kills;
mod limits;
mod listings;
mod local;
mod more_clients;
mod odd_copies;
mod odd_stores;
mod orphans;
mod output;
mod proxies;
mod put_doubt;
mod recorded_trust;
mod refused_callers;
mod removing;
mod removing_many;
mod resume;
mod resume_all;
mod resume_last;
mod resume_watch;
mod resumed_streams;
mod running;
mod scene;
mod serve;
mod serve_resources;
mod settings;
mod sharing;
mod signals;
mod store_check;
mod store_profiles;
mod stores;
mod streamed;
mod streams;
mod tree_ends;
mod tree_peers;
mod tree_runs;
mod two_versions;
mod verified_downloads;
mod verifying;
mod weather;
mod world;
