//! The proxies of the environment, for all clients: the rule of Go's `httpproxy`, which `kubectl` uses.
//!
//! - `HTTPS_PROXY`, `HTTP_PROXY`, then `ALL_PROXY` as in curl, each in upper or lower case; a value without a scheme is an
//!   HTTP proxy;
//! - `localhost` and loopback addresses are never reached through a proxy;
//! - `NO_PROXY` is a list of hosts (with their subdomains), `.suffix`es, addresses and CIDRs, each with or without a port,
//!   or `*`; its entries are separated by commas or spaces, as in curl.

use std::{env, net::IpAddr};

use http::Uri;
use ipnet::IpNet;

/// Chooses the proxy for a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    https: Option<String>,
    http: Option<String>,
    without: Vec<Without>,
}

/// An entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Without {
    All,
    Network(IpNet),
    Address(IpAddr, Option<u16>),
    /// The host itself, and all its subdomains.
    Host(String, Option<u16>),
    /// Only subdomains; begins with a dot.
    Below(String, Option<u16>),
}

impl Proxies {
    /// Returns the proxies of the environment.
    pub fn of_environment() -> Self {
        Self::new(|name| env::var(name).ok())
    }

    fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let named = |name: &str| {
            let found = variable(name).filter(|text| !text.trim().is_empty());
            found.or_else(|| variable(&name.to_ascii_lowercase()))
        };
        let proxy = |name: &str| {
            let text = named(name).or_else(|| named("ALL_PROXY"))?;
            let text = text.trim();
            if text.contains("://") {
                Some(text.to_owned())
            } else {
                (!text.is_empty()).then(|| format!("http://{text}"))
            }
        };
        // In a CGI program, the header `Proxy:` of a request sets the variable.
        let is_cgi = variable("REQUEST_METHOD").is_some();
        Self {
            https: proxy("HTTPS_PROXY"),
            http: proxy("HTTP_PROXY").filter(|_| !is_cgi),
            without: named("NO_PROXY")
                .unwrap_or_default()
                .split([',', ' ', '\t'])
                .filter_map(without)
                .collect(),
        }
    }

    /// Returns the proxy for a URL; `None` for no proxy.
    pub fn of(&self, scheme: &str, host: &str, port: Option<u16>) -> Option<&str> {
        let (proxy, usual) = match scheme {
            "https" => (self.https.as_deref()?, 443),
            "http" => (self.http.as_deref()?, 80),
            _ => return None,
        };
        let host = host.trim_matches(['[', ']']).trim_end_matches('.');
        let host = host.to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        let is_loopback = address.is_some_and(|a| a.to_canonical().is_loopback());
        if host == "localhost" || is_loopback {
            return None;
        }
        let port = port.unwrap_or(usual);
        let is_without = self
            .without
            .iter()
            .any(|entry| entry.covers(&host, address, port));
        (!is_without).then_some(proxy)
    }

    /// Like [`of`](Self::of).
    pub fn of_uri(&self, uri: &Uri) -> Option<&str> {
        self.of(uri.scheme_str()?, uri.host()?, uri.port_u16())
    }

    /// Returns all proxies that it may choose.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let http = self
            .http
            .as_deref()
            .filter(|http| self.https.as_deref() != Some(http));
        self.https.as_deref().into_iter().chain(http)
    }
}

impl Without {
    fn covers(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        let fits = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        match self {
            Self::All => true,
            Self::Network(network) => address.is_some_and(|a| network.contains(&a)),
            Self::Address(own, wanted) => address == Some(*own) && fits(wanted),
            Self::Host(name, wanted) => {
                let above = host.strip_suffix(name.as_str());
                above.is_some_and(|above| above.is_empty() || above.ends_with('.')) && fits(wanted)
            }
            Self::Below(suffix, wanted) => host.ends_with(suffix.as_str()) && fits(wanted),
        }
    }
}

