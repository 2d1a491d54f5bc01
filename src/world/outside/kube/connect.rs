//! Makes connections to an API server.
//!
//! They are made here and not by the `kube` crate, which compares `NO_PROXY` with the proxy instead of the server (5.0), runs an exec
//! plugin several times, and rejects a server's own certificate as its CA. The `kube` crate still reads the other settings
//! of a kubeconfig (client certificates, impersonation, `auth-provider`).

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use data_encoding::BASE64;
use form_urlencoded::parse;
use http::{HeaderValue, Uri};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client as HttpClient,
        connect::{
            Connect, Connection, HttpConnector,
            proxy::{SocksV5, Tunnel},
        },
    },
    rt::{TokioExecutor, TokioIo},
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt},
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::rustls::{ClientConfig, client::Resumption, pki_types::ServerName};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

use super::{
    super::proxy::Proxies,
    login::{Denied, Login},
    plugin::Plugin,
    trust::Trust,
};
use crate::value::{Failure, FailureClass, causes};
use windlass_ground::lock;

/// The same as in client-go's dialer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Keeps the `kube` crate from looking for a proxy in the environment; never connected to.
const NO_PROXY_OF_KUBE: &str = "http://unused.invalid";

/// The address of a cluster, and the caller's login.
pub struct Access {
    config: Config,
    login: Login,
}

/// The reason why a configuration can't be used.
pub struct Unusable {
    code: &'static str,
    why: String,
    hint: Option<String>,
}

