use http::Uri;
use tokio::net::TcpStream;

use crate::{
    outside::{
        kube::{ByteStream, through_proxy},
        proxy::Proxies,
        transport::Transport,
    },
    value::{Failure, FailureClass, causes},
};

/// Connects to a port of a host, through the proxy for HTTPS to it, if there is one.
pub(super) async fn dial(
    operation: &str,
    host: &str,
    port: u16,
    proxies: &Proxies,
) -> Result<Box<dyn ByteStream>, Failure> {
    let failed =
        |code: &str, why: String| Failure::new(FailureClass::Unavailable, operation, code, why);
    let bare = host.trim_matches(['[', ']']);
    let Some(proxy) = proxies.of("https", host, Some(port)) else {
        let connected = TcpStream::connect((bare, port)).await;
        let connected = connected.map_err(|e| failed(Transport::code_of(&e), causes(&e)))?;
        return Ok(Box::new(connected));
    };
    let authority = if bare.contains(':') {
        format!("[{bare}]:{port}")
    } else {
        format!("{bare}:{port}")
    };
    let target: Result<Uri, _> = format!("https://{authority}").parse();
    let target = target.map_err(|e| {
        let why = format!("`{host}` is not a host: {e}");
        Failure::new(FailureClass::Rejected, operation, "BadHost", why)
    })?;
    let connected = through_proxy(proxy, target).await;
    connected.map_err(|why| {
        failed(
            "Unreachable",
            format!("by the proxy of the environment: {why}"),
        )
    })
}
