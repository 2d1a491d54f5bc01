//! Reads the CAs that a kubeconfig trusts with the program's own PEM reader: `kube` skips what it
//! can't read.

use std::fs;

use kube::config::Kubeconfig;

use crate::x509::Certificate;

/// Returns the CA certificates of a context's cluster, as DER; `None` if it names none.
///
/// # Errors
/// A file that can't be read, or a damaged block.
pub(super) fn authorities(
    kubeconfig: &Kubeconfig,
    context: &str,
) -> Result<Option<Vec<Vec<u8>>>, String> {
    let cluster = kubeconfig
        .contexts
        .iter()
        .find(|known| known.name == context)
        .and_then(|known| known.context.as_ref())
        .and_then(|known| kubeconfig.clusters.iter().find(|c| c.name == known.cluster))
        .and_then(|known| known.cluster.as_ref());
    let Some(cluster) = cluster else {
        return Ok(None);
    };
    let (place, text) = match (
        &cluster.certificate_authority_data,
        &cluster.certificate_authority,
    ) {
        (Some(data), _) => {
            let data: String = data.split_ascii_whitespace().collect();
            let text = data_encoding::BASE64.decode(data.as_bytes());
            let place = "certificate-authority-data".to_owned();
            (
                place,
                text.map_err(|_| "certificate-authority-data is not base64")?,
            )
        }
        (None, Some(path)) => (
            path.clone(),
            fs::read(path).map_err(|e| format!("{path}: {e}"))?,
        ),
        (None, None) => return Ok(None),
    };
    let certificates = Certificate::read_all(&text).map_err(|e| format!("{place}: {e}"))?;
    Ok(Some(certificates.into_iter().map(|c| c.der).collect()))
}
