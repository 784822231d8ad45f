//! The record of an open upload.

use haul_parts::{ChecksumType, UploadId};

use super::record::{Reader, Writer, algorithm_code, damaged};
use crate::{
    ChecksumOrigin, ObjectAttributes, Result, UploadChecksum, UploadInfo, UploadRef, time,
};

const VERSION: u8 = 1;
const UPLOAD_ID: u8 = 1;
const INITIATED: u8 = 2;
const ATTRIBUTES: u8 = 3;
const CHECKSUM: u8 = 4;
const KEY_DELETED: u8 = 5;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadRecord {
    pub(crate) upload_id: [u8; 16],
    pub(crate) initiated_ms: u64,
    pub(crate) attributes: ObjectAttributes,
    pub(crate) checksum: UploadChecksum,
    pub(crate) history: KeyHistory,
}

/// The changes to the key of an upload while it is open, because a conditional Complete must detect
/// a delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeyHistory {
    #[default]
    NotDeleted,
    Deleted,
}

impl UploadRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(VERSION);
        writer.bytes(UPLOAD_ID, &self.upload_id);
        writer.number(INITIATED, self.initiated_ms);
        if self.attributes != ObjectAttributes::default() {
            writer.json(ATTRIBUTES, &self.attributes);
        }
        let checksum_type = match self.checksum.checksum_type {
            ChecksumType::FullObject => 0,
            ChecksumType::Composite => 1,
        };
        let origin = match self.checksum.origin {
            ChecksumOrigin::Default => 0,
            ChecksumOrigin::Requested => 1,
        };
        writer.bytes(CHECKSUM, &[algorithm_code(self.checksum.algorithm), checksum_type, origin]);
        if self.history == KeyHistory::Deleted {
            writer.bytes(KEY_DELETED, &[]);
        }
        writer.finish()
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("upload", VERSION, record)?;
        let (mut upload_id, mut initiated_ms, mut checksum) = (None, None, None);
        let mut attributes = ObjectAttributes::default();
        let mut history = KeyHistory::NotDeleted;
        while let Some(field) = reader.next()? {
            match field.tag {
                UPLOAD_ID => upload_id = Some(field.array()?),
                INITIATED => initiated_ms = Some(field.number()?),
                ATTRIBUTES => attributes = field.json()?,
                CHECKSUM => {
                    let mut cursor = field.cursor();
                    checksum = Some(UploadChecksum {
                        algorithm: cursor.algorithm()?,
                        checksum_type: match cursor.byte()? {
                            0 => ChecksumType::FullObject,
                            1 => ChecksumType::Composite,
                            _ => return Err(damaged("upload")),
                        },
                        origin: match cursor.byte()? {
                            0 => ChecksumOrigin::Default,
                            1 => ChecksumOrigin::Requested,
                            _ => return Err(damaged("upload")),
                        },
                    });
                }
                KEY_DELETED => history = KeyHistory::Deleted,
                _ => {}
            }
        }
        let missing = || damaged("upload");
        Ok(Self {
            upload_id: upload_id.ok_or_else(missing)?,
            initiated_ms: initiated_ms.ok_or_else(missing)?,
            attributes,
            checksum: checksum.ok_or_else(missing)?,
            history,
        })
    }

    pub(crate) fn info(&self, upload: UploadRef) -> UploadInfo {
        UploadInfo {
            upload,
            initiated: time(self.initiated_ms),
            attributes: self.attributes.clone(),
            checksum: self.checksum,
        }
    }
}

/// Returns the id as clients see it: 32 hex digits.
pub(crate) fn upload_id_text(id: [u8; 16]) -> UploadId {
    UploadId::new(hex::encode(id)).expect("32 hex digits are a good upload id")
}

/// Returns the bytes of an id; `None` for text that this store never issued.
pub(crate) fn upload_id_bytes(upload_id: &UploadId) -> Option<[u8; 16]> {
    let text = upload_id.as_str();
    // Each id has only one spelling: this store issues only lower case.
    let ours = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut id = [0; 16];
    (ours && hex::decode_to_slice(text, &mut id).is_ok()).then_some(id)
}
