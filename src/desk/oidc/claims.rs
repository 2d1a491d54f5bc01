use std::collections::HashSet;

use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation, decode, jwk::Jwk};
use serde_json::{Map, Value as Json};

use crate::access::Identity;
use windlass_targets::{GROUP, OidcConfig};

/// How much the clocks of the provider and of this machine may differ, in seconds.
const LEEWAY: u64 = 60;
/// The largest number of groups of a person. The journal keeps them with each of the person's actions.
const MOST_GROUPS: usize = 1000;

/// The accepted signature algorithms, which are all asymmetric. Those with a shared secret are left out, because anyone who can check such
/// a signature can also make one.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The claims of a token whose signature, issuer, audience and times have been checked.
pub type Claims = Map<String, Json>;

/// Reads the header of a token: the algorithm and id of the key that signed it.
///
/// # Errors
/// Returns why the provider can't have signed it.
pub fn head(token: &str) -> Result<(Algorithm, Option<String>), String> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| "it is not a JWT".to_owned())?;
    if ALGORITHMS.contains(&header.alg) {
        Ok((header.alg, header.kid))
    } else {
        Err(format!("it is signed with {:?}", header.alg))
    }
}

/// Checks a token against a key of the provider.
///
/// # Errors
/// Returns why the token is not valid.
pub fn check(
    token: &str,
    algorithm: Algorithm,
    key: &Jwk,
    config: &OidcConfig,
) -> Result<Claims, String> {
    let key = DecodingKey::from_jwk(key).map_err(|_| "its key can't be used".to_owned())?;
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_issuer(&[&config.issuer]);
    validation.set_audience(&audiences(config));
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let decoded: Result<TokenData<Claims>, _> = decode(token, &key, &validation);
    let claims = decoded.map_err(|e| sentence(e.kind()))?.claims;
    // A logout token is signed in the same way, but must not log anybody in (OpenID Connect Back-Channel Logout, 2.4).
    if claims.contains_key("events") {
        return Err("it is not a login token".into());
    }
    // With several audiences, the client that requested the token must be ours (OpenID Connect Core, 3.1.3.7).
    let others = claims.get("aud").and_then(Json::as_array);
    if others.is_some_and(|all| all.len() > 1)
        && let Some(party) = claims.get("azp").and_then(Json::as_str)
        && !audiences(config).iter().any(|ours| ours == party)
    {
        return Err("another client requested it".into());
    }
    Ok(claims)
}

/// Returns the audiences that a token may have: our clients and the configured ones.
fn audiences(config: &OidcConfig) -> Vec<String> {
    let clients = [
        Some(config.client_id.clone()),
        config.device_client_id.clone(),
    ];
    let all: HashSet<_> = clients
        .into_iter()
        .flatten()
        .chain(config.audiences.iter().cloned())
        .collect();
    all.into_iter().collect()
}

/// Returns whether the claims contain the user's name and groups. Some providers return these only from their userinfo endpoint.
pub fn is_whole(claims: &Claims, config: &OidcConfig) -> bool {
    claims.contains_key(&config.user_claim) && claims.contains_key(&config.groups_claim)
}

