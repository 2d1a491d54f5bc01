//! TLS over TCP, as a listener for axum.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ConnectionCommon, Error, ServerConfig, SideData},
    server::TlsStream,
};

use crate::trouble::Trouble;

/// How long a handshake may take. A client that takes longer is disconnected.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many handshakes run at once; further clients wait in the queue of the operating system.
const AT_ONCE: usize = 256;
/// How many connections may wait until axum accepts them.
const WAITING: usize = 64;

type Connection = (TlsStream<TcpStream>, TlsPeer);

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct TlsPeer {
    pub address: SocketAddr,
    /// The certificate (DER) whose key the client has proved to own, if the configuration requests client certificates.
    pub certificate: Option<Vec<u8>>,
}

/// Accepts TLS connections. Each handshake has a task of its own, so a slow client does not delay others.
pub struct TlsListener {
    address: SocketAddr,
    connections: mpsc::Receiver<Connection>,
    accepting: JoinHandle<()>,
}

impl TlsListener {
    /// Accepts connections whose handshake takes no longer than `timeout`, and at most 10 s. `configuration` is called for
    /// each connection, so that certificates can be replaced.
    ///
    /// # Errors
    /// The listener has no local address.
    pub fn new(
        listener: TcpListener,
        timeout: Duration,
        configuration: impl Fn() -> Arc<ServerConfig> + Send + 'static,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, connections) = mpsc::channel(WAITING);
        let accepting = tokio::spawn(accept(
            listener,
            timeout.min(HANDSHAKE),
            configuration,
            sender,
        ));
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

async fn accept(
    listener: TcpListener,
    timeout: Duration,
    configuration: impl Fn() -> Arc<ServerConfig>,
    sender: mpsc::Sender<Connection>,
) {
    let mut trouble = Trouble::with("accept connections");
    let hands = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let hand = hands.clone().acquire_owned().await;
        let accepted = listener.accept().await;
        trouble.note(&accepted);
        let Ok((stream, peer)) = accepted else {
            // Usually too many open files, which is temporary.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Without this, a small response can wait 40 ms until the one before is acknowledged.
        let _ = stream.set_nodelay(true);
        let (acceptor, sender) = (TlsAcceptor::from(configuration()), sender.clone());
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(timeout, acceptor.accept(stream)).await;
            let stream = match shaken {
                Ok(Ok(stream)) => Some(stream),
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "a TLS handshake failed");
                    None
                }
                Err(_) => {
                    tracing::debug!(%peer, "a TLS handshake took too long");
                    None
                }
            };
            if let Some(stream) = stream {
                let chain = stream.get_ref().1.peer_certificates();
                let certificate = chain.and_then(|chain| chain.first());
                let peer = TlsPeer {
                    address: peer,
                    certificate: certificate.map(|der| der.to_vec()),
                };
                // Fails only after the server has stopped.
                let _ = sender.send((stream, peer)).await;
            }
            drop(hand);
        });
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = TlsPeer;

    async fn accept(&mut self) -> Connection {
        match self.connections.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<TlsPeer> {
        Ok(TlsPeer {
            address: self.address,
            certificate: None,
        })
    }
}

/// Carries the pending data of one side of a connection in memory to the other. Returns whether there was any.
///
/// # Errors
/// The reason that the other side rejects it.
pub fn carry<A: SideData, B: SideData>(
    from: &mut ConnectionCommon<A>,
    to: &mut ConnectionCommon<B>,
) -> Result<bool, Error> {
    let general = |e: std::io::Error| Error::General(e.to_string());
    let mut flight = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut flight).map_err(general)?;
    }
    let mut rest = &flight[..];
    while !rest.is_empty() {
        to.read_tls(&mut rest).map_err(general)?;
        to.process_new_packets()?;
    }
    Ok(!flight.is_empty())
}
