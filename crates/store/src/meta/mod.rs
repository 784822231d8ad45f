//! The metadata: tables, record encodings, and the changes that one transaction makes.
//!
//! `record` has the encoding, the files named after a record type have that record, [`tables`] has
//! the tables, and [`Batch`] the steps that several operations share. Touches no data file; a batch
//! only returns the files that it released.

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
