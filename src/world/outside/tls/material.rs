use std::sync::Arc;

use tokio_rustls::rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};

use crate::{
    value::Secret,
    x509::{Certificate, PrivateKey},
};

/// Reads a certificate with its chain, and its key, all PEM.
///
/// # Errors
/// What can't be read, in which of the two, or a key of another certificate.
pub(super) fn identity(
    certificate: (&str, &str),
    key: (&str, &Secret),
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, String> {
    let chain = certificates(certificate.0, certificate.1)?;
    let read = PrivateKey::read(key.1.reveal_bytes(), None).map_err(|e| match e.hint() {
        Some(hint) => format!("`{}`: {e}; {hint}", key.0),
        None => format!("`{}`: {e}", key.0),
    })?;
    let pair = CertifiedKey::from_der(chain, der_of(&read), provider).map_err(|e| {
        format!(
            "`{}` is not the key of the first certificate of `{}`: {e}",
            key.0, certificate.0
        )
    })?;
    Ok(Arc::new(pair))
}

fn der_of(key: &PrivateKey) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.der().to_vec()).into()
}

/// Reads the certificates that a side trusts.
pub(super) fn roots(name: &str, text: &str) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates(name, text)?.into_iter().enumerate() {
        store.add(certificate).map_err(|e| {
            let number = index + 1;
            format!("`{name}`: certificate {number} can't be a root: {e}")
        })?;
    }
    Ok(store)
}

fn certificates(name: &str, text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = Certificate::read_all(text.as_bytes()).map_err(|e| format!("`{name}`: {e}"))?;
    let read = read.into_iter();
    Ok(read.map(|read| CertificateDer::from(read.der)).collect())
}
