use std::{collections::BTreeMap, time::Duration};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use serde::Deserialize;

use super::{
    client::PcaClient,
    rate::{OperationName, Rate, Rates},
};

/// Where AWS Private CA is. What is not named comes from the ordinary AWS places: environment,
/// profile, instance role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcaTarget {
    pub region: Option<String>,
    pub profile: Option<String>,
    /// Another server that speaks the protocol, such as `windlass pca serve`.
    pub endpoint: Option<String>,
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

impl PcaClient {
    /// Resolves region and credentials sources. No request is made.
    pub async fn connect(target: &PcaTarget) -> Self {
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
        Self::new(
            aws_sdk_acmpca::Client::new(&loader.load().await),
            Rates::new(&target.rate),
        )
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
