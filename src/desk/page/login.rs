use axum::{
    Extension,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use maud::html;

use super::layout::{Frame, page, see_other};
use crate::{admit::Peer, cookie::Purpose, server::Desk};

/// The largest form, in bytes: a token is short.
const MOST: usize = 4096;

/// `GET /login`: shows the form.
pub async fn login_form(State(desk): State<Desk>) -> Response {
    login(StatusCode::OK, None, desk.provider.is_some())
}

/// Returns the login page. With a provider, it has a link to it.
pub fn login(status: StatusCode, why: Option<&str>, has_provider: bool) -> Response {
    let frame = Frame::still("Log in", "", None);
    let mut response = page(
        &frame,
        html! {
            section class="card narrow" {
                h1 { "Log in" }
                @if let Some(why) = why { p class="trouble" role="alert" { (why) } }
                @if has_provider {
                    p { a class="button main" href="/login/oidc" { "Log in with your organization" } }
                }
                form method="post" action="/login" {
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
    let mut fields = form_urlencoded::parse(&body);
    let token = fields.find(|(name, _)| name == "token");
    let token = token.map(|(_, token)| token.trim().to_owned());
    match token.and_then(|token| Some(desk.tokens.find(&token)?.sha256)) {
        Some(token) => desk.log_in(token, "/", &headers, peer).await,
        None => login(
            StatusCode::UNAUTHORIZED,
            Some("This token is not valid."),
            desk.provider.is_some(),
        ),
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
