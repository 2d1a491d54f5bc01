//! Reads the chain that a TLS server presents.

use std::time::Duration;

use windlass_ground::boxed;

use super::Scanned;
use crate::place::Place;
use windlass_world::{
    outside::{HttpClient, Probe},
    value::Failure,
    x509::holding::Read,
};

/// How long a server may take to present its chain.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the chain that a server presents, without verifying it.
///
/// # Errors
/// Fails if the server can't be reached or presents no chain.
#[boxed]
pub async fn server(host: &str, port: u16, scanned: &mut Scanned) -> Result<(), Failure> {
    let probe = Probe {
        server_name: Some(host.trim_matches(['[', ']']).to_owned()),
        alpn: Vec::new(),
        identity: None,
        timeout: PATIENCE,
    };
    let served = HttpClient::default().tls_chain(host, port, &probe).await?;
    let place = Place::Server {
        address: format!("{host}:{port}"),
    };
    let read = Read {
        certificates: served.certificates,
        problems: Vec::new(),
    };
    scanned.add(&place, read);
    Ok(())
}

/// Parses `HOST:PORT`; `None` for other texts.
pub fn parse_address(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let is_host = !host.is_empty() && !host.contains(['/', ' ']);
    let port = port.parse().ok().filter(|port| *port > 0)?;
    is_host.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::parse_address;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!(parse_address("a.example:443"), Some(("a.example", 443)));
        assert_eq!(parse_address("[::1]:443"), Some(("[::1]", 443)));
        for none in ["a.pem", ":443", "a:0", "a:70000", "./a:443", "a:b"] {
            assert_eq!(parse_address(none), None, "{none}");
        }
    }
}
