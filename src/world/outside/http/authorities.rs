use std::{fs, path::Path};

use crate::{value::causes, x509::Certificate};

/// Reads the CAs of a PEM file, for a client that trusts them.
///
/// # Errors
/// The file, and why it can't be used.
pub fn authorities_in(path: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    let wrong = |why: String| format!("can't use the CA {}: {why}", path.display());
    let text = fs::read(path).map_err(|e| wrong(e.to_string()))?;
    read_authorities(&text).map_err(wrong)
}

/// Reads the CAs of a PEM text, for a client that trusts them.
///
/// # Errors
/// A text that is not PEM, or a certificate that can't be used.
pub fn read_authorities(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, String> {
    let certificates = Certificate::read_all(pem).map_err(|e| e.to_string())?;
    certificates
        .iter()
        .map(|certificate| reqwest::Certificate::from_der(&certificate.der))
        .collect::<Result<_, _>>()
        .map_err(|e| causes(&e))
}
