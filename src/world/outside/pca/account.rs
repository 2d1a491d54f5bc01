//! Finds out to which AWS account the credentials belong.

use std::{fmt, time::Duration};

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::service_config::ServiceConfigKey;
use serde::{Deserialize, Deserializer, de::Error as _};
use tokio::sync::OnceCell;

use super::{connect::ConnectError, failure::classify};

/// An AWS account number of twelve digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountId(String);

/// The identity of the credentials, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    Known {
        account: AccountId,
        /// The user or role.
        arn: String,
    },
    /// STS could not be asked.
    Unknown { why: String },
}

/// Asks STS once, on first use.
#[derive(Debug)]
pub(in super::super) struct Account {
    /// The client for STS, or the reason why STS is not asked.
    sts: Result<aws_sdk_sts::Client, String>,
    pub region: Option<String>,
    asked: OnceCell<Identity>,
}

/// The answer is only informational, so it must not delay a run.
const PATIENCE: Duration = Duration::from_secs(5);
/// If a target names the account, nothing runs without the answer.
const PATIENCE_OF_A_PIN: Duration = Duration::from_secs(20);

impl AccountId {
    fn parse(text: &str) -> Option<Self> {
        let is_one = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_one.then(|| Self(text.into()))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is not the id of an AWS account: 12 digits, in quotes"
            ))
        })
    }
}

impl Account {
    /// Creates it. `endpoint` is the server of Private CA, if it is not AWS's own in the region.
    pub fn new(config: &SdkConfig, endpoint: Option<&str>, is_pinned: bool) -> Self {
        let patience = if is_pinned {
            PATIENCE_OF_A_PIN
        } else {
            PATIENCE
        };
        let sts = match endpoint {
            Some(endpoint) if !is_of_aws(endpoint) && !has_own_sts(config) => Err(format!(
                "{endpoint} is not AWS's; `AWS_ENDPOINT_URL_STS` names the STS that belongs to it"
            )),
            _ => Ok(aws_sdk_sts::Client::from_conf(
                aws_sdk_sts::config::Builder::from(config)
                    .retry_config(RetryConfig::standard().with_max_attempts(2))
                    .timeout_config(TimeoutConfig::builder().operation_timeout(patience).build())
                    .build(),
            )),
        };
        Self {
            sts,
            region: config.region().map(ToString::to_string),
            asked: OnceCell::new(),
        }
    }

    pub async fn identity(&self) -> &Identity {
        self.asked.get_or_init(|| self.ask()).await
    }

    /// Rejects credentials of another account.
    ///
    /// # Errors
    /// The actual account, or the reason why it is not known.
    pub async fn hold_to(&self, wanted: &AccountId) -> Result<(), ConnectError> {
        let wanted = wanted.clone();
        match self.identity().await {
            Identity::Known { account, .. } if *account == wanted => Ok(()),
            Identity::Known { account, arn } => Err(ConnectError::WrongAccount {
                wanted,
                found: account.clone(),
                arn: arn.clone(),
            }),
            Identity::Unknown { why } => Err(ConnectError::UnknownAccount {
                wanted,
                why: why.clone(),
            }),
        }
    }

    async fn ask(&self) -> Identity {
        let unknown = |why: String| Identity::Unknown { why };
        let sts = match &self.sts {
            Ok(sts) => sts,
            Err(why) => return unknown(why.clone()),
        };
        let answer = match sts.get_caller_identity().send().await {
            Ok(answer) => answer,
            Err(e) => return unknown(classify("GetCallerIdentity", "*", e, false).to_string()),
        };
        match answer.account().and_then(AccountId::parse) {
            Some(account) => Identity::Known {
                account,
                arn: answer.arn().unwrap_or_default().into(),
            },
            None => unknown("the answer of STS names no account".into()),
        }
    }
}

/// Says whether a server belongs to AWS, in any of its partitions, or is an endpoint in a VPC.
fn is_of_aws(endpoint: &str) -> bool {
    let host = endpoint.split("://").last().unwrap_or(endpoint);
    let host = host.split(['/', ':']).next().unwrap_or(host);
    [
        ".amazonaws.com",
        ".amazonaws.com.cn",
        ".api.aws",
        ".amazonwebservices.com.cn",
    ]
    .iter()
    .any(|domain| host.ends_with(domain))
}

/// Says whether the environment or the profile names a server for STS, or one for all services.
fn has_own_sts(config: &SdkConfig) -> bool {
    let key = ServiceConfigKey::builder()
        .service_id("STS")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let found = key
        .ok()
        .and_then(|key| config.service_config()?.load_config(key));
    found.is_some() || config.endpoint_url().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a7_an_account_has_twelve_digits() {
        assert!(AccountId::parse("012345678901").is_some());
        for text in ["", "12345678901", "1234567890123", "12345678901a"] {
            assert_eq!(AccountId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a7_the_sts_of_aws_is_asked_about_the_servers_of_aws_alone() {
        for (endpoint, is_theirs) in [
            ("https://acm-pca.us-east-1.amazonaws.com", true),
            (
                "https://vpce-1.acm-pca.us-east-1.vpce.amazonaws.com:443/",
                true,
            ),
            ("https://acm-pca.cn-north-1.amazonaws.com.cn", true),
            ("http://127.0.0.1:5566", false),
            ("https://amazonaws.com.evil.example", false),
        ] {
            assert_eq!(is_of_aws(endpoint), is_theirs, "{endpoint}");
        }
    }
}
