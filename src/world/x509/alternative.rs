//! The names that a certificate is for (subject alternative names, RFC 5280, 4.2.1.6), by kind.

use std::{fmt, net::IpAddr};

use strum::VariantArray;

/// The names of a certificate or a request, by kind. Clients match each kind by its own rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlternativeNames {
    /// Host names in ASCII; the first label may be `*`.
    pub dns_names: Vec<String>,
    pub ip_addresses: Vec<IpAddr>,
    /// With a scheme, such as `spiffe://…`.
    pub uris: Vec<String>,
    pub email_addresses: Vec<String>,
}

/// The kinds of names, by the keys that scripts and workflows use for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray)]
pub enum NameKind {
    Dns,
    Ip,
    Uri,
    Email,
}

impl NameKind {
    pub const ALL: &[Self] = Self::VARIANTS;

    pub fn key(self) -> &'static str {
        match self {
            Self::Dns => "dns_names",
            Self::Ip => "ip_addresses",
            Self::Uri => "uris",
            Self::Email => "email_addresses",
        }
    }
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "DNS name",
            Self::Ip => "IP address",
            Self::Uri => "URI",
            Self::Email => "email address",
        })
    }
}

/// The reason why a name is not valid for its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` has {value:?}, which {why}", kind.key())]
pub struct NameError {
    kind: NameKind,
    value: String,
    why: &'static str,
    /// The kind that it seems to be.
    better: Option<NameKind>,
}

impl NameError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let better = self.better?;
        let value = self.value.trim();
        Some(format!(
            "it looks like a name of another kind ({better}): give it in `{}: [{value:?}]`",
            better.key()
        ))
    }
}

/// RFC 1035.
const LONGEST_DNS_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;
/// RFC 5321.
const LONGEST_EMAIL: usize = 254;
/// AWS Private CA accepts no longer ones.
const LONGEST_URI: usize = 253;

impl AlternativeNames {
    /// Adds a name.
    ///
    /// # Errors
    /// A name that is not of this kind, with the kind that it seems to be.
    pub fn add(&mut self, kind: NameKind, value: &str) -> Result<(), NameError> {
        let wrong = |why| NameError {
            kind,
            value: value.into(),
            why,
            better: better(kind, value),
        };
        match kind {
            NameKind::Dns => {
                check_dns(value).map_err(wrong)?;
                self.dns_names.push(value.into());
            }
            NameKind::Ip => {
                let address = check_ip(value).map_err(wrong)?;
                self.ip_addresses.push(address);
            }
            NameKind::Uri => {
                check_uri(value).map_err(wrong)?;
                self.uris.push(value.into());
            }
            NameKind::Email => {
                check_email(value).map_err(wrong)?;
                self.email_addresses.push(value.into());
            }
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.dns_names.is_empty()
            && self.ip_addresses.is_empty()
            && self.uris.is_empty()
            && self.email_addresses.is_empty()
    }
}

/// Returns the other kind that a name is valid for, if there is one.
fn better(kind: NameKind, value: &str) -> Option<NameKind> {
    let value = value.trim();
    let is = |other| match other {
        NameKind::Dns => check_dns(value).is_ok(),
        NameKind::Ip => check_ip(value.trim_matches(['[', ']'])).is_ok(),
        NameKind::Uri => value.contains("://") && check_uri(value).is_ok(),
        NameKind::Email => check_email(value).is_ok(),
    };
    let order = [NameKind::Ip, NameKind::Uri, NameKind::Email, NameKind::Dns];
    order.into_iter().find(|other| *other != kind && is(*other))
}

fn check_text(value: &str) -> Result<(), &'static str> {
    if value.is_empty() {
        return Err("is empty");
    }
    if value.chars().any(char::is_whitespace) {
        return Err("has white space");
    }
    if !value.is_ascii() {
        return Err(
            "has characters beyond ASCII; an international host name is written in its ASCII form (`xn--…`)",
        );
    }
    if value.bytes().any(|byte| byte.is_ascii_control()) {
        Err("has control characters")
    } else {
        Ok(())
    }
}

fn check_dns(value: &str) -> Result<(), &'static str> {
    check_text(value)?;
    if check_ip(value.trim_matches(['[', ']'])).is_ok() {
        return Err("is an IP address: no client accepts it as a DNS name");
    }
    if value.contains("://") || value.contains('/') {
        return Err("is a URI or a path, not a host name");
    }
    if value.contains('@') {
        return Err("is an email address, not a host name");
    }
    if value.contains(':') {
        return Err("has a port or a scheme; a certificate names the host alone");
    }
    if value.len() > LONGEST_DNS_NAME {
        return Err("is longer than 253 characters");
    }
    if value.ends_with('.') {
        return Err("ends with a dot; names in certificates are written without it");
    }
    let host = value.strip_prefix("*.").unwrap_or(value);
    if host.contains('*') {
        return Err("has a `*` that is not its whole first label, or nothing after it");
    }
    let labels: Vec<_> = host.split('.').collect();
    for label in &labels {
        if label.is_empty() {
            return Err("has an empty label");
        }
        if label.len() > LONGEST_LABEL {
            return Err("has a label of more than 63 characters");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("has a label that begins or ends with a hyphen");
        }
        // The RFCs do not allow it for hosts, but names of services and many clients have it.
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !label.bytes().all(is_allowed) {
            return Err("has a character that no host name has");
        }
    }
    let is_number = |label: &&str| label.bytes().all(|byte| byte.is_ascii_digit());
    if labels.len() > 1 && labels.last().is_some_and(is_number) {
        Err("ends in a number like an IP address, but is not one")
    } else {
        Ok(())
    }
}

