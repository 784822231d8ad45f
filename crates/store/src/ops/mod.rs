//! The operations of a store, one file per kind, all methods of [`DiskStore`](crate::Store).

mod bucket;
mod complete;
mod copy;
mod delete;
mod expire;
mod list_objects;
mod list_uploads;
mod parts;
mod put;
mod read;
mod rollup;
mod settings;
mod sweep;
mod tags;
mod upload;

use haul_parts::limits::LIST_PAGE_MAX;

/// Returns the page size for a requested number of entries.
fn page_size(asked: Option<u16>) -> usize {
    usize::from(asked.unwrap_or(LIST_PAGE_MAX).min(LIST_PAGE_MAX))
}
