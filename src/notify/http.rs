//! Posts JSON to a server that the configuration names.
//!
//! The server's name is resolved once, and the connection goes to the address that was checked: a name that resolves to another address
//! later (DNS rebinding) does not get past the check. Redirects are not followed and the proxies of the environment are not used: both
//! would connect to an address that was not checked.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
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

/// Addresses at which clouds answer their machines that are not link-local: Alibaba's and Oracle's metadata, and Azure's agent
/// (<https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16>).
const METADATA: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];
/// The beginnings of such addresses: `fd00:ec2::` of EC2 (metadata, pod identity) and `fd20:ce::` of Google Cloud.
const METADATA_V6: [[u16; 2]; 2] = [[0xfd00, 0x0ec2], [0xfd20, 0x00ce]];

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
    let said = shown(&redactor, &String::from_utf8_lossy(&said));
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

/// Returns what a server said as a log and a page show it: without secrets, cut, and on one line.
pub(super) fn shown(redactor: &Redactor, said: &str) -> String {
    // Masks secrets before the text is cut: a cut secret would not be found.
    let said = redactor.text(said.trim());
    let said: String = said.chars().take(SHOWN).collect();
    said.replace(|c: char| c.is_control(), " ")
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

/// Says whether an address may be connected to. Addresses of a private network are allowed: the configuration names them. Link-local ones,
/// and others at which a cloud answers its machines, are not: a request to them returns the credentials of the machine.
fn may_be(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let is_metadata = METADATA.contains(&v4);
            let is_this_host = v4.octets()[0] == 0;
            !(is_metadata
                || is_this_host
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast())
        }
        IpAddr::V6(v6) => {
            let is_metadata = METADATA_V6.contains(&[v6.segments()[0], v6.segments()[1]]);
            let is_none = v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast();
            let within = embedded(v6);
            !(is_metadata || is_none) && within.is_none_or(|v4| may_be(v4.into()))
        }
    }
}

/// Returns the IPv4 address to which an IPv6 address leads: mapped and compatible ones (RFC 4291), through NAT64 (RFC 6052, RFC 8215), and
/// through 6to4 (RFC 3056).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, .., y, z] = v6.segments();
    let of = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match (a, b) {
        (0x64, 0xff9b) => of(y, z),
        (0x2002, _) => of(b, v6.segments()[2]),
        _ if v6.is_loopback() => None,
        _ => v6.to_ipv4(),
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
            "::169.254.169.254",
            "0.0.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(!may_be(bad.parse().expect("an address")), "{bad}");
        }
        for good in [
            "127.0.0.1",
            "10.0.0.7",
            "93.184.216.34",
            "2001:db8::1",
            "::1",
            "::ffff:10.0.0.7",
            "64:ff9b::808:808",
            "fd12:3456::1",
            "100.64.0.1",
        ] {
            assert!(may_be(good.parse().expect("an address")), "{good}");
        }
    }
}
