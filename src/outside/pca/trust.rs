//! Whom the connection trusts: the system's CAs, or those of a file.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use aws_sdk_acmpca::config::SharedHttpClient;
use aws_smithy_http_client::{
    Builder, ConnectorBuilder,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use tokio_rustls::rustls::RootCertStore;

use crate::x509::{Certificate, pem};

/// Why a bundle of CAs can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the CA bundle {} can't be used: {why}", path.display())]
pub struct BundleError {
    path: PathBuf,
    why: String,
}

/// The bundle that `AWS_CA_BUNDLE` names. The SDK for Rust does not read it, as AWS's other tools do.
pub(super) fn bundle_of_environment() -> Option<PathBuf> {
    env::var_os("AWS_CA_BUNDLE")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// An HTTP client that trusts the CAs of a file, and no others.
///
/// It is the SDK's default client in all else, the proxies of the environment included: who has a CA
/// of their own is often behind a proxy.
pub(super) fn trusting(path: &Path) -> Result<SharedHttpClient, BundleError> {
    let failed = |why: String| BundleError {
        path: path.into(),
        why,
    };
    let text = fs::read(path).map_err(|e| failed(e.to_string()))?;
    let certificates = Certificate::read_all(&text).map_err(|e| failed(e.to_string()))?;
    let mut trusted = TrustStore::empty();
    for certificate in certificates {
        // The SDK panics over one that it can't take for a root.
        RootCertStore::empty()
            .add(certificate.der.clone().into())
            .map_err(|e| failed(format!("{} can't be trusted: {e}", certificate.subject)))?;
        let text = pem::encode("CERTIFICATE", &certificate.der);
        trusted = trusted.with_pem_certificate(text);
    }
    let context = TlsContext::builder()
        .with_trust_store(trusted)
        .build()
        .map_err(|e| failed(e.to_string()))?;
    Ok(
        Builder::new().build_with_connector_fn(move |settings, components| {
            let mut connector = ConnectorBuilder::default()
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .tls_context(context.clone())
                .proxy_config(ProxyConfig::from_env());
            connector.set_connector_settings(settings.cloned());
            if let Some(components) = components {
                connector.set_sleep_impl(components.sleep_impl());
            }
            connector.build()
        }),
    )
}
