//! Checks whether a name is within a base, for each form of name.

use super::form::Name;

/// Returns whether a permitted base allows a name of the same form. As on AWS, an empty base allows nothing.
pub(super) fn permits(base: &Name, name: &Name) -> bool {
    !is_empty(base) && covers(base, name)
}

/// Returns whether an excluded base forbids a name of the same form. A wildcard is forbidden if any name that it matches is.
pub(super) fn excludes(base: &Name, name: &Name) -> bool {
    let by_wildcard = match (base, name) {
        (Name::Dns(base), Name::Dns(name)) => {
            let base = base.to_ascii_lowercase();
            name.to_ascii_lowercase()
                .strip_prefix('*')
                .and_then(|parent| base.strip_suffix(parent))
                .is_some_and(|label| !label.is_empty() && !label.contains('.'))
        }
        _ => false,
    };
    by_wildcard || covers(base, name)
}

/// Returns whether two names have the same form.
pub(super) fn is_alike(base: &Name, name: &Name) -> bool {
    std::mem::discriminant(base) == std::mem::discriminant(name)
}

fn is_empty(base: &Name) -> bool {
    match base {
        Name::Mail(text) | Name::Dns(text) | Name::Uri(text) => text.is_empty(),
        Name::Directory(relative) => relative.is_empty(),
        Name::Address(bytes) => bytes.is_empty(),
        Name::Other(_) => true,
    }
}

fn covers(base: &Name, name: &Name) -> bool {
    match (base, name) {
        (Name::Dns(base), Name::Dns(name)) => within_domain(base, name.trim_end_matches('.')),
        (Name::Mail(base), Name::Mail(name)) => covers_mail(base, name),
        (Name::Uri(base), Name::Uri(name)) => {
            host(name).is_some_and(|host| is_host_or_below(base, host))
        }
        (Name::Address(base), Name::Address(name)) => covers_address(base, name),
        (Name::Directory(base), Name::Directory(name)) => name.starts_with(base),
        _ => false,
    }
}

/// Returns whether a domain covers a name: itself and everything below it, or only the latter if it begins with a dot. An
/// empty domain is the root, which covers everything.
fn within_domain(base: &str, name: &str) -> bool {
    let (base, name) = (base.to_ascii_lowercase(), name.to_ascii_lowercase());
    match name.strip_suffix(&base) {
        Some("") => true,
        Some(rest) => base.is_empty() || base.starts_with('.') || rest.ends_with('.'),
        None => false,
    }
}

/// Returns whether a mail or URI base covers a host: only itself, or, if it begins with a dot, everything below it.
fn is_host_or_below(base: &str, host: &str) -> bool {
    let (base, host) = (base.to_ascii_lowercase(), host.to_ascii_lowercase());
    if base.starts_with('.') {
        host.ends_with(&base)
    } else {
        host == base
    }
}

fn covers_mail(base: &str, name: &str) -> bool {
    let Some((user, host)) = name.rsplit_once('@') else {
        return false;
    };
    match base.rsplit_once('@') {
        Some((wanted, base)) => {
            (wanted.is_empty() || wanted == user) && host.eq_ignore_ascii_case(base)
        }
        None => is_host_or_below(base, host),
    }
}

fn covers_address(base: &[u8], name: &[u8]) -> bool {
    let (address, mask) = base.split_at(base.len() / 2);
    base.len() == 2 * name.len()
        && name
            .iter()
            .zip(address.iter().zip(mask))
            .all(|(byte, (wanted, mask))| byte & mask == wanted & mask)
}

/// Returns the host of a URI, or `None` if there is none, or if parsers of URIs disagree about it.
pub(super) fn host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, _) = rest.split_at(end);
    let host = authority
        .split_once(':')
        .map_or(authority, |(host, _)| host);
    let clear = !host.is_empty() && !authority.contains(['@', '[', '\\']);
    clear.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(text: &str) -> Name {
        Name::Dns(text.into())
    }

    #[test]
    fn a_domain_covers_what_is_below_it() {
        for (base, name, covered) in [
            ("example.com", "example.com", true),
            ("example.com", "A.Example.Com", true),
            ("example.com", "badexample.com", false),
            (".example.com", "a.example.com", true),
            (".example.com", "example.com", false),
            ("a.example.com", "example.com", false),
            ("example.com", "a.example.com.", true),
        ] {
            assert_eq!(permits(&dns(base), &dns(name)), covered, "{base} {name}");
            assert_eq!(excludes(&dns(base), &dns(name)), covered, "{base} {name}");
        }
        assert!(!permits(&dns(""), &dns("a.example")));
        assert!(excludes(&dns(""), &dns("a.example")));
    }

    #[test]
    fn a_wildcard_is_excluded_if_a_name_that_it_matches_is() {
        assert!(excludes(&dns("secret.example.com"), &dns("*.example.com")));
        assert!(!excludes(
            &dns("a.secret.example.com"),
            &dns("*.example.com")
        ));
        assert!(!excludes(&dns("example.com"), &dns("*.com.example")));
        assert!(permits(&dns("example.com"), &dns("*.example.com")));
        assert!(!permits(&dns("secret.example.com"), &dns("*.example.com")));
    }

    #[test]
    fn a_uri_whose_host_is_ambiguous_has_none() {
        assert_eq!(host("https://a.example:8443/x"), Some("a.example"));
        assert_eq!(host("https://good.example:x@evil.example/"), None);
        assert_eq!(host("urn:a:b"), None);
        assert_eq!(host("https://[::1]/"), None);
    }
}
