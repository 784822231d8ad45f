//! Uploads or downloads with AWS's transfer manager, with its defaults or a part size and
//! concurrency:
//!
//! `transfer-manager upload FILE BUCKET KEY [PART-BYTES CONCURRENCY]`
//! `transfer-manager upload-folder FOLDER BUCKET PREFIX [PART-BYTES CONCURRENCY]`
//! `transfer-manager download FILE BUCKET KEY [PART-BYTES CONCURRENCY]`
//!
//! Endpoint, region and keys come from the environment.

use std::error::Error;
use std::process::ExitCode;

use aws_sdk_s3_transfer_manager::Client;
use aws_sdk_s3_transfer_manager::io::InputStream;
use aws_sdk_s3_transfer_manager::io::walk::FsWalker;
use aws_sdk_s3_transfer_manager::types::{ConcurrencyMode, PartSize};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // The transfer manager starts its own threads; this one only waits.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Failure::from).and_then(|it| it.block_on(run(&words))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut cause: Option<&dyn Error> = Some(&*error);
            while let Some(error) = cause {
                eprintln!("transfer-manager: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(words: &[String]) -> Result<(), Failure> {
    let [what, path, bucket, key, settings @ ..] = words else { return Err("wrong usage".into()) };
    let mut loader = aws_sdk_s3_transfer_manager::from_env();
    if let [part_bytes, concurrency] = settings {
        loader = loader
            .part_size(PartSize::Target(part_bytes.parse()?))
            .concurrency(ConcurrencyMode::Explicit(concurrency.parse()?));
    }
    let client = Client::new(loader.load().await);
    match what.as_str() {
        "upload" => {
            let body = InputStream::from_path(path)?;
            client.upload().bucket(bucket).key(key).body(body).initiate()?.join().await?;
        }
        "upload-folder" => {
            let walker = FsWalker::builder().recursive(true).build();
            let folder = client.upload_objects().source(path).walker(walker);
            folder.bucket(bucket).key_prefix(key).initiate()?.join().await?;
        }
        "download" => {
            let object = client.download().bucket(bucket).key(key);
            object.write_to_path(path).await?.join().await?;
        }
        _ => return Err(format!("{what} is unknown").into()),
    }
    Ok(())
}
