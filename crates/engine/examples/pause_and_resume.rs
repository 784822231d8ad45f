//! Uploads a file, pauses after some seconds, and resumes when it is run again: `cargo run -p haul
//! --example pause_and_resume -- FILE s3://bucket/key JOURNALS [SECONDS]`.

#![allow(clippy::disallowed_methods)] // a program of its own, not the library
#![allow(clippy::print_stdout, reason = "an example tells its reader what happened")]

use std::sync::Arc;
use std::time::Duration;

use haul::journal::JournalFolder;
use haul::{
    Engine, EngineOptions, Error, Event, FileSource, JournalChoice, JournalOptions, S3Options,
    S3Store, StopRequest, UploadOptions,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(target), Some(journals)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: pause_and_resume FILE s3://bucket/key JOURNALS [SECONDS]".into());
    };
    let seconds = arguments.next().map(|seconds| seconds.parse()).transpose()?;

    let store = Arc::new(S3Store::connect(S3Options::default()).await?);
    let engine =
        Engine::new(store, EngineOptions { concurrency: 2.into(), ..EngineOptions::default() });
    let journal = JournalOptions {
        folder: JournalFolder::new(journals),
        store_name: None,
        connection: serde_json::Value::Null,
        choice: JournalChoice::OfSource,
    };
    let options = UploadOptions { journal: Some(journal), ..UploadOptions::default() };
    let mut transfer = engine.upload(FileSource::open(file)?, target.parse()?, options);

    let mut events = transfer.take_events().ok_or("the events were taken before")?;
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event {
                Event::Resumed { arrived_parts, .. } => {
                    println!("{arrived_parts} parts are there already");
                }
                Event::PartSent { part_number, .. } => println!("part {part_number} has arrived"),
                _ => {}
            }
        }
    });
    if let Some(seconds) = seconds {
        let stopper = transfer.stopper();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            stopper.stop(StopRequest::PauseNow);
        });
    }
    match transfer.await {
        Ok(report) => println!("done: {} bytes, {}", report.size_bytes, report.proof),
        Err(Error::Paused { arrived_bytes, size_bytes, .. }) => {
            println!("paused: {arrived_bytes} of {size_bytes} bytes are kept at the store");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
