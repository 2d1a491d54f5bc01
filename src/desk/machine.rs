use super::access::Identity;
use windlass_ground::Timestamp;
use windlass_targets::GROUP;
use windlass_world::x509::Certificate;

/// A machine that has proved in the TLS handshake that it has the key of a client certificate.
pub struct Machine {
    identity: Identity,
    not_after: Timestamp,
}

impl Machine {
    /// Reads the client certificate (DER). Returns `None` if there is no usable name.
    pub fn of(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::read_der(der)?;
        Some(Self {
            identity: identity(&certificate)?,
            not_after: certificate.not_after.into(),
        })
    }

    /// Returns its identity while the certificate is valid: a connection may be open for longer.
    pub fn identity(&self, now: Timestamp) -> Option<&Identity> {
        (now <= self.not_after).then_some(&self.identity)
    }
}

/// Returns the identity in a client certificate. The name is the first
/// URI, DNS name or e-mail address in the subject alternative names, otherwise the common name; the groups are the organizations. Returns
/// `None` if there is no usable name.
fn identity(certificate: &Certificate) -> Option<Identity> {
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
    fn a_certificate_identifies_a_machine_until_it_expires() {
        let machine = Machine {
            identity: Identity {
                groups: Vec::new(),
                how: "client certificate 1".into(),
                name: "deployer".into(),
                roles: Vec::new(),
            },
            not_after: Timestamp::from_secs(7),
        };
        assert!(machine.identity(Timestamp::from_secs(7)).is_some());
        assert!(machine.identity(Timestamp::from_secs(8)).is_none());
    }

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
