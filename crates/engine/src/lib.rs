//! Transfers to and from S3 for files that are too big to fail: in parts, in parallel, proven, and
//! resumable after a crash.
//!
//! # Upload a file
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
//! [`upload`] and [`download`] are shortcuts that create their own [`Engine`]. A program with more
//! than one transfer creates one engine: its transfers share a memory budget, a limit of requests
//! in flight that is lowered when the store asks for fewer, and a budget of retries
//! ([`EngineOptions`]).
//!
//! # Progress, pause and resume
//!
//! A [`Transfer`] is a future of its report. It runs on its own task, so it can be watched while it
//! is awaited elsewhere: [`Transfer::progress`] counts bytes, [`Transfer::take_events`] returns a
//! stream of [`Event`]s. [`StopRequest`] has the three ways to stop it. With a journal
//! ([`UploadOptions::journal`]) a stopped or killed transfer is resumed by the same call; without a
//! journal, its parts are removed from the store. A drop cannot wait for that: [`Engine::close`]
//! does.
//!
//! ```no_run
//! # async fn example(engine: haul::Engine, source: haul::FileSource, target: haul::ObjectRef)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use haul::journal::JournalFolder;
//! use haul::{Error, JournalChoice, JournalOptions, StopRequest, UploadOptions};
//!
//! let journal = JournalOptions {
//!     folder: JournalFolder::new("/var/lib/example/transfers"),
//!     store_name: None,
//!     connection: serde_json::Value::Null,
//!     choice: JournalChoice::OfSource,
//! };
//! let options = UploadOptions { journal: Some(journal), ..Default::default() };
//! let transfer = engine.upload(source, target, options);
//! let stopper = transfer.stopper();
//! tokio::spawn(async move {
//!     tokio::time::sleep(std::time::Duration::from_secs(60)).await;
//!     stopper.stop(StopRequest::Pause);
//! });
//! match transfer.await {
//!     Ok(report) => println!("{}", report.proof),
//!     Err(Error::Paused { arrived_bytes, .. }) => println!("{arrived_bytes} bytes have arrived"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(()) }
//! ```
//!
//! # Download
//!
//! ```no_run
//! # async fn example(engine: haul::Engine) -> Result<(), Box<dyn std::error::Error>> {
//! let object = "s3://bucket/video.mov".parse()?;
//! let report = engine.download(object, "video.mov", Default::default()).await?;
//! println!("{} bytes, {}", report.size_bytes, report.verified);
//! # Ok(()) }
//! ```
//!
//! # A source or a store of your own
//!
//! Implement [`Source`] for bytes that can be read at any offset, and [`Store`] for anything that
//! speaks the operations of S3. The feature `testing` has a store in memory that fails on demand,
//! and the suite that every store must pass.
//!
//! # Errors
//!
//! [`Error::advice`] returns what a program can do about an error; the error's text and its sources
//! describe the failure for the user.
//!
//! # How a byte travels, folder by folder
//!
//! ```text
//! source/    the bytes to send, and the check whether they have changed
//! body/      pooled slices, read and hashed once, under a memory budget
//! pace/      the number of requests in flight, and the retry policy
//! transfer/  the next step of a transfer (pure), and its execution: upload/, download/, …
//! remote/    the interface to a store: one trait
//! s3/        the trait over the network: control plane by the SDK, data plane on own connections
//! journal/   the records from which a later run resumes
//! findings_cache.rs  what a probe found about a store, for later runs
//! listing.rs the pages of a listing as one stream
//! verify/    the comparison of local bytes with an object, without downloading it
//! removal/   the removal of many objects at a time
//! sweep/     unfinished uploads of any tool: listed with their bytes, and removed
//! bucket_lifecycle/  the rule by which the store aborts them
//! doctor/    the probes of a store in a scratch prefix, and what follows from them
//! ```
//!
//! The library never prints, reads no environment beyond what the AWS configuration chain does, and
//! never exits. It runs inside a tokio runtime of the caller.

mod advice;
pub mod body;
pub mod bucket_lifecycle;
pub mod doctor;
mod engine;
mod error;
mod error_text;
mod event;
pub mod findings_cache;
pub mod journal;
pub mod listing;
pub mod pace;
mod proof;
pub mod remote;
pub mod removal;
pub mod s3;
pub mod source;
mod subject;
pub mod sweep;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod transfer;
pub mod verify;

pub use advice::Advice;
pub use body::Bandwidth;
pub use engine::{Engine, download, upload};
pub use error::Error;
pub use event::{Event, Events};
pub use haul_parts as parts;
pub use haul_parts::{ObjectRef, ObjectRefError};
pub use pace::{Concurrency, EngineOptions};
pub use proof::{Proof, ProofCount, WholeProof};
pub use remote::{ObjectAttributes, Store, StoreError, StoreErrorKind};
pub use s3::{Addressing, S3Options, S3Store};
pub use source::{BytesSource, FileSource, Source};
pub use subject::Subject;
pub use transfer::copy::{CopyMethod, CopyOptions, CopyProof, CopyReport, SourceStore};
pub use transfer::download::{DownloadOptions, DownloadReport, DownloadTarget};
pub use transfer::upload::stream::{DEFAULT_SPOOL_DIR, StreamOptions};
pub use transfer::upload::{
    Abandoned, JournalChoice, JournalOptions, OnChange, ReportedPart, Unfinished, UploadOptions,
    UploadReport, abandon,
};
pub use transfer::{Progress, StopRequest, Stopper, Transfer};

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// Compiles the example in the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/embed-the-library.md")]
struct Guide;
