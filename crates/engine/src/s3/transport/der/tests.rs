//! Reads certificates that openssl made, and bytes that are none.

use std::path::Path;
use std::process::Command;

use proptest::arbitrary::any as arbitrary;
use proptest::prelude::{prop, proptest};

use super::*;

/// Makes a self-signed certificate with these arguments of `openssl req -x509`.
fn made_by_openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let file = folder.join("certificate.der");
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-nodes", "-outform", "DER", "-keyout"]);
    command.arg(folder.join("key.pem")).arg("-out").arg(&file).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(file).unwrap()
}

/// The days between the two ends of the term.
fn days(facts: &CertificateFacts) -> i64 {
    let (from, until) = (facts.valid_from.unwrap(), facts.expires.unwrap());
    until.duration_since(from).as_hours() / 24
}

#[test]
fn an_rsa_certificate_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let names = "subjectAltName=critical,DNS:store.test,DNS:*.store.test,IP:127.0.0.1,IP:::1,\
        email:a@b.test,URI:https://b.test";
    let subject = ["-subj", "/C=DE/O=Test \u{fc}/CN=store.test", "-utf8"];
    let rest = ["-newkey", "rsa:2048", "-days", "90", "-addext", names];
    let facts = read(&made_by_openssl(folder.path(), &[&subject[..], &rest].concat()));
    assert_eq!(facts.issuer.as_deref(), Some("store.test"));
    assert_eq!(facts.names, ["store.test", "*.store.test", "127.0.0.1", "::1"]);
    assert_eq!(days(&facts), 90);
}

/// A term beyond 2049 is a GeneralizedTime, where the shorter ones are UTCTime.
#[test]
fn an_ecdsa_certificate_of_a_hundred_years_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    let rest = ["-days", "36500", "-subj", "/O=Only an organization", "-utf8"];
    let facts = read(&made_by_openssl(folder.path(), &[&key[..], &rest].concat()));
    assert_eq!(facts.issuer.as_deref(), Some("Only an organization"));
    assert!(facts.names.is_empty(), "{facts:?}");
    assert_eq!(days(&facts), 36500);
}

#[test]
fn an_ed25519_certificate_with_a_hundred_names_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<_> = (0..100).map(|number| format!("DNS:host-{number}.store.test")).collect();
    let names = format!("subjectAltName={}", names.join(","));
    // Several attributes in one set, as some private CAs write them.
    let subject = ["-subj", "/OU=unit+CN=both in one", "-multivalue-rdn"];
    let rest = ["-newkey", "ed25519", "-days", "1", "-addext", &names];
    let facts = read(&made_by_openssl(folder.path(), &[&subject[..], &rest].concat()));
    assert_eq!(facts.issuer.as_deref(), Some("both in one"));
    assert_eq!((facts.names.len(), facts.names[99].as_str()), (100, "host-99.store.test"));
    assert_eq!(days(&facts), 1);
}

#[test]
fn damaged_certificates_have_no_facts() {
    for damaged in [&[][..], &[0x30], &[0x30, 0x84, 0xff], &[0x30, 0x02, 0x30, 0x05], &[0xff; 40]] {
        assert_eq!(read(damaged), CertificateFacts::default());
    }
}

/// A certificate that breaks off keeps the facts before the break, and never gets other ones.
#[test]
fn a_shortened_certificate_has_no_other_facts() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["-newkey", "ed25519", "-subj", "/CN=store.test", "-days", "2"];
    let whole = made_by_openssl(folder.path(), &arguments);
    let facts = read(&whole);
    for length in 0..whole.len() {
        let shorter = read(&whole[..length]);
        assert!(shorter.issuer.is_none() || shorter.issuer == facts.issuer, "{length}");
        assert!(shorter.expires.is_none() || shorter.expires == facts.expires, "{length}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(arbitrary::<u8>(), 0..400)) {
        read(&bytes);
    }

    /// A certificate with some bytes replaced reaches deeper than arbitrary bytes do.
    #[test]
    fn changed_certificates_never_panic(
        changes in proptest::collection::vec(
            (arbitrary::<prop::sample::Index>(), arbitrary::<u8>()), 1..6,
        ),
    ) {
        let mut bytes = SEED.to_vec();
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        read(&bytes);
    }
}

/// A certificate of the fuzz seeds.
const SEED: &[u8] = include_bytes!("../../../../../../fuzz/seeds/certificate/ecdsa-names");

#[test]
fn both_forms_of_time_are_read() {
    let at = |tag, text: &str| time(tag, text.as_bytes()).map(|time| time.to_string());
    assert_eq!(at(UTC_TIME, "261127001500Z").as_deref(), Some("2026-11-27T00:15:00Z"));
    assert_eq!(at(UTC_TIME, "991231235959Z").as_deref(), Some("1999-12-31T23:59:59Z"));
    assert_eq!(at(GENERALIZED_TIME, "20510101000000Z").as_deref(), Some("2051-01-01T00:00:00Z"));
    assert_eq!(at(UTC_TIME, "soon"), None);
}
