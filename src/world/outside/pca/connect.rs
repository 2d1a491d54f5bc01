use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use aws_types::service_config::ServiceConfigKey;
use serde::Deserialize;
use windlass_ground::boxed;

use super::{
    super::proxy::Proxies,
    account::{Account, AccountId},
    client::{Connected, PcaClient},
    profile::{self, Chosen, ProfileError},
    rate::{OperationName, Rate, Rates},
    trust::{
        BundleError, HttpClientError, ProxyError, bundle_of_environment, http_client,
        http_client_without_tls,
    },
};

/// The server and credentials for AWS Private CA. Settings that are left out come from the usual AWS places: environment,
/// profile, instance role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { region = \"us-east-1\", profile = \"pki-admin\" }"
)]
pub struct PcaTarget {
    pub region: Option<String>,
    /// The profile whose credentials are used, rather than those of the environment; like `aws --profile`.
    pub profile: Option<String>,
    /// The only account that may be used. Nothing is done in another one.
    pub account: Option<AccountId>,
    /// Another server of the protocol, such as `windlass pca serve`.
    pub endpoint: Option<String>,
    /// Whether to use AWS's endpoint with validated cryptography; takes precedence over
    /// `AWS_USE_FIPS_ENDPOINT`.
    pub fips: Option<bool>,
    /// Whether to use AWS's endpoint with IPv6; takes precedence over `AWS_USE_DUALSTACK_ENDPOINT`.
    pub dual_stack: Option<bool>,
    /// A file of CAs to trust instead of those of the system, PEM; takes precedence over
    /// `AWS_CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
    /// How often an operation may be called: `{ IssueCertificate = "20/s" }`.
    #[serde(default)]
    pub rate: BTreeMap<OperationName, Rate>,
}

/// A call to Private CA takes well under a second; a lost connection should not block a step.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// The SDK's own retries cover a lost packet or short throttling; longer trouble is for the step's
/// `retry`, which is journaled.
const SDK_ATTEMPTS: u32 = 4;

/// The reason why it is not possible to connect.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(
        "the credentials are of the AWS account {found} ({arn}), and the target is for {wanted}"
    )]
    WrongAccount {
        wanted: AccountId,
        found: AccountId,
        arn: String,
    },
    #[error(
        "the target is for the AWS account {wanted}, and whose credentials these are can't be found out: {why}"
    )]
    UnknownAccount { wanted: AccountId, why: String },
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("AWS can't be asked: {0}")]
    Http(String),
    #[error(
        "`endpoint` names the very server, so it can't be combined with `fips` or `dual_stack`, which choose one of AWS's"
    )]
    EndpointTwice,
}

impl ConnectError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Proxy(_) => {
                "HTTPS_PROXY, HTTP_PROXY and ALL_PROXY name a proxy as http://HOST:PORT"
            }
            Self::Bundle(_) => {
                "`ca_bundle` of the target and AWS_CA_BUNDLE name a file of certificates in PEM"
            }
            Self::Profile(ProfileError::Missing { .. }) => {
                "`aws configure list-profiles` lists the profiles"
            }
            Self::Profile(ProfileError::Services { .. }) => {
                "without the section, calls would go to AWS itself: write it, or take `services` out of the profile"
            }
            Self::Profile(ProfileError::Unreadable { .. })
            | Self::EndpointTwice
            | Self::Http(_) => return None,
            Self::WrongAccount { .. } => {
                "name the right credentials in the target (`pca = { profile = \"NAME\" }`); `aws sts get-caller-identity` shows whose they are"
            }
            Self::UnknownAccount { .. } => {
                "`account` of the target is compared with STS GetCallerIdentity: make STS reachable, or remove `account` from the target"
            }
        })
    }
}

impl From<HttpClientError> for ConnectError {
    fn from(error: HttpClientError) -> Self {
        match error {
            HttpClientError::Bundle(error) => error.into(),
            HttpClientError::Proxy(error) => error.into(),
        }
    }
}

/// Returns the endpoint that the environment, or a `services` section of the profile, has for one service only. `id` is the service's
/// name in such a section: `acm_pca`.
///
/// The SDK for Rust looks for `acm-pca` in the section, but AWS's reference and other tools use `acm_pca`.
pub(in super::super) fn own_endpoint(config: &SdkConfig, id: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let found = config.service_config()?.load_config(key)?;
    // An equal endpoint is the one for all services, which the SDK knows already.
    (config.endpoint_url() != Some(&found)).then_some(found)
}

