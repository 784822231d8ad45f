//! A server for the tests that kill one (`tests/it/kill.rs`): it serves the given folder until it
//! is killed.

// A separate program, not the library.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]
#![allow(clippy::unwrap_used, reason = "what cannot go on in a test has failed")]

use haul_server::{ServerOptions, start};

fn main() {
    let folder = std::env::args_os().nth(1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(start(ServerOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: folder.into(),
        ..ServerOptions::default()
    }));
    let server = server.unwrap();
    runtime.block_on(std::future::pending::<()>());
    drop(server);
}
