use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Extension, Router,
    middleware::{from_fn, from_fn_with_state},
};
use http::StatusCode;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    access::{Tokens, random_token},
    admit::{Peer, admit},
    answer::Problem,
    guard::Guard,
    machine::Machine,
    oidc::{LoginSeal, Provider},
    options::{DeskOptions, Refused},
    route::{Route, fallback, table},
    session::Sessions,
    tls::{Certified, Files},
    views::Views,
};
use windlass_ground::{
    CLIENT_TIMEOUT, Limits, TlsListener, TlsPeer, lock, log_request, serve_each,
};
use windlass_notify::Outbox;
use windlass_runs::Runs;
use windlass_targets::GrantConfig;
use windlass_triggers::Triggers;
use windlass_world::value::Digest;

/// How long a stop waits for requests in progress.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// The largest number of connections, unless windlass.toml sets another. A process can usually have 1024 files open; a browser uses up to six
/// connections, and a terminal that follows a run uses two.
const CONNECTIONS: usize = 512;

/// The state that all handlers share.
#[derive(Clone)]
pub struct Desk(Arc<Parts>);

pub struct Parts {
    pub runs: Arc<dyn Runs>,
    pub triggers: Arc<Triggers>,
    pub outbox: Arc<Outbox>,
    pub tokens: Tokens,
    sessions: Arc<Sessions>,
    pub views: Arc<Views>,
    pub guard: Guard,
    /// The port that the server listens on.
    pub port: u16,
    pub is_tls: bool,
    /// How long a client may take for the body of a request.
    pub client_timeout: Duration,
    pub grants: Vec<GrantConfig>,
    /// The OpenID Connect provider with which people log in.
    pub provider: Option<Provider>,
    /// Encrypts the cookie of a login that has begun.
    pub login_seal: LoginSeal,
    pub routes: Vec<Route>,
    /// Ends streams when the server stops.
    pub stop: CancellationToken,
    /// The digest of the token in the printed address, until it is used.
    ticket: Mutex<Option<Digest>>,
}

impl Deref for Desk {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Desk {
    /// Reads or writes the sessions, on a thread that may block.
    ///
    /// # Errors
    /// Fails if the sessions can't be read or written now. This is not the same as a session that does not exist: the client is told to
    /// try again, not to log in.
    pub async fn in_sessions<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Sessions) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let sessions = self.sessions.clone();
        match tokio::task::spawn_blocking(move || ask(&sessions)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::error!(%error, "the sessions can't be read or written");
                Err(no_sessions())
            }
            Err(error) => {
                tracing::error!(%error, "reading the sessions was aborted");
                Err(no_sessions())
            }
        }
    }

    /// Returns whether `offered` is the valid ticket. If so, it is used up.
    pub fn take_ticket(&self, offered: Digest) -> bool {
        let mut ticket = lock(&self.ticket);
        let is_it = ticket.is_some_and(|ticket| ticket == offered);
        if is_it {
            *ticket = None;
        }
        is_it
    }
}

fn no_sessions() -> Problem {
    let detail = "the sessions can't be read or written now";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "system", detail)
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    url: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server. Once this returns, requests are answered.
    ///
    /// # Errors
    /// Fails if the address can't be listened on, or if other machines can reach it and TLS, a way to log in or the host names are not
    /// configured.
    pub async fn start(options: DeskOptions) -> Result<Self, Refused> {
        refuse_open(&options)?;
        let is_tls = options.tls.is_some();
        let client_ca = options.config.client_ca.clone();
        let files = options.tls.map(|(certificate, key)| Files {
            certificate,
            key,
            client_ca,
        });
        let certified = files.map(Certified::open).transpose()?;
        let provider = options.config.oidc.clone().map(Provider::new).transpose();
        let provider = provider.map_err(Refused::Provider)?;
        let sessions = (options.config.session_idle, options.config.session_limit);
        let failed = |error| Refused::Listen(options.listen, error);
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let ticket = random_token().ok_or(Refused::NoRandomness)?;
        let timeout = options.config.client_timeout.unwrap_or(CLIENT_TIMEOUT);
        let connections = options.config.max_connections;
        let limits = Limits {
            timeout,
            connections: connections.map_or(CONNECTIONS, NonZeroUsize::get),
        };
        let stop = CancellationToken::new();
        let desk = Desk(Arc::new(Parts {
            runs: options.runs,
            triggers: options.triggers,
            outbox: options.outbox,
            tokens: Tokens::new(options.owner.as_ref(), &options.config.tokens),
            sessions: Arc::new(Sessions::open(&options.state, sessions)?),
            views: Arc::new(Views::open(&options.state)?),
            guard: Guard::new(address, is_tls, &options.config.hosts),
            port: address.port(),
            is_tls,
            client_timeout: timeout,
            grants: options.config.grants.clone(),
            provider,
            login_seal: LoginSeal::new().ok_or(Refused::NoRandomness)?,
            routes: table(),
            stop: stop.clone(),
            ticket: Mutex::new(Some(Digest::of_content(ticket.as_bytes()))),
        }));
        let router = router(&desk);
        let router = move |peer: Peer| router.clone().layer(Extension(peer));
        let stopped = stop.clone().cancelled_owned();
        let task = match certified {
            None => {
                let router = move |address| router(Peer::at(address));
                tokio::spawn(serve_each(listener, router, limits, stopped))
            }
            Some(certified) => {
                let listener =
                    TlsListener::new(listener, timeout, move || certified.configuration());
                let listener = listener.map_err(failed)?;
                let router = move |peer: TlsPeer| {
                    let der = peer.certificate.as_deref();
                    router(Peer {
                        machine: der.and_then(Machine::of).map(Arc::new),
                        ..Peer::at(peer.address)
                    })
                };
                tokio::spawn(serve_each(listener, router, limits, stopped))
            }
        };
        let scheme = if is_tls { "https" } else { "http" };
        let host = options.config.hosts.first();
        let url = match (address.ip().is_loopback(), host) {
            (true, _) => format!("{scheme}://{address}/?token={ticket}"),
            (false, host) => {
                let host = host.map_or_else(|| address.ip().to_string(), Clone::clone);
                format!("{scheme}://{host}:{}/", address.port())
            }
        };
        Ok(Self {
            address,
            url,
            stop,
            task,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address for a browser. On loopback, it contains a token that works once.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops listening, ends streams, and waits for requests in progress.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(LAST_REQUESTS, &mut self.task).await;
    }
}

fn refuse_open(options: &DeskOptions) -> Result<(), Refused> {
    let listen = options.listen;
    if options.tls.is_none() && options.config.client_ca.is_some() {
        return Err(Refused::NoTlsForClients);
    }
    if listen.ip().is_loopback() {
        return Ok(());
    }
    if options.tls.is_none() {
        return Err(Refused::Plain(listen));
    }
    let config = &options.config;
    if config.tokens.is_empty() && config.oidc.is_none() && config.client_ca.is_none() {
        return Err(Refused::NoTokens(listen));
    }
    if options.config.hosts.is_empty() {
        Err(Refused::NoHosts(listen))
    } else {
        Ok(())
    }
}

fn router(desk: &Desk) -> Router {
    let mut router = Router::new();
    for route in table() {
        router = router.route(route.path, route.handler);
    }
    router
        .fallback(fallback)
        .layer(from_fn_with_state(desk.clone(), admit))
        .layer(from_fn(log_request))
        .with_state(desk.clone())
}
