//! The id of a store: created once, and written both to the metadata and beside the data files, so
//! that one is never used with the other of a different store.

use std::fmt;

/// The first words of the file that contains the id.
const FILE_PREFIX: &str = "haul store ";

/// The id of a store: sixteen random bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoreId([u8; 16]);

impl StoreId {
    pub(crate) const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Creates a random id, different from that of every other store.
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    pub(crate) const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Returns the line that is written beside the data files.
    pub(crate) fn file_text(self) -> String {
        format!("{FILE_PREFIX}{self}\n")
    }

    /// Parses the line; `None` for anything else.
    pub(crate) fn from_file_text(bytes: &[u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?.strip_prefix(FILE_PREFIX)?;
        let mut id = [0; 16];
        hex::decode_to_slice(text.trim_end(), &mut id).ok()?;
        Some(Self(id))
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_from_its_line() {
        let id = StoreId::random();
        assert_eq!(StoreId::from_file_text(id.file_text().as_bytes()), Some(id));
        for other in ["", "haul store ", "haul store 0123", "0123456789abcdef0123456789abcdef"] {
            assert_eq!(StoreId::from_file_text(other.as_bytes()), None, "{other:?}");
        }
    }
}
