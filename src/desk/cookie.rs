//! The cookies of this server: their names and attributes.

use http::{HeaderMap, HeaderValue, header};

use super::server::Desk;
use windlass_world::outside::is_own_name;

/// With which requests from other sites a browser sends a cookie (`SameSite`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// With none.
    Strict,
    /// With links and redirects to this server. The OpenID Connect provider is another site, and redirects back here.
    Lax,
}

/// What a cookie is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The session of a browser that is logged in.
    Session,
    /// A login that has begun: the browser is at the provider.
    Login,
}

impl Desk {
    /// Returns the value of a request's cookie.
    pub fn cookie(&self, purpose: Purpose, headers: &HeaderMap) -> Option<String> {
        let name = self.cookie_name(purpose, headers);
        let all = headers.get_all(header::COOKIE).iter();
        let mut pairs = all
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let found = pairs.find(|(known, _)| *known == name);
        found.map(|(_, value)| value.to_owned())
    }

    /// Returns the `Set-Cookie` header for a cookie that lives until the browser is closed, or for `seconds`. `headers` are the request's.
    pub fn set_cookie(
        &self,
        purpose: Purpose,
        headers: &HeaderMap,
        value: &str,
        same_site: SameSite,
        seconds: Option<u32>,
    ) -> Option<HeaderValue> {
        let name = self.cookie_name(purpose, headers);
        let same_site = match same_site {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
        };
        let life = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
        let secure = if self.is_secure(headers) {
            "; Secure"
        } else {
            ""
        };
        let cookie =
            format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{life}{secure}");
        HeaderValue::from_str(&cookie).ok()
    }

    /// Returns the `Set-Cookie` header that deletes a cookie.
    pub fn forget_cookie(&self, purpose: Purpose, headers: &HeaderMap) -> Option<HeaderValue> {
        self.set_cookie(purpose, headers, "", SameSite::Lax, Some(0))
    }

    /// Returns the origin under which the browser reaches this server, from its Host header, which `guard` has checked.
    pub fn origin(&self, headers: &HeaderMap) -> String {
        let host = host(headers);
        if self.is_secure(headers) {
            format!("https://{host}")
        } else {
            format!("http://{host}")
        }
    }

    /// Returns whether the browser uses TLS. Without TLS of our own, a proxy is assumed to provide it for every name except loopback names.
    fn is_secure(&self, headers: &HeaderMap) -> bool {
        self.is_tls || !is_own_name(without_port(host(headers)))
    }

    /// Returns the name of a cookie. It contains the port, because all servers of a host share its cookies. With the prefix `__Host-`, a
    /// browser accepts it only over TLS, and not from another host.
    fn cookie_name(&self, purpose: Purpose, headers: &HeaderMap) -> String {
        let prefix = if self.is_secure(headers) {
            "__Host-"
        } else {
            ""
        };
        let suffix = match purpose {
            Purpose::Session => "",
            Purpose::Login => "-login",
        };
        format!("{prefix}windlass-{}{suffix}", self.port)
    }
}

fn host(headers: &HeaderMap) -> &str {
    let host = headers.get(header::HOST);
    host.and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// Returns the name or address in a `Host` header.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of an address without a port are in brackets.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}
