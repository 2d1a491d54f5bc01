use std::path::PathBuf;

use serde::Deserialize;

/// The OpenID Connect provider for logins to `windlass serve`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { issuer = \"https://login.example.com\", client_id = \"windlass\" }"
)]
pub struct OidcConfig {
    /// The provider's address. Its configuration is at `ISSUER/.well-known/openid-configuration`.
    pub issuer: String,
    pub client_id: String,
    /// The environment variable that holds the client's secret; left out for a public client.
    pub client_secret_env: Option<String>,
    /// The client of `windlass login`, which is public and may use the device flow [default: `client_id`].
    pub device_client_id: Option<String>,
    /// Audiences of tokens that the API accepts, in addition to the clients.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The claim with the user's name.
    #[serde(default = "user_claim")]
    pub user_claim: String,
    /// Whether an e-mail address is accepted as a user's name even if the provider does not say that it has verified it
    /// (`email_verified`): for providers whose users can't choose their own address.
    #[serde(default)]
    pub unverified_email: bool,
    /// The claim with the list of a user's groups.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// The scopes to request in addition to `openid`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// The CAs (PEM) that must have issued the provider's certificate, instead of those of the system.
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