/// Reads the user's name and groups from the claims.
///
/// # Errors
/// Returns why the claims contain no usable name.
pub fn identity(claims: &Claims, config: &OidcConfig) -> Result<Identity, String> {
    let claim = &config.user_claim;
    let name = claims.get(claim).and_then(Json::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(format!("it has no claim `{claim}`"));
    }
    if name.starts_with(GROUP) || name.chars().any(char::is_control) {
        return Err(format!("its claim `{claim}` is not a valid user name"));
    }
    if claim == "email" && !config.unverified_email && !is_verified(claims) {
        return Err(
            "the e-mail address is not verified by the provider (`email_verified` is not true)"
                .into(),
        );
    }
    let groups = match claims.get(&config.groups_claim) {
        Some(Json::String(one)) => vec![one.clone()],
        Some(Json::Array(all)) => {
            if all.len() > MOST_GROUPS {
                return Err(format!(
                    "it has more than {MOST_GROUPS} groups; configure the provider to send only the groups that Windlass needs"
                ));
            }
            let names = all.iter().filter_map(Json::as_str);
            names.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    Ok(Identity {
        name: name.to_owned(),
        groups,
        how: format!("OpenID Connect {}", config.issuer),
        roles: Vec::new(),
    })
}

/// Returns whether the e-mail address is verified. Some providers send this claim as text.
fn is_verified(claims: &Claims) -> bool {
    match claims.get("email_verified") {
        Some(Json::Bool(is_verified)) => *is_verified,
        Some(Json::String(text)) => text == "true",
        _ => false,
    }
}

fn sentence(kind: &jsonwebtoken::errors::ErrorKind) -> String {
    use jsonwebtoken::errors::ErrorKind;
    match kind {
        ErrorKind::ExpiredSignature => "it has expired".into(),
        ErrorKind::ImmatureSignature => "it is not valid yet".into(),
        ErrorKind::InvalidIssuer => "it was issued by another issuer".into(),
        ErrorKind::InvalidAudience => "it is for another audience".into(),
        ErrorKind::InvalidSignature => "its signature is not valid".into(),
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no claim `{claim}`"),
        _ => "it can't be read".into(),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use data_encoding::BASE64URL_NOPAD as BASE64;
    use serde_json::json;

    use super::*;

    /// A provider's key.
    struct Signer(EcdsaKeyPair);

    impl Signer {
        fn new() -> Self {
            Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
        }

        fn key(&self) -> Jwk {
            let point = self.0.public_key().as_ref();
            let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..]));
            let key = json!({ "kty": "EC", "crv": "P-256", "kid": "one", "x": x, "y": y });
            serde_json::from_value(key).expect("a key")
        }

        fn sign(&self, claims: &Json) -> String {
            let head = BASE64.encode(br#"{"alg":"ES256","kid":"one"}"#);
            let text = format!("{head}.{}", BASE64.encode(claims.to_string().as_bytes()));
            let signature = self
                .0
                .sign(&SystemRandom::new(), text.as_bytes())
                .expect("signed");
            format!("{text}.{}", BASE64.encode(signature.as_ref()))
        }
    }

    fn config() -> OidcConfig {
        OidcConfig {
            issuer: "https://login.example.com".into(),
            client_id: "windlass".into(),
            client_secret_env: None,
            device_client_id: Some("windlass-cli".into()),
            audiences: vec!["api".into()],
            user_claim: "email".into(),
            groups_claim: "groups".into(),
            scopes: Vec::new(),
            unverified_email: false,
            ca: None,
        }
    }

    fn now() -> i64 {
        windlass_runs::now().as_secs()
    }

    #[test]
    fn only_a_complete_token_for_this_server_is_valid() {
        let (signer, config) = (Signer::new(), config());
        let good = json!({
            "iss": "https://login.example.com", "aud": "windlass", "sub": "1", "exp": now() + 300,
            "email": "alice@example.com", "email_verified": true, "groups": ["pki"],
        });
        let identify = |claims: &Json, key: &Jwk| {
            let token = signer.sign(claims);
            let (algorithm, id) = head(&token)?;
            assert_eq!(id.as_deref(), Some("one"));
            identity(&check(&token, algorithm, key, &config)?, &config)
        };
        let with = |changes: Json| {
            let mut claims = good.clone();
            for (name, value) in changes.as_object().expect("a map") {
                match value {
                    Json::Null => claims.as_object_mut().expect("a map").remove(name),
                    value => claims
                        .as_object_mut()
                        .expect("a map")
                        .insert(name.clone(), value.clone()),
                };
            }
            identify(&claims, &signer.key())
        };
        let alice = identify(&good, &signer.key()).expect("good");
        assert_eq!(
            (alice.name.as_str(), alice.groups.as_slice()),
            ("alice@example.com", &["pki".to_owned()][..])
        );
        for changes in [
            json!({ "aud": "windlass-cli" }),
            json!({ "aud": ["api", "x"] }),
            json!({ "aud": ["x", "windlass"], "azp": "windlass" }),
            json!({ "groups": null }),
            json!({ "groups": "pki" }),
            json!({ "email_verified": "true" }),
            json!({ "exp": now() - 30 }),
        ] {
            with(changes.clone()).unwrap_or_else(|why| panic!("{changes}: {why}"));
        }
        for (changes, why) in [
            (json!({ "exp": now() - 120 }), "expired"),
            (json!({ "exp": null }), "no claim `exp`"),
            (json!({ "nbf": now() + 300 }), "not valid yet"),
            (
                json!({ "iss": "https://login.example.com/" }),
                "another issuer",
            ),
            (json!({ "iss": null }), "no claim"),
            (json!({ "aud": "another" }), "another audience"),
            (json!({ "aud": null }), "no claim"),
            (json!({ "sub": null }), "no claim `sub`"),
            (
                json!({ "aud": ["x", "windlass"], "azp": "x" }),
                "another client",
            ),
            (json!({ "email": null }), "no claim `email`"),
            (json!({ "email": 7 }), "no claim `email`"),
            (json!({ "email": "group:pki" }), "not a valid user name"),
            (json!({ "email": "a\nb" }), "not a valid user name"),
            (json!({ "email_verified": false }), "is not verified"),
            (json!({ "email_verified": "false" }), "is not verified"),
            (json!({ "email_verified": null }), "is not verified"),
            (json!({ "events": {} }), "not a login token"),
            (
                json!({ "groups": vec!["g"; 1001] }),
                "more than 1000 groups",
            ),
        ] {
            let refused = with(changes.clone()).expect_err(&changes.to_string());
            assert!(refused.contains(why), "{changes}: {refused}");
        }
        let forged = identify(&good, &Signer::new().key()).expect_err("another key");
        assert!(forged.contains("signature"), "{forged}");
    }

    #[test]
    fn symmetric_and_unknown_algorithms_are_refused() {
        let part = |json: &str| BASE64.encode(json.as_bytes());
        for algorithm in ["none", "HS256", "HS512", "ES512", ""] {
            let token = format!(
                "{}.{}.",
                part(&format!("{{\"alg\":\"{algorithm}\"}}")),
                part("{}")
            );
            assert!(head(&token).is_err(), "{algorithm}");
        }
        for token in ["", "a.b.c", "..", "a"] {
            assert!(head(token).is_err(), "{token}");
        }
    }
}
