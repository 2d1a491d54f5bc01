use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    sync::Notify,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, NamedGroup, ProtocolVersion, SignatureScheme,
        client::{
            ClientSessionMemoryCache, ClientSessionStore, ResolvesClientCert, Resumption,
            Tls12ClientSessionValue, Tls13ClientSessionValue,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{
            CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
            verify_tls13_signature,
        },
        pki_types::{CertificateDer, ServerName, UnixTime},
        sign::CertifiedKey,
    },
};
use windlass_ground::{boxed, lock};

use super::material;
use crate::{
    outside::{http::HttpClient, proxy::Proxies},
    value::{Failure, FailureClass, Secret, causes},
    x509::{Certificate, pem},
};

/// How long a server that requested a certificate may take to reject the client. A server that accepts it shows this sooner: it sends
/// a session ticket, or data.
const REFUSAL: Duration = Duration::from_secs(1);

/// The options for requesting a server's chain.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The name in the client's hello (SNI); `None` for none.
    pub server_name: Option<String>,
    /// The protocols to offer, such as `h2`; empty for none.
    pub alpn: Vec<String>,
    /// A client certificate with its chain, and its key, PEM.
    pub identity: Option<(String, Secret)>,
    /// The time limit for everything.
    pub timeout: Duration,
}

/// The chain that a server presents. It is only verified that the server has the key of its certificate.
#[derive(Clone, Debug)]
pub struct Served {
    /// The whole chain, as it was sent.
    pub pem: String,
    pub certificates: Vec<Certificate>,
    /// `1.3` or `1.2`.
    pub tls: &'static str,
    /// The protocol that the server chose.
    pub alpn: Option<String>,
    /// Whether the server asked for a client certificate.
    pub asks_for_certificate: bool,
    /// Whether the server accepted the connection. In TLS 1.3, the handshake succeeds for a client without a certificate, which is
    /// rejected afterwards (RFC 8446, 4.4.2.4).
    pub is_accepted: bool,
    /// The reason why it did not.
    pub refusal: Option<String>,
}

impl HttpClient {
    /// Reads the chain of a server, if the target allows the host, through the proxies of the environment.
    ///
    /// # Errors
    /// A host that the target does not allow, a server that can't be reached, or one that presents no chain.
    #[boxed]
    pub async fn tls_chain(&self, host: &str, port: u16, probe: &Probe) -> Result<Served, Failure> {
        let operation = format!("read the chain of {host}:{port}");
        self.check_host(&operation, host)?;
        let read = async {
            let proxies = Proxies::of_environment();
            let connection = super::dial::dial(&operation, host, port, &proxies).await?;
            served_chain(&operation, connection, probe).await
        };
        let read = tokio::time::timeout(probe.timeout, read).await;
        read.unwrap_or_else(|_| Err(no_answer(&operation, probe.timeout)))
    }
}

/// Returns the failure for a server that exceeded the time limit.
pub(in crate::outside) fn no_answer(operation: &str, timeout: Duration) -> Failure {
    let why = format!("no answer came within {} s", timeout.as_secs_f64());
    Failure::new(FailureClass::Timeout, operation, "Timeout", why)
}

/// Makes a handshake over a connection and returns what the server presented.
///
/// # Errors
/// A server that presents no certificate, or a client certificate that can't be used.
pub(in crate::outside) async fn served_chain<S>(
    operation: &str,
    connection: S,
    probe: &Probe,
) -> Result<Served, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let rejected =
        |code: &str, why: String| Failure::new(FailureClass::Rejected, operation, code, why);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let witness = Arc::new(Witness::new(probe, &provider).map_err(|e| rejected("BadIdentity", e))?);
    let config = configuration(&witness, provider, &probe.alpn)
        .map_err(|e| rejected("BadRequest", e.to_string()))?;
    let name = match &probe.server_name {
        Some(name) => ServerName::try_from(name.clone()).map_err(|_| {
            rejected(
                "BadName",
                format!("`{name}` is not a name that a server can have"),
            )
        })?,
        // An address is not sent.
        None => ServerName::from(std::net::IpAddr::from([127, 0, 0, 1])),
    };
    let connector = TlsConnector::from(Arc::new(config));
    let (refusal, alpn) = match connector.connect(name, connection).await {
        Ok(mut stream) => {
            let alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            (witness.refusal(&mut stream).await, alpn)
        }
        Err(error) if witness.has_seen_chain() => (Some(causes(&error)), None),
        Err(error) => return Err(no_chain(operation, &error)),
    };
    let seen = lock(&witness.seen);
    let pem: String = seen
        .chain
        .iter()
        .map(|der| pem::encode("CERTIFICATE", der))
        .collect();
    let certificates = Certificate::read_all(pem.as_bytes())
        .map_err(|e| rejected("NotX509", format!("of the chain that was sent, {e}")))?;
    Ok(Served {
        pem,
        certificates,
        tls: match seen.version {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            _ => "1.3",
        },
        alpn: alpn.map(|name| String::from_utf8_lossy(&name).into_owned()),
        asks_for_certificate: witness.is_asked.load(Ordering::Relaxed),
        is_accepted: refusal.is_none(),
        refusal,
    })
}