fn without(entry: &str) -> Option<Without> {
    let entry = entry.trim().to_ascii_lowercase();
    match entry.as_str() {
        "" => return None,
        "*" => return Some(Without::All),
        _ => {}
    }
    if let Ok(network) = entry.parse() {
        return Some(Without::Network(network));
    }
    let (name, port) = with_port(&entry);
    if let Ok(address) = name.trim_matches(['[', ']']).parse() {
        return Some(Without::Address(address, port));
    }
    let below = name.strip_prefix('*').filter(|rest| rest.starts_with('.'));
    let name = below.unwrap_or(name);
    match name {
        "" | "." => None,
        name if name.starts_with('.') => Some(Without::Below(name.to_owned(), port)),
        name => Some(Without::Host(name.to_owned(), port)),
    }
}

fn with_port(entry: &str) -> (&str, Option<u16>) {
    // A text that is an IPv6 address without brackets has no port.
    if entry.parse::<IpAddr>().is_ok() {
        return (entry, None);
    }
    match entry.rsplit_once(':') {
        Some((name, port)) => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        None => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(no_proxy: &str) -> Proxies {
        Proxies::new(|name| match name {
            "HTTPS_PROXY" => Some("proxy.example:3128".into()),
            "http_proxy" => Some("socks5://other.example".into()),
            "NO_PROXY" => Some(no_proxy.into()),
            _ => None,
        })
    }

    #[test]
    fn c1_each_scheme_has_its_proxy() {
        let proxies = proxies("");
        assert_eq!(
            proxies.of("https", "a.example", None),
            Some("http://proxy.example:3128")
        );
        assert_eq!(
            proxies.of("http", "a.example", None),
            Some("socks5://other.example")
        );
        assert_eq!(proxies.of("ftp", "a.example", None), None);
        let only_all = Proxies::new(|name| (name == "all_proxy").then(|| "http://p".into()));
        assert_eq!(only_all.of("https", "a.example", None), Some("http://p"));
        assert_eq!(Proxies::new(|_| None).of("https", "a.example", None), None);
    }

    #[test]
    fn c1_loopback_is_asked_directly() {
        let proxies = proxies("");
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "::ffff:127.0.0.1",
        ] {
            assert_eq!(proxies.of("https", host, Some(6443)), None, "{host}");
        }
    }

    /// The table of Go's `golang.org/x/net/http/httpproxy`, with additions.
    #[test]
    fn c1_no_proxy_is_read_as_go_reads_it() {
        let direct = [
            ("foo.example", "foo.example"),
            ("foo.example", "a.foo.example"),
            ("foo.example", "FOO.example."),
            (".foo.example", "a.foo.example"),
            ("*.foo.example", "a.foo.example"),
            (" x , foo.example,,", "foo.example"),
            ("10.0.0.0/8", "10.1.2.3"),
            ("10.1.2.3", "10.1.2.3"),
            ("fd00::/8", "[fd00::1]"),
            ("[fd00::1]:6443", "[fd00::1]"),
            ("fd00::1", "[fd00::1]"),
            ("foo.example:6443", "foo.example"),
            ("*", "anything"),
        ];
        for (list, host) in direct {
            assert_eq!(
                proxies(list).of("https", host, Some(6443)),
                None,
                "{list} {host}"
            );
        }
        let proxied = [
            ("foo.example", "afoo.example"),
            (".foo.example", "foo.example"),
            ("*.foo.example", "foo.example"),
            ("10.0.0.0/8", "11.1.2.3"),
            ("foo.example:443", "foo.example"),
            ("10.1.2.3:443", "10.1.2.3"),
            ("", "foo.example"),
            ("x*", "xy"),
        ];
        for (list, host) in proxied {
            assert!(
                proxies(list).of("https", host, Some(6443)).is_some(),
                "{list} {host}"
            );
        }
    }

    /// Says whether curl uses a proxy for a URL, with this `NO_PROXY`. Nothing leaves the machine.
    fn curl_uses_proxy(no_proxy: &str, host: &str, port: u16) -> bool {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let proxy = format!("http://{}", listener.local_addr().expect("bound"));
        listener.set_nonblocking(true).expect("set");
        let mut command = std::process::Command::new("curl");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let mut child = command
            .args(["-s", "--max-time", "5", "--connect-to", "::127.0.0.1:9"])
            .arg(format!("http://{host}:{port}/"))
            .env("http_proxy", proxy)
            .env("NO_PROXY", no_proxy)
            .spawn()
            .expect("curl is installed (apt-get install curl)");
        // curl ends if nothing listens there, or waits for an answer of the proxy.
        loop {
            let has_ended = child.try_wait().expect("a process").is_some();
            if listener.accept().is_ok() {
                let _ = child.kill();
                let _ = child.wait();
                return true;
            }
            if has_ended {
                return false;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// If curl reads a list differently, Go's rule applies, which kubectl uses: each such row says why.
    #[test]
    fn c1_no_proxy_is_read_as_curl_reads_it() {
        const SAME: &str = "";
        // Versions of curl differ: 7.88 does not support IPv6 networks.
        const VARIES: &str = "it varies";
        let rows = [
            ("", "foo.example", 80, true, SAME),
            ("*", "foo.example", 80, false, SAME),
            ("foo.example", "foo.example", 80, false, SAME),
            ("foo.example", "FOO.Example", 80, false, SAME),
            ("FOO.example", "foo.example", 80, false, SAME),
            ("foo.example", "a.foo.example", 80, false, SAME),
            ("foo.example", "afoo.example", 80, true, SAME),
            ("foo.example", "foo.example.org", 80, true, SAME),
            ("foo.example", "foo.example.", 80, false, SAME),
            (".foo.example", "a.foo.example", 80, false, SAME),
            (".foo.example", "b.a.foo.example", 80, false, SAME),
            (".foo.example", "xfoo.example", 80, true, SAME),
            (
                ".foo.example",
                "foo.example",
                80,
                true,
                "Go: only what is below",
            ),
            (
                "*.foo.example",
                "a.foo.example",
                80,
                false,
                "curl knows `*` alone",
            ),
            ("x, foo.example", "foo.example", 80, false, SAME),
            ("x foo.example", "foo.example", 80, false, SAME),
            ("x,foo.example,", "foo.example", 80, false, SAME),
            ("foo.example", "foo.example", 6443, false, SAME),
            (
                "foo.example:6443",
                "foo.example",
                6443,
                false,
                "curl knows no ports",
            ),
            ("foo.example:6443", "foo.example", 80, true, SAME),
            ("10.1.2.3", "10.1.2.3", 80, false, SAME),
            ("10.1.2.3", "10.1.2.30", 80, true, SAME),
            ("10.0.0.0/8", "10.1.2.3", 80, false, SAME),
            ("10.0.0.0/8", "11.1.2.3", 80, true, SAME),
            ("10.1.2.0/31", "10.1.2.1", 80, false, SAME),
            ("10.1.2.0/31", "10.1.2.2", 80, true, SAME),
            ("10.0.0.0/8", "a.10.example", 80, true, SAME),
            (
                "2.3",
                "10.1.2.3",
                80,
                false,
                "Go: an address ends in a suffix, too",
            ),
            ("fd00::1", "[fd00::1]", 80, false, SAME),
            ("fd00::/8", "[fd12::1]", 80, false, VARIES),
            ("fd00::/8", "[fe00::1]", 80, true, SAME),
            ("", "localhost", 80, false, "Go: loopback is asked directly"),
            ("", "127.0.0.1", 80, false, "Go: loopback is asked directly"),
            ("", "[::1]", 80, false, "Go: loopback is asked directly"),
        ];
        for (list, host, port, by_proxy, why) in rows {
            let proxies = Proxies::new(|name| match name {
                "http_proxy" => Some("proxy.example".into()),
                "NO_PROXY" => Some(list.into()),
                _ => None,
            });
            let own = proxies.of("http", host, Some(port)).is_some();
            assert_eq!(own, by_proxy, "NO_PROXY={list} {host}:{port}");
            if why == VARIES {
                continue;
            }
            let curl = curl_uses_proxy(list, host, port);
            assert_eq!(
                own == curl,
                why.is_empty(),
                "curl with NO_PROXY={list} {host}:{port}: {curl}"
            );
        }
    }
}
