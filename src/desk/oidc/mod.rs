//! Logging in with an OpenID Connect provider: the pages use the authorization code flow with PKCE, the API accepts the provider's signed
//! tokens.
//!
//! - [`Provider`] reads the provider's configuration and keys, and reads them again when they may have changed;
//! - `claims` checks tokens and reads the user's name and groups from them;
//! - `flow` begins logins, and handles the provider's redirect back; `seal` encrypts a login that has begun for a cookie.

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

/// Returns the routes for logging in. They need no role, because the user is not logged in yet.
pub fn routes() -> Vec<Route> {
    let open = |path, handler, about| Route {
        method: Method::GET,
        path,
        needs: Needs::Nothing,
        about,
        handler,
    };
    let about = About {
        summary: "The OpenID Connect provider, for programs that request a token from it",
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
