use axum::{
    Extension,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use maud::{DOCTYPE, Markup, html};

use super::layout::{Frame, page, see_other};
use crate::{
    admit::{Peer, local_path},
    cookie::Purpose,
    server::Desk,
};

/// The largest form, in bytes: a token is short.
const MOST: usize = 4096;

/// How a person can log in, and where that leads.
pub struct LoginWay {
    /// Whether there is an OpenID Connect provider.
    pub has_provider: bool,
    /// The page of this server that the person wanted to see; empty for the list of runs.
    pub next: String,
}

/// `GET /login`: shows the form.
pub async fn login_form(State(desk): State<Desk>) -> Response {
    let way = LoginWay {
        has_provider: desk.provider.is_some(),
        next: String::new(),
    };
    login(StatusCode::OK, None, &way)
}

/// Returns the login page. With a provider, it has a link to it.
pub fn login(status: StatusCode, why: Option<&str>, way: &LoginWay) -> Response {
    let next = Some(way.next.as_str()).filter(|next| !["", "/"].contains(next));
    let provider = match next {
        Some(next) => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            format!("/login/oidc?{}", query.append_pair("next", next).finish())
        }
        None => "/login/oidc".to_owned(),
    };
    let frame = Frame::still("Log in", "", None);
    let mut response = page(
        &frame,
        html! {
            section class="card narrow" {
                h1 { "Log in" }
                @if let Some(why) = why { p class="trouble" role="alert" { (why) } }
                @if way.has_provider {
                    p { a class="button main" href=(provider) { "Log in with your organization" } }
                }
                form method="post" action="/login" {
                    @if let Some(next) = next { input type="hidden" name="next" value=(next); }
                    label for="token" { "Token" }
                    input id="token" name="token" type="password" required autocomplete="current-password" autofocus;
                    button class="main" { "Log in" }
                }
                p class="hint" {
                    "On the machine where " code { "windlass serve" } " runs, the token is in " code { "serve.token" }
                    " in its state folder. Elsewhere, use a token that the administrator has configured in " code { "windlass.toml" } "."
                }
            }
        },
    );
    *response.status_mut() = status;
    response
}

/// `POST /login`: logs in with a token.
pub async fn log_in(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let body = desk.body(request, MOST).await.unwrap_or_default();
    let field = |wanted: &str| {
        let found = form_urlencoded::parse(&body).find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.trim().to_owned())
    };
    let next = field("next").and_then(|next| local_path(&next));
    match field("token").and_then(|token| Some(desk.tokens.find(&token)?.sha256)) {
        Some(token) => {
            let next = next.as_deref().unwrap_or("/");
            desk.log_in(token, next, &headers, peer).await
        }
        None => {
            let way = LoginWay {
                has_provider: desk.provider.is_some(),
                next: next.unwrap_or_default(),
            };
            let why = Some("This token is not valid.");
            login(StatusCode::UNAUTHORIZED, why, &way)
        }
    }
}

/// Returns the page that a provider's redirect leads to; it opens `next`. A redirect that began on another site does not
/// send Strict cookies, but a refresh of our own page does.
pub fn logged_in(next: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content={ "0;url=" (next) };
                title { "Logged in · windlass" }
            }
            body { p { a href=(next) { "Continue" } } }
        }
    }
}

/// `POST /logout`: ends the session.
pub async fn log_out(State(desk): State<Desk>, headers: HeaderMap) -> Response {
    if let Some(cookie) = desk.cookie(Purpose::Session, &headers) {
        // The page must not say that the person is logged out if the session could not be ended.
        if let Err(problem) = desk.in_sessions(move |all| all.end(&cookie)).await {
            return problem.into_response();
        }
    }
    see_other("/login", desk.forget_cookie(Purpose::Session, &headers))
}
