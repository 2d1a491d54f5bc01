use std::sync::Arc;

use strum::{Display, EnumString};
use time::OffsetDateTime;
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct,
    DistinguishedName, Error, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection,
    SignatureScheme, SupportedProtocolVersion,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
        verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};

use super::material;
use crate::{value::Secret, x509::PeerName};
use windlass_ground::carry;

/// More than any handshake needs, so that every handshake ends.
const MOST_FLIGHTS: usize = 20;

/// The two sides of a handshake.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The client; its `roots` are required.
    pub client: Side,
    /// The server; its `identity` is required. Without `roots` it requests no client certificate, with them it requires one.
    pub server: Side,
    /// The time that both use; `None` for the current time.
    pub at: Option<OffsetDateTime>,
    /// The version of TLS; `None` for the newest.
    pub version: Option<TlsVersion>,
}

/// The material of one side.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// A certificate with its chain, and its key, PEM.
    pub identity: Option<(String, Secret)>,
    /// The certificates that it trusts, PEM.
    pub roots: Option<String>,
    /// The name that the other side's certificate must have; `None` for any.
    pub peer: Option<PeerName>,
    pub alpn: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString)]
pub enum TlsVersion {
    #[strum(serialize = "1.2")]
    Tls12,
    #[strum(serialize = "1.3")]
    Tls13,
}

/// The outcome of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// The version that was used; `None` if the handshake did not get that far.
    pub version: Option<TlsVersion>,
    /// Which side rejected the other, and why.
    pub refusal: Option<(&'static str, String)>,
}

impl TlsVersion {
    fn of(version: ProtocolVersion) -> Option<Self> {
        match version {
            ProtocolVersion::TLSv1_2 => Some(Self::Tls12),
            ProtocolVersion::TLSv1_3 => Some(Self::Tls13),
            _ => None,
        }
    }
}

impl Handshake {
    /// Makes the handshake, in memory, with rustls and the rules of webpki.
    ///
    /// # Errors
    /// Material that can't be used: of which side, and which.
    pub fn shake(&self) -> Result<Met, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = Arc::new(self.client_config(&provider)?);
        let name = match &self.client.peer {
            Some(PeerName::Host(name)) => name.clone(),
            // An address is not sent.
            _ => ServerName::from(std::net::IpAddr::from([127, 0, 0, 1])),
        };
        let said = |e: Error| e.to_string();
        let mut client = ClientConnection::new(config, name).map_err(said)?;
        let config = Arc::new(self.server_config(&provider)?);
        let mut server = ServerConnection::new(config).map_err(said)?;
        let refusal = exchange(&mut client, &mut server);
        Ok(Met {
            version: client
                .protocol_version()
                .or(server.protocol_version())
                .and_then(TlsVersion::of),
            refusal,
        })
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        match self.version {
            None => vec![&TLS13, &TLS12],
            Some(TlsVersion::Tls12) => vec![&TLS12],
            Some(TlsVersion::Tls13) => vec![&TLS13],
        }
    }

    fn clock(&self) -> Arc<dyn TimeProvider> {
        Arc::new(Clock(self.at))
    }

    fn client_config(&self, provider: &Arc<CryptoProvider>) -> Result<ClientConfig, String> {
        let side = &self.client;
        let roots = side.roots.as_deref().ok_or("the client needs `roots`")?;
        let verifier = ServerTrust {
            roots: material::roots("client.roots", roots)?,
            peer: side.peer.clone(),
            algorithms: provider.signature_verification_algorithms,
        };
        let builder = ClientConfig::builder_with_details(provider.clone(), self.clock());
        let builder = builder
            .with_protocol_versions(&self.versions())
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let identity = side.identity(("client.certificate", "client.key"), provider)?;
        let mut config = builder.with_client_cert_resolver(Arc::new(Own(identity)));
        config.alpn_protocols = side.alpn();
        Ok(config)
    }

    fn server_config(&self, provider: &Arc<CryptoProvider>) -> Result<ServerConfig, String> {
        let side = &self.server;
        let identity = side.identity(("server.certificate", "server.key"), provider)?;
        let identity = identity.ok_or("the server needs a `certificate` and its `key`")?;
        let verifier: Arc<dyn ClientCertVerifier> = match side.roots.as_deref() {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(roots) => {
                let roots = Arc::new(material::roots("server.roots", roots)?);
                let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
                let chains = builder
                    .build()
                    .map_err(|e| format!("`server.roots`: {e}"))?;
                let peer = side.peer.clone();
                Arc::new(ClientTrust { chains, peer })
            }
        };
        let builder = ServerConfig::builder_with_details(provider.clone(), self.clock());
        let mut config = builder
            .with_protocol_versions(&self.versions())
            .map_err(|e| e.to_string())?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(Own(Some(identity))));
        config.alpn_protocols = side.alpn();
        Ok(config)
    }
}

impl Side {
    fn identity(
        &self,
        (certificate, key): (&str, &str),
        provider: &CryptoProvider,
    ) -> Result<Option<Arc<CertifiedKey>>, String> {
        let read = self
            .identity
            .as_ref()
            .map(|(pem, secret)| material::identity((certificate, pem), (key, secret), provider));
        read.transpose()
    }

    fn alpn(&self) -> Vec<Vec<u8>> {
        self.alpn
            .iter()
            .map(|name| name.clone().into_bytes())
            .collect()
    }
}

/// Exchanges flights until neither side has more to send, or one rejects the other.
fn exchange(
    client: &mut ClientConnection,
    server: &mut ServerConnection,
) -> Option<(&'static str, String)> {
    for _ in 0..MOST_FLIGHTS {
        let to_server = carry(client, server).map_err(|e| ("server", e.to_string()));
        let to_client = match to_server {
            Err(refusal) => return Some(refusal),
            Ok(_) => carry(server, client).map_err(|e| ("client", e.to_string())),
        };
        match (to_server, to_client) {
            (_, Err(refusal)) => return Some(refusal),
            (Ok(false), Ok(false)) => break,
            _ => {}
        }
    }
    if client.is_handshaking() || server.is_handshaking() {
        Some(("", "the handshake did not end".into()))
    } else {
        None
    }
}

#[derive(Debug)]
struct Clock(Option<OffsetDateTime>);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let Some(at) = self.0 else {
            return Some(UnixTime::now());
        };
        let seconds = u64::try_from(at.unix_timestamp()).ok()?;
        let since = std::time::Duration::from_secs(seconds);
        Some(UnixTime::since_unix_epoch(since))
    }
}

/// The certificate that a side presents.
#[derive(Debug)]
struct Own(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Own {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

/// Accepts servers whose certificate leads to the roots and has the expected name.
#[derive(Debug)]
struct ServerTrust {
    roots: RootCertStore,
    peer: Option<PeerName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ServerTrust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        check_name(self.peer.as_ref(), end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Accepts clients whose certificate leads to the roots and has the expected name.
#[derive(Debug)]
struct ClientTrust {
    chains: Arc<dyn ClientCertVerifier>,
    peer: Option<PeerName>,
}

impl ClientCertVerifier for ClientTrust {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .chains
            .verify_client_cert(end_entity, intermediates, now)?;
        check_name(self.peer.as_ref(), end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

fn check_name(wanted: Option<&PeerName>, certificate: &CertificateDer) -> Result<(), Error> {
    match wanted {
        Some(name) if !name.fits(certificate) => {
            Err(rustls::Error::from(CertificateError::NotValidForName))
        }
        _ => Ok(()),
    }
}
