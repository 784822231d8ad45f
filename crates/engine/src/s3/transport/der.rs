//! Reads the facts for display from a certificate in DER: the issuer, the names that it is valid
//! for, and its term (RFC 5280, 4.1 and 4.2.1.6).
//!
//! Display only: rustls has verified the certificate before. What cannot be read is left out, and
//! no input of any kind panics (fuzz target `certificate`).

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
/// A string of UTF-16 in big-endian order.
const BMP_STRING: u8 = 0x1e;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The context tags of the version and of the extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// The context tags of a `dNSName` and of an `iPAddress`.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// `id-at-commonName` and `id-at-organizationName`.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
/// `id-ce-subjectAltName`.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// The facts that could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CertificateFacts {
    /// The common name of the issuer, else its organization.
    pub(crate) issuer: Option<String>,
    /// The host names and addresses that it is valid for.
    pub(crate) names: Vec<String>,
    /// The time from which it is valid.
    pub(crate) valid_from: Option<Timestamp>,
    /// The time when it expires.
    pub(crate) expires: Option<Timestamp>,
}

/// Reads a certificate.
pub(crate) fn read(certificate: &[u8]) -> CertificateFacts {
    let mut facts = CertificateFacts::default();
    // The facts before the end of the readable part are kept.
    let _ = read_into(&mut facts, certificate);
    facts
}

fn read_into(facts: &mut CertificateFacts, certificate: &[u8]) -> Option<()> {
    let (whole, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(whole, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = any(rest)?.2;
    }
    // The serial number and the signature algorithm come first.
    let (_, _, rest) = any(rest)?;
    let (_, _, rest) = any(rest)?;
    let (issuer, rest) = element(rest, SEQUENCE)?;
    facts.issuer = name(issuer);
    let (validity, rest) = element(rest, SEQUENCE)?;
    let (tag, from, until) = any(validity)?;
    facts.valid_from = time(tag, from);
    let (tag, until, _) = any(until)?;
    facts.expires = time(tag, until);
    // The subject and its public key, then unique ids that no CA uses, then the extensions.
    let (_, _, rest) = any(rest)?;
    let (_, _, mut rest) = any(rest)?;
    while !rest.is_empty() {
        let (tag, content, after) = any(rest)?;
        if tag == EXTENSIONS {
            facts.names = element(content, SEQUENCE).map_or_else(Vec::new, |it| names(it.0));
        }
        rest = after;
    }
    Some(())
}

/// Returns the names of the extension subjectAltName.
fn names(mut extensions: &[u8]) -> Vec<String> {
    let mut names = vec![];
    while let Some((extension, after)) = element(extensions, SEQUENCE) {
        extensions = after;
        if let Some((SUBJECT_ALT_NAME, value)) = element(extension, OBJECT_ID) {
            names.extend(alt_names(value).unwrap_or_default());
        }
    }
    names
}

/// Parses the value of subjectAltName, which a flag *critical* may precede.
fn alt_names(value: &[u8]) -> Option<Vec<String>> {
    let (mut tag, mut content, rest) = any(value)?;
    if tag != OCTET_STRING {
        (tag, content, _) = any(rest)?;
    }
    let (mut rest, _) = element(content, SEQUENCE).filter(|_| tag == OCTET_STRING)?;
    let mut names = vec![];
    while let Some((tag, content, after)) = any(rest) {
        rest = after;
        match tag {
            DNS_NAME => names.push(String::from_utf8_lossy(content).into_owned()),
            IP_ADDRESS => names.extend(address(content)),
            _ => {}
        }
    }
    Some(names)
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).to_string());
    }
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string())
}

/// Returns the common name, else the organization.
fn name(mut rest: &[u8]) -> Option<String> {
    let mut organization = None;
    while let Some((mut set, after)) = element(rest, SET) {
        rest = after;
        while let Some((pair, next)) = element(set, SEQUENCE) {
            set = next;
            let Some((id, value)) = element(pair, OBJECT_ID) else { continue };
            let Some((tag, value, _)) = any(value) else { continue };
            match id {
                COMMON_NAME => return Some(text(tag, value)),
                ORGANIZATION => organization = Some(text(tag, value)),
                _ => {}
            }
        }
    }
    organization
}

fn text(tag: u8, bytes: &[u8]) -> String {
    if tag != BMP_STRING {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Parses `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let digits = match tag {
        // RFC 5280: years of two digits are 1950 to 2049.
        UTC_TIME if text < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Splits an element with this tag into its content and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = any(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Splits an element into its tag, its content and what follows it.
fn any(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7f);
        if count > 4 || count > rest.len() {
            return None;
        }
        let (digits, after) = rest.split_at(count);
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    (length <= rest.len()).then(|| (tag, &rest[..length], &rest[length..]))
}

#[cfg(test)]
mod tests;
