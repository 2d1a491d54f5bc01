use aws_lc_rs::digest::{SHA256, digest as hash};
use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::{
    provider::{Provider, ProviderError},
    seal::{Begun, PATIENCE},
};
use crate::{
    access::random_token,
    admit::{Peer, local_path},
    answer::Problem,
    api::LoginItem,
    cookie::{Purpose, SameSite},
    page,
    server::Desk,
    session::Proof,
};
use windlass_runs::now;

/// `GET /api/v1/login`: what `windlass login` needs to request a token from the provider.
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

/// The query of a login: the page of this server that the person wanted to see.
#[derive(Deserialize)]
pub struct Wanted {
    next: Option<String>,
}

/// `GET /login/oidc`: redirects to the provider.
pub async fn begin(
    State(desk): State<Desk>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let provider = provider(&desk)?;
    let endpoints = provider.endpoints().await.map_err(problem)?;
    let random = || random_token().ok_or_else(no_randomness);
    let (state, nonce, verifier) = (random()?, random()?, random()?);
    let back = format!("{}/login/callback", desk.origin(&headers));
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
    let mark = if endpoints.authorization_endpoint.contains('?') {
        '&'
    } else {
        '?'
    };
    let address = format!("{}{mark}{query}", endpoints.authorization_endpoint);
    let begun = Begun {
        state,
        nonce,
        verifier,
        back,
        next: wanted.next.and_then(|next| local_path(&next)),
        at: now(),
    };
    let sealed = desk.login_seal.close(&begun).ok_or_else(no_randomness)?;
    let seconds = Some(PATIENCE.as_secs() as u32);
    let cookie = desk.set_cookie(Purpose::Login, &headers, &sealed, SameSite::Lax, seconds);
    Ok(page::see_other(&address, cookie))
}

/// The query with which the provider redirects back.
#[derive(Deserialize)]
pub struct Back {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    /// The issuer that redirects back (RFC 9207).
    iss: Option<String>,
}

/// `GET /login/callback`: completes a login that this browser began.
pub async fn finish(
    State(desk): State<Desk>,
    axum::Extension(peer): axum::Extension<Peer>,
    Query(back): Query<Back>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let provider = provider(&desk)?;
    let refused = |why: &str| {
        let way = page::LoginWay {
            has_provider: true,
            next: String::new(),
        };
        let mut answer = page::login(StatusCode::UNAUTHORIZED, Some(why), &way);
        let gone = desk.forget_cookie(Purpose::Login, &headers);
        answer
            .headers_mut()
            .extend(gone.map(|gone| (header::SET_COOKIE, gone)));
        Ok(answer)
    };
    let at = now();
    let begun = desk
        .cookie(Purpose::Login, &headers)
        .and_then(|sealed| desk.login_seal.open(&sealed))
        .filter(|begun| at.since(begun.at) < PATIENCE && back.state.as_ref() == Some(&begun.state));
    let Some(begun) = begun else {
        return refused(
            "This login did not start in this browser, has already ended, or took too long. Try again.",
        );
    };
    if back
        .iss
        .is_some_and(|issuer| issuer != provider.config.issuer)
    {
        return refused(
            "The answer came from a different provider than the one that is configured.",
        );
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
    let cookie = desk
        .session_cookie(proof, &identity, &headers, peer)
        .await?;
    let next = begun.next.as_deref().unwrap_or("/");
    let text = page::logged_in(next);
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let mut answer = ([(header::CONTENT_TYPE, kind)], text.into_string()).into_response();
    let cookies = std::iter::once(cookie).chain(desk.forget_cookie(Purpose::Login, &headers));
    for cookie in cookies {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

fn provider(desk: &Desk) -> Result<&Provider, Problem> {
    desk.provider.as_ref().ok_or_else(|| {
        let detail = "this server has no OpenID Connect provider";
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    })
}

/// Converts an error of the provider to an answer.
pub fn problem(error: ProviderError) -> Problem {
    match error {
        ProviderError::Unreachable(why) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "login", why)
                .hint("check that the server can reach the provider, and that `[serve.oidc]` has the right issuer")
        }
        ProviderError::Refused(why) => {
            let detail = format!("this token is not valid here: {why}");
            Problem::new(StatusCode::UNAUTHORIZED, "not-authenticated", detail)
                .hint("run `windlass login` to get a new token")
        }
    }
}

fn no_randomness() -> Problem {
    let detail = "the system could not provide random bytes";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "system", detail)
}
