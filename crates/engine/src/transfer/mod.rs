//! What moves bytes: one folder for each kind of transfer.

pub mod download;
pub mod upload;
