//! The connections to AWS: which CAs they trust (the system's, or those of a file), and which proxy they use.

use std::{
    collections::BTreeMap,
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

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::HttpRequest,
};
use http::Uri;

use super::{super::proxy::Proxies, socks};
use crate::x509::{Certificate, pem};

/// The reason why a CA bundle can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the CA bundle {} can't be used: {why}", path.display())]
pub struct BundleError {
    path: PathBuf,
    why: String,
}

/// The reason why AWS can't be reached through a proxy of the environment.
#[derive(Debug, thiserror::Error)]
#[error("a proxy of the environment can't be used for AWS: {why}")]
pub struct ProxyError {
    why: String,
}

/// The reason why the HTTP client could not be created.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpClientError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

/// Returns the bundle in `AWS_CA_BUNDLE`. The SDK for Rust, unlike AWS's other tools, does not read it.
pub(super) fn bundle_of_environment() -> Option<PathBuf> {
    env::var_os("AWS_CA_BUNDLE")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// Creates the SDK's HTTP client: trusts only the CAs of a file, or those of the system if no file is given, and uses the proxy
/// that `proxies` chooses for each server.
pub(super) fn http_client(
    bundle: Option<&Path>,
    proxies: Proxies,
) -> Result<SharedHttpClient, HttpClientError> {
    let authorities = bundle.map(authorities).transpose()?;
    let context = authorities.as_deref().map(context).transpose();
    let context = context.map_err(|why| BundleError {
        path: bundle.unwrap_or(Path::new("")).into(),
        why,
    })?;
    let by = |proxy: ProxyConfig| client_by(proxy, context.clone());
    let mut proxied = BTreeMap::new();
    for url in proxies.all() {
        let failed = |why: String| ProxyError { why };
        let client = if socks::is_socks(url) {
            let authorities = authorities.as_deref();
            socks::client(url, authorities).map_err(failed)?
        } else {
            by(ProxyConfig::all(url).map_err(|e| failed(e.to_string()))?)
        };
        proxied.insert(url.to_owned(), client);
    }
    let direct = by(ProxyConfig::disabled());
    Ok(http_client_fn(move |settings, components| {
        let connector = |client: &SharedHttpClient| client.http_connector(settings, components);
        SharedHttpConnector::new(Connectors {
            direct: connector(&direct),
            proxied: proxied
                .iter()
                .map(|(url, client)| (url.clone(), connector(client)))
                .collect(),
            proxies: proxies.clone(),
        })
    }))
}

/// Creates the HTTP client for the embedded server, which does not use TLS: it trusts no CA, so it also works on a machine without
/// any, and uses no proxy.
pub(super) fn http_client_without_tls() -> SharedHttpClient {
    let context = context(&[]).expect("no CA that is trusted can be wrong");
    client_by(ProxyConfig::disabled(), Some(context))
}

/// Creates an SDK client that uses one proxy; without a `context` it trusts the system's CAs.
fn client_by(proxy: ProxyConfig, context: Option<TlsContext>) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .proxy_config(proxy.clone());
        if let Some(context) = &context {
            connector.set_tls_context(context.clone());
        }
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build()
    })
}

/// The connectors for direct connections and for proxies.
#[derive(Debug)]
struct Connectors {
    direct: SharedHttpConnector,
    proxied: BTreeMap<String, SharedHttpConnector>,
    proxies: Proxies,
}

impl HttpConnector for Connectors {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri: Option<Uri> = request.uri().parse().ok();
        let proxy = uri.as_ref().and_then(|uri| self.proxies.of_uri(uri));
        let connector = proxy.and_then(|proxy| self.proxied.get(proxy));
        connector.unwrap_or(&self.direct).call(request)
    }
}

/// A trusted CA, as DER.
pub(super) type Root = Vec<u8>;

fn authorities(path: &Path) -> Result<Vec<Root>, BundleError> {
    let failed = |why: String| BundleError {
        path: path.into(),
        why,
    };
    let text = fs::read(path).map_err(|e| failed(e.to_string()))?;
    let certificates = Certificate::read_all(&text).map_err(|e| failed(e.to_string()))?;
    let roots = certificates.into_iter().map(|certificate| {
        // The SDK panics if a certificate can't be used as a root.
        RootCertStore::empty()
            .add(certificate.der.clone().into())
            .map_err(|e| failed(format!("{} can't be trusted: {e}", certificate.subject)))?;
        Ok(certificate.der)
    });
    roots.collect()
}

fn context(authorities: &[Root]) -> Result<TlsContext, String> {
    let mut trusted = TrustStore::empty();
    for root in authorities {
        trusted = trusted.with_pem_certificate(pem::encode("CERTIFICATE", root));
    }
    TlsContext::builder()
        .with_trust_store(trusted)
        .build()
        .map_err(|e| e.to_string())
}
