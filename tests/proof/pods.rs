//! A rehearsal cluster in which something listens.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::Runtime,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig, SupportedProtocolVersion,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
        version::{TLS12, TLS13},
    },
};
use windlass::cluster::{Options, Ports, Seed, Server, kubeconfig, nothing_listens};

use super::made::{Authority, Leaf, ca, leaf};
use crate::harness::Test;

/// Serves TLS 1.3 and 1.2.
pub const ISTIOD: u16 = 15012;
/// Insists on a client certificate.
pub const RELAY: u16 = 9900;
/// The same, by TLS 1.2.
pub const OLD_RELAY: u16 = 9901;
/// Serves TLS 1.2 alone.
pub const OLD: u16 = 15017;
/// Answers `GET /small`, `/large`, `/huge`.
pub const HTTP: u16 = 15000;

/// What every pod of the cluster serves.
#[derive(Debug)]
struct Pods(BTreeMap<u16, Listener>);

#[derive(Clone, Debug)]
enum Listener {
    Tls(Arc<ServerConfig>),
    Http,
}

impl Ports for Pods {
    fn connect(&self, namespace: &str, pod: &str, port: u16) -> Result<DuplexStream, String> {
        assert_eq!(namespace, "istio-system");
        let listener = self
            .0
            .get(&port)
            .ok_or_else(|| nothing_listens(pod, port))?;
        let (theirs, ours) = tokio::io::duplex(64 << 10);
        match listener.clone() {
            Listener::Tls(config) => tokio::spawn(tls(config, ours)),
            Listener::Http => tokio::spawn(http(ours)),
        };
        Ok(theirs)
    }
}

/// Gives back what it gets.
async fn tls(config: Arc<ServerConfig>, stream: DuplexStream) {
    if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
        let (mut from, mut to) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut from, &mut to).await;
        let _ = to.shutdown().await;
    }
}

async fn http(mut stream: DuplexStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
        // TLS, most likely.
        if request[0] != b'G' {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            return;
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let (status, body) = match request.split(' ').nth(1).unwrap() {
        "/small" => ("200 OK", r#"{"up": true}"#.to_owned()),
        "/large" => ("200 OK", "0123456789abcdef".repeat(20_000)),
        "/huge" => ("200 OK", "x".repeat((1 << 20) + 1)),
        _ => ("404 Not Found", "no such page".to_owned()),
    };
    let kind = "content-type: application/json\r\nconnection: close";
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\n{kind}\r\ncontent-length: {length}\r\n\r\n{body}");
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// The cluster `c1` with its target `t`, a folder, and the certificates that are served.
pub struct Lab {
    pub test: Test,
    pub root: Authority,
    /// The chain that is served, leaf first.
    pub chain: String,
    /// A client that the relay accepts.
    pub client: Leaf,
    pub kubeconfig: String,
    _server: Server,
    // Dropped last.
    _runtime: Runtime,
}

impl Lab {
    pub fn new() -> Self {
        let root = Authority::root(ca("Root"));
        let issuing = root.below(ca("Issuing"));
        let served = issuing.leaf(&leaf(
            "istiod",
            &["istiod.istio-system.svc", "spiffe://td/x"],
        ));
        let client = issuing.leaf(&leaf("agent", &["cluster-1"]));
        let client = Leaf {
            pem: format!("{}{}", client.pem, issuing.pem),
            ..client
        };
        let chain = format!("{}{}", served.pem, issuing.pem);
        let config = |trusted: Option<&str>, versions: &[_]| {
            Listener::Tls(server_config(&chain, &served.key, trusted, versions))
        };
        let both = [&TLS13, &TLS12];
        let ports = Pods(BTreeMap::from([
            (ISTIOD, config(None, &both)),
            (RELAY, config(Some(&root.pem), &both)),
            (OLD_RELAY, config(Some(&root.pem), &[&TLS12])),
            (OLD, config(None, &[&TLS12])),
            (HTTP, Listener::Http),
        ]));
        let test = Test::new();
        let runtime = Runtime::new().unwrap();
        let options = Options {
            seed: Seed::Workload,
            ports: Some(Arc::new(ports)),
            ..Options::local(test.path("cluster"), "c1")
        };
        let server = runtime.block_on(Server::start(options)).unwrap();
        test.write("kubeconfig", &kubeconfig(&[server.access()]));
        let kubeconfig = test.path("kubeconfig").display().to_string();
        test.write(
            "windlass.toml",
            "[targets.t]\nkubeconfig = \"kubeconfig\"\nkube = { c1 = \"c1\" }\n",
        );
        Self {
            test,
            root,
            chain,
            client,
            kubeconfig,
            _server: server,
            _runtime: runtime,
        }
    }
}

pub fn server_config(
    chain: &str,
    key: &str,
    trusted: Option<&str>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let read = |pem: &str| {
        CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(Result::unwrap)
            .collect::<Vec<_>>()
    };
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_protocol_versions(versions).unwrap();
    let builder = match trusted {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(read(roots));
            let verifier = WebPkiClientVerifier::builder_with_provider(store.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    Arc::new(builder.with_single_cert(read(chain), key).unwrap())
}
