use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::sync::Mutex as Turn;

use super::claims::{self, Claims};
use crate::access::Identity;
use windlass_ground::lock;
use windlass_targets::OidcConfig;
use windlass_world::{
    outside::{Proxies, authorities_in, by_proxy, must_be_secure},
    value::causes,
};

/// How long the provider's configuration and keys are used before they are read again.
const FRESH: Duration = Duration::from_secs(3600);
/// The shortest time between two reads of the keys because of a token with an unknown key. Anybody can send such a token.
const PAUSE: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer of the provider, in bytes.
const MOST: usize = 1 << 20;

/// The OpenID Connect provider with which people log in.
pub struct Provider {
    pub config: OidcConfig,
    secret: Option<String>,
    client: reqwest::Client,
    known: Mutex<Option<Known>>,
    /// Held by the request that reads the configuration and keys again. The others use those at hand meanwhile.
    reading: Turn<()>,
}

/// The provider's configuration and keys, and when they were read.
#[derive(Clone)]
struct Known {
    endpoints: Arc<Endpoints>,
    keys: Arc<Vec<Jwk>>,
    at: Instant,
}

/// The provider's metadata that is used here (OpenID Connect Discovery 1.0, section 3).
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

/// Why a login or a token failed.
#[derive(Debug)]
pub enum ProviderError {
    /// The provider can't be reached, or its answer can't be used.
    Unreachable(String),
    /// The token is not valid, or the provider refused the login.
    Refused(String),
}

impl Provider {
    /// Creates the client of a provider, without a request.
    ///
    /// # Errors
    /// Returns why the configuration can't be used.
    pub fn new(config: OidcConfig) -> Result<Self, String> {
        must_be_secure(&config.issuer)?;
        let secret = match &config.client_secret_env {
            None => None,
            Some(name) => Some(std::env::var(name).map_err(|_| {
                format!("the environment variable {name} (`client_secret_env`) is not set")
            })?),
        };
        let mut builder = reqwest::Client::builder()
            .proxy(by_proxy(Proxies::of_environment()))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &config.ca {
            builder = builder.tls_certs_only(authorities_in(path)?);
        }
        Ok(Self {
            client: builder.build().map_err(|e| e.to_string())?,
            config,
            secret,
            known: Mutex::new(None),
            reading: Turn::new(()),
        })
    }

    /// Returns the provider's endpoints.
    pub async fn endpoints(&self) -> Result<Arc<Endpoints>, ProviderError> {
        Ok(self.current().await?.endpoints)
    }

    /// Checks a token that a client sent, and returns its user.
    pub async fn identify(&self, token: &str) -> Result<Identity, ProviderError> {
        let claims = self.verify(token).await?;
        claims::identity(&claims, &self.config).map_err(ProviderError::Refused)
    }

