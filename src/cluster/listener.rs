//! TLS over TCP, for axum to serve on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
    server::TlsStream,
};

use crate::identity::Identity;

/// A client that takes longer than this to shake hands is not one.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that wait for axum to take them.
const WAITING: usize = 64;

type Connection = (TlsStream<TcpStream>, SocketAddr);

/// Accepts connections; each shakes hands on a task of its own, so a slow one holds up nobody.
pub(crate) struct TlsListener {
    address: SocketAddr,
    connections: mpsc::Receiver<Connection>,
    accepting: JoinHandle<()>,
}

impl TlsListener {
    /// Accepts connections whose handshake takes no longer than `timeout`, or 10 s.
    pub fn new(
        listener: TcpListener,
        identity: &Identity,
        timeout: Duration,
    ) -> Result<Self, TlsError> {
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(configuration(identity)?));
        let (sender, connections) = mpsc::channel(WAITING);
        let accepting = tokio::spawn(accept(listener, acceptor, timeout.min(HANDSHAKE), sender));
        Ok(Self {
            address,
            connections,
            accepting,
        })
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Why TLS can't be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error(transparent)]
    Listen(#[from] std::io::Error),
    #[error(transparent)]
    Tls(#[from] tokio_rustls::rustls::Error),
    #[error(transparent)]
    Pem(#[from] tokio_rustls::rustls::pki_types::pem::Error),
}

fn configuration(identity: &Identity) -> Result<ServerConfig, TlsError> {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut configuration = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(configuration)
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    timeout: Duration,
    sender: mpsc::Sender<Connection>,
) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Too many open files, most likely: it passes.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Without it, a small answer can wait 40 ms for the acknowledgement of the one before.
        drop(stream.set_nodelay(true));
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(timeout, acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = shaken {
                drop(sender.send((stream, peer)).await);
            }
        });
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        match self.connections.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}
