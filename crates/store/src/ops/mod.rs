//! What a store can do, one file per kind of operation, all as methods of [`Store`](crate::Store).

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

/// How many entries a page has when so many are asked for.
fn page_size(asked: Option<u16>) -> usize {
    usize::from(asked.unwrap_or(LIST_PAGE_MAX).min(LIST_PAGE_MAX))
}
