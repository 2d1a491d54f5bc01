use super::access::Identity;
use windlass_targets::GROUP;
use windlass_world::x509::Certificate;

/// Returns the identity in a client certificate (DER), whose key the client has proved to have in the TLS handshake. The name is the first
/// URI, DNS name or e-mail address in the subject alternative names, otherwise the common name; the groups are the organizations. Returns
/// `None` if there is no usable name.
pub fn identity(der: &[u8]) -> Option<Identity> {
    let certificate = Certificate::read_der(der)?;
    let names = &certificate.names;
    let mut alternative = names
        .uris
        .iter()
        .chain(&names.dns_names)
        .chain(&names.email_addresses);
    let name = match alternative.next() {
        Some(name) => name.clone(),
        None => attribute(&certificate.subject, "CN=").next()?,
    };
    if name.is_empty() || name.starts_with(GROUP) || name.chars().any(char::is_control) {
        return None;
    }
    Some(Identity {
        groups: attribute(&certificate.subject, "O=").collect(),
        how: format!("client certificate {}", certificate.serial),
        name,
        roles: Vec::new(),
    })
}

/// Returns the values of an attribute in a distinguished name, which is in the form of RFC 4514. `kind` is `CN=` or `O=`.
fn attribute<'s>(subject: &'s str, kind: &'s str) -> impl Iterator<Item = String> + 's {
    let mut parts = vec![String::new()];
    let mut characters = subject.chars();
    while let Some(c) = characters.next() {
        match (c, parts.last_mut()) {
            // An escape: the next character is part of the value.
            ('\\', Some(part)) => part.extend(characters.next()),
            (',' | '+', _) => parts.push(String::new()),
            (c, Some(part)) => part.push(c),
            (_, None) => {}
        }
    }
    let values = parts.into_iter().filter_map(move |part| {
        let value = part.trim_start().strip_prefix(kind)?;
        Some(value.to_owned())
    });
    values.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_with_their_escapes() {
        let read = |subject, kind| attribute(subject, kind).collect::<Vec<_>>();
        let subject = "CN=deployer\\, the first,O=pki+O=ops,C=US";
        assert_eq!(read(subject, "CN="), ["deployer, the first"]);
        assert_eq!(read(subject, "O="), ["pki", "ops"]);
        assert_eq!(read("CN=x\\,O=admins", "O="), Vec::<String>::new());
        assert_eq!(read("", "CN="), Vec::<String>::new());
    }
}