/// The AWS configuration for a target.
pub(in super::super) struct Settings {
    pub config: SdkConfig,
    /// The CAs to trust instead of those of the system.
    pub bundle: Option<PathBuf>,
}

/// Reads the AWS configuration for a target. Sends no request.
///
/// # Errors
/// A CA bundle that can't be read or contains no certificate, a profile that does not exist, or an endpoint that is named
/// twice.
#[boxed]
pub(in super::super) async fn settings(target: &PcaTarget) -> Result<Settings, ConnectError> {
    let chooses = [target.fips, target.dual_stack].contains(&Some(true));
    if target.endpoint.is_some() && chooses {
        return Err(ConnectError::EndpointTwice);
    }
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
    if let Some(fips) = target.fips {
        loader = loader.use_fips(fips);
    }
    if let Some(dual_stack) = target.dual_stack {
        loader = loader.use_dual_stack(dual_stack);
    }
    let bundle = target.ca_bundle.clone().or_else(bundle_of_environment);
    let http = http_client(bundle.as_deref(), Proxies::of_environment())?;
    loader = loader.http_client(http.clone());
    let chosen = Chosen::of(target).await;
    if let Some(name) = &chosen.name {
        loader = loader.profile_name(name);
    }
    match (&target.profile, chosen.problem) {
        (Some(_), Some(problem)) => return Err(problem.into()),
        (Some(name), None) => {
            let credentials = profile::credentials(name, target, Some(http)).await;
            loader = loader.credentials_provider(credentials);
        }
        // The target does not name the profile, and may not use AWS at all.
        (None, Some(problem)) => loader = loader.credentials_provider(Broken(problem)),
        (None, None) => {}
    }
    Ok(Settings {
        config: loader.load().await,
        bundle,
    })
}

impl Connected {
    /// As [`PcaClient::connect`].
    #[boxed]
    pub async fn to(target: &PcaTarget) -> Result<Self, ConnectError> {
        let Settings { config, .. } = settings(target).await?;
        // The endpoint is only for Private CA, not for STS and SSO.
        let endpoint = target.endpoint.clone();
        let endpoint = endpoint.or_else(|| own_endpoint(&config, "acm_pca"));
        let mut own = aws_sdk_acmpca::config::Builder::from(&config);
        if endpoint.is_some() {
            own.set_endpoint_url(endpoint.clone());
        }
        let endpoint = endpoint.as_deref().or(config.endpoint_url());
        let account = Account::new(&config, endpoint, target.account.is_some());
        if let Some(wanted) = &target.account {
            account.hold_to(wanted).await?;
        }
        Ok(Self::new(
            aws_sdk_acmpca::Client::from_conf(own.build()),
            Rates::new(&target.rate),
            Some(account),
        ))
    }
}

impl PcaClient {
    /// Resolves the region and the sources of credentials. Sends no request, except one to STS if the target names its account, and
    /// those to the metadata service of EC2 if nothing else names the region.
    ///
    /// # Errors
    /// A CA bundle that can't be read or contains no certificate, a profile that does not exist, an endpoint that is named
    /// twice, or another account than the target's.
    pub async fn connect(target: &PcaTarget) -> Result<Self, ConnectError> {
        Connected::to(target).await.map(Self::new)
    }

    /// Connects to the embedded server, with the id and the secret of its access key. Nothing of the user's AWS configuration is
    /// read, so nothing of it can be sent there by mistake. No proxy of the environment is used
    /// either.
    pub fn embedded(endpoint: &str, region: &str, (id, secret): (&str, &str)) -> Self {
        let config = aws_sdk_acmpca::Config::builder()
            .http_client(http_client_without_tls())
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .endpoint_url(endpoint)
            .credentials_provider(aws_sdk_acmpca::config::Credentials::new(
                id, secret, None, None, "embedded",
            ))
            .retry_config(RetryConfig::standard().with_max_attempts(SDK_ATTEMPTS))
            .build();
        Self::new(Connected::new(
            aws_sdk_acmpca::Client::from_conf(config),
            Rates::default(),
            None,
        ))
    }
}

/// Returns no credentials, because the configuration for them is broken.
#[derive(Debug)]
struct Broken(ProfileError);

impl ProvideCredentials for Broken {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let error = CredentialsError::invalid_configuration(self.0.clone());
        future::ProvideCredentials::ready(Err(error))
    }
}