impl Unusable {
    pub(super) fn failure(self, operation: &str) -> Failure {
        let failure = Failure::new(FailureClass::Rejected, operation, self.code, self.why);
        match self.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

impl Access {
    /// Reads a context of a kubeconfig. As in kubectl, its `proxy-url` takes precedence over the proxies and exceptions of the
    /// environment.
    ///
    /// # Errors
    /// A kubeconfig that can't be used; no request is sent to the cluster.
    pub(super) async fn of_kubeconfig(
        mut kubeconfig: Kubeconfig,
        context: &str,
        authorities: Option<Vec<Vec<u8>>>,
        proxies: &Proxies,
    ) -> Result<Self, Unusable> {
        let named = kubeconfig.contexts.iter().find(|c| c.name == context);
        let cluster = named
            .and_then(|c| c.context.as_ref())
            .map(|c| c.cluster.clone());
        let clusters = kubeconfig.clusters.iter_mut();
        let own = clusters
            .filter(|c| Some(&c.name) == cluster.as_ref())
            .find_map(|c| c.cluster.as_mut());
        let mut own_proxy = None;
        if let Some(cluster) = own {
            own_proxy = cluster.proxy_url.replace(NO_PROXY_OF_KUBE.into());
        }
        let own_proxy = own_proxy.filter(|url| !url.is_empty());
        let options = KubeConfigOptions {
            context: Some(context.to_owned()),
            ..KubeConfigOptions::default()
        };
        let read = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut config = read.map_err(|e| bad(causes(&e)))?;
        if authorities.is_some() {
            config.root_cert = authorities;
        }
        // A plugin that wants cluster information also gets the proxy.
        if let Some(cluster) = config
            .auth_info
            .exec
            .as_mut()
            .and_then(|e| e.cluster.as_mut())
        {
            cluster.proxy_url.clone_from(&own_proxy);
        }
        let proxy = own_proxy.or_else(|| proxies.of_uri(&config.cluster_url).map(str::to_owned));
        Self::new(config, proxy)
    }

    /// Uses the service account of the pod that this process runs in.
    pub(super) fn of_pod(config: Config, proxies: &Proxies) -> Result<Self, Unusable> {
        let proxy = proxies.of_uri(&config.cluster_url).map(str::to_owned);
        Self::new(config, proxy)
    }

    fn new(mut config: Config, proxy: Option<String>) -> Result<Self, Unusable> {
        let parse = |url: String| match url.parse::<Uri>() {
            Ok(read) if read.host().is_some() && read.scheme().is_some() => Ok(read),
            _ => Err(bad(
                "the address of the proxy is not a URL such as http://proxy.example:3128",
            )),
        };
        config.proxy_url = proxy.map(parse).transpose()?;
        let login = Login::take(&mut config.auth_info).map_err(|denied| Unusable {
            code: "Unauthenticated",
            why: denied.why,
            hint: denied.hint,
        })?;
        Ok(Self { config, login })
    }

    /// Prepares connections without sending a request.
    pub(super) async fn client(self) -> Result<(Client, Login), Unusable> {
        let Self { config, login } = self;
        // The login's certificate is part of each connection.
        login.header().await.map_err(denied)?;
        let tls = tls(&config, &login)?;
        let direct = direct();
        let Some(proxy) = config.proxy_url.clone() else {
            return Ok((client(direct, tls, &config, &login)?, login));
        };
        let user = user_of(&proxy);
        let client = match proxy.scheme_str() {
            Some("http") => client(tunnel(&proxy, direct, user)?, tls, &config, &login),
            Some("https") => client(
                tunnel(&proxy, to_proxy(direct)?, user)?,
                tls,
                &config,
                &login,
            ),
            Some("socks5" | "socks5h") => {
                client(socks(&proxy, direct, user)?, tls, &config, &login)
            }
            _ => {
                let scheme = proxy.scheme_str().unwrap_or_default();
                let why = format!("a proxy is asked by http, https or socks5, not by {scheme}");
                return Err(bad(why));
            }
        };
        Ok((client?, login))
    }
}

fn bad(why: impl Into<String>) -> Unusable {
    Unusable {
        code: "BadKubeconfig",
        why: why.into(),
        hint: None,
    }
}

fn denied(denied: Denied) -> Unusable {
    Unusable {
        code: "Unauthenticated",
        why: denied.why,
        hint: denied.hint,
    }
}

/// A connection of any kind.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// Connects to a server through a proxy, for a client of a protocol other than HTTP.
///
/// # Errors
/// The proxy can't be used, or does not connect.
pub(in crate::outside) async fn through_proxy(
    proxy: &str,
    server: Uri,
) -> Result<Box<dyn ByteStream>, String> {
    let proxy: Uri = proxy
        .parse()
        .map_err(|_| "its address is not a URL such as http://proxy.example:3128")?;
    let user = user_of(&proxy);
    let direct = direct();
    let unusable = |e: Unusable| e.why;
    match proxy.scheme_str() {
        Some("http") => {
            let tunnel = tunnel(&proxy, direct, user).map_err(unusable)?;
            connected(tunnel, server).await
        }
        Some("https") => {
            let to_proxy = to_proxy(direct).map_err(unusable)?;
            let tunnel = tunnel(&proxy, to_proxy, user).map_err(unusable)?;
            connected(tunnel, server).await
        }
        Some("socks5" | "socks5h") => {
            let socks = socks(&proxy, direct, user).map_err(unusable)?;
            connected(socks, server).await
        }
        _ => Err("a proxy is asked by http, https or socks5".into()),
    }
}

async fn connected<C>(connector: C, server: Uri) -> Result<Box<dyn ByteStream>, String>
where
    C: Service<Uri>,
    C::Response: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    C::Error: Into<BoxError>,
{
    match connector.oneshot(server).await {
        Ok(connection) => Ok(Box::new(TokioIo::new(connection))),
        Err(error) => Err(causes(&*error.into())),
    }
}

/// Returns the TLS settings of the kubeconfig.
fn tls(config: &Config, login: &Login) -> Result<ClientConfig, Unusable> {
    // The `kube` crate would use each of these as a CA, and reject those that can't be one.
    let own = config
        .root_cert
        .clone()
        .filter(|_| config.root_cert_file.is_none());
    let mut read = config.clone();
    if own.is_some() {
        read.root_cert = Some(Vec::new());
    }
    let mut tls = read.rustls_client_config().map_err(|e| bad(causes(&e)))?;
    if let Some(own) = own
        && !config.accept_invalid_certs
    {
        let trust = Arc::new(Trust::new(&own));
        tls.dangerous().set_certificate_verifier(trust);
    }
    if let Login::Plugin(plugin) = login
        && !tls.client_auth_cert_resolver.has_certs()
    {
        tls.client_auth_cert_resolver = plugin.clone();
        // A resumed session would keep the earlier certificate.
        tls.resumption = Resumption::disabled();
    }
    Ok(tls)
}

/// Returns TLS settings with the system's CAs, for a proxy.
fn system_tls() -> Result<ClientConfig, Unusable> {
    let nowhere = Config::new(Uri::from_static(NO_PROXY_OF_KUBE));
    nowhere.rustls_client_config().map_err(|e| bad(causes(&e)))
}

fn client<C>(
    connector: C,
    tls: ClientConfig,
    config: &Config,
    login: &Login,
) -> Result<Client, Unusable>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    let builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http();
    let builder = match &config.tls_server_name {
        Some(name) => {
            let name = ServerName::try_from(name.clone())
                .map_err(|_| bad(format!("`tls-server-name: {name}` is not a host name")))?;
            builder.with_server_name_resolver(FixedServerNameResolver::new(name))
        }
        None => builder,
    };
    let https = builder.enable_http1().wrap_connector(connector);
    let http = Renewed::new(https, login);
    let unusable = |e: kube::Error| bad(causes(&e));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(unusable)?)
        .layer(config.extra_headers_layer().map_err(unusable)?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// An HTTP client that makes new connections when the exec plugin gives another certificate, as client-go does: the certificate is part
/// of a connection.
#[derive(Clone)]
struct Renewed<C> {
    connector: C,
    plugin: Option<Arc<Plugin>>,
    /// The connections, and the number of the plugin's certificate that they have.
    current: Arc<Mutex<(HttpClient<C, Body>, u64)>>,
}

impl<C: Connect + Clone> Renewed<C> {
    fn new(connector: C, login: &Login) -> Self {
        let plugin = match login {
            Login::Plugin(plugin) => Some(plugin.clone()),
            _ => None,
        };
        let certificate = plugin.as_ref().map_or(0, |plugin| plugin.certificate());
        Self {
            current: Arc::new(Mutex::new((connections(&connector), certificate))),
            connector,
            plugin,
        }
    }
}

/// Returns a client without connections.
fn connections<C: Connect + Clone>(connector: &C) -> HttpClient<C, Body> {
    HttpClient::builder(TokioExecutor::new()).build(connector.clone())
}

impl<C> Service<http::Request<Body>> for Renewed<C>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper_util::client::legacy::Error;
    type Future = hyper_util::client::legacy::ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let certificate = self
            .plugin
            .as_ref()
            .map_or(0, |plugin| plugin.certificate());
        let mut current = lock(&self.current);
        if current.1 != certificate {
            *current = (connections(&self.connector), certificate);
        }
        current.0.request(request)
    }
}

