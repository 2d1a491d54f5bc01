use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer};

use super::options::Refused;
use crate::x509::{Certificate, PrivateKey};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A certificate in files, read again when they change.
pub struct Certified {
    files: (PathBuf, PathBuf),
    now: Mutex<Now>,
}

struct Now {
    configuration: Arc<ServerConfig>,
    changed: Option<(SystemTime, SystemTime)>,
    looked: Instant,
}

impl Certified {
    pub fn open(files: (PathBuf, PathBuf)) -> Result<Self, Refused> {
        let changed = changed(&files);
        let configuration = read(&files)?;
        Ok(Self {
            files,
            now: Mutex::new(Now {
                configuration,
                changed,
                looked: Instant::now(),
            }),
        })
    }

    /// Says what a new connection is served with. Files that can't be used, as when only one of them has been replaced so far,
    /// leave it as it was.
    pub fn configuration(&self) -> Arc<ServerConfig> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.looked.elapsed() >= LOOK {
            now.looked = Instant::now();
            let changed = changed(&self.files);
            if changed.is_some()
                && changed != now.changed
                && let Ok(configuration) = read(&self.files)
            {
                now.configuration = configuration;
                now.changed = changed;
            }
        }
        now.configuration.clone()
    }
}

fn changed((certificate, key): &(PathBuf, PathBuf)) -> Option<(SystemTime, SystemTime)> {
    let of = |path: &Path| fs::metadata(path).ok()?.modified().ok();
    Some((of(certificate)?, of(key)?))
}

fn read((certificate, key): &(PathBuf, PathBuf)) -> Result<Arc<ServerConfig>, Refused> {
    let wrong = |path: &Path, why: String| Refused::Certificate {
        path: path.display().to_string(),
        why,
    };
    let text = fs::read(certificate).map_err(|e| wrong(certificate, e.to_string()))?;
    let chain = Certificate::read_all(&text).map_err(|e| wrong(certificate, e.to_string()))?;
    let chain = chain.into_iter().map(|found| found.der.into()).collect();
    let text = fs::read(key).map_err(|e| wrong(key, e.to_string()))?;
    let private = PrivateKey::read(&text, None).map_err(|e| wrong(key, e.to_string()))?;
    let private = PrivatePkcs8KeyDer::from(private.der().to_vec());
    let configuration =
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(chain, private.into())
            });
    let mut configuration = configuration.map_err(|e| wrong(certificate, e.to_string()))?;
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(configuration))
}
