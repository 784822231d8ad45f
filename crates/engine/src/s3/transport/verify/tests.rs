//! Tests trusted and refused certificates, which openssl creates as most users would.

use std::time::Duration;

use haul_testkit::network::self_signed;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;

use super::*;

const SAN: [&str; 2] = ["-addext", "subjectAltName=DNS:store.test"];

fn certificate(more: &[&str]) -> CertificateDer<'static> {
    let folder = tempfile::tempdir().unwrap();
    let made = self_signed(folder.path(), "store.test", more).unwrap();
    CertificateDer::from_pem_file(made.certificate).unwrap()
}

fn verifier(bundle: &CertificateDer<'static>) -> CertificateVerifier {
    let mut roots = RootCertStore::empty();
    roots.add(bundle.clone()).unwrap();
    CertificateVerifier::new(roots, vec![bundle.clone()], &Arc::new(aws_lc_rs::default_provider()))
}

fn verify(
    verifier: &CertificateVerifier,
    shown: &CertificateDer<'static>,
    name: &str,
    now: UnixTime,
) -> Result<(), CertificateError> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    match verifier.verify_server_cert(shown, &[], &name, &[], now) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(reason)) => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

fn in_days(days: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs() + days * 86_400))
}

/// Regression: a self-signed certificate made by plain `openssl req -x509` was refused as
/// `CaUsedAsEndEntity` although it was the trusted root itself.
#[test]
fn a_self_signed_certificate_in_the_bundle_is_trusted() {
    let own = certificate(&SAN);
    assert_eq!(verify(&verifier(&own), &own, "store.test", UnixTime::now()), Ok(()));
}

#[test]
fn a_twin_of_a_certificate_in_the_bundle_is_not_trusted() {
    let (own, twin) = (certificate(&SAN), certificate(&SAN));
    let refused = verify(&verifier(&own), &twin, "store.test", UnixTime::now());
    assert_eq!(refused, Err(CertificateError::UnknownIssuer));
}

#[test]
fn the_name_of_a_certificate_in_the_bundle_is_checked() {
    let own = certificate(&SAN);
    let refused = verify(&verifier(&own), &own, "other.test", UnixTime::now());
    assert!(matches!(refused, Err(CertificateError::NotValidForNameContext { .. })), "{refused:?}");
}

#[test]
fn dates_of_a_certificate_in_the_bundle_are_checked() {
    let own = certificate(&SAN);
    let later = verify(&verifier(&own), &own, "store.test", in_days(3));
    assert!(matches!(later, Err(CertificateError::ExpiredContext { .. })), "{later:?}");
    let before = UnixTime::since_unix_epoch(Duration::from_secs(1_000_000_000));
    let before = verify(&verifier(&own), &own, "store.test", before);
    assert!(matches!(before, Err(CertificateError::NotValidYetContext { .. })), "{before:?}");
}

/// The common name alone does not count: the list of names is then empty.
#[test]
fn a_certificate_without_a_name_presents_none() {
    let own = certificate(&[]);
    match verify(&verifier(&own), &own, "store.test", UnixTime::now()) {
        Err(CertificateError::NotValidForNameContext { presented, .. }) => {
            assert!(presented.is_empty());
        }
        other => panic!("{other:?}"),
    }
}
