//! Decides whether a request may reach its handler. Nothing else decides this, except the handlers of routes marked
//! [`Needs::Somewhere`].

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use super::{
    access::{Access, Identity},
    answer::Problem,
    cookie::{Purpose, SameSite, without_port},
    guard::Foreign,
    machine::Machine,
    oidc, page,
    route::Needs,
    server::Desk,
    session::{Begins, Proof},
};
use windlass_ground::Requester;
use windlass_journal::RunId;
use windlass_runs::{ASSISTANT, CLIENT_HEADER, now};
use windlass_targets::Role;
use windlass_world::{outside::is_own_name, value::Digest};

/// A request's client.
#[derive(Clone)]
pub struct Peer {
    pub address: SocketAddr,
    /// The owner of its client certificate, if it sent one.
    pub machine: Option<Arc<Machine>>,
}

impl Peer {
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            machine: None,
        }
    }
}

/// What a request was admitted with. A stream checks it again while it is open.
#[derive(Clone)]
pub struct Pass {
    headers: HeaderMap,
    peer: Peer,
    needs: Needs,
    run: Option<RunId>,
}

/// The Content-Security-Policy of all pages: scripts and styles come from this server's files only, never inline, and no other page may
/// show ours in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The value of Strict-Transport-Security: one year, in seconds, which is what browsers' preload lists require. It leaves out
/// `includeSubDomains`, because subdomains may be other servers.
const SECURE: &str = "max-age=31536000";

/// The header of a request that a page sends by itself.
const UPDATE: &str = "x-windlass-update";

/// After how many seconds a client that finds the server busy may try again.
const PAUSE: &str = "5";

/// Returns whether the Host header names this machine itself. Such answers get no Strict-Transport-Security, because a browser that
/// accepts only HTTPS for `localhost` can't reach other servers on other ports.
fn is_of_loopback(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    host.is_none_or(|host| is_own_name(without_port(host)))
}

/// Checks every request before its handler, and sets the security headers of every answer. A path that is not in the table of
/// routes needs a role, too.
pub async fn admit(State(desk): State<Desk>, mut request: Request, next: Next) -> Response {
    // Programs use these paths, so errors stay JSON.
    let is_api = ["/api/", "/hooks/"]
        .iter()
        .any(|start| request.uri().path().starts_with(start));
    let is_cached = request.uri().path().starts_with("/assets/");
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let checked = desk.check(&mut request).await;
    // Also of a request that is denied: the log and the page say whose it is.
    let access = request.extensions().get::<Access>().cloned();
    let who = access.as_ref();
    let who = who.map(|access| Requester(access.person.name.clone()));
    let is_secure = desk.is_tls && !is_of_loopback(request.headers());
    let answer = match checked {
        Ok(()) => as_problem(next.run(request).await, &method),
        Err(refused) => *refused,
    };
    if let Some(problem) = answer.extensions().get::<Problem>()
        && problem.status >= 500
    {
        tracing::error!(
            code = problem.code,
            error = problem.detail,
            "a request failed"
        );
    }
    let mut answer = match answer.extensions().get::<Problem>() {
        Some(problem) if !is_api && uri.path() != "/metrics" => {
            let way = page::LoginWay {
                has_provider: desk.provider.is_some(),
                next: wanted_page(&uri).unwrap_or_default(),
            };
            page::problem(problem, &method, answer.headers(), access.as_ref(), &way)
        }
        _ => answer,
    };
    let is_busy = answer.status() == StatusCode::SERVICE_UNAVAILABLE;
    let headers = answer.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // With `no-referrer`, a browser would send `Origin: null` with our own forms. Links to other sites get no Referer header.
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
    if is_secure {
        set(header::STRICT_TRANSPORT_SECURITY, SECURE);
    }
    if !is_cached {
        set(header::CACHE_CONTROL, "no-store");
    }
    if is_busy {
        set(header::RETRY_AFTER, PAUSE);
    }
    if let Some(who) = who {
        answer.extensions_mut().insert(who);
    }
    answer
}

