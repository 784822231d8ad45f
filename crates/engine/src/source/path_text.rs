//! Serializes a path as text, or as its bytes in hexadecimal if it is not UTF-8. For
//! `#[serde(with)]`.
//!
//! File names on Unix are bytes. A name that is not UTF-8 (an archive from an old system) must have
//! a journal too.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Bytes { bytes: String },
}

/// Writes a path.
///
/// # Errors
/// A path that is not UTF-8, on systems where names are not bytes.
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    let written = match path.to_str() {
        Some(text) => Written::Text(text.to_owned()),
        None => Written::Bytes {
            bytes: hex_of(path).ok_or_else(|| serde::ser::Error::custom("a path is no text"))?,
        },
    };
    written.serialize(serializer)
}

/// Reads a path.
///
/// # Errors
/// Anything that [`serialize`] does not write.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    match Written::deserialize(deserializer)? {
        Written::Text(text) => Ok(text.into()),
        Written::Bytes { bytes } => {
            of_hex(&bytes).ok_or_else(|| serde::de::Error::custom("not a path"))
        }
    }
}

/// The same for an optional path.
pub mod optional {
    use super::{Deserialize, Deserializer, Path, PathBuf, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Present(#[serde(with = "super")] PathBuf);

    /// As [`super::serialize`].
    ///
    /// # Errors
    /// As [`super::serialize`].
    pub fn serialize<S: Serializer>(
        path: &Option<PathBuf>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        path.as_deref().map(Path::to_owned).map(Present).serialize(serializer)
    }

    /// As [`super::deserialize`].
    ///
    /// # Errors
    /// As [`super::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<Present>::deserialize(deserializer)?.map(|present| present.0))
    }
}

fn hex_of(path: &Path) -> Option<String> {
    use std::os::unix::ffi::OsStrExt;
    Some(path.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn of_hex(text: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let digits = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Option<Vec<u8>> = digits.collect();
    Some(std::ffi::OsString::from_vec(bytes?).into())
}
