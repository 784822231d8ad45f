//! Downloads an object in parallel ranges and prints the progress: `cargo run -p haul --example
//! download -- s3://bucket/key FILE`.

#![allow(clippy::disallowed_methods)] // a program of its own, not the library
#![allow(clippy::print_stdout, reason = "an example tells its reader what happened")]

use std::sync::Arc;
use std::time::Duration;

use haul::{DownloadOptions, Engine, EngineOptions, S3Options, S3Store};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(object), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: download s3://bucket/key FILE".into());
    };
    let store = Arc::new(S3Store::connect(S3Options::default()).await?);
    let engine = Engine::new(store, EngineOptions::default());
    let mut transfer = engine.download(object.parse()?, file, DownloadOptions::default());
    let progress = transfer.progress();
    let report = loop {
        tokio::select! {
            report = &mut transfer => break report?,
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                let size_bytes = progress.size_bytes().unwrap_or_default();
                println!("{} of {size_bytes} bytes", progress.arrived_bytes());
            }
        }
    };
    println!("done: {} bytes, {}", report.size_bytes, report.verified);
    Ok(())
}
