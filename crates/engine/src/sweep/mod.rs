//! Unfinished uploads of a bucket, whichever tool began them: found with their bytes, and removed.
//!
//! S3 bills the parts of an upload that is neither completed nor aborted, and shows them in no
//! listing of objects. [`inventory`] finds them; [`remove_if_idle`] aborts one that received
//! nothing for a while. Which uploads are work in progress is for the caller to know: a journal of
//! this machine may own one ([`crate::journal`]).

mod inventory;
mod remove;

pub use inventory::{Inventory, InventoryOptions, UnfinishedUpload, Unlisted, inventory};
pub use remove::{Removal, remove, remove_if_idle};