impl Desk {
    async fn check(&self, request: &mut Request) -> Result<(), Box<Response>> {
        let refused = |problem: Problem| Box::new(problem.into_response());
        let headers = request.headers();
        let has_token = headers.contains_key(header::AUTHORIZATION);
        if let Err(why) = self.guard.check(request.method(), headers, has_token) {
            return Err(refused(foreign(why)));
        }
        let peer = request.extensions().get::<Peer>();
        let Some(peer) = peer.cloned() else {
            return Err(refused(Problem::unauthenticated()));
        };
        let matched = request.extensions().get::<MatchedPath>();
        let matched = matched.map(MatchedPath::as_str);
        let needs = self.needs(request.method(), matched);
        let run = matched.and_then(|matched| run_in(matched, request.uri().path()));
        if let Some(token) = ticket(request) {
            return Err(Box::new(self.redeem(&token, &headers.clone(), peer).await));
        }
        let pass = Pass {
            headers: headers.clone(),
            peer,
            needs,
            run,
        };
        let access = if is_automatic(request) {
            self.recognize(&pass.headers, &pass.peer).await
        } else {
            self.authenticate(&pass.headers, &pass.peer).await
        };
        // An invalid token or cookie is no obstacle where no login is needed.
        let access = match (access, needs) {
            (Err(_), Needs::Nothing) => None,
            (access, _) => access.map_err(refused)?,
        };
        if let Some(access) = access.clone() {
            request.extensions_mut().insert(access);
        }
        self.check_access(access.as_ref(), needs, pass.run.as_ref())
            .await
            .map_err(refused)?;
        request.extensions_mut().insert(pass);
        Ok(())
    }

    /// Checks again whether an open request is still admitted: its session may have ended, or its token may have expired. The check does
    /// not keep the session alive.
    pub async fn still_admits(&self, pass: &Pass) -> bool {
        let Ok(access) = self.recognize(&pass.headers, &pass.peer).await else {
            return false;
        };
        let checked = self.check_access(access.as_ref(), pass.needs, pass.run.as_ref());
        checked.await.is_ok()
    }

    async fn check_access(
        &self,
        access: Option<&Access>,
        needs: Needs,
        run: Option<&RunId>,
    ) -> Result<(), Problem> {
        if needs == Needs::Nothing {
            return Ok(());
        }
        let access = access.ok_or_else(Problem::unauthenticated)?;
        match needs {
            Needs::Nothing | Needs::Login => Ok(()),
            Needs::Role(role) | Needs::Somewhere(role) if !access.has(role) => {
                Err(Problem::denied(access, role))
            }
            Needs::Role(role) => self.check_run(access, role, run.cloned()).await,
            Needs::Somewhere(_) => Ok(()),
        }
    }

    /// Checks the client's role for the run in the path; without a run in the path, its role for all workflows and targets.
    async fn check_run(
        &self,
        access: &Access,
        role: Role,
        run: Option<RunId>,
    ) -> Result<(), Problem> {
        if access.has_everywhere(role) {
            return Ok(());
        }
        let Some(run) = run else {
            return Err(Problem::denied(access, role));
        };
        match self.ask(move |runs| runs.run(&run)).await {
            Ok(shown) => access.need_of(role, &shown),
            // The handler reports this.
            Err(problem) if problem.code == "no-such-run" => Ok(()),
            // The run's workflow and target can't be read.
            Err(_) => Err(Problem::denied(access, role)),
        }
    }

    /// Returns what a request needs. A request that matches no route needs the role `viewer`.
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

    /// Returns who sent a request, and notes that the session is in use.
    async fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<Option<Access>, Problem> {
        let access = self.recognize(headers, peer).await?;
        let is_of_session = access.is_some() && !headers.contains_key(header::AUTHORIZATION);
        if let Some(cookie) = self.cookie(Purpose::Session, headers)
            && is_of_session
        {
            self.in_sessions(move |all| all.touch(&cookie, now()))
                .await?;
        }
        Ok(access)
    }

