//! A certificate authority for one run, with a server certificate for 127.0.0.1 and for
//! [`LINKED_SERVER`]; created by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) struct Authority {
    /// The CA certificate that clients trust.
    pub(crate) certificate: PathBuf,
    pub(crate) server_certificate: PathBuf,
    pub(crate) server_key: PathBuf,
}

/// The name of the endpoint at the end of a link.
pub(crate) const LINKED_SERVER: &str = "store.links";
/// Go and rustls take the name only from here, and rustls rejects a CA as a server.
const EXTENSIONS: &str = "subjectAltName=IP:127.0.0.1,DNS:store.links\nbasicConstraints=CA:FALSE\n";

impl Authority {
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        std::fs::write(folder.join("extensions"), EXTENSIONS)
            .context("write openssl's extensions")?;
        let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for words in [
            format!("req -x509 {new_key} -days 2 -subj /CN=bench-ca -keyout ca.key -out ca.pem"),
            format!("req {new_key} -subj /CN=bench -keyout server.key -out server.csr"),
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile \
             extensions \
             -out server.pem"
                .to_owned(),
        ] {
            let output =
                Command::new("openssl").args(words.split(' ')).current_dir(folder).output();
            let output = output.context("start openssl, of the Debian package of that name")?;
            ensure!(
                output.status.success(),
                "openssl: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let [certificate, server_certificate, server_key] =
            ["ca.pem", "server.pem", "server.key"].map(|name| folder.join(name));
        Ok(Self { certificate, server_certificate, server_key })
    }

    /// Returns the TLS configuration of a server with the certificate of this run.
    pub(crate) fn server_config(&self) -> Result<Arc<ServerConfig>> {
        server_config(&self.server_certificate, &self.server_key)
    }
}

/// Returns the TLS configuration of a server with this certificate and key, both PEM.
pub(crate) fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let certificates = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .context("read the certificate")?;
    let key = PrivateKeyDer::from_pem_file(key).context("read the key")?;
    let config = ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .context("choose versions of TLS")?
    .with_no_client_auth()
    .with_single_cert(certificates, key)
    .context("use the certificate")?;
    Ok(Arc::new(config))
}
