//! The record of an uploaded part.

use haul_parts::{Checksum, ETag, PartNumber};

use super::layout::{Extent, LayoutPart, decode_extents, encode_extents};
use super::record::{Reader, Writer, damaged};
use crate::{PartInfo, Result, time};

const VERSION: u8 = 1;
const SIZE: u8 = 1;
const MD5: u8 = 2;
const MODIFIED: u8 = 3;
const CHECKSUM: u8 = 4;
const OTHER_CHECKSUM: u8 = 5;
const EXTENTS: u8 = 6;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartRecord {
    pub(crate) size_bytes: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) modified_ms: u64,
    pub(crate) checksum: Checksum,
    pub(crate) other_checksum: Option<Checksum>,
    pub(crate) extents: Vec<Extent>,
}

impl PartRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(VERSION);
        writer.number(SIZE, self.size_bytes);
        writer.bytes(MD5, &self.md5);
        writer.number(MODIFIED, self.modified_ms);
        writer.checksum(CHECKSUM, &self.checksum);
        if let Some(other) = &self.other_checksum {
            writer.checksum(OTHER_CHECKSUM, other);
        }
        let mut extents = Vec::new();
        encode_extents(&mut extents, &self.extents);
        writer.bytes(EXTENTS, &extents);
        writer.finish()
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("part", VERSION, record)?;
        let (mut size_bytes, mut md5, mut modified_ms, mut checksum) = (None, None, None, None);
        let (mut other_checksum, mut extents) = (None, None);
        while let Some(field) = reader.next()? {
            match field.tag {
                SIZE => size_bytes = Some(field.number()?),
                MD5 => md5 = Some(field.array()?),
                MODIFIED => modified_ms = Some(field.number()?),
                CHECKSUM => checksum = Some(field.checksum()?),
                OTHER_CHECKSUM => other_checksum = Some(field.checksum()?),
                EXTENTS => extents = Some(decode_extents(&mut field.cursor())?),
                _ => {}
            }
        }
        let missing = || damaged("part");
        Ok(Self {
            size_bytes: size_bytes.ok_or_else(missing)?,
            md5: md5.ok_or_else(missing)?,
            modified_ms: modified_ms.ok_or_else(missing)?,
            checksum: checksum.ok_or_else(missing)?,
            other_checksum,
            extents: extents.ok_or_else(missing)?,
        })
    }

    pub(crate) fn info(&self, part_number: PartNumber) -> PartInfo {
        PartInfo {
            part_number,
            size_bytes: self.size_bytes,
            etag: ETag::from_md5(self.md5),
            last_modified: time(self.modified_ms),
            checksum: self.checksum,
            other_checksum: self.other_checksum,
        }
    }

    pub(crate) fn into_layout(self, number: u16) -> LayoutPart {
        LayoutPart {
            number,
            size_bytes: self.size_bytes,
            md5: self.md5,
            checksum: Some(self.checksum),
            extents: self.extents,
        }
    }
}
