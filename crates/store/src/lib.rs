//! A crash-safe object store on the disk of one machine: parts, publish, sweep.
//!
//! The store uses S3's terms but does not know HTTP. Bytes enter through a [`PartWriter`], which
//! hashes them in the same pass, and become visible only by [`DiskStore::put_object`],
//! [`DiskStore::put_part`] or [`DiskStore::complete_multipart_upload`]. When one of these returns,
//! the result is on disk and survives power loss. Complete writes no data: an object is a manifest
//! over the files of its parts.
//!
//! All calls block. A [`DiskStore`] is cheap to clone and may be used from any number of threads.
//!
//! ```no_run
//! # fn main() -> Result<(), haul_store::Error> {
//! use haul_store::{DiskStore, PutOptions, ReadRange, StoreOptions, WriteOptions};
//! # let bucket = haul_parts::Bucket::new("demo").expect("a good name");
//! # let key = haul_parts::Key::new("hello").expect("a good key");
//! let store = DiskStore::open("/var/lib/haul", StoreOptions::default())?;
//! store.create_bucket(&bucket)?;
//! let mut writer = store.begin_part(WriteOptions::default())?;
//! writer.write(b"hello")?;
//! store.put_object(&bucket, &key, writer.finish()?, PutOptions::default())?;
//! let mut reader = store.read_object(&bucket, &key, ReadRange::Whole)?;
//! let mut bytes = [0; 5];
//! assert_eq!(reader.read(&mut bytes)?, 5);
//! # Ok(())
//! # }
//! ```

// The order of writes relies on O_TMPFILE, O_DIRECT and folders that can be synced.
#[cfg(not(target_os = "linux"))]
compile_error!("haul-store runs on Linux only");

mod api;
mod block;
mod check;
mod clock;
mod commit;
mod commit_mark;
mod database;
pub mod disk;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod md5_pool;
mod meta;
mod open_store;
mod ops;
mod reader;
mod reaper;
pub mod side_file;
mod spans;
mod store;
mod store_id;
mod writer;

pub use api::*;
pub use block::{BLOCK_BYTES, Block, BlockPool, SMALL_BLOCK_BYTES};
pub use check::{CheckProgress, CheckReport, Owner, Problem, Repair, check, data_files};
pub use clock::Clock;
pub(crate) use clock::time;
pub use error::{Error, Result};
// Types of the store's API that the client shares.
pub use haul_parts::{CompletedPart, ObjectAttributes, UploadMarker, UploadRef};
pub use reader::ObjectReader;
pub use store::DiskStore;
pub use writer::{PartWriter, StagedPart};
