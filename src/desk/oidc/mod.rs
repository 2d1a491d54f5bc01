//! Logging in with an OpenID Connect provider: for the page by the code flow with PKCE, for the API by the provider's signed tokens.
//!
//! - [`Provider`] knows the provider's configuration and keys, and asks for both again when they may have changed;
//! - `claims` says who a token is of, or why it is none of ours;
//! - `flow` begins logins, and answers the provider's way back; `seal` is how the browser keeps a login that has begun.

mod claims;
mod flow;
mod provider;
mod seal;

use axum::routing::get;
use http::Method;

pub use flow::problem;
pub use provider::Provider;
pub use seal::LoginSeal;

use super::route::{About, Answer, Needs, Route};

/// Returns the routes of logging in: they need nothing, because one comes by here to log in.
pub fn routes() -> Vec<Route> {
    let open = |path, handler, about| Route {
        method: Method::GET,
        path,
        needs: Needs::Nothing,
        about,
        handler,
    };
    let about = About {
        summary: "The provider that people log in with, for programs that ask it for a token",
        query: &[],
        body: None,
        answer: Answer::Json("LoginItem"),
    };
    vec![
        open("/login/oidc", get(flow::begin), None),
        open("/login/callback", get(flow::finish), None),
        open("/api/v1/login", get(flow::about), Some(about)),
    ]
}