fn check_ip(value: &str) -> Result<IpAddr, &'static str> {
    if value.is_empty() {
        return Err("is empty");
    }
    value.parse().map_err(|_| match value {
        _ if value.contains('/') => "is a network; a certificate names single addresses",
        _ if value.contains('%') => "has a zone, which means something on one machine only",
        _ => "is not an IP address",
    })
}

fn check_uri(value: &str) -> Result<(), &'static str> {
    check_text(value)?;
    let Some((scheme, rest)) = value.split_once(':') else {
        return Err("has no scheme, such as `https:` or `spiffe:`");
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !is_scheme {
        return Err("has no scheme, such as `https:` or `spiffe:`");
    }
    if value.len() > LONGEST_URI {
        return Err("is longer than the 253 characters that AWS Private CA takes");
    }
    if value.bytes().any(|byte| b"<>\"{}|\\^`".contains(&byte)) {
        return Err("has a character that must be written as %XX");
    }
    let authority = rest
        .strip_prefix("//")
        .map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match authority {
        _ if rest.is_empty() => Err("has nothing after its scheme"),
        Some("") => Err("has no host"),
        None if scheme == "spiffe" => Err("has no trust domain (`spiffe://DOMAIN/…`)"),
        Some(domain) if scheme == "spiffe" => check_spiffe(domain, rest),
        _ => Ok(()),
    }
}

/// "The SPIFFE Identity and Verifiable Identity Document", 2.
fn check_spiffe(domain: &str, rest: &str) -> Result<(), &'static str> {
    let is_allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    if !domain.bytes().all(is_allowed) {
        return Err("has a trust domain with something else than a-z, 0-9, `.`, `-` and `_`");
    }
    if rest.contains(['?', '#']) {
        return Err("has a query or a fragment, which no SPIFFE ID has");
    }
    if rest.ends_with('/') {
        Err("ends with a slash, which no SPIFFE ID does")
    } else {
        Ok(())
    }
}

fn check_email(value: &str) -> Result<(), &'static str> {
    check_text(value)?;
    let Some((local, domain)) = value.rsplit_once('@') else {
        return Err("has no `@`");
    };
    if value.len() > LONGEST_EMAIL {
        return Err("is longer than 254 characters");
    }
    if value.contains("://") {
        return Err("is a URI");
    }
    // The dot-string of RFC 5321; quoted ones do not occur in certificates.
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    if local.is_empty() || !local.bytes().all(is_allowed) {
        return Err("has an invalid mailbox before its `@`");
    }
    if domain.contains('*') || check_dns(domain).is_err() {
        Err("has an invalid host name after its `@`")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(kind: NameKind, value: &str) -> Result<(), NameError> {
        AlternativeNames::default().add(kind, value)
    }

    #[test]
    fn c6_names_of_each_kind_are_taken() {
        for (kind, value) in [
            (NameKind::Dns, "a"),
            (NameKind::Dns, "*.gloo-mesh"),
            (NameKind::Dns, "cluster-1.gloo-mesh.agent"),
            (NameKind::Dns, "_dmarc.example.com"),
            (NameKind::Dns, "xn--mnchen-3ya.example"),
            (NameKind::Dns, "3com.com"),
            (NameKind::Ip, "127.0.0.1"),
            (NameKind::Ip, "::1"),
            (NameKind::Ip, "2001:db8::7"),
            (NameKind::Uri, "spiffe://cluster.local/ns/a/sa/b"),
            (NameKind::Uri, "spiffe://cluster.local"),
            (NameKind::Uri, "urn:uuid:f81d4fae"),
            (NameKind::Uri, "https://a.example:8443/x?y"),
            (NameKind::Email, "a.b+c@example.com"),
        ] {
            assert_eq!(add(kind, value), Ok(()), "{kind} {value}");
        }
    }

    #[test]
    fn c6_a_name_of_the_wrong_kind_names_the_right_field() {
        use NameKind::{Dns, Email, Ip, Uri};
        for (kind, value, field) in [
            (Dns, "127.0.0.1", Some("ip_addresses")),
            (Dns, "::1", Some("ip_addresses")),
            (Dns, "[::1]", Some("ip_addresses")),
            (Dns, "spiffe://cluster.local/x", Some("uris")),
            (Dns, "https://a.example", Some("uris")),
            (Dns, "a@example.com", Some("email_addresses")),
            (Ip, "a.example", Some("dns_names")),
            (Uri, "a.example", Some("dns_names")),
            (Uri, "10.0.0.1", Some("ip_addresses")),
            (Email, "a.example", Some("dns_names")),
            (Email, "spiffe://a/b", Some("uris")),
            (Dns, "", None),
            (Dns, " ", None),
            (Dns, "a b", None),
            (Dns, "münchen.example", None),
            (Dns, "a.example.", None),
            (Dns, "a..example", None),
            (Dns, "*", None),
            (Dns, "a.*.example", None),
            (Dns, "*a.example", None),
            (Dns, "a.example:443", None),
            (Dns, "1.2.3", None),
            (Dns, "256.1.1.1", None),
            (Ip, "10.0.0.0/8", None),
            (Ip, "fe80::1%eth0", None),
            (Ip, "", None),
            (Uri, "spiffe://", None),
            (Uri, "spiffe://A/b", None),
            (Uri, "https:", None),
            (Email, "a@", None),
            (Email, "@example.com", None),
            (Email, "A <a@example.com>", None),
        ] {
            let error = add(kind, value).expect_err(value);
            let hint = error.hint().unwrap_or_default();
            match field {
                Some(field) => assert!(hint.contains(field), "{kind} {value}: {hint}"),
                None => assert_eq!(hint, "", "{kind} {value}"),
            }
            assert!(error.to_string().contains(kind.key()), "{error}");
        }
    }
}
