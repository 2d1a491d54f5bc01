use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_acmpca::config::SharedHttpClient;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use serde::Deserialize;

use super::{
    client::PcaClient,
    rate::{OperationName, Rate, Rates},
};
use crate::x509::Certificate;

/// Where AWS Private CA is. What is not named comes from the ordinary AWS places: environment,
/// profile, instance role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcaTarget {
    pub region: Option<String>,
    pub profile: Option<String>,
    /// Another server that speaks the protocol, such as `windlass pca serve`.
    pub endpoint: Option<String>,
    /// A file of the CAs to trust instead of the system's, PEM; as `AWS_CA_BUNDLE`, which it goes
    /// before.
    pub ca_bundle: Option<PathBuf>,
    /// How often an operation may be called: `{ IssueCertificate = "20/s" }`.
    #[serde(default)]
    pub rate: BTreeMap<OperationName, Rate>,
}

/// A call to Private CA answers in well under a second; a lost connection should not hold a step.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// The SDK's own retries cover a lost packet or a short throttling; longer ones are the step's
/// `retry`, which the journal sees.
const SDK_ATTEMPTS: u32 = 4;

/// Why a bundle of CAs can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the CA bundle {} can't be used: {why}", path.display())]
pub struct BundleError {
    path: PathBuf,
    why: String,
}

/// An HTTP client that trusts the CAs of a file, and no others.
fn trusting(path: &Path) -> Result<SharedHttpClient, BundleError> {
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
    let rustls = Provider::Rustls(CryptoMode::AwsLc);
    Ok(Builder::new()
        .tls_provider(rustls)
        .tls_context(context)
        .build_https())
}

impl PcaClient {
    /// Resolves region and credentials sources. No request is made.
    ///
    /// # Errors
    /// A CA bundle that can't be read, or holds no certificate.
    pub async fn connect(target: &PcaTarget) -> Result<Self, BundleError> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::adaptive().with_max_attempts(SDK_ATTEMPTS))
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_timeout(CALL_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .build(),
            );
        if let Some(region) = &target.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &target.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint) = &target.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        // The SDK for Rust does not read the variable, as AWS's other tools do.
        let variable = env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
        let bundle = target.ca_bundle.clone().or(variable.map(PathBuf::from));
        if let Some(path) = bundle {
            loader = loader.http_client(trusting(&path)?);
        }
        Ok(Self::new(
            aws_sdk_acmpca::Client::new(&loader.load().await),
            Rates::new(&target.rate),
        ))
    }

    /// Connects to the embedded server, which takes any credentials on loopback. Nothing of the
    /// user's AWS configuration is read, so nothing of it can be sent there by mistake.
    pub fn embedded(endpoint: &str, region: &str) -> Self {
        let config = aws_sdk_acmpca::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .endpoint_url(endpoint)
            .credentials_provider(aws_sdk_acmpca::config::Credentials::new(
                "windlass", "embedded", None, None, "embedded",
            ))
            .retry_config(RetryConfig::standard().with_max_attempts(SDK_ATTEMPTS))
            .build();
        Self::new(aws_sdk_acmpca::Client::from_conf(config), Rates::default())
    }
}
