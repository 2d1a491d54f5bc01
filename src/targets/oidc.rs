use std::path::PathBuf;

use serde::Deserialize;

/// The OpenID Connect provider that people log in to `windlass serve` with, as `windlass.toml` says it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { issuer = \"https://login.example.com\", client_id = \"windlass\" }"
)]
pub struct OidcConfig {
    /// Its configuration is at `ISSUER/.well-known/openid-configuration`.
    pub issuer: String,
    pub client_id: String,
    /// The environment variable that holds the secret of the client; none for a public client.
    pub client_secret_env: Option<String>,
    /// The client of `windlass login`, which is public and may use the device flow [default: `client_id`].
    pub device_client_id: Option<String>,
    /// Audiences of tokens that are good for the API, beside the clients.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The claim that names a user.
    #[serde(default = "user_claim")]
    pub user_claim: String,
    /// Whether an e-mail address names a user although the provider does not say that it has verified it (`email_verified`): for
    /// providers in which nobody can choose their own address.
    #[serde(default)]
    pub unverified_email: bool,
    /// The claim that lists a user's groups.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// What is asked for beside `openid`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// The CAs (PEM) that the provider's certificate has to lead to, instead of those of the system.
    pub ca: Option<PathBuf>,
}

fn user_claim() -> String {
    "email".into()
}

fn groups_claim() -> String {
    "groups".into()
}

fn scopes() -> Vec<String> {
    ["profile", "email"].map(str::to_owned).into()
}
