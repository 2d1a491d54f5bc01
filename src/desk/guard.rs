//! Refuses requests that another web page made a browser send.
//!
//! Another page can make its own name resolve to this address (DNS rebinding), so the Host header must be one of ours. A page on
//! another port of the same host is the same site, so the browser sends our cookie with its requests, regardless of SameSite. That is
//! why Sec-Fetch-Site and Origin are checked: the browser sets them, and no page can.

use std::net::SocketAddr;

use http::{HeaderMap, Method, header};

/// The names under which browsers reach the server.
pub struct Guard {
    /// The valid values of the Host header.
    hosts: Vec<String>,
    /// The valid values of the Origin header.
    origins: Vec<String>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// The Host header names another server.
    Host,
    /// Another web page sent the request.
    Origin,
}

impl Guard {
    /// Creates the guard of a server that listens on `address`, and that browsers also reach under `names`.
    pub fn new(address: SocketAddr, is_tls: bool, names: &[String]) -> Self {
        let (scheme, usual) = if is_tls { ("https", 443) } else { ("http", 80) };
        let port = address.port();
        // The case of a host name does not matter (RFC 9110, 4.2.3), and browsers send it in lower case.
        let names: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let mut hosts = Vec::new();
        let own = ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned);
        let own = own.into_iter().filter(|_| address.ip().is_loopback());
        for name in own.chain(names.iter().cloned()) {
            if port == usual || names.contains(&name) {
                hosts.push(name.clone());
            }
            hosts.push(format!("{name}:{port}"));
        }
        let own = hosts.iter().map(|host| format!("{scheme}://{host}"));
        // For a configured name, a proxy may provide TLS.
        let proxied = names.iter().map(|name| format!("https://{name}"));
        Self {
            origins: own.chain(proxied).collect(),
            hosts,
        }
    }

    /// Checks the headers of a request. `has_token` says whether it has a token in its Authorization header, which no browser adds by
    /// itself.
    ///
    /// # Errors
    /// Returns why the request is refused.
    pub fn check(
        &self,
        method: &Method,
        headers: &HeaderMap,
        has_token: bool,
    ) -> Result<(), Foreign> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let is_ours = host.is_some_and(|host| self.hosts.contains(&host.to_ascii_lowercase()));
        if !is_ours || hosts.next().is_some() {
            return Err(Foreign::Host);
        }
        let is_safe = *method == Method::GET || *method == Method::HEAD;
        if let Some(origin) = text("origin")
            && !self.origins.iter().any(|ours| ours == origin)
        {
            return Err(Foreign::Origin);
        }
        match text("sec-fetch-site") {
            Some("same-origin") => Ok(()),
            // The person typed the address or opened a bookmark.
            Some("none") if is_safe => Ok(()),
            // A link on another page, which can't read the answer. Frames are refused: their destination is not `document`.
            Some(_)
                if *method == Method::GET
                    && text("sec-fetch-mode") == Some("navigate")
                    && text("sec-fetch-dest") == Some("document") =>
            {
                Ok(())
            }
            Some(_) => Err(Foreign::Origin),
            // A program, since current browsers send Sec-Fetch-Site. To change anything, it needs a token; a cookie alone is refused.
            None if is_safe || has_token || text("origin").is_some() => Ok(()),
            None if !headers.contains_key(header::COOKIE) => Ok(()),
            None => Err(Foreign::Origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, method: &str, headers: &[(&str, &str)]) -> Result<(), Foreign> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().expect("a name");
            map.append(name, value.parse().expect("a value"));
        }
        let method = method.parse().expect("a method");
        guard.check(&method, &map, map.contains_key(header::AUTHORIZATION))
    }

    /// A method, headers, and the reason for refusing them.
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        Foreign,
    );

    #[test]
    fn only_our_own_pages_and_programs_are_admitted() {
        let guard = Guard::new(([127, 0, 0, 1], 7420).into(), false, &[]);
        const OURS: (&str, &str) = ("host", "localhost:7420");
        let good: &[(&str, &[(&str, &str)])] = &[
            ("GET", &[OURS]),
            ("GET", &[("host", "127.0.0.1:7420")]),
            ("GET", &[("host", "[::1]:7420")]),
            ("GET", &[OURS, ("sec-fetch-site", "none")]),
            (
                "GET",
                &[
                    OURS,
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "document"),
                ],
            ),
            (
                "POST",
                &[
                    OURS,
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "http://localhost:7420"),
                ],
            ),
            ("POST", &[OURS, ("origin", "http://localhost:7420")]),
            ("POST", &[OURS, ("authorization", "Bearer x")]),
        ];
        for (method, headers) in good {
            assert_eq!(
                check(&guard, method, headers),
                Ok(()),
                "{method} {headers:?}"
            );
        }
        let bad: &[Case] = &[
            ("GET", &[], Foreign::Host),
            ("GET", &[("host", "rebound.example:7420")], Foreign::Host),
            ("GET", &[("host", "localhost")], Foreign::Host),
            ("GET", &[("host", "localhost:7421")], Foreign::Host),
            (
                "GET",
                &[("host", "localhost:7420.evil.example")],
                Foreign::Host,
            ),
            ("GET", &[OURS, ("host", "evil.example")], Foreign::Host),
            (
                "GET",
                &[OURS, ("origin", "http://localhost:7421")],
                Foreign::Origin,
            ),
            ("GET", &[OURS, ("origin", "null")], Foreign::Origin),
            (
                "GET",
                &[
                    OURS,
                    ("sec-fetch-site", "same-site"),
                    ("sec-fetch-mode", "cors"),
                ],
                Foreign::Origin,
            ),
            (
                "GET",
                &[
                    OURS,
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "iframe"),
                ],
                Foreign::Origin,
            ),
            (
                "POST",
                &[
                    OURS,
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "document"),
                ],
                Foreign::Origin,
            ),
            (
                "POST",
                &[OURS, ("cookie", "windlass-7420=x")],
                Foreign::Origin,
            ),
            ("POST", &[OURS, ("sec-fetch-site", "none")], Foreign::Origin),
            (
                "POST",
                &[
                    OURS,
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "http://127.0.0.1:80"),
                ],
                Foreign::Origin,
            ),
            (
                "POST",
                &[
                    OURS,
                    ("authorization", "Bearer x"),
                    ("origin", "http://evil.example"),
                ],
                Foreign::Origin,
            ),
        ];
        for (method, headers, why) in bad {
            assert_eq!(
                check(&guard, method, headers),
                Err(*why),
                "{method} {headers:?}"
            );
        }
    }

    #[test]
    fn a_configured_name_is_accepted_with_and_without_its_port() {
        let names = ["Windlass.example.COM".to_owned()];
        let guard = Guard::new(([10, 0, 0, 1], 8443).into(), true, &names);
        for host in ["windlass.example.com", "WINDLASS.example.com:8443"] {
            assert_eq!(check(&guard, "GET", &[("host", host)]), Ok(()), "{host}");
        }
        let proxied = Guard::new(([127, 0, 0, 1], 7420).into(), false, &names);
        let headers = [
            ("host", "windlass.example.com"),
            ("origin", "https://windlass.example.com"),
        ];
        assert_eq!(check(&proxied, "POST", &headers), Ok(()));
        for host in ["localhost:8443", "10.0.0.1:8443"] {
            assert_eq!(
                check(&guard, "GET", &[("host", host)]),
                Err(Foreign::Host),
                "{host}"
            );
        }
    }
}
