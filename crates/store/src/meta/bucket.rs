//! The record of a bucket.

use super::record::{Reader, Writer, damaged};
use crate::Result;

const VERSION: u8 = 1;
const CREATED: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketRecord {
    pub(crate) created_ms: u64,
}

impl BucketRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(VERSION);
        writer.number(CREATED, self.created_ms);
        writer.finish()
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("bucket", VERSION, record)?;
        let mut created_ms = None;
        while let Some(field) = reader.next()? {
            if field.tag == CREATED {
                created_ms = Some(field.number()?);
            }
        }
        Ok(Self { created_ms: created_ms.ok_or_else(|| damaged("bucket"))? })
    }
}