    /// Exchanges a code for an ID token, and returns its user (OpenID Connect Core, 3.1.3).
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
            // Both parts are form-encoded (RFC 6749, 2.3.1).
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
                "the ID token belongs to another login".into(),
            ));
        }
        if !claims::is_whole(&claims, &self.config)
            && let Some(endpoint) = &endpoints.userinfo_endpoint
            && let Some(token) = &tokens.access_token
        {
            let request = self.client.get(endpoint).bearer_auth(token);
            let more: Claims = self.ask(request).await?;
            // An answer about another user must not be used (OpenID Connect Core, 5.3.2).
            if more.get("sub") != claims.get("sub") {
                return Err(ProviderError::Refused(
                    "the provider's userinfo is about another user".into(),
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
        let mut known = self.current().await?;
        let mut key = key_of(&known.keys, id.as_deref());
        if key.is_none() && known.at.elapsed() >= PAUSE {
            // The provider may have a new key.
            known = self.read_again(PAUSE).await?;
            key = key_of(&known.keys, id.as_deref());
        }
        let key = key.ok_or_else(|| {
            ProviderError::Refused("it is signed with a key that the provider does not have".into())
        })?;
        claims::check(token, algorithm, &key, &self.config).map_err(ProviderError::Refused)
    }

    /// Returns the provider's configuration and keys; reads them again if they are old, unless another request does.
    async fn current(&self) -> Result<Known, ProviderError> {
        let known = self.at_hand().clone();
        match known {
            Some(known) if known.at.elapsed() < FRESH || self.reading.try_lock().is_err() => {
                Ok(known)
            }
            _ => self.read_again(FRESH).await,
        }
    }

    /// Reads the provider's configuration and keys again, unless they are younger than `most`.
    async fn read_again(&self, most: Duration) -> Result<Known, ProviderError> {
        let _turn = self.reading.lock().await;
        let old = self.at_hand().clone();
        if let Some(known) = old.as_ref().filter(|known| known.at.elapsed() < most) {
            return Ok(known.clone());
        }
        // A refusal here concerns this server, not the user who logs in.
        let asked = self.discover().await.map_err(|error| match error {
            ProviderError::Refused(why) => ProviderError::Unreachable(why),
            error => error,
        });
        // While the provider can't be reached, the old keys are used, so that people can still use their tokens.
        let found = match (asked, old) {
            (Ok(found), _) => found,
            (Err(ProviderError::Unreachable(_)), Some(old)) => Known {
                at: Instant::now(),
                ..old
            },
            (Err(error), _) => return Err(error),
        };
        Ok(self.at_hand().insert(found).clone())
    }

    fn at_hand(&self) -> MutexGuard<'_, Option<Known>> {
        lock(&self.known)
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
                "the provider's metadata names the issuer {}, not {issuer}",
                endpoints.issuer
            );
            return Err(ProviderError::Unreachable(why));
        }
        let always = [
            &endpoints.authorization_endpoint,
            &endpoints.token_endpoint,
            &endpoints.jwks_uri,
        ];
        // The userinfo endpoint receives the access token, so it must use TLS, too.
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
            // Keys of unknown types are skipped.
            keys: Arc::new(
                keys.filter_map(|key| serde_json::from_value(key).ok())
                    .collect(),
            ),
            endpoints: Arc::new(endpoints),
            at: Instant::now(),
        })
    }

    /// Sends a request, and reads the answer as JSON.
    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, ProviderError> {
        let unreachable = |why: String| {
            ProviderError::Unreachable(format!("request to {} failed: {why}", self.config.issuer))
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
            let reason: Json = serde_json::from_slice(&body).unwrap_or_default();
            let reason = reason["error_description"]
                .as_str()
                .or(reason["error"].as_str());
            let why = reason.map_or_else(|| status.to_string(), |why| short(why).to_owned());
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

/// Returns the key with a token's key id; for a token without a key id, the only key if there is exactly one.
fn key_of(keys: &[Jwk], id: Option<&str>) -> Option<Jwk> {
    // One for encryption does not sign (RFC 7517, 4.2).
    let signs = |key: &&Jwk| {
        let may_sign = matches!(
            key.common.public_key_use,
            None | Some(PublicKeyUse::Signature)
        );
        may_sign && !matches!(key.algorithm, AlgorithmParameters::OctetKey(_))
    };
    let mut signing = keys.iter().filter(signs);
    match id {
        Some(id) => signing.find(|key| key.common.key_id.as_deref() == Some(id)),
        None => signing.next().filter(|_| signing.next().is_none()),
    }
    .cloned()
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Returns the first line of a provider's text, at most 200 characters, to show to people.
fn short(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.char_indices()
        .nth(200)
        .map_or(line, |(end, _)| &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn known_keys_are_used_while_the_provider_does_not_answer() {
        let slow = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let slow = slow.expect("a port");
        let address = slow.local_addr().expect("an address");
        let config = OidcConfig {
            issuer: format!("http://{address}"),
            client_id: "windlass".into(),
            client_secret_env: None,
            device_client_id: None,
            audiences: Vec::new(),
            user_claim: "email".into(),
            unverified_email: false,
            groups_claim: "groups".into(),
            scopes: Vec::new(),
            ca: None,
        };
        let provider = Arc::new(Provider::new(config).expect("a provider"));
        let endpoints = Endpoints {
            issuer: provider.config.issuer.clone(),
            authorization_endpoint: String::new(),
            token_endpoint: String::new(),
            userinfo_endpoint: None,
            jwks_uri: String::new(),
            token_endpoint_auth_methods_supported: Vec::new(),
        };
        *provider.at_hand() = Some(Known {
            endpoints: Arc::new(endpoints),
            keys: Arc::default(),
            at: Instant::now(),
        });
        // As for a token with an unknown key.
        let asking = provider.clone();
        let asking = tokio::spawn(async move { asking.read_again(Duration::ZERO).await });
        let _connection = slow.accept().await.expect("it asks the provider");
        let current = provider.current();
        let known = tokio::time::timeout(TIMEOUT / 2, current).await;
        assert!(known.expect("at once").is_ok());
        assert!(!asking.is_finished());
        asking.abort();
    }
}
