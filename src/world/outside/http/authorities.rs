use crate::{value::causes, x509::Certificate};

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
