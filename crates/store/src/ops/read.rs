//! Describes and reads objects.

use std::ops::Range;

use haul_parts::{Bucket, Key, PartNumber};

use super::page_size;
use crate::meta::{Extent, Layout, ObjectRecord};
use crate::reader::cut;
use crate::{
    DiskStore, Error, ObjectInfo, ObjectPart, ObjectPartPage, ObjectReader, ReadRange, Result,
};

impl DiskStore {
    /// Returns the description of an object.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchKey`].
    pub fn head_object(&self, bucket: &Bucket, key: &Key) -> Result<ObjectInfo> {
        Ok(self.inner.core.snapshot()?.object(bucket, key)?.info())
    }

    /// Returns the parts of an object after a marker; at most 1,000.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchKey`].
    pub fn object_parts(
        &self,
        bucket: &Bucket,
        key: &Key,
        after: Option<PartNumber>,
        max_parts: Option<u16>,
    ) -> Result<ObjectPartPage> {
        let snapshot = self.inner.core.snapshot()?;
        let record = snapshot.object(bucket, key)?;
        let mut page = ObjectPartPage { object: record.info(), parts: Vec::new(), next: None };
        if record.part_count.is_none() {
            return Ok(page);
        }
        let layout = snapshot.layout(&record)?;
        let skipped = after.map_or(0, |after| usize::from(after.get()));
        let mut offset_bytes = 0;
        for (index, part) in layout.parts.iter().enumerate() {
            if index >= skipped {
                if page.parts.len() == page_size(max_parts) {
                    page.next = page.parts.last().map(|part| part.part_number);
                    break;
                }
                page.parts.push(ObjectPart {
                    part_number: place(index)?,
                    offset_bytes,
                    size_bytes: part.size_bytes,
                    checksum: part.checksum,
                });
            }
            offset_bytes += part.size_bytes;
        }
        Ok(page)
    }

    /// Opens an object for reading. Evaluate conditional headers on [`ObjectReader::object`].
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchKey`], [`Error::InvalidRange`],
    /// [`Error::InvalidPartNumber`].
    pub fn read_object(
        &self,
        bucket: &Bucket,
        key: &Key,
        range: ReadRange,
    ) -> Result<ObjectReader> {
        let core = &self.inner.core;
        // Announce the reader before taking the snapshot: files in the snapshot must not be removed
        // before they are held.
        let opening = core.reaper.opening();
        let snapshot = core.snapshot()?;
        let record = snapshot.object(bucket, key)?;
        let layout = snapshot.layout(&record)?;
        let range = resolve(range, &record, &layout)?;
        let extents = cut(layout.extents(), &range);
        let found: u64 = extents.iter().map(|extent| extent.size_bytes).sum();
        if found != range.end - range.start {
            let what = format!(
                "the extents of {bucket}/{key} do not have its {} bytes",
                record.size_bytes
            );
            return Err(Error::Damaged { what });
        }
        let hold = opening.hold(extents.iter().map(|&Extent { file, .. }| file));
        Ok(ObjectReader::new(self.inner.clone(), record.info(), range, extents, hold))
    }
}

/// Returns the position of a part in its object, counted from 1.
fn place(index: usize) -> Result<PartNumber> {
    PartNumber::from_index(index)
        .map_err(|error| Error::Damaged { what: format!("a layout: {error}") })
}

/// Resolves the range to offsets, from the first byte to one past the last.
fn resolve(range: ReadRange, object: &ObjectRecord, layout: &Layout) -> Result<Range<u64>> {
    let size_bytes = object.size_bytes;
    let outside = Error::InvalidRange { size_bytes };
    match range {
        ReadRange::Whole => Ok(0..size_bytes),
        ReadRange::From(first) if first < size_bytes => Ok(first..size_bytes),
        ReadRange::Bytes(bytes) if *bytes.start() < size_bytes && bytes.start() <= bytes.end() => {
            Ok(*bytes.start()..bytes.end().saturating_add(1).min(size_bytes))
        }
        ReadRange::Suffix(length) if length > 0 && size_bytes > 0 => {
            Ok(size_bytes.saturating_sub(length)..size_bytes)
        }
        ReadRange::From(_) | ReadRange::Bytes(_) | ReadRange::Suffix(_) => Err(outside),
        ReadRange::Part(part_number) => part_range(part_number, object, layout),
    }
}

fn part_range(
    part_number: PartNumber,
    object: &ObjectRecord,
    layout: &Layout,
) -> Result<Range<u64>> {
    let mut begin = 0;
    for (index, part) in layout.parts.iter().enumerate() {
        let end = begin + part.size_bytes;
        if index == part_number.index() {
            return Ok(begin..end);
        }
        begin = end;
    }
    Err(Error::InvalidPartNumber { part_number, part_count: object.part_count.unwrap_or(1) })
}