fn direct() -> HttpConnector {
    let mut direct = HttpConnector::new();
    direct.enforce_http(false);
    direct.set_nodelay(true);
    direct.set_connect_timeout(Some(CONNECT_TIMEOUT));
    direct
}

/// Makes connections to a proxy that uses TLS itself.
fn to_proxy(direct: HttpConnector) -> Result<HttpsConnector<HttpConnector>, Unusable> {
    let builder = HttpsConnectorBuilder::new().with_tls_config(system_tls()?);
    Ok(builder
        .https_or_http()
        .enable_http1()
        .wrap_connector(direct))
}

fn socks<C>(
    proxy: &Uri,
    connector: C,
    user: Option<(String, String)>,
) -> Result<SocksV5<C>, Unusable> {
    let socks = SocksV5::new(with_port(proxy, 1080)?, connector);
    Ok(match user {
        Some((name, password)) => socks.with_auth(name, password),
        None => socks,
    })
}

fn tunnel<C>(
    proxy: &Uri,
    connector: C,
    user: Option<(String, String)>,
) -> Result<Tunnel<C>, Unusable> {
    let usual = if proxy.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    let tunnel = Tunnel::new(with_port(proxy, usual)?, connector);
    let Some((name, password)) = user else {
        return Ok(tunnel);
    };
    let pair = BASE64.encode(format!("{name}:{password}").as_bytes());
    let mut header = HeaderValue::try_from(format!("Basic {pair}"))
        .map_err(|_| bad("the user of the proxy can't be sent"))?;
    header.set_sensitive(true);
    Ok(tunnel.with_auth(header))
}

/// Returns a proxy's address with its port, and without the user.
fn with_port(proxy: &Uri, usual: u16) -> Result<Uri, Unusable> {
    let scheme = proxy.scheme_str().unwrap_or("http");
    let host = proxy.host().unwrap_or_default();
    let port = proxy.port_u16().unwrap_or(usual);
    format!("{scheme}://{host}:{port}")
        .parse()
        .map_err(|_| bad("the address of the proxy is not a URL"))
}

/// Returns the user and the password of a URL, unescaped.
fn user_of(proxy: &Uri) -> Option<(String, String)> {
    let (user, _) = proxy.authority()?.as_str().rsplit_once('@')?;
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    // A plus sign is a space only in a form.
    let plain = |text: &str| {
        let text = text
            .replace('+', "%2B")
            .replace('&', "%26")
            .replace('=', "%3D");
        parse(text.as_bytes())
            .next()
            .map(|(text, _)| text.into_owned())
    };
    Some((
        plain(name).unwrap_or_default(),
        plain(password).unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_the_user_of_a_proxy_is_read_without_escapes() {
        let uri = Uri::from_static("http://us%40er:pa%3As+s@proxy.example");
        assert_eq!(user_of(&uri), Some(("us@er".into(), "pa:s+s".into())));
        assert_eq!(user_of(&Uri::from_static("http://proxy.example")), None);
    }
}