    /// Returns who sent a request: by the token in its header (even if the token is wrong), otherwise by its cookie, otherwise by its
    /// client certificate.
    async fn recognize(&self, headers: &HeaderMap, peer: &Peer) -> Result<Option<Access>, Problem> {
        let by = if is_of_assistant(headers) {
            "header, by an assistant"
        } else {
            "header"
        };
        if let Some(header) = headers.get(header::AUTHORIZATION) {
            let token = header.to_str().ok();
            let Some(token) = token.and_then(bearer) else {
                return Ok(None);
            };
            if let Some(known) = self.tokens.find(token) {
                return Ok(Some(self.access(&known.identity(), by, peer)));
            }
            // A token of a provider is a JWT, which has three parts.
            let Some(provider) = self.provider.as_ref() else {
                return Ok(None);
            };
            if token.split('.').count() != 3 {
                return Ok(None);
            }
            let identity = provider.identify(token).await.map_err(oidc::problem)?;
            return Ok(Some(self.access(&identity, by, peer)));
        }
        if let Some(cookie) = self.cookie(Purpose::Session, headers) {
            let found = self
                .in_sessions(move |all| all.find(&cookie, now()))
                .await?;
            let access = found.and_then(|found| {
                let access = self.access(&self.identity_of(&found.proof)?, "browser", peer);
                // After a change of name or roles, the person has to log in again.
                (access.digest() == found.entitled).then_some(access)
            });
            return Ok(access);
        }
        let machine = peer.machine.as_deref();
        let machine = machine.and_then(|machine| machine.identity(now()));
        Ok(machine.map(|machine| self.access(machine, "TLS", peer)))
    }

    fn access(&self, identity: &Identity, by: &str, peer: &Peer) -> Access {
        identity.access(&self.grants, by, peer.address)
    }

    /// Returns the identity behind a session; `None` if the token or provider that began it is no longer valid.
    fn identity_of(&self, proof: &Proof) -> Option<Identity> {
        match proof {
            Proof::Token { sha256 } => Some(self.tokens.with_digest(*sha256)?.identity()),
            Proof::Provider {
                issuer,
                name,
                groups,
            } => {
                let provider = self.provider.as_ref();
                provider.filter(|provider| provider.config.issuer == *issuer)?;
                Some(Identity {
                    name: name.clone(),
                    groups: groups.clone(),
                    how: format!("OpenID Connect {issuer}"),
                    roles: Vec::new(),
                })
            }
        }
    }

    /// Starts a session for the token in the address that the server printed. The address works once.
    async fn redeem(&self, token: &str, headers: &HeaderMap, peer: Peer) -> Response {
        let is_good = self.take_ticket(Digest::of_content(token.as_bytes()));
        let owner = self.tokens.owner().filter(|_| is_good);
        match owner {
            Some(owner) => self.log_in(owner.sha256, "/", headers, peer).await,
            None => page::login(
                StatusCode::UNAUTHORIZED,
                Some("This link has already been used, or is not valid. Log in with a token."),
                &page::LoginWay {
                    has_provider: self.provider.is_some(),
                    next: String::new(),
                },
            ),
        }
    }