fn no_chain(operation: &str, error: &std::io::Error) -> Failure {
    let why = causes(error);
    let tls = error
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>());
    let (class, code) = match tls {
        Some(rustls::Error::InvalidMessage(_)) => (FailureClass::Rejected, "NotTls"),
        Some(_) => (FailureClass::Rejected, "NoChain"),
        None => (FailureClass::Unavailable, "ConnectionLost"),
    };
    Failure::new(class, operation, code, why)
}

fn configuration(
    witness: &Arc<Witness>,
    provider: Arc<CryptoProvider>,
    alpn: &[String],
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(witness.clone())
        .with_client_cert_resolver(witness.clone());
    config.alpn_protocols = alpn.iter().map(|name| name.clone().into_bytes()).collect();
    config.resumption = Resumption::store(witness.clone());
    Ok(config)
}

/// Records what a server does in a handshake.
#[derive(Debug)]
struct Witness {
    algorithms: WebPkiSupportedAlgorithms,
    identity: Option<Arc<CertifiedKey>>,
    seen: Mutex<Seen>,
    is_asked: AtomicBool,
    has_ticket: Notify,
    sessions: ClientSessionMemoryCache,
}

#[derive(Debug, Default)]
struct Seen {
    chain: Vec<CertificateDer<'static>>,
    version: Option<ProtocolVersion>,
}

impl Witness {
    fn new(probe: &Probe, provider: &CryptoProvider) -> Result<Self, String> {
        let identity = probe.identity.as_ref().map(|(certificate, key)| {
            let certificate = ("client_certificate", certificate.as_str());
            material::identity(certificate, ("client_key", key), provider)
        });
        Ok(Self {
            algorithms: provider.signature_verification_algorithms,
            identity: identity.transpose()?,
            seen: Mutex::default(),
            is_asked: AtomicBool::new(false),
            has_ticket: Notify::new(),
            sessions: ClientSessionMemoryCache::new(1),
        })
    }

    fn has_seen_chain(&self) -> bool {
        let seen = lock(&self.seen);
        !seen.chain.is_empty()
    }

    /// Waits until it is known whether the server accepted a client from which it requested a certificate. In TLS 1.2, the
    /// handshake itself shows it.
    async fn refusal<S>(&self, stream: &mut TlsStream<S>) -> Option<String>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let version = stream.get_ref().1.protocol_version();
        if !self.is_asked.load(Ordering::Relaxed) || version == Some(ProtocolVersion::TLSv1_2) {
            return None;
        }
        let mut byte = [0];
        tokio::select! {
            read = stream.read(&mut byte) => match read {
                Ok(0) => Some("the server closed the connection after the handshake".into()),
                Ok(_) => None,
                Err(error) => Some(causes(&error)),
            },
            () = self.has_ticket.notified() => None,
            () = tokio::time::sleep(REFUSAL) => None,
        }
    }

    fn note_version(&self, version: ProtocolVersion) {
        let mut seen = lock(&self.seen);
        seen.version = Some(version);
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let mut seen = lock(&self.seen);
        seen.chain = chain.map(|der| der.clone().into_owned()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.note_version(ProtocolVersion::TLSv1_2);
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.note_version(ProtocolVersion::TLSv1_3);
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ResolvesClientCert for Witness {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.is_asked.store(true, Ordering::Relaxed);
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A server sends a ticket only to a client that it has accepted (RFC 8446, 4.6.1).
impl ClientSessionStore for Witness {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.sessions.set_kx_hint(name, group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.sessions.kx_hint(name)
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.sessions.set_tls12_session(name, value);
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.sessions.tls12_session(name)
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.sessions.remove_tls12_session(name);
    }

    fn insert_tls13_ticket(&self, _name: ServerName<'static>, _value: Tls13ClientSessionValue) {
        self.has_ticket.notify_one();
    }

    fn take_tls13_ticket(&self, _name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}
