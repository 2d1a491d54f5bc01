use std::{fs, path::Path};

use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{certificate::Certificate, private_key::PrivateKey};

/// Reads the certificates and the key with which a server listens, from files.
///
/// # Errors
/// The file that can't be used, and why.
pub fn read_identity<'p>(
    certificate: &'p Path,
    key: &'p Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), (&'p Path, String)> {
    let text = fs::read(certificate).map_err(|e| (certificate, e.to_string()))?;
    let chain = Certificate::read_all(&text).map_err(|e| (certificate, e.to_string()))?;
    let chain = chain.into_iter().map(|found| found.der.into()).collect();
    let text = fs::read(key).map_err(|e| (key, e.to_string()))?;
    let private = PrivateKey::read(&text, None).map_err(|e| (key, e.to_string()))?;
    let private = PrivatePkcs8KeyDer::from(private.der().to_vec());
    Ok((chain, private.into()))
}
