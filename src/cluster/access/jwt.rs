//! Tokens of service accounts: JSON Web Tokens (RFC 7519), as issued by a TokenRequest.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value as Json, json};

use crate::{
    identity::Identity,
    object::{Moment, new_uid},
    wire::Failure,
};

/// The issuer: the name by which clients in the cluster reach the API server.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The claims of a token.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// Empty for a token for the API server itself.
    pub audiences: Vec<String>,
    /// Seconds since 1970.
    pub expires: i64,
}

/// Makes a signed token.
pub(crate) fn issue(identity: &Identity, claims: &Claims, now: Moment) -> Result<String, Failure> {
    let audiences = match claims.audiences.as_slice() {
        [] => vec![ISSUER.to_owned()],
        audiences => audiences.to_vec(),
    };
    let payload = json!({
        "aud": audiences,
        "exp": claims.expires,
        "iat": now / 1000,
        "nbf": now / 1000,
        "iss": ISSUER,
        "jti": new_uid(),
        "kubernetes.io": {
            "namespace": claims.namespace,
            "serviceaccount": { "name": claims.name, "uid": claims.uid },
        },
        "sub": format!("system:serviceaccount:{}:{}", claims.namespace, claims.name),
    });
    let encode = |part: Json| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    let header = json!({ "alg": "ES256", "typ": "JWT" });
    let message = format!("{}.{}", encode(header), encode(payload));
    let signature = identity.sign(message.as_bytes())?;
    Ok(format!("{message}.{}", BASE64URL_NOPAD.encode(&signature)))
}

/// Reads a token for the API server. Returns `None` if it is not valid now.
pub(super) fn verify(identity: &Identity, token: &str, now: Moment) -> Option<Claims> {
    let (message, signature) = token.rsplit_once('.')?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
    if !identity.is_signed(message.as_bytes(), &signature) {
        return None;
    }
    let (_, payload) = message.split_once('.')?;
    let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
    let payload: Json = serde_json::from_slice(&payload).ok()?;
    let expires = payload["exp"].as_i64()?;
    let for_us = payload["aud"].as_array()?.iter().any(|one| one == ISSUER);
    if !for_us || expires <= now / 1000 {
        return None;
    }
    let own = &payload["kubernetes.io"];
    let text = |value: &Json| value.as_str().map(str::to_owned);
    Some(Claims {
        namespace: text(&own["namespace"])?,
        name: text(&own["serviceaccount"]["name"])?,
        uid: text(&own["serviceaccount"]["uid"])?,
        audiences: Vec::new(),
        expires,
    })
}
