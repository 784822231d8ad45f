//! Uploads several files at once over one engine: they share its memory and its requests in flight.
//! `cargo run -p haul --example many -- s3://bucket/prefix/ FILE…`.

#![allow(clippy::disallowed_methods)] // a program of its own, not the library
#![allow(clippy::print_stdout, reason = "an example tells its reader what happened")]

use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use haul::{Engine, EngineOptions, FileSource, S3Options, S3Store, UploadOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let prefix = arguments.next().ok_or("usage: many s3://bucket/prefix/ FILE…")?;
    let store = Arc::new(S3Store::connect(S3Options::default()).await?);
    let limits = EngineOptions {
        memory_budget_bytes: 64 << 20,
        concurrency: 8.into(),
        ..EngineOptions::default()
    };
    let engine = Engine::new(store, limits);
    let mut transfers = vec![];
    for file in arguments {
        let name = Path::new(&file)
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or("a file has no name")?;
        let target = format!("{prefix}{name}").parse()?;
        transfers.push(engine.upload(FileSource::open(&file)?, target, UploadOptions::default()));
    }
    let mut failed = 0;
    for ended in join_all(transfers).await {
        match ended {
            Ok(report) => {
                println!("{}: {} bytes, {}", report.object, report.size_bytes, report.proof);
            }
            Err(error) => {
                println!("failed: {error}");
                failed += 1;
            }
        }
    }
    println!("{} bytes crossed the network, {failed} failed", engine.moved_bytes());
    engine.close().await;
    if failed == 0 { Ok(()) } else { Err("not all files arrived".into()) }
}
