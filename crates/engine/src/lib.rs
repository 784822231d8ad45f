//! **Haul** is for files that are too big to fail: it uploads them to S3 and downloads them again, in parts, in
//! parallel, proving that what arrived is what was read, and leaving nothing behind.
//!
//! How a byte travels, folder by folder:
//!
//! ```text
//! source/   where bytes come from, and whether they changed meanwhile
//! buffer/   pooled slices, read and hashed once, under a memory permit
//! journal/  what must be remembered to go on after a crash
//! upload/   the plan, the schedule (pure), the driver that carries it out, the abort that outlives its caller
//! store/    what is asked of a store: one trait
//! s3/       the trait over the network: control plane by the SDK, data plane on connections of our own
//! memory/   the trait in memory, with faults on demand
//! download/ the way back, verified
//! sweep/    unfinished uploads of any tool: listed with their bytes, and removed
//! bucket_lifecycle/ the rule that aborts them by itself
//! ```
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = std::sync::Arc::new(haul::S3Store::connect(haul::S3Options::default()).await?);
//! let source = haul::FileSource::open("video.mov")?;
//! let target = "s3://bucket/video.mov".parse()?;
//! let report = haul::upload(store, source, target, haul::UploadOptions::default()).await?;
//! println!("{} bytes, {}", report.size_bytes, report.proof);
//! # Ok(()) }
//! ```
//!
//! The library never prints, reads no environment beyond what the AWS configuration chain does, and never
//! exits. It runs inside a tokio runtime of the caller.

mod advice;
pub mod body;
pub mod bucket_lifecycle;
mod engine;
mod error;
mod error_text;
mod event;
pub mod journal;
pub mod pace;
mod proof;
pub mod remote;
pub mod s3;
pub mod source;
pub mod sweep;
pub mod testing;
pub mod transfer;

pub use advice::Advice;
pub use engine::{Engine, download, upload};
pub use error::Error;
pub use event::{Event, Events};
pub use haul_parts as parts;
pub use haul_parts::{ObjectRef, ObjectRefError};
pub use pace::EngineOptions;
pub use proof::{Proof, ProofCount, WholeProof};
pub use remote::{ObjectAttributes, Store, StoreError, StoreErrorKind};
pub use s3::{Addressing, S3Options, S3Store};
pub use source::{BytesSource, FileSource, Source};
pub use transfer::download::{DownloadOptions, DownloadReport};
pub use transfer::upload::{
    Abandoned, JournalChoice, JournalOptions, OnChange, Unfinished, UploadOptions, UploadReport, abandon,
};
pub use transfer::{Progress, StopRequest, Stopper, Transfer};

/// The example in the README is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
