//! Reads two facts from a certificate in DER: its issuer's name and its expiry (RFC 5280, 4.1).
//!
//! Display only: rustls has verified the certificate before. What cannot be read is left out.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The context tag of the version field.
const VERSION: u8 = 0xa0;
/// `id-at-commonName` and `id-at-organizationName`.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

/// The facts that could be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CertificateFacts {
    pub(super) issuer: Option<String>,
    pub(super) expires: Option<Timestamp>,
}

pub(super) fn read(certificate: &[u8]) -> CertificateFacts {
    facts(certificate).unwrap_or_default()
}

fn facts(certificate: &[u8]) -> Option<CertificateFacts> {
    let (whole, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(whole, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = any(rest)?.2;
    }
    // The serial number and the signature algorithm come first.
    let (_, _, rest) = any(rest)?;
    let (_, _, rest) = any(rest)?;
    let (issuer, rest) = element(rest, SEQUENCE)?;
    let (validity, _) = element(rest, SEQUENCE)?;
    let (_, _, not_after) = any(validity)?;
    let (tag, text, _) = any(not_after)?;
    Some(CertificateFacts { issuer: name(issuer), expires: time(tag, text) })
}

/// Returns the common name, else the organization.
fn name(mut rest: &[u8]) -> Option<String> {
    let mut organization = None;
    while !rest.is_empty() {
        let (set, after) = element(rest, SET)?;
        rest = after;
        let (pair, _) = element(set, SEQUENCE)?;
        let (id, value) = element(pair, OBJECT_ID)?;
        let text = String::from_utf8_lossy(any(value)?.1).into_owned();
        match id {
            COMMON_NAME => return Some(text),
            ORGANIZATION => organization = Some(text),
            _ => {}
        }
    }
    organization
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
mod tests {
    use super::*;

    #[test]
    fn damaged_certificates_have_no_facts() {
        for damaged in
            [&[][..], &[0x30], &[0x30, 0x84, 0xff], &[0x30, 0x02, 0x30, 0x05], &[0xff; 40]]
        {
            assert_eq!(read(damaged), CertificateFacts::default());
        }
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let at = |tag, text: &str| time(tag, text.as_bytes()).map(|time| time.to_string());
        assert_eq!(at(UTC_TIME, "261127001500Z").as_deref(), Some("2026-11-27T00:15:00Z"));
        assert_eq!(at(UTC_TIME, "991231235959Z").as_deref(), Some("1999-12-31T23:59:59Z"));
        assert_eq!(
            at(GENERALIZED_TIME, "20510101000000Z").as_deref(),
            Some("2051-01-01T00:00:00Z")
        );
        assert_eq!(at(UTC_TIME, "soon"), None);
    }
}
