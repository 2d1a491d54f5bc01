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

use crate::x509::Certificate;

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
    let text = fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    match Certificate::read_all(&text) {
        Ok(found) if !found.is_empty() => {}
        Ok(_) => return Err(failed("it holds no certificate".into())),
        Err(e) => return Err(failed(e.to_string())),
    }
    let trusted = TrustStore::empty().with_pem_certificate(text);
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
