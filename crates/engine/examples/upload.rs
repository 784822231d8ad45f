//! Uploads a file, the shortest way: `cargo run -p haul --example upload -- FILE s3://bucket/key`.

#![allow(clippy::disallowed_methods)] // a program of its own, not the library
#![allow(clippy::print_stdout, reason = "an example tells its reader what happened")]

use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(target)) = (arguments.next(), arguments.next()) else {
        return Err("usage: upload FILE s3://bucket/key".into());
    };
    let store = Arc::new(haul::S3Store::connect(haul::S3Options::default()).await?);
    let source = haul::FileSource::open(file)?;
    let report =
        haul::upload(store, source, target.parse()?, haul::UploadOptions::default()).await?;
    println!("{}: {} bytes, {}", report.object, report.size_bytes, report.proof);
    Ok(())
}
