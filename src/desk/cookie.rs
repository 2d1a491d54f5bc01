//! The cookies of this server: how they are named, and what a browser may do with them.

use http::{HeaderMap, HeaderValue, header};

use super::server::Desk;

/// Which requests that other sites begin bring a cookie along (`SameSite`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// None.
    Strict,
    /// Those that lead a person here: a provider is another site, and leads back.
    Lax,
}

/// What a cookie is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A browser is logged in.
    Session,
    /// A browser has gone to the provider to log in.
    Login,
}

impl Desk {
    /// Returns the value that a request's cookie has.
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

    /// Makes the header that sets a cookie until the browser ends, or for `seconds`. `headers` are those of the request.
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
        let secure = match self.is_secure(headers) {
            true => "; Secure",
            false => "",
        };
        let cookie =
            format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{life}{secure}");
        HeaderValue::from_str(&cookie).ok()
    }

    /// Makes the header with which the browser forgets a cookie.
    pub fn forget_cookie(&self, purpose: Purpose, headers: &HeaderMap) -> Option<HeaderValue> {
        self.set_cookie(purpose, headers, "", SameSite::Lax, Some(0))
    }

    /// Returns the address under which the browser reaches this server: its Host header has been checked.
    pub fn origin(&self, headers: &HeaderMap) -> String {
        let host = host(headers);
        match self.is_secure(headers) {
            true => format!("https://{host}"),
            false => format!("http://{host}"),
        }
    }

    /// Says whether the browser speaks TLS: to us, or to a proxy before us, which does for every name but those of this machine.
    fn is_secure(&self, headers: &HeaderMap) -> bool {
        let host = host(headers);
        let name = match host.ends_with(']') {
            true => host,
            false => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        self.is_tls || !["127.0.0.1", "localhost", "[::1]"].contains(&name)
    }

    /// All servers of a host share its cookies, so the name has the port. With `__Host-` a browser takes one from no other host, and
    /// only over TLS.
    fn cookie_name(&self, purpose: Purpose, headers: &HeaderMap) -> String {
        let prefix = match self.is_secure(headers) {
            true => "__Host-",
            false => "",
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
