//! Where a redirect leads, and what is sent there.
//!
//! Within one origin, everything is sent. To another one, only the bare request is sent: no headers, body, certificate or password, and
//! never a `Referer`, whose query may contain a token. curl withholds only `Authorization` and cookies, but tokens are also sent in
//! other headers (`X-Vault-Token`).

use reqwest::{Method, Response, StatusCode, Url, header::LOCATION};

use super::HttpRequest;

/// About the same limit as in browsers and curl.
const MOST_REDIRECTS: usize = 10;

/// One request on the way to the answer.
#[derive(Debug, PartialEq)]
pub(super) struct Hop {
    pub url: Url,
    pub method: Method,
    pub has_body: bool,
    /// It has left the origin of the request, and carries none of its data.
    pub is_bare: bool,
    number: usize,
}

impl Hop {
    pub fn first(url: Url, method: Method) -> Self {
        Self {
            url,
            method,
            has_body: true,
            is_bare: false,
            number: 0,
        }
    }

    /// Returns the request that an answer redirects to. `None` if the answer is final: it is not a redirect, it was expected, or
    /// its request changes something.
    ///
    /// # Errors
    /// Too many redirects, or a redirect to a host that the target does not allow or to an invalid address.
    pub fn next(
        &self,
        answer: &Response,
        request: &HttpRequest,
        allows: impl Fn(&str) -> bool,
    ) -> Result<Option<Self>, String> {
        let (status, location) = (answer.status(), answer.headers().get(LOCATION));
        let Some(location) = location.filter(|_| {
            request.is_safe()
                && matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
                && !request.expected.contains(&status.as_u16())
        }) else {
            return Ok(None);
        };
        self.to(
            status,
            &String::from_utf8_lossy(location.as_bytes()),
            allows,
        )
        .map(Some)
    }

    fn to(
        &self,
        status: StatusCode,
        location: &str,
        allows: impl Fn(&str) -> bool,
    ) -> Result<Self, String> {
        if self.number == MOST_REDIRECTS {
            return Err("too many redirects".into());
        }
        let mut url =
            (self.url.join(location)).map_err(|e| format!("redirected to no URL: {e}"))?;
        let host = url.host_str().unwrap_or_default();
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("redirected to a URL of `{}`", url.scheme()));
        }
        if !allows(host) {
            return Err(format!(
                "redirected to `{host}`, which the target does not allow"
            ));
        }
        let is_bare = self.is_bare || url.origin() != self.url.origin();
        let (user, password) = if is_bare {
            ("", None)
        } else {
            (self.url.username(), self.url.password())
        };
        // This only fails for URLs without a host.
        let _ = url.set_username(user);
        let _ = url.set_password(password);
        let becomes_get = status == StatusCode::SEE_OTHER && self.method != Method::HEAD;
        Ok(Self {
            url,
            method: if becomes_get {
                Method::GET
            } else {
                self.method.clone()
            },
            has_body: self.has_body && !is_bare && !becomes_get,
            is_bare,
            number: self.number + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(from: &str, status: u16, location: &str) -> Result<Hop, String> {
        let first = Hop::first(from.parse().expect("a URL"), Method::OPTIONS);
        let status = StatusCode::from_u16(status).expect("a status");
        first.to(status, location, |host| host != "evil.example")
    }

    #[test]
    fn g5_what_goes_along() {
        let from = "https://user:pass@a.example/x?token=1";
        let near = hop(from, 307, "/y").expect("near");
        assert_eq!(near.url.as_str(), "https://user:pass@a.example/y");
        assert!(!near.is_bare && near.has_body && near.method == Method::OPTIONS);
        for location in [
            "https://b.example/y",
            "http://a.example/x",
            "https://a.example:8443/x",
            "//u:p@b.example/y",
        ] {
            let far = hop(from, 308, location).expect("far");
            assert!(far.is_bare && !far.has_body, "{location}");
            assert_eq!((far.url.username(), far.url.password()), ("", None));
            // Back at the first host, it still carries no credentials: another host chose the address.
            let back = far.to(StatusCode::FOUND, from, |_| true).expect("back");
            assert!(back.is_bare && !back.has_body);
        }
        assert_eq!(hop(from, 303, "/y").expect("near").method, Method::GET);
        for location in ["https://evil.example/", "ftp://a.example/", "http://"] {
            assert!(hop(from, 302, location).is_err(), "{location}");
        }
    }
}
