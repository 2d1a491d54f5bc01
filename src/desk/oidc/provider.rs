use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::sync::Mutex;

use super::claims::{self, Claims};
use crate::access::Identity;
use windlass_targets::OidcConfig;
use windlass_world::{
    outside::{Proxies, by_proxy, read_authorities},
    value::causes,
};

/// How long the provider's configuration and keys are used before they are asked for again.
const FRESH: Duration = Duration::from_secs(3600);
/// How often a key that is not known makes this ask again: anybody can send a token that names one.
const PAUSE: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer of a provider, in bytes.
const MOST: usize = 1 << 20;

/// The provider that people log in with.
pub struct Provider {
    pub config: OidcConfig,
    secret: Option<String>,
    client: reqwest::Client,
    known: Mutex<Option<Known>>,
}

/// What a provider says of itself.
#[derive(Clone)]
struct Known {
    endpoints: Arc<Endpoints>,
    keys: Arc<Vec<Jwk>>,
    at: Instant,
}

/// A part of OpenID Connect Discovery 1.0, section 3.
#[derive(Deserialize)]
pub struct Endpoints {
    issuer: String,
    pub authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: Option<String>,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// Why somebody could not be let in.
#[derive(Debug)]
pub enum ProviderError {
    /// The provider can't be asked.
    Unreachable(String),
    /// What came is not good.
    Refused(String),
}

impl Provider {
    /// Prepares to ask a provider; nothing is asked yet.
    ///
    /// # Errors
    /// A configuration that can't be used, in a sentence.
    pub fn new(config: OidcConfig) -> Result<Self, String> {
        must_be_secure(&config.issuer)?;
        let secret = match &config.client_secret_env {
            None => None,
            Some(name) => Some(std::env::var(name).map_err(|_| {
                format!("the secret of the client is not there: {name} is not set")
            })?),
        };
        let mut builder = reqwest::Client::builder()
            .proxy(by_proxy(Proxies::of_environment()))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &config.ca {
            builder = builder.tls_certs_only(authorities(path)?);
        }
        Ok(Self {
            client: builder.build().map_err(|e| e.to_string())?,
            config,
            secret,
            known: Mutex::new(None),
        })
    }

    /// Returns where the provider is asked for what.
    pub async fn endpoints(&self) -> Result<Arc<Endpoints>, ProviderError> {
        Ok(self.known(FRESH).await?.endpoints)
    }

    /// Says who a token is of that a client brings.
    pub async fn identify(&self, token: &str) -> Result<Identity, ProviderError> {
        let claims = self.verify(token).await?;
        claims::identity(&claims, &self.config).map_err(ProviderError::Refused)
    }

    /// Trades a code for an ID token, and says who it is of (OpenID Connect Core, 3.1.3).
    pub async fn redeem(
        &self,
        code: &str,
        verifier: &str,
        nonce: &str,
        back: &str,
    ) -> Result<Identity, ProviderError> {
        let endpoints = self.endpoints().await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", back),
            ("code_verifier", verifier),
        ];
        let mut request = self.client.post(&endpoints.token_endpoint);
        let methods = &endpoints.token_endpoint_auth_methods_supported;
        let by_post = methods.iter().any(|method| method == "client_secret_post")
            && !methods.iter().any(|method| method == "client_secret_basic");
        match &self.secret {
            None => form.push(("client_id", &self.config.client_id)),
            Some(secret) if by_post => {
                form.push(("client_id", &self.config.client_id));
                form.push(("client_secret", secret));
            }
            // RFC 6749, 2.3.1: both parts are encoded as in a form.
            Some(secret) => {
                request =
                    request.basic_auth(encoded(&self.config.client_id), Some(encoded(secret)));
            }
        }
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        #[derive(Deserialize)]
        struct Tokens {
            id_token: String,
            access_token: Option<String>,
        }
        let tokens: Tokens = self.ask(request).await?;
        let mut claims = self.verify(&tokens.id_token).await?;
        if claims.get("nonce").and_then(Json::as_str) != Some(nonce) {
            return Err(ProviderError::Refused(
                "the ID token is of another login".into(),
            ));
        }
        if !claims::is_whole(&claims, &self.config)
            && let Some(endpoint) = &endpoints.userinfo_endpoint
            && let Some(token) = &tokens.access_token
        {
            let request = self.client.get(endpoint).bearer_auth(token);
            let more: Claims = self.ask(request).await?;
            // Core, 5.3.2: an answer about somebody else must not be used.
            if more.get("sub") != claims.get("sub") {
                return Err(ProviderError::Refused(
                    "the provider's userinfo is about somebody else".into(),
                ));
            }
            for (claim, value) in more {
                claims.entry(claim).or_insert(value);
            }
        }
        claims::identity(&claims, &self.config).map_err(ProviderError::Refused)
    }

