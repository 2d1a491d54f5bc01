//! Makes TLS 1.3 handshakes between two players, in memory, with the material that each has loaded.

use std::sync::{Arc, Mutex};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    ServerConnection, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    version::TLS13,
};

use super::{
    verify::{Expected, Library, Purpose, Trust},
    x509,
};
use windlass_cluster::Moment;
use windlass_ground::{carry, lock};

/// What a player presents and verifies in one kind of handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Party {
    /// The certificate that it presents (leaf first) and its key, in PEM. A client may have none.
    pub shows: Option<(String, String)>,
    /// The anchors with which it verifies the other side, in PEM; `None` if it does not verify.
    pub trusts: Option<String>,
    pub library: Library,
    /// The name that the other side must have.
    pub expects: Expected,
}

/// Makes one handshake.
///
/// # Errors
/// The side that rejected the other, and the reason: `client: x509: certificate signed by unknown authority`.
pub(super) fn shake(client: &Party, server: &Party, at: Moment) -> Result<(), String> {
    let client_says = Arc::new(Words::default());
    let server_says = Arc::new(Words::default());
    let at_client = |error: &dyn std::fmt::Display| format!("client: {error}");
    let at_server = |error: &dyn std::fmt::Display| format!("server: {error}");
    let provider = Arc::new(aws_lc_rs::default_provider());

    let judge = Judge::new(client, Purpose::Server, at, &client_says, &provider);
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| at_client(&e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge));
    let mut config = match &client.shows {
        None => config.with_no_client_auth(),
        Some((chain, key)) => config
            .with_client_auth_cert(
                x509::certificates(chain).map_err(|e| at_client(&e))?,
                x509::private_key(key).map_err(|e| at_client(&e))?,
            )
            .map_err(|e| at_client(&e))?,
    };
    config.resumption = rustls::client::Resumption::disabled();
    let name = ServerName::try_from("peer").map_err(|e| at_client(&e))?;
    let mut one = ClientConnection::new(Arc::new(config), name).map_err(|e| at_client(&e))?;

    let Some((chain, key)) = &server.shows else {
        return Err(at_server(&"has no certificate"));
    };
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| at_server(&e))?;
    let config = match &server.trusts {
        None => config.with_no_client_auth(),
        Some(_) => config.with_client_cert_verifier(Arc::new(Judge::new(
            server,
            Purpose::Client,
            at,
            &server_says,
            &provider,
        ))),
    };
    let config = config
        .with_single_cert(
            x509::certificates(chain).map_err(|e| at_server(&e))?,
            x509::private_key(key).map_err(|e| at_server(&e))?,
        )
        .map_err(|e| at_server(&e))?;
    let mut other = ServerConnection::new(Arc::new(config)).map_err(|e| at_server(&e))?;

    let shaken = pump(&mut one, &mut other);
    if let Some(words) = client_says.take() {
        return Err(format!("client: {words}"));
    }
    if let Some(words) = server_says.take() {
        return Err(format!("server: {words}"));
    }
    shaken
}

/// Carries bytes in both directions until both sides have finished: with TLS 1.3, the client finishes before the server has verified it.
fn pump(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), String> {
    loop {
        let there = carry(client, server).map_err(|e| format!("server: {e}"))?;
        let back = carry(server, client).map_err(|e| format!("client: {e}"))?;
        if !there && !back {
            break;
        }
    }
    if client.is_handshaking() || server.is_handshaking() {
        Err("the handshake was not finished".into())
    } else {
        Ok(())
    }
}

/// The last reason that a judge gave.
#[derive(Debug, Default)]
struct Words(Mutex<Option<String>>);

impl Words {
    fn say(&self, words: String) {
        *lock(&self.0) = Some(words);
    }

    fn take(&self) -> Option<String> {
        lock(&self.0).take()
    }
}

/// Verifies the other side's chain.
struct Judge {
    trust: Trust,
    purpose: Purpose,
    expects: Expected,
    /// Replaces rustls's clock: a handshake is checked as of the time in the rehearsal.
    at: Moment,
    words: Arc<Words>,
    provider: Arc<CryptoProvider>,
}

impl Judge {
    fn new(
        party: &Party,
        purpose: Purpose,
        at: Moment,
        words: &Arc<Words>,
        provider: &Arc<CryptoProvider>,
    ) -> Self {
        let bundle = party.trusts.as_deref().unwrap_or_default();
        Self {
            trust: Trust::new(bundle, party.library),
            purpose,
            expects: party.expects.clone(),
            at,
            words: words.clone(),
            provider: provider.clone(),
        }
    }

    fn judge(&self, leaf: &CertificateDer, rest: &[CertificateDer]) -> Result<(), Error> {
        let chain: Vec<_> = std::iter::once(leaf).chain(rest).cloned().collect();
        let verified = self
            .trust
            .verify(&chain, self.purpose, &self.expects, self.at);
        verified.map_err(|words| {
            self.words.say(words.clone());
            Error::General(words)
        })
    }
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge")
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer,
        rest: &[CertificateDer],
        _name: &ServerName,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(leaf, rest)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer,
        rest: &[CertificateDer],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(leaf, rest)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}
