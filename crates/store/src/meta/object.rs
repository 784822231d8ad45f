//! The record of an object without its layout. Records are small, because listings read one per
//! key: a layout of several parts is in a separate table.

use haul_parts::{Checksum, ChecksumType, CompositeChecksum, ETag};

use super::Layout;
use super::record::{Reader, Writer, damaged};
use crate::{ObjectAttributes, ObjectChecksum, ObjectInfo, ObjectVersion, Result, time};

const VERSION: u8 = 1;
const OBJECT_VERSION: u8 = 1;
const SIZE: u8 = 2;
const ETAG: u8 = 3;
const MODIFIED: u8 = 4;
const ATTRIBUTES: u8 = 5;
const FULL_CHECKSUM: u8 = 6;
const COMPOSITE_CHECKSUM: u8 = 7;
const PART_COUNT: u8 = 8;
const LAYOUT: u8 = 9;
const COMPLETED: u8 = 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectRecord {
    pub(crate) version: u64,
    pub(crate) size_bytes: u64,
    pub(crate) etag: ETag,
    pub(crate) modified_ms: u64,
    pub(crate) attributes: ObjectAttributes,
    pub(crate) checksum: Option<ObjectChecksum>,
    pub(crate) part_count: Option<u16>,
    /// The layout; `None` if it is in the layouts table, under the version.
    pub(crate) layout: Option<Layout>,
    pub(crate) completed: Option<CompletedUpload>,
}

/// The upload that published an object, needed to answer a repeated Complete in the same way.
/// Removed with the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompletedUpload {
    pub(crate) upload_id: [u8; 16],
    /// The MD5 of the part list in Complete.
    pub(crate) list: [u8; 16],
}

impl ObjectRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(VERSION);
        writer.number(OBJECT_VERSION, self.version);
        writer.number(SIZE, self.size_bytes);
        writer.bytes(ETAG, self.etag.unquoted().as_bytes());
        writer.number(MODIFIED, self.modified_ms);
        if self.attributes != ObjectAttributes::default() {
            writer.json(ATTRIBUTES, &self.attributes);
        }
        match &self.checksum {
            None => {}
            Some(ObjectChecksum::FullObject(checksum)) => {
                writer.checksum(FULL_CHECKSUM, checksum);
            }
            Some(ObjectChecksum::Composite(composite)) => {
                writer.checksum(COMPOSITE_CHECKSUM, &composite.checksum());
            }
        }
        if let Some(part_count) = self.part_count {
            writer.number(PART_COUNT, u64::from(part_count));
        }
        if let Some(layout) = &self.layout {
            writer.bytes(LAYOUT, &layout.encode());
        }
        if let Some(completed) = &self.completed {
            writer.bytes(COMPLETED, &[completed.upload_id, completed.list].concat());
        }
        writer.finish()
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("object", VERSION, record)?;
        let (mut version, mut size_bytes, mut etag, mut modified_ms) = (None, None, None, None);
        let mut attributes = ObjectAttributes::default();
        let mut checksum = None;
        let (mut part_count, mut layout, mut completed) = (None, None, None);
        while let Some(field) = reader.next()? {
            match field.tag {
                OBJECT_VERSION => version = Some(field.number()?),
                SIZE => size_bytes = Some(field.number()?),
                ETAG => etag = Some(ETag::new(format!("\"{}\"", field.text()?))),
                MODIFIED => modified_ms = Some(field.number()?),
                ATTRIBUTES => attributes = field.json()?,
                FULL_CHECKSUM => checksum = Some((field.checksum()?, ChecksumType::FullObject)),
                COMPOSITE_CHECKSUM => checksum = Some((field.checksum()?, ChecksumType::Composite)),
                PART_COUNT => {
                    part_count =
                        Some(u16::try_from(field.number()?).map_err(|_| damaged("object"))?);
                }
                LAYOUT => layout = Some(Layout::decode(field.bytes)?),
                COMPLETED => {
                    let mut cursor = field.cursor();
                    completed =
                        Some(CompletedUpload { upload_id: cursor.array()?, list: cursor.array()? });
                }
                _ => {}
            }
        }
        let missing = || damaged("object");
        Ok(Self {
            version: version.ok_or_else(missing)?,
            size_bytes: size_bytes.ok_or_else(missing)?,
            etag: etag.ok_or_else(missing)?,
            modified_ms: modified_ms.ok_or_else(missing)?,
            attributes,
            checksum: checksum
                .map(|(value, kind)| object_checksum(value, kind, part_count))
                .transpose()?,
            part_count,
            layout,
            completed,
        })
    }

    pub(crate) fn info(&self) -> ObjectInfo {
        ObjectInfo {
            version: ObjectVersion(self.version),
            size_bytes: self.size_bytes,
            etag: self.etag.clone(),
            last_modified: time(self.modified_ms),
            attributes: self.attributes.clone(),
            checksum: self.checksum,
            part_count: self.part_count,
        }
    }
}

fn object_checksum(
    value: Checksum,
    kind: ChecksumType,
    part_count: Option<u16>,
) -> Result<ObjectChecksum> {
    match kind {
        ChecksumType::FullObject => Ok(ObjectChecksum::FullObject(value)),
        ChecksumType::Composite => {
            let text = format!("{}-{}", value.to_base64(), part_count.unwrap_or_default());
            let composite = CompositeChecksum::parse(value.algorithm(), &text)
                .map_err(|_| damaged("object"))?;
            Ok(ObjectChecksum::Composite(composite))
        }
    }
}
