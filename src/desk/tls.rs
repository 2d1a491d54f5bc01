use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::options::Refused;
use windlass_ground::{Trouble, lock};
use windlass_world::x509::{Certificate, read_identity};

/// How often the files are checked for changes.
const LOOK: Duration = Duration::from_secs(1);

/// The TLS certificate of the server, which is read again when its files change.
pub struct Certified {
    files: Files,
    now: Mutex<Now>,
}

/// The files of the server's TLS certificate.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The CAs of client certificates.
    pub client_ca: Option<PathBuf>,
}

struct Now {
    configuration: Arc<ServerConfig>,
    changed: Option<Vec<SystemTime>>,
    looked: Instant,
    trouble: Trouble,
}

impl Certified {
    pub fn open(files: Files) -> Result<Self, Refused> {
        let changed = files.changed();
        let configuration = files.read()?;
        Ok(Self {
            files,
            now: Mutex::new(Now {
                configuration,
                changed,
                looked: Instant::now(),
                trouble: Trouble::with("use the certificate that has changed"),
            }),
        })
    }

    /// Returns the TLS configuration for a new connection. If the changed files can't be used, for example because only one of them has been
    /// replaced so far, this is the previous configuration.
    pub fn configuration(&self) -> Arc<ServerConfig> {
        let mut now = lock(&self.now);
        if now.looked.elapsed() >= LOOK {
            now.looked = Instant::now();
            let changed = self.files.changed();
            if changed.is_none() || changed == now.changed {
                return now.configuration.clone();
            }
            let read = self.files.read();
            now.trouble.note(&read);
            if let Ok(configuration) = read {
                tracing::info!("reloaded the TLS certificate");
                now.configuration = configuration;
                now.changed = changed;
            }
        }
        now.configuration.clone()
    }
}

impl Files {
    fn changed(&self) -> Option<Vec<SystemTime>> {
        let all = [
            Some(&self.certificate),
            Some(&self.key),
            self.client_ca.as_ref(),
        ];
        let of = |path: &PathBuf| fs::metadata(path).ok()?.modified().ok();
        all.into_iter().flatten().map(of).collect()
    }

    fn read(&self) -> Result<Arc<ServerConfig>, Refused> {
        let (certificate, key) = (&self.certificate, &self.key);
        let (chain, private) =
            read_identity(certificate, key).map_err(|(path, why)| wrong(path, why))?;
        let clients = match &self.client_ca {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(path) => clients(path)?,
        };
        let configuration =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .and_then(|builder| {
                    builder
                        .with_client_cert_verifier(clients)
                        .with_single_cert(chain, private)
                });
        let mut configuration = configuration.map_err(|e| wrong(certificate, e.to_string()))?;
        configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(configuration))
    }
}

/// Returns a verifier that accepts clients with a certificate of these CAs and clients without a certificate. With a certificate of another
/// CA, the handshake fails.
fn clients(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, Refused> {
    let text = fs::read(path).map_err(|e| wrong(path, e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for found in Certificate::read_all(&text).map_err(|e| wrong(path, e.to_string()))? {
        let added = roots.add(found.der.into());
        added.map_err(|e| wrong(path, e.to_string()))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
        .allow_unauthenticated()
        .build();
    verifier.map_err(|e| wrong(path, e.to_string()))
}

fn wrong(path: &Path, why: String) -> Refused {
    Refused::Certificate {
        path: path.display().to_string(),
        why,
    }
}
