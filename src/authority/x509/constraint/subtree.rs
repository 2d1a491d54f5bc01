//! Whether a name lies within a base, for each form of name.

use super::form::Name;

/// Whether a permitted base admits a name of its own form. An empty base admits nothing, as AWS says.
pub(super) fn permits(base: &Name, name: &Name) -> bool {
    !is_empty(base) && covers(base, name)
}

/// Whether an excluded base forbids a name of its own form. A wildcard is as bad as the worst name it stands for.
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

/// Whether two names are of one form.
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

/// A domain covers itself and what is below it; one that begins with a dot, only what is below. An empty one is the root.
fn within_domain(base: &str, name: &str) -> bool {
    let (base, name) = (base.to_ascii_lowercase(), name.to_ascii_lowercase());
    match name.strip_suffix(&base) {
        Some("") => true,
        Some(rest) => base.is_empty() || base.starts_with('.') || rest.ends_with('.'),
        None => false,
    }
}

/// For mail and URIs a host covers only itself, and one that begins with a dot what is below it.
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

/// The host of a URI; `None` without one, or where readers of URIs disagree which one it is.
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
    fn a_wildcard_is_excluded_with_any_name_it_stands_for() {
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
    fn a_host_that_readers_disagree_about_is_none() {
        assert_eq!(host("https://a.example:8443/x"), Some("a.example"));
        assert_eq!(host("https://good.example:x@evil.example/"), None);
        assert_eq!(host("urn:a:b"), None);
        assert_eq!(host("https://[::1]/"), None);
    }
}
