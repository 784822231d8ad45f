//! TLS of the data plane: the provider and the roots that the control plane uses.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

pub(super) fn client_config() -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    // A certificate that cannot be parsed is left out, as every client does; none at all shows at the
    // first TLS connection, and plain HTTP needs none.
    let (_, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Configuration(format!("TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