    /// Starts a session for a token, sets its cookie, and redirects to `next`.
    pub async fn log_in(
        &self,
        token: Digest,
        next: &str,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Response {
        let Some(known) = self.tokens.with_digest(token) else {
            return Problem::unauthenticated().into_response();
        };
        let proof = Proof::Token { sha256: token };
        let identity = known.identity();
        let cookie = self.session_cookie(proof, &identity, headers, peer);
        match cookie.await {
            Ok(cookie) => page::see_other(next, Some(cookie)),
            Err(problem) => problem.into_response(),
        }
    }

    /// Starts a session, and returns its cookie.
    pub async fn session_cookie(
        &self,
        proof: Proof,
        identity: &Identity,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Result<HeaderValue, Problem> {
        let access = self.access(identity, "browser", &peer);
        let begins = Begins {
            proof,
            name: identity.name.clone(),
            how: identity.how.clone(),
            from: peer.address.ip().to_string(),
            entitled: access.digest(),
        };
        let cookie = self
            .in_sessions(move |all| all.begin(&begins, now()))
            .await?;
        let cookie = cookie.ok_or_else(|| broken("the system could not provide random bytes"))?;
        let cookie = self.set_cookie(Purpose::Session, headers, &cookie, SameSite::Strict, None);
        cookie.ok_or_else(|| broken("the session's cookie can't be set"))
    }
}

/// Gives the usual form to an answer of the router: it refuses paths and methods without saying why, or as plain text.
fn as_problem(answer: Response, method: &Method) -> Response {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.is_empty() && !kind.starts_with("text/plain") {
        return answer;
    }
    let problem = match answer.status() {
        StatusCode::BAD_REQUEST => Problem::bad("the address can't be read"),
        StatusCode::NOT_FOUND => super::route::not_found(),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "bad-request",
            format!("this address can't be used with {method}"),
        ),
        _ => return answer,
    };
    let mut response = problem.into_response();
    let allowed = answer.headers().get(header::ALLOW).cloned();
    let headers = response.headers_mut();
    headers.extend(allowed.map(|allowed| (header::ALLOW, allowed)));
    response
}

/// Returns the token of an Authorization header. The name of a scheme may be in any case (RFC 9110).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("Bearer");
    is_bearer.then_some(token.trim())
}

/// Says whether an assistant sent a request through `windlass mcp`, which says so itself.
fn is_of_assistant(headers: &HeaderMap) -> bool {
    let client = headers.get(CLIENT_HEADER);
    client.is_some_and(|client| client.as_bytes() == ASSISTANT.as_bytes())
}

/// Says whether a page sent a request by itself: a stream, or the update that follows one of its events. Such requests do not keep a
/// session alive.
fn is_automatic(request: &Request) -> bool {
    request.uri().path().ends_with("/stream") || request.headers().contains_key(UPDATE)
}

/// Returns the page that a request wants to see.
fn wanted_page(uri: &Uri) -> Option<String> {
    local_path(uri.path_and_query()?.as_str())
}

/// Returns a path of this server to which a login may lead; `None` for an address of another server, which a link could hide.
pub fn local_path(text: &str) -> Option<String> {
    let is_local = text.starts_with('/')
        && !text.starts_with("//")
        && !text.contains(['\\', '\r', '\n', '\t'])
        && !["/login", "/logout", "/api/", "/hooks/", "/assets/"]
            .iter()
            .any(|start| text.starts_with(start));
    is_local.then(|| text.to_owned())
}

fn broken(why: &str) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "system", why)
}

/// Returns the run in a path; `matched` is the route's pattern, which shows where it is.
fn run_in(matched: &str, path: &str) -> Option<RunId> {
    let mut parts = matched.split('/').zip(path.split('/'));
    let (_, run) = parts.find(|(name, _)| *name == "{run}")?;
    RunId::parse(run)
}

fn foreign(why: Foreign) -> Problem {
    let detail = match why {
        Foreign::Host => "the Host header names another server",
        Foreign::Origin => "the request comes from another web page",
    };
    Problem::new(StatusCode::FORBIDDEN, "foreign-request", detail)
}

/// Returns the token in `/?token=…`, the address that the server printed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_only_to_pages_of_this_server() {
        for path in ["/", "/runs/20261123-223401482-k3f9ma?step=a", "/waiting"] {
            assert_eq!(local_path(path).as_deref(), Some(path));
        }
        for path in [
            "",
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example",
            "/\t/evil.example",
            "javascript:alert(1)",
            "/login",
            "/logout",
            "/api/v1/runs",
        ] {
            assert_eq!(local_path(path), None, "{path}");
        }
    }

    #[test]
    fn the_scheme_of_a_token_may_be_in_any_case() {
        for header in ["Bearer abc", "bearer abc", "BEARER  abc "] {
            assert_eq!(bearer(header), Some("abc"), "{header}");
        }
        for header in ["Basic abc", "Bearer", "abc"] {
            assert_eq!(bearer(header), None, "{header}");
        }
    }
}
