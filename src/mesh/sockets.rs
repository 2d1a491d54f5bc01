//! Listens on the ports of players like the real ones, for port-forward.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio_rustls::TlsAcceptor;

use super::{
    ca::Leaf,
    matrix::names,
    member::{MANAGEMENT, member},
    player::{Istiod, Player, Proxy, Ztunnel},
    pods,
    relay::{Agent, Server},
    report, ztunnel,
};
use crate::x509;
use windlass_cluster::{Cluster, Offline, Ports, StateError, nothing_listens};
use windlass_ground::lock;

/// The size of a socket's buffer.
const BUFFER: usize = 64 * 1024;

/// The ports of the pods of one cluster of a mesh.
#[derive(Debug)]
pub(super) struct Sockets {
    folder: PathBuf,
    name: String,
    /// The clusters that were opened.
    open: Mutex<BTreeMap<String, Arc<Offline>>>,
}

/// The kind of server that listens on a port.
enum Listener {
    Tls(Arc<ServerConfig>),
    /// Documents by path, or by path and query.
    Http(Vec<(&'static str, &'static str, String)>),
}

impl Sockets {
    pub fn new(folder: &Path, name: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            open: Mutex::default(),
        }
    }

    fn cluster(&self, name: &str) -> Result<Arc<Offline>, StateError> {
        let mut open = lock(&self.open);
        if let Some(found) = open.get(name) {
            return Ok(found.clone());
        }
        let opened = Offline::open(member(&self.folder, name, None));
        let opened = Arc::new(opened.map_err(|error| StateError::new(error.to_string()))?);
        open.insert(name.to_owned(), opened.clone());
        Ok(opened)
    }

    fn listener(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
    ) -> Result<Option<Listener>, StateError> {
        let cluster = self.cluster(&self.name)?;
        cluster.catch_up()?;
        if self.name == MANAGEMENT && port == 9091 {
            let is_server = cluster
                .read(|it| Server::find(it, namespace, pod))?
                .is_some();
            return if is_server {
                Ok(Some(metrics(self.connected()?)))
            } else {
                Ok(None)
            };
        }
        cluster.read(|cluster| find(cluster, namespace, pod, port))
    }

    /// Returns the metrics of the relay, which show which cluster's agent is connected.
    fn connected(&self) -> Result<String, StateError> {
        let mut clusters = Vec::new();
        for name in names(&self.folder)? {
            if name == MANAGEMENT {
                continue;
            }
            let cluster = self.cluster(&name)?;
            cluster.catch_up()?;
            let agents = cluster.read(Agent::all)?;
            let is_connected = agents.iter().any(|agent| agent.connected.is_some());
            clusters.push((name, is_connected));
        }
        Ok(report::relay_metrics(&clusters))
    }
}

impl Ports for Sockets {
    fn connect(&self, namespace: &str, pod: &str, port: u16) -> Result<DuplexStream, String> {
        let found = self.listener(namespace, pod, port);
        let found = found.map_err(|error| error.to_string())?;
        let listener = found.ok_or_else(|| nothing_listens(pod, port))?;
        let (near, far) = tokio::io::duplex(BUFFER);
        tokio::spawn(async move {
            match listener {
                Listener::Tls(config) => serve_tls(far, config).await,
                Listener::Http(pages) => serve_http(far, pages).await,
            }
        });
        Ok(near)
    }
}

fn metrics(text: String) -> Listener {
    Listener::Http(vec![("/metrics", "text/plain; version=0.0.4", text)])
}

fn dump(text: String) -> Listener {
    Listener::Http(vec![("/config_dump", "application/json", text)])
}

/// Serves Envoy's dump, whole or only its secrets.
fn envoy(proxy: &Proxy) -> Listener {
    let secrets = "/config_dump?resource=dynamic_active_secrets";
    let kind = "application/json";
    Listener::Http(vec![
        ("/config_dump", kind, report::envoy(proxy)),
        (secrets, kind, report::envoy_secrets(proxy)),
    ])
}

fn find(
    cluster: &Cluster,
    namespace: &str,
    pod: &str,
    port: u16,
) -> Result<Option<Listener>, StateError> {
    if let Some(istiod) = Istiod::find(cluster, namespace, pod)? {
        return Ok(match port {
            15012 | 15017 => tls(&istiod.serving, None),
            15014 => Some(metrics(report::istiod_metrics(&istiod, cluster.now()))),
            _ => None,
        });
    }
    if let Some(proxy) = Proxy::find(cluster, namespace, pod)? {
        return Ok((port == 15000).then(|| envoy(&proxy)));
    }
    if let Some(tunnel) = Ztunnel::find(cluster, namespace, pod)? {
        return Ok((port == 15000).then(|| dump(report::ztunnel(&tunnel))));
    }
    if let Some(server) = Server::find(cluster, namespace, pod)? {
        let leaf = server.serving.as_ref().filter(|_| port == 9900);
        return Ok(leaf.and_then(|leaf| tls(leaf, Some(&server.clients))));
    }
    // ztunnel opens the HBONE port inside the pods of its node.
    let found = cluster.find("pods", namespace, pod)?;
    let (Some(found), 15008) = (found, port) else {
        return Ok(None);
    };
    for tunnel in Ztunnel::all(cluster)? {
        if ztunnel::is_on(cluster, &tunnel, &found)? {
            let own = pods::identity(&found);
            let one = tunnel.identities.iter().find(|one| one.name == own);
            return Ok(one
                .and_then(|one| Some((one.leaf.as_ref()?, &one.roots)))
                .and_then(|(leaf, roots)| tls(leaf, Some(roots))));
        }
    }
    Ok(None)
}

/// Returns a listener that presents a leaf; `None` if the leaf can't be used.
fn tls(leaf: &Leaf, clients: Option<&String>) -> Option<Listener> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .ok()?;
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(bundle) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(x509::certificates(bundle).ok()?);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.ok()?)
        }
    };
    let chain = x509::certificates(&leaf.chain).ok()?;
    let key = x509::private_key(&leaf.key).ok()?;
    let mut config = config.with_single_cert(chain, key).ok()?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(Listener::Tls(Arc::new(config)))
}

/// Makes the handshake and keeps the connection until the client closes it; ignores what is sent over it.
async fn serve_tls(socket: DuplexStream, config: Arc<ServerConfig>) {
    match TlsAcceptor::from(config).accept(socket).await {
        // rustls has sent the client an alert.
        Err(_) => {}
        Ok(mut stream) => {
            let mut ignored = [0; 1024];
            while let Ok(1..) = stream.read(&mut ignored).await {}
        }
    }
}

async fn serve_http(socket: DuplexStream, pages: Vec<(&'static str, &'static str, String)>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let uri = request.uri();
        let asked = uri.path_and_query().map_or("/", |asked| asked.as_str());
        let page_of = |wanted: &str| pages.iter().find(|(path, ..)| *path == wanted);
        let page = page_of(asked).or_else(|| page_of(uri.path()));
        let (status, kind, text) = match page {
            Some((_, kind, text)) => (200, *kind, text.clone()),
            None => (404, "text/plain", "not found\n".into()),
        };
        let answer = Response::builder()
            .status(status)
            .header("content-type", kind)
            .body(text);
        async move { answer }
    });
    // An error means that the client closed the connection.
    let _ = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), answer)
        .await;
}
