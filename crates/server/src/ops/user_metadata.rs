//! Handles `x-amz-meta-*`: read as sent, written as AWS writes it.
//!
//! Values are stored as received, in RFC 2047 or not. Non-ASCII values are returned in RFC 2047,
//! like the Java library that AWS uses (its responses are recorded in LocalStack's tests):
//! quoted-printable if more characters are ASCII than not, else base64; split in halves until a
//! word has at most 75 characters.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::S3ErrorCode;

use super::attributes::decoded;
use crate::answer::refusal::Refusal;

pub(super) const PREFIX: &str = "x-amz-meta-";
/// The maximum bytes of user metadata, names and values together, by AWS's rule.
const SIZE_MAX_BYTES: usize = 2048;
/// The characters that remain of the 75 of a word, besides `=?UTF-8?Q?` and `?=`.
const WORD_CHARS: usize = 63;

/// Reads all names and values; the values of a repeated name are joined.
///
/// # Errors
/// `MetadataTooLarge`.
pub(super) fn read(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Refusal> {
    let mut metadata: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(PREFIX) else { continue };
        let value = decoded(value);
        metadata
            .entry(name.to_owned())
            .and_modify(|kept| {
                kept.push(',');
                kept.push_str(&value);
            })
            .or_insert(value);
    }
    let size: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > SIZE_MAX_BYTES {
        return Err(Refusal::new(S3ErrorCode::MetadataTooLarge)
            .field("Size", size.to_string())
            .field("MaxSizeAllowed", SIZE_MAX_BYTES.to_string()));
    }
    Ok(metadata)
}

/// Writes the metadata into the headers of a response.
pub(super) fn write(metadata: &BTreeMap<String, String>, headers: &mut HeaderMap) {
    for (name, value) in metadata {
        let name = HeaderName::try_from(format!("{PREFIX}{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(encoded(value))) {
            headers.insert(name, value);
        }
    }
}

/// Returns ASCII unchanged, everything else in RFC 2047.
fn encoded(value: &str) -> String {
    let not_ascii = value.chars().filter(|c| !c.is_ascii()).count();
    if not_ascii == 0 {
        return value.to_owned();
    }
    let form =
        if value.chars().count() - not_ascii > not_ascii { Form::Quoted } else { Form::Base64 };
    let mut words = Vec::new();
    split(&value.chars().collect::<Vec<_>>(), form, &mut words);
    words.join(" ")
}

#[derive(Clone, Copy)]
enum Form {
    Quoted,
    Base64,
}

fn split(chars: &[char], form: Form, words: &mut Vec<String>) {
    let text: String = chars.iter().collect();
    let (letter, content) = match form {
        Form::Quoted => ('Q', quoted(&text)),
        Form::Base64 => ('B', STANDARD.encode(&text)),
    };
    if content.len() > WORD_CHARS && chars.len() > 1 {
        let (first, second) = chars.split_at(chars.len() / 2);
        split(first, form, words);
        split(second, form, words);
    } else {
        words.push(format!("=?UTF-8?{letter}?{content}?="));
    }
}

/// Encodes as `Q`: `_` for a space, printable ASCII unchanged except for special characters.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match byte {
            b' ' => quoted.push('_'),
            b'=' | b'_' | b'?' => write_hex(&mut quoted, byte),
            b'!'..=b'~' => quoted.push(char::from(byte)),
            _ => write_hex(&mut quoted, byte),
        }
    }
    quoted
}

fn write_hex(text: &mut String, byte: u8) {
    write!(text, "={byte:02X}").expect("a string takes what is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first three are AWS's responses in February 2026; the fourth is from its user guide.
    #[test]
    fn what_is_not_ascii_leaves_as_rfc_2047() {
        for (value, expected) in [
            ("ÄMÄZÕÑ S3", "=?UTF-8?Q?=C3=84M=C3=84Z=C3=95=C3=91_S3?="),
            (
                "test_—_file%E2%80%94_é_2👑.pdf",
                "=?UTF-8?Q?test=5F=E2=80=94=5Ffile%E2%80%94=5F=C3=A9=5F2=F0=9F=91=91.pdf?=",
            ),
            ("=?UTF-8?B?AAECAwQ=?=", "=?UTF-8?B?AAECAwQ=?="),
            ("Ã\u{84}MÃ\u{84}ZÃ\u{95}Ã\u{91} S3", "=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?="),
            ("plain ASCII, with a = and a _", "plain ASCII, with a = and a _"),
        ] {
            assert_eq!(encoded(value), expected);
        }
        let long = "ä".repeat(200);
        for word in encoded(&long).split(' ') {
            assert!(word.len() <= 75 && word.starts_with("=?UTF-8?B?"), "{word}");
        }
    }
}
