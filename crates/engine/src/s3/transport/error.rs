//! The reasons why a connection could not be made, and hints for them.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::certificate::CertificateProblem;
use super::origin::Origin;
use crate::remote::{Operation, StoreError, StoreErrorKind};

/// The protocol of the peer, if the URL has the wrong scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::s3) enum Protocol {
    PlainHttp,
    Tls,
}

/// The error of a connection that could not be made. Its texts contain the cause, so there is no
/// `source`.
#[derive(Debug, thiserror::Error)]
pub(in crate::s3) enum ConnectError {
    #[error("cannot find the address of {host}: {cause}")]
    Lookup { host: String, cause: io::Error },
    #[error("cannot connect to {to}: {cause}")]
    Unreachable { to: String, cause: io::Error },
    #[error("no connection to {to} within {after:?}")]
    TimedOut { to: String, after: Duration },
    #[error("{}", wrong_scheme(.to, *.speaks))]
    Scheme { to: Origin, speaks: Protocol },
    #[error("{} redirects to {}", .from.authority, .to.url())]
    RedirectsToTls { from: Origin, to: Origin },
    #[error("cannot connect to {}: {problem}", .to.url())]
    Certificate { to: Origin, problem: CertificateProblem },
    #[error("cannot connect to {to}: TLS: {cause}")]
    Tls { to: String, cause: rustls::Error },
    #[error("the proxy {proxy} does not connect to {to}: {reason}")]
    Proxy { proxy: String, to: String, reason: String, lasting: bool },
}

fn wrong_scheme(to: &Origin, speaks: Protocol) -> String {
    match speaks {
        Protocol::PlainHttp => format!("{} speaks plain HTTP, not TLS", to.authority),
        Protocol::Tls => format!("{} speaks TLS, not plain HTTP", to.authority),
    }
}

impl ConnectError {
    /// Returns the kind for the caller: kinds that a later attempt cannot change are not retried.
    pub(in crate::s3) fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Scheme { .. } | Self::RedirectsToTls { .. } => StoreErrorKind::WrongScheme,
            Self::Certificate { .. } => StoreErrorKind::BadCertificate,
            Self::Tls { cause, .. } if is_lasting(cause) => StoreErrorKind::BadCertificate,
            Self::Proxy { lasting: true, .. } => StoreErrorKind::ProxyRefused,
            _ => StoreErrorKind::Connection,
        }
    }

    /// Returns the hint for this failure, if there is a specific one.
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Scheme { to, speaks } => Some(scheme_remedy(*speaks, &to.other_scheme_url())),
            Self::RedirectsToTls { to, .. } => Some(scheme_remedy(Protocol::Tls, &to.url())),
            Self::Certificate { to, problem } => Some(problem.remedy(to)),
            _ => None,
        }
    }

    /// Converts to the error of the store trait. Nothing was sent.
    pub(in crate::s3) fn to_store_error(&self, operation: Operation) -> StoreError {
        let mut failed = StoreError::local(operation, self.kind(), self.to_string());
        failed.guidance.remedy = self.remedy();
        failed
    }
}

/// Returns the hint for a URL with the wrong scheme; `url` has the right scheme.
fn scheme_remedy(speaks: Protocol, url: &str) -> String {
    match speaks {
        Protocol::PlainHttp => format!("this endpoint speaks plain HTTP: try {url}"),
        Protocol::Tls => format!("this endpoint speaks TLS: try {url}"),
    }
}

/// Returns whether the error is permanent: two peers without a common version or cipher will not
/// have one a second later.
fn is_lasting(error: &rustls::Error) -> bool {
    use rustls::AlertDescription as Alert;
    match error {
        rustls::Error::InvalidMessage(_) | rustls::Error::PeerIncompatible(_) => true,
        rustls::Error::AlertReceived(alert) => matches!(
            alert,
            Alert::HandshakeFailure
                | Alert::ProtocolVersion
                | Alert::InsufficientSecurity
                | Alert::UnrecognisedName
                | Alert::CertificateRequired
                | Alert::NoApplicationProtocol
        ),
        _ => false,
    }
}

/// Finds the first error of a type in a chain. Also searches inside `io::Error`s, whose `source()`
/// skips their content.
pub(in crate::s3) fn find<'a, E: Error + 'static>(
    error: &'a (dyn Error + 'static),
) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match carried {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_inside_an_io_error_is_found() {
        let inner =
            ConnectError::TimedOut { to: "store.test".into(), after: Duration::from_secs(1) };
        let outer = io::Error::other(io::Error::other(inner));
        assert!(find::<ConnectError>(&outer).is_some());
        assert!(find::<ConnectError>(&io::Error::other("plain")).is_none());
    }
}
