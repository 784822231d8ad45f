//! The encryption of the way: protocol version, cipher, and the certificate's issuer, names and
//! term.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Doctor, Group, Verdict};
use crate::remote::StoreError;
use crate::s3::CertificateFacts;

/// A certificate that expires within this time deserves a warning, unless its term is short: then
/// in the last third of it.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Names of a certificate in the table; the JSON document has all.
const NAMES_SHOWN: usize = 4;

/// The facts of the TLS connection to the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TlsReport {
    /// `TLS 1.2` or `TLS 1.3`.
    pub version: String,
    /// The cipher suite by its IANA name.
    pub cipher: String,
    /// The name of the certificate's issuer, if it could be read.
    pub issuer: Option<String>,
    /// The host names and addresses that the certificate is valid for.
    pub names: Vec<String>,
    /// The time from which the certificate is valid (RFC 3339), if it could be read.
    pub valid_from: Option<String>,
    /// The time when the certificate expires (RFC 3339), if it could be read.
    pub expires: Option<String>,
}

impl Doctor<'_> {
    /// Shakes hands with the endpoint once.
    ///
    /// # Errors
    /// The handshake fails: no request can be sent.
    pub(super) async fn check_tls(&mut self, limit: Duration) -> Result<(), StoreError> {
        let group = Group::Connection;
        if self.store.is_behind_proxy(&self.bucket).await {
            self.note(group, "TLS", Verdict::NotTested, "a proxy is in between");
            return Ok(());
        }
        let facts = match self.store.tls_facts(&self.bucket, limit).await {
            Ok(Some(facts)) => facts,
            Ok(None) => {
                self.note(group, "TLS", Verdict::No, "plain http: nothing is encrypted");
                return Ok(());
            }
            Err(error) => {
                self.note(group, "TLS", Verdict::No, error.message.clone());
                return Err(error);
            }
        };
        let detail = format!("{}, {}", facts.version, facts.cipher);
        self.note(group, "TLS", Verdict::Ok, detail);
        self.note_certificate(&facts.certificate, Timestamp::now());
        let CertificateFacts { issuer, names, valid_from, expires } = facts.certificate;
        let [valid_from, expires] = [valid_from, expires].map(|at| at.map(|at| at.to_string()));
        let (version, cipher) = (facts.version, facts.cipher);
        self.report.tls = Some(TlsReport { version, cipher, issuer, names, valid_from, expires });
        Ok(())
    }

    fn note_certificate(&mut self, facts: &CertificateFacts, now: Timestamp) {
        let issuer = facts.issuer.as_deref().unwrap_or("an issuer without a name");
        let mut detail = format!("issued by {issuer} for {}", shown_names(&facts.names));
        let Some(expires) = facts.expires else {
            detail += ", its expiry cannot be read";
            return self.note(Group::Connection, "certificate", Verdict::NotTested, detail);
        };
        let left = expires.duration_since(now);
        let days = left.as_hours() / 24;
        detail += &format!(", until {}", expires.strftime("%Y-%m-%d %H:%M UTC"));
        let verdict = match term(facts.valid_from, expires, now) {
            Term::Over => Verdict::No,
            Term::EndsSoon => Verdict::Warning,
            Term::Valid => Verdict::Ok,
        };
        detail += &match days {
            _ if verdict == Verdict::No => ": expired".to_owned(),
            0 => format!(": expires in {} h", left.as_hours()),
            days => format!(" ({days} d)"),
        };
        self.note(Group::Connection, "certificate", verdict, detail);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    Valid,
    EndsSoon,
    Over,
}

fn term(from: Option<Timestamp>, until: Timestamp, now: Timestamp) -> Term {
    let left = until.duration_since(now);
    let whole = from.map_or(SignedDuration::MAX, |from| until.duration_since(from));
    if left.is_negative() {
        Term::Over
    } else if left < EXPIRES_SOON.min(whole / 3) {
        Term::EndsSoon
    } else {
        Term::Valid
    }
}

/// Formats `a, b, c, d and 96 more`.
fn shown_names(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "no name that could be read".to_owned(),
        count if count > NAMES_SHOWN => format!("{shown} and {} more", count - NAMES_SHOWN),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_ends_soon_in_its_last_third_or_fortnight() {
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let (from, now) = (at("2026-01-01T00:00:00Z"), at("2026-03-01T00:00:00Z"));
        assert_eq!(term(Some(from), at("2026-02-28T23:59:59Z"), now), Term::Over);
        assert_eq!(term(Some(from), at("2026-03-14T00:00:00Z"), now), Term::EndsSoon);
        assert_eq!(term(Some(from), at("2026-03-16T00:00:00Z"), now), Term::Valid);
        assert_eq!(term(None, at("2026-03-14T00:00:00Z"), now), Term::EndsSoon);
        let short = Some(at("2026-02-27T00:00:00Z"));
        assert_eq!(term(short, at("2026-03-05T00:00:00Z"), now), Term::Valid, "of six days, four");
        assert_eq!(term(short, at("2026-03-01T12:00:00Z"), now), Term::EndsSoon);
    }

    #[test]
    fn many_names_are_counted() {
        let names: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).into();
        assert_eq!(shown_names(&names), "a, b, c, d and 2 more");
        assert_eq!(shown_names(&names[..1]), "a");
    }
}
