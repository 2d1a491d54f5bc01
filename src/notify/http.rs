//! Posts JSON to a server that the configuration names.
//!
//! The server's name is resolved once, and the connection goes to the address that was checked: a name that resolves to another address
//! later (DNS rebinding) does not get past the check. Redirects are not followed and the proxies of the environment are not used: both
//! would connect to an address that was not checked.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use reqwest::{Client, Url, redirect::Policy};

use windlass_world::value::{Redactor, Secret, causes};

/// The time limit of one attempt.
const PATIENCE: Duration = Duration::from_secs(15);
/// How much of an answer is read, in bytes, and how much of it is shown, in characters.
const READ: usize = 8192;
const SHOWN: usize = 200;
/// Shorter texts are not treated as secrets: they may be ordinary words.
const LEAST: usize = 8;

/// A request.
pub struct Post<'a> {
    pub url: &'a str,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// Texts to mask if the server sends them back.
    pub secrets: Vec<String>,
}

/// The reason why a delivery failed.
#[derive(Debug)]
pub struct Failed {
    pub why: String,
    /// Whether the receiver rejected the contents: another attempt will hardly help.
    pub is_refused: bool,
    /// How long the receiver asks the sender to wait.
    pub wait: Option<Duration>,
}

impl Failed {
    pub fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            is_refused: false,
            wait: None,
        }
    }
}

/// Sends a request; an answer other than 2xx is a failure.
pub async fn post(post: Post<'_>) -> Result<(), Failed> {
    let url = Url::parse(post.url).map_err(|_| Failed::new("the url is not valid"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(Failed::new("the url must begin with https:// or http://"));
    }
    let host = url
        .host_str()
        .ok_or_else(|| Failed::new("the url has no host"))?;
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::net::lookup_host((host.as_str(), port)).await;
    let found = found.map_err(|e| Failed::new(format!("can't find {host}: {e}")))?;
    let addresses: Vec<SocketAddr> = found.filter(|address| may_be(address.ip())).collect();
    if addresses.is_empty() {
        return Err(Failed::new(format!(
            "connections to the addresses of {host} are not allowed"
        )));
    }
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
        .resolve_to_addrs(&host, &addresses)
        .build()
        .map_err(|e| Failed::new(plainly(e)))?;
    let redactor = redactor(&post);
    let mut request = client.post(url).header("Content-Type", "application/json");
    for (name, value) in &post.headers {
        request = request.header(*name, value);
    }
    let mut answer = request
        .body(post.body)
        .send()
        .await
        .map_err(|e| Failed::new(plainly(e)))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let wait = answer.headers().get("retry-after");
    let wait = wait.and_then(|wait| wait.to_str().ok()?.parse().ok());
    let mut said = Vec::new();
    while said.len() < READ
        && let Ok(Some(more)) = answer.chunk().await
    {
        said.extend_from_slice(&more);
    }
    said.truncate(READ);
    // Masks secrets before the text is cut: a cut secret would not be found.
    let said = redactor.owned(String::from_utf8_lossy(&said).trim().to_owned());
    let said: String = said.chars().take(SHOWN).collect();
    let said = said.replace(|c: char| c.is_control(), " ");
    let why = match (status.is_redirection(), said.is_empty()) {
        (true, _) => format!("it answered {status}: redirects are not followed"),
        (_, true) => format!("it answered {status}"),
        (_, false) => format!("it answered {status}: {said}"),
    };
    Err(Failed {
        why,
        is_refused: matches!(status.as_u16(), 400 | 413 | 415 | 422),
        wait: wait.map(Duration::from_secs),
    })
}

/// Masks the secrets of a request in the server's answer. The addresses of Slack, Teams and many webhooks are secrets themselves, and a
/// server may repeat only the path.
fn redactor(post: &Post) -> Redactor {
    let rest = post.url.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    let mut secrets = post.secrets.clone();
    secrets.extend([post.url, path].map(str::to_owned));
    secrets.retain(|secret| secret.len() >= LEAST);
    let secrets: Vec<_> = secrets.into_iter().map(Secret::new).collect();
    Redactor::of_call(&secrets)
}

/// Says whether an address may be connected to. Addresses of a private network are allowed: the configuration names them. Link-local ones
/// are not: in a cloud, a request to the metadata address returns the credentials of the machine.
fn may_be(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast())
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => may_be(v4.into()),
            None => !(v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast()),
        },
    }
}

/// Describes a failed request without its address, which may be a secret.
fn plainly(error: reqwest::Error) -> String {
    causes(&error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_link_are_not_connected_to() {
        for bad in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "fe80::1",
            "::ffff:169.254.169.254",
            "::",
        ] {
            assert!(!may_be(bad.parse().expect("an address")), "{bad}");
        }
        for good in [
            "127.0.0.1",
            "10.0.0.7",
            "93.184.216.34",
            "2001:db8::1",
            "::1",
        ] {
            assert!(may_be(good.parse().expect("an address")), "{good}");
        }
    }
}