    async fn verify(&self, token: &str) -> Result<Claims, ProviderError> {
        let (algorithm, id) = claims::head(token).map_err(ProviderError::Refused)?;
        let mut known = self.known(FRESH).await?;
        let mut key = key_of(&known.keys, id.as_deref());
        if key.is_none() && known.at.elapsed() >= PAUSE {
            // The provider may sign with a new key since.
            known = self.known(PAUSE).await?;
            key = key_of(&known.keys, id.as_deref());
        }
        let key = key.ok_or_else(|| {
            ProviderError::Refused("it is signed with a key that the provider does not have".into())
        })?;
        claims::check(token, algorithm, &key, &self.config).map_err(ProviderError::Refused)
    }

    /// Returns what is known that is not older than `most`, and asks for it where it is.
    async fn known(&self, most: Duration) -> Result<Known, ProviderError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < most) {
            return Ok(known.clone());
        }
        // Also where it refuses to say: that is about us, and not about who logs in.
        let asked = self.discover().await.map_err(|error| match error {
            ProviderError::Refused(why) => ProviderError::Unreachable(why),
            error => error,
        });
        // What was known before is better than nobody let in while the provider is away.
        let found = match (asked, known.as_ref()) {
            (Ok(found), _) => found,
            (Err(ProviderError::Unreachable(_)), Some(old)) => Known {
                at: Instant::now(),
                ..old.clone()
            },
            (Err(error), _) => return Err(error),
        };
        Ok(known.insert(found).clone())
    }

    async fn discover(&self) -> Result<Known, ProviderError> {
        let issuer = &self.config.issuer;
        let address = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let endpoints: Endpoints = self.ask(self.client.get(address)).await?;
        if endpoints.issuer != *issuer {
            let why = format!(
                "the provider calls itself {}, not {issuer}",
                endpoints.issuer
            );
            return Err(ProviderError::Unreachable(why));
        }
        let always = [
            &endpoints.authorization_endpoint,
            &endpoints.token_endpoint,
            &endpoints.jwks_uri,
        ];
        // The userinfo gets the access token.
        for address in always.into_iter().chain(&endpoints.userinfo_endpoint) {
            must_be_secure(address).map_err(ProviderError::Unreachable)?;
        }
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<Json>,
        }
        let keys: Keys = self.ask(self.client.get(&endpoints.jwks_uri)).await?;
        let keys = keys.keys.into_iter();
        Ok(Known {
            // Kinds of keys that are not known here are for others.
            keys: Arc::new(
                keys.filter_map(|key| serde_json::from_value(key).ok())
                    .collect(),
            ),
            endpoints: Arc::new(endpoints),
            at: Instant::now(),
        })
    }

    /// Sends a request, and reads an answer of JSON.
    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, ProviderError> {
        let unreachable = |why: String| {
            ProviderError::Unreachable(format!("{} can't be asked: {why}", self.config.issuer))
        };
        let mut answer = request.send().await.map_err(|e| unreachable(causes(&e)))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|e| unreachable(causes(&e)))? {
            body.extend_from_slice(&part);
            if body.len() > MOST {
                return Err(unreachable("its answer is too large".into()));
            }
        }
        if status.is_client_error() {
            let told: Json = serde_json::from_slice(&body).unwrap_or_default();
            let told = told["error_description"]
                .as_str()
                .or(told["error"].as_str());
            let why = told.map_or_else(|| status.to_string(), |why| short(why).to_owned());
            return Err(ProviderError::Refused(format!(
                "the provider refused: {why}"
            )));
        }
        if !status.is_success() {
            return Err(unreachable(status.to_string()));
        }
        serde_json::from_slice(&body).map_err(|e| unreachable(e.to_string()))
    }
}

/// The key that a token names; the only one there is where it names none.
fn key_of(keys: &[Jwk], id: Option<&str>) -> Option<Jwk> {
    let mut signing = keys
        .iter()
        .filter(|key| !matches!(key.algorithm, AlgorithmParameters::OctetKey(_)));
    match id {
        Some(id) => signing.find(|key| key.common.key_id.as_deref() == Some(id)),
        None => signing.next().filter(|_| signing.next().is_none()),
    }
    .cloned()
}

/// Refuses to send anything over a network in plain text.
fn must_be_secure(address: &str) -> Result<(), String> {
    let url =
        reqwest::Url::parse(address).map_err(|e| format!("`{address}` is no address: {e}"))?;
    let is_loopback = match url.host_str() {
        Some("localhost" | "127.0.0.1" | "[::1]") => true,
        Some(_) | None => false,
    };
    match (url.scheme(), is_loopback) {
        ("https", _) | ("http", true) => Ok(()),
        _ => Err(format!("`{address}` does not begin with https://")),
    }
}

fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    let wrong = |why: String| format!("can't use the CA {}: {why}", path.display());
    let text = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    read_authorities(&text).map_err(wrong)
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// What a provider says is shown to people: a line of it.
fn short(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.char_indices()
        .nth(200)
        .map_or(line, |(end, _)| &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_secrets_leave_over_tls_only() {
        for good in [
            "https://login.example.com",
            "http://127.0.0.1:9000",
            "http://localhost/x",
        ] {
            assert_eq!(must_be_secure(good), Ok(()), "{good}");
        }
        for bad in [
            "http://login.example.com",
            "http://127.0.0.1.evil.example",
            "ftp://localhost",
            "x",
        ] {
            assert!(must_be_secure(bad).is_err(), "{bad}");
        }
    }
}
