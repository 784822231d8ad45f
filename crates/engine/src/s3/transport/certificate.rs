//! Describes the problem with a server's certificate for the user who can replace it.

use std::fmt;
use std::net::IpAddr;

use rustls::CertificateError;

use super::origin::Origin;

/// The reason why a certificate was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::s3) enum CertificateProblem {
    /// No trusted CA signed it, and the bundle does not contain the certificate itself.
    Untrusted,
    Expired,
    NotYetValid,
    /// It has no subjectAltName; the common name does not count (RFC 6125).
    NoName,
    WrongName {
        /// Its names, as webpki formats them.
        presented: Vec<String>,
    },
    Other(String),
}

impl CertificateProblem {
    pub(super) fn of(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::Untrusted,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                Self::NoName
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                Self::WrongName { presented: presented.clone() }
            }
            CertificateError::NotValidForName => Self::WrongName { presented: vec![] },
            other => Self::Other(other.to_string()),
        }
    }

    /// Returns the hint.
    pub(super) fn remedy(&self, to: &Origin) -> String {
        match self {
            Self::Untrusted => "name a bundle of trusted CAs that has its CA, or the certificate \
                itself, as PEM: AWS_CA_BUNDLE"
                .into(),
            Self::Expired | Self::NotYetValid => {
                "renew the certificate of the store, and check this machine's clock".into()
            }
            Self::NoName => format!(
                "make one with a name: openssl req -x509 -newkey rsa:2048 -nodes -days 365 -keyout \
                 key.pem \
                 -out cert.pem -subj /CN={host} -addext subjectAltName={kind}:{host}",
                host = to.host,
                kind = if to.host.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" },
            ),
            Self::WrongName { .. } => "use an endpoint with a name that the certificate has".into(),
            Self::Other(_) => "the certificate of the store has to be replaced".into(),
        }
    }
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted => f.write_str("its certificate is not trusted here"),
            Self::Expired => f.write_str("its certificate has expired"),
            Self::NotYetValid => f.write_str("its certificate is not valid yet"),
            Self::NoName => {
                f.write_str("its certificate has no subjectAltName, so it is valid for no host")
            }
            Self::WrongName { presented } if presented.is_empty() => {
                f.write_str("its certificate is for another host")
            }
            Self::WrongName { presented } => {
                write!(f, "its certificate is for another host: {}", presented.join(", "))
            }
            Self::Other(text) => write!(f, "its certificate cannot be used: {text}"),
        }
    }
}
