//! Lets a request through to its handler, or not: the one place where that is decided.

use std::net::SocketAddr;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{access::Access, answer::Problem, guard::Foreign, page, route::Needs, server::Desk};
use crate::{runs::now, targets::Role, value::Digest};

/// The address of a request's client.
#[derive(Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// What scripts, styles and frames a page may have: its own, and none within its text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Refuses what may not get through, whatever its route; what is not in the table of routes needs a role as well.
pub async fn admit(State(desk): State<Desk>, mut request: Request, next: Next) -> Response {
    // Programs ask these, and are answered in their way.
    let is_api = ["/api/", "/hooks/"]
        .iter()
        .any(|start| request.uri().path().starts_with(start));
    let is_cached = request.uri().path().starts_with("/assets/");
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let answer = match desk.judge(&mut request) {
        Ok(()) => next.run(request).await,
        Err(refused) => *refused,
    };
    let mut answer = match answer.extensions().get::<Problem>() {
        Some(problem) if !is_api && uri.path() != "/metrics" => {
            page::problem(problem, &method, answer.headers())
        }
        _ => answer,
    };
    let headers = answer.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Without any, a browser sends `Origin: null` with a form of ours. A link that leads away says nothing.
    set(header::REFERRER_POLICY, "same-origin");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(
        http::HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        http::HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    if !is_cached {
        set(header::CACHE_CONTROL, "no-store");
    }
    answer
}

impl Desk {
    fn judge(&self, request: &mut Request) -> Result<(), Box<Response>> {
        let refused = |problem: Problem| Box::new(problem.into_response());
        let headers = request.headers();
        let has_token = headers.contains_key(header::AUTHORIZATION);
        if let Err(why) = self.guard.check(request.method(), headers, has_token) {
            return Err(refused(foreign(why)));
        }
        let peer = request.extensions().get::<Peer>();
        let Some(Peer(peer)) = peer.copied() else {
            return Err(refused(Problem::unauthenticated()));
        };
        let matched = request.extensions().get::<MatchedPath>();
        let needs = self.needs(request.method(), matched.map(MatchedPath::as_str));
        if let Some(token) = ticket(request) {
            return Err(Box::new(self.redeem(&token)));
        }
        let access = self.authenticate(headers, peer);
        if let Needs::Role(role) = needs {
            match &access {
                None => return Err(refused(Problem::unauthenticated())),
                Some(access) if !access.has(role) => {
                    return Err(refused(Problem::denied(access, role)));
                }
                Some(_) => {}
            }
        }
        if let Some(access) = access {
            request.extensions_mut().insert(access);
        }
        Ok(())
    }

    /// Says what a request needs; one that no route answers still needs somebody.
    fn needs(&self, method: &Method, path: Option<&str>) -> Needs {
        let method = match *method {
            Method::HEAD => &Method::GET,
            _ => method,
        };
        let same =
            |route: &&super::route::Route| Some(route.path) == path && route.method == *method;
        let found = self.routes.iter().find(same);
        found.map_or(Needs::Role(Role::Viewer), |route| route.needs)
    }

    /// Says who sent a request. A token in its header counts before a cookie, also if it is wrong.
    fn authenticate(&self, headers: &HeaderMap, peer: SocketAddr) -> Option<Access> {
        if let Some(header) = headers.get(header::AUTHORIZATION) {
            let token = header.to_str().ok()?.strip_prefix("Bearer ")?;
            return Some(self.tokens.find(token.trim())?.access("header", peer));
        }
        let cookie = self.cookie_of(headers)?;
        // A session that can't be read is none.
        let token = self.sessions.find(&cookie, now()).ok()??;
        Some(self.tokens.with_digest(token)?.access("browser", peer))
    }

    /// Returns the value of our cookie.
    pub fn cookie_of(&self, headers: &HeaderMap) -> Option<String> {
        let all = headers.get_all(header::COOKIE).iter();
        let mut pairs = all
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let found = pairs.find(|(name, _)| *name == self.cookie);
        found.map(|(_, value)| value.to_owned())
    }

    /// Begins a session for the token of the printed address, which works once.
    fn redeem(&self, token: &str) -> Response {
        let is_good = self.take_ticket(Digest::of_content(token.as_bytes()));
        let owner = self.tokens.owner().filter(|_| is_good);
        match owner {
            Some(owner) => self.log_in(owner.sha256, "/"),
            None => page::login(
                StatusCode::UNAUTHORIZED,
                Some("This link has been used, or was never good. Log in with a token."),
            ),
        }
    }

    /// Answers with the cookie of a new session, and leads to a page of ours.
    pub fn log_in(&self, token: Digest, next: &'static str) -> Response {
        let cookie = match self.sessions.begin(token, now()) {
            Ok(Some(cookie)) => cookie,
            Ok(None) => return broken("the system gave no randomness"),
            Err(_) => return broken("the session can't be kept"),
        };
        let secure = if self.is_tls { "; Secure" } else { "" };
        let cookie = format!(
            "{}={cookie}; Path=/; HttpOnly; SameSite=Strict{secure}",
            self.cookie
        );
        match HeaderValue::from_str(&cookie) {
            Ok(cookie) => page::see_other(next, Some(cookie)),
            Err(_) => broken("the session can't be kept"),
        }
    }
}

fn broken(why: &str) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "system", why).into_response()
}

fn foreign(why: Foreign) -> Problem {
    let detail = match why {
        Foreign::Host => "the Host header names another server",
        Foreign::Origin => "the request comes from another web page",
    };
    Problem::new(StatusCode::FORBIDDEN, "foreign-request", detail)
}

/// Returns the token of the address that the server printed.
fn ticket(request: &Request) -> Option<String> {
    if request.uri().path() != "/" || request.method() != Method::GET {
        return None;
    }
    let query = request.uri().query()?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(name, _)| name == "token")
        .map(|(_, token)| token.into_owned())
}
