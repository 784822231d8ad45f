//! Unfinished uploads of a bucket, from any tool: finds them with their bytes, and removes them.
//!
//! S3 bills the parts of an upload that is neither completed nor aborted, and lists them in no
//! listing of objects. [`inventory`] finds them; [`remove_if_idle`] aborts one that received
//! nothing for a while. The caller knows which uploads are in progress: a journal of this machine
//! may own one ([`crate::journal`]).

mod inventory;
mod remove;

pub use inventory::{Inventory, InventoryOptions, UnfinishedUpload, Unlisted, inventory};
pub use remove::{Removal, remove, remove_if_idle};
