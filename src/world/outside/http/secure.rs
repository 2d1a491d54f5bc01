use reqwest::Url;

/// The names and addresses with which URLs and `Host` headers name this machine.
const OWN: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Says whether the host of a URL or of a `Host` header is this machine itself, so that no network carries the request.
pub fn is_own_name(host: &str) -> bool {
    OWN.iter().any(|own| host.eq_ignore_ascii_case(own))
}

/// Refuses a URL to which a secret would be sent unencrypted over a network: one without TLS, unless it names this machine.
///
/// # Errors
/// Why the URL is refused.
pub fn must_be_secure(url: &str) -> Result<(), String> {
    let read = Url::parse(url).map_err(|e| format!("`{url}` is not a valid URL: {e}"))?;
    match (read.scheme(), read.host_str().is_some_and(is_own_name)) {
        ("https", _) | ("http", true) => Ok(()),
        _ => Err(format!("`{url}` does not begin with https://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_loopback_is_accepted() {
        for good in [
            "https://login.example.com",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
            "http://localhost/x",
        ] {
            assert_eq!(must_be_secure(good), Ok(()), "{good}");
        }
        for bad in [
            "http://login.example.com",
            "http://127.0.0.1.evil.example",
            "ftp://localhost",
            "x",
        ] {
            assert!(must_be_secure(bad).is_err(), "{bad}");
        }
    }
}
