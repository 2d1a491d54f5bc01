//! The TLS of a cluster's API server.

use std::{sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::identity::Identity;
use windlass_ground::TlsListener;

/// Why the server can't serve TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error(transparent)]
    Listen(#[from] std::io::Error),
    #[error(transparent)]
    Tls(#[from] tokio_rustls::rustls::Error),
    #[error(transparent)]
    Pem(#[from] tokio_rustls::rustls::pki_types::pem::Error),
}

/// Makes a TLS listener with the certificate of a cluster.
pub(crate) fn listen(
    listener: TcpListener,
    timeout: Duration,
    identity: &Identity,
) -> Result<TlsListener, TlsError> {
    let configuration = Arc::new(configuration(identity)?);
    Ok(TlsListener::new(listener, timeout, move || {
        configuration.clone()
    })?)
}

fn configuration(identity: &Identity) -> Result<ServerConfig, TlsError> {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut configuration = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(configuration)
}
