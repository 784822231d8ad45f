//! The encoding of records: one version byte, then fields of `tag, length, bytes`.
//!
//! A reader skips unknown tags, so a field that old readers may ignore gets a new tag. For a field
//! that they must not ignore, the version is raised, and old readers refuse the record. Numbers and
//! lengths are LEB128. The format is described in `docs/formats.md`.

use haul_parts::{Checksum, ChecksumAlgorithm};

use crate::{Error, Result};

/// Writes a record.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(version: u8) -> Self {
        Self { bytes: vec![version] }
    }

    pub(crate) fn bytes(&mut self, tag: u8, value: &[u8]) {
        self.bytes.push(tag);
        put_number(&mut self.bytes, value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    pub(crate) fn number(&mut self, tag: u8, value: u64) {
        let mut encoded = Vec::with_capacity(10);
        put_number(&mut encoded, value);
        self.bytes(tag, &encoded);
    }

    pub(crate) fn checksum(&mut self, tag: u8, checksum: &Checksum) {
        let mut encoded = vec![algorithm_code(checksum.algorithm())];
        encoded.extend_from_slice(checksum.bytes());
        self.bytes(tag, &encoded);
    }

    /// Writes a value as JSON: for client attributes, which do not justify a compact encoding.
    pub(crate) fn json<T: serde::Serialize>(&mut self, tag: u8, value: &T) {
        let encoded = serde_json::to_vec(value)
            .expect("strings, numbers and maps of strings always serialize");
        self.bytes(tag, &encoded);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a record: an iterator over its fields.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    what: &'static str,
    cursor: Cursor<'a>,
}

/// One field of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    what: &'static str,
    pub(crate) tag: u8,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Creates a reader; refuses records of a version above `known`.
    pub(crate) fn new(what: &'static str, known: u8, record: &'a [u8]) -> Result<Self> {
        let mut cursor = Cursor::new(what, record);
        cursor.version(known)?;
        Ok(Self { what, cursor })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let tag = self.cursor.byte()?;
        let length = self.cursor.length()?;
        Ok(Some(Field { what: self.what, tag, bytes: self.cursor.take(length)? }))
    }
}

impl<'a> Field<'a> {
    pub(crate) fn cursor(&self) -> Cursor<'a> {
        Cursor::new(self.what, self.bytes)
    }

    pub(crate) fn number(&self) -> Result<u64> {
        self.cursor().number()
    }

    pub(crate) fn array<const N: usize>(&self) -> Result<[u8; N]> {
        self.bytes.try_into().map_err(|_| damaged(self.what))
    }

    pub(crate) fn text(&self) -> Result<&'a str> {
        str::from_utf8(self.bytes).map_err(|_| damaged(self.what))
    }

    pub(crate) fn checksum(&self) -> Result<Checksum> {
        let mut cursor = self.cursor();
        let algorithm = cursor.algorithm()?;
        Checksum::from_bytes(algorithm, cursor.rest()).map_err(|_| damaged(self.what))
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(self.bytes).map_err(|_| damaged(self.what))
    }
}

/// Reads bytes one after the other; reports a premature end as damage.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    what: &'static str,
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes }
    }

    /// Reads the version byte at the start; refuses one above `known`.
    pub(crate) fn version(&mut self, known: u8) -> Result<u8> {
        let found = self.byte()?;
        if found > known {
            return Err(Error::FormatTooNew { what: self.what, found, known });
        }
        Ok(found)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(length).ok_or_else(|| damaged(self.what))?;
        self.bytes = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| damaged(self.what))
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn number(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(damaged(self.what));
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged(self.what))
    }

    pub(crate) fn length(&mut self) -> Result<usize> {
        usize::try_from(self.number()?).map_err(|_| damaged(self.what))
    }

    pub(crate) fn algorithm(&mut self) -> Result<ChecksumAlgorithm> {
        algorithm_of(self.byte()?).ok_or_else(|| damaged(self.what))
    }
}

/// Encodes LEB128: seven bits per byte, lowest first, the top bit set on all but the last.
pub(crate) fn put_number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7f) as u8);
}

/// Returns the code of an algorithm on disk.
pub(crate) fn algorithm_code(algorithm: ChecksumAlgorithm) -> u8 {
    match algorithm {
        ChecksumAlgorithm::Crc64Nvme => 1,
        ChecksumAlgorithm::Crc32c => 2,
        ChecksumAlgorithm::Crc32 => 3,
        ChecksumAlgorithm::Sha1 => 4,
        ChecksumAlgorithm::Sha256 => 5,
        ChecksumAlgorithm::Md5 => 6,
        ChecksumAlgorithm::Sha512 => 7,
        ChecksumAlgorithm::Xxhash3 => 8,
        ChecksumAlgorithm::Xxhash64 => 9,
        ChecksumAlgorithm::Xxhash128 => 10,
        _ => unreachable!(
            "an algorithm that this store cannot name must not reach it: extend the codes with it"
        ),
    }
}

pub(crate) fn algorithm_of(code: u8) -> Option<ChecksumAlgorithm> {
    ChecksumAlgorithm::ALL.into_iter().find(|&algorithm| algorithm_code(algorithm) == code)
}

pub(crate) fn damaged(what: &'static str) -> Error {
    Error::Damaged { what: format!("a {what} record cannot be read") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(value: u64) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, value);
            let mut cursor = Cursor::new("test", &bytes);
            prop_assert_eq!(cursor.number().unwrap(), value);
            prop_assert!(cursor.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(mut reader) = Reader::new("test", 255, &bytes) {
                while let Ok(Some(field)) = reader.next() {
                    let _ = (field.number(), field.checksum());
                }
            }
        }
    }

    #[test]
    fn a_newer_version_is_refused() {
        let record = Writer::new(2).finish();
        let error = Reader::new("test", 1, &record).unwrap_err();
        assert!(matches!(error, Error::FormatTooNew { found: 2, known: 1, .. }), "{error}");
    }

    #[test]
    fn an_unknown_tag_is_skipped() {
        let mut writer = Writer::new(1);
        writer.bytes(200, b"from the future");
        writer.number(1, 7);
        let record = writer.finish();
        let mut reader = Reader::new("test", 1, &record).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().tag, 200);
        assert_eq!(reader.next().unwrap().unwrap().number().unwrap(), 7);
        assert!(reader.next().unwrap().is_none());
    }
}
