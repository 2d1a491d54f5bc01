use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::digest::{SHA256, digest as hash};
use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use maud::{DOCTYPE, html};
use serde::Deserialize;

use super::provider::{Provider, ProviderError};
use crate::{
    desk::{
        access::random_token, admit::Peer, answer::Problem, api::LoginItem, page, server::Desk,
        session::Proof,
    },
    runs::now,
    value::Digest,
};

/// How long somebody has for logging in at the provider, in milliseconds.
const PATIENCE: i64 = 10 * 60_000;
/// As many logins may have begun and not ended: beginning one needs nothing.
const MOST: usize = 1000;

/// The logins that have begun, by their `state`.
#[derive(Default)]
pub struct Pending(Mutex<BTreeMap<Digest, Begun>>);

struct Begun {
    /// Of the cookie of the browser that began it.
    browser: Digest,
    nonce: String,
    verifier: String,
    /// The address that the provider leads back to.
    back: String,
    /// Milliseconds since 1970.
    at: i64,
}

impl Pending {
    fn keep(&self, state: &str, begun: Begun) {
        let mut all = self.lock();
        all.retain(|_, known| begun.at - known.at < PATIENCE);
        while all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_, known)| known.at);
            let Some(oldest) = oldest.map(|(state, _)| *state) else {
                break;
            };
            all.remove(&oldest);
        }
        all.insert(Digest::of_content(state.as_bytes()), begun);
    }

    /// Takes a login out, so that each ends once.
    fn take(&self, state: &str, at: i64) -> Option<Begun> {
        let begun = self.lock().remove(&Digest::of_content(state.as_bytes()));
        begun.filter(|begun| at - begun.at < PATIENCE)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Begun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET /api/v1/login`: what `windlass login` needs to ask the provider for a token.
pub async fn about(State(desk): State<Desk>) -> Result<Json<LoginItem>, Problem> {
    let provider = provider(&desk)?;
    let config = &provider.config;
    let client = config.device_client_id.as_ref();
    Ok(Json(LoginItem {
        issuer: config.issuer.clone(),
        client_id: client.unwrap_or(&config.client_id).clone(),
        scopes: config.scopes.clone(),
    }))
}

/// `GET /login/oidc`: leads to the provider.
pub async fn begin(State(desk): State<Desk>, headers: HeaderMap) -> Result<Response, Problem> {
    let provider = provider(&desk)?;
    let endpoints = provider.endpoints().await.map_err(problem)?;
    let random = || random_token().ok_or_else(no_randomness);
    let (state, nonce, verifier, browser) = (random()?, random()?, random()?, random()?);
    let back = format!("{}/login/callback", origin(&desk, &headers));
    let challenge = BASE64URL_NOPAD.encode(hash(&SHA256, verifier.as_bytes()).as_ref());
    let scope = std::iter::once("openid").chain(provider.config.scopes.iter().map(String::as_str));
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &provider.config.client_id)
        .append_pair("redirect_uri", &back)
        .append_pair("scope", &scope.collect::<Vec<_>>().join(" "))
        .append_pair("state", &state)
        .append_pair("nonce", &nonce)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .finish();
    let mark = match endpoints.authorization_endpoint.contains('?') {
        true => '&',
        false => '?',
    };
    let address = format!("{}{mark}{query}", endpoints.authorization_endpoint);
    desk.pending.keep(
        &state,
        Begun {
            browser: Digest::of_content(browser.as_bytes()),
            nonce,
            verifier,
            back,
            at: now(),
        },
    );
    // The provider is another site, so on the way back the browser sends no cookie that is Strict.
    let secure = if desk.is_tls { "; Secure" } else { "" };
    let cookie = format!(
        "{}={browser}; Path=/; HttpOnly; SameSite=Lax; Max-Age=600{secure}",
        desk.login_cookie()
    );
    Ok(page::see_other(
        &address,
        HeaderValue::from_str(&cookie).ok(),
    ))
}

/// What the provider leads back with.
#[derive(Deserialize)]
pub struct Back {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    /// RFC 9207: who leads back.
    iss: Option<String>,
}

/// `GET /login/callback`: ends a login that this browser began.
pub async fn finish(
    State(desk): State<Desk>,
    axum::Extension(peer): axum::Extension<Peer>,
    Query(back): Query<Back>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let provider = provider(&desk)?;
    let refused = |why: &str| {
        let mut answer = page::login(StatusCode::UNAUTHORIZED, Some(why), true);
        let gone = format!("{}=; Path=/; HttpOnly; Max-Age=0", desk.login_cookie());
        if let Ok(gone) = HeaderValue::from_str(&gone) {
            answer.headers_mut().insert(header::SET_COOKIE, gone);
        }
        Ok(answer)
    };
    let at = now();
    let begun = back
        .state
        .as_deref()
        .and_then(|state| desk.pending.take(state, at));
    let browser = desk.named_cookie(&headers, &desk.login_cookie());
    let is_same = |begun: &Begun| {
        let browser = browser.as_ref();
        browser.is_some_and(|browser| Digest::of_content(browser.as_bytes()) == begun.browser)
    };
    let Some(begun) = begun.filter(is_same) else {
        return refused("This login was not begun here, has ended, or took too long. Try again.");
    };
    if back
        .iss
        .is_some_and(|issuer| issuer != provider.config.issuer)
    {
        return refused("Another provider than the one that was asked led back here.");
    }
    let code = match (back.code, back.error) {
        (Some(code), None) => code,
        (_, Some(error)) if error == "access_denied" => {
            return refused("The login was cancelled at the provider.");
        }
        _ => return refused("The provider could not log you in."),
    };
    let redeemed = provider
        .redeem(&code, &begun.verifier, &begun.nonce, &begun.back)
        .await;
    let identity = match redeemed {
        Ok(identity) => identity,
        Err(ProviderError::Refused(why)) => return refused(&format!("Not logged in: {why}.")),
        Err(error) => return Err(problem(error)),
    };
    let proof = Proof::Provider {
        issuer: provider.config.issuer.clone(),
        name: identity.name.clone(),
        groups: identity.groups.clone(),
    };
    let cookie = desk.session_cookie(&proof, &identity, peer)?;
    // A browser that came from another site sends no Strict cookie along a redirect, but does from a page of ours.
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content="0;url=/";
                title { "Logged in · windlass" }
            }
            body { p { a href="/" { "Continue" } } }
        }
    };
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let mut answer = ([(header::CONTENT_TYPE, kind)], text.into_string()).into_response();
    answer.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(answer)
}

fn provider(desk: &Desk) -> Result<&Provider, Problem> {
    desk.provider.as_ref().ok_or_else(|| {
        let detail = "this server knows no OpenID Connect provider";
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    })
}

/// The address under which the browser reaches this server: its Host header has been checked.
fn origin(desk: &Desk, headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    // A proxy before us speaks TLS for any other name.
    let is_plain = !desk.is_tls && ["127.0.0.1", "localhost", "[::1]"].contains(&name);
    match is_plain {
        true => format!("http://{host}"),
        false => format!("https://{host}"),
    }
}

/// Says why a provider could not be asked.
pub fn problem(error: ProviderError) -> Problem {
    match error {
        ProviderError::Unreachable(why) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "login", why)
                .hint("see that the provider can be reached from the server, and that `[serve.oidc]` names it")
        }
        ProviderError::Refused(why) => {
            let detail = format!("this token is not good here: {why}");
            Problem::new(StatusCode::UNAUTHORIZED, "not-authenticated", detail)
                .hint("to get another one: `windlass login`")
        }
    }
}

fn no_randomness() -> Problem {
    let detail = "the system gave no randomness";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "system", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_ends_once_and_in_time() {
        let pending = Pending::default();
        let begun = |at| Begun {
            browser: Digest::of_content(b"browser"),
            nonce: String::new(),
            verifier: String::new(),
            back: String::new(),
            at,
        };
        pending.keep("a", begun(0));
        assert!(pending.take("b", 1).is_none());
        assert!(pending.take("a", 1).is_some());
        assert!(pending.take("a", 1).is_none(), "once");
        pending.keep("late", begun(0));
        assert!(pending.take("late", PATIENCE).is_none());
        for i in 0..2 * MOST {
            pending.keep(&i.to_string(), begun(i as i64));
        }
        assert_eq!(pending.lock().len(), MOST);
    }
}
