//! The metadata: which tables there are, how their records are written, and what may be done to
//! them in one step.
//!
//! `record` is the encoding, the files named after a thing say what is kept of it, [`tables`]
//! where, and [`Batch`] holds the steps that several operations share. Nothing here touches a data
//! file; a batch only says which ones were let go.

mod backend;
mod batch;
mod bucket;
mod file;
mod layout;
mod object;
mod part;
pub(crate) mod record;
pub(crate) mod tables;
mod upload;

pub(crate) use backend::Backend;
pub(crate) use batch::Batch;
pub(crate) use bucket::BucketRecord;
pub(crate) use file::FileRecord;
pub(crate) use layout::{Extent, Layout, LayoutPart};
pub(crate) use object::{CompletedUpload, ObjectRecord};
pub(crate) use part::PartRecord;
pub(crate) use record::damaged;
pub(crate) use tables::{FORMAT, Snapshot};
pub(crate) use upload::{KeyHistory, UploadRecord, upload_id_bytes, upload_id_text};
