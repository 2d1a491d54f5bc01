//! The rules for names (RFC 1123 and Kubernetes' own), with the messages of the API server.

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const DATA_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// Checks a name of at most 63 characters, such as a namespace's.
pub(super) fn label(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some("must be no more than 63 characters".into());
    }
    (!is_label(text)).then(|| LABEL.into())
}

pub(super) fn subdomain(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some("must be no more than 253 characters".into());
    }
    (!text.split('.').all(is_label)).then(|| SUBDOMAIN.into())
}

/// Checks a name that must be valid as a segment of a path, such as an RBAC object's.
pub(super) fn path_segment(text: &str) -> Option<String> {
    match text {
        "." | ".." => Some(format!("may not be '{text}'")),
        _ if text.contains('/') => Some("may not contain '/'".into()),
        _ if text.contains('%') => Some("may not contain '%'".into()),
        _ => None,
    }
}

/// Checks the key of a label or an annotation.
pub(super) fn qualified(text: &str) -> Option<String> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if prefix.is_some_and(|prefix| subdomain(prefix).is_some()) {
        return Some(format!("prefix part {SUBDOMAIN}"));
    }
    if name.is_empty() {
        return Some("name part must be non-empty".into());
    }
    if name.len() > 63 {
        return Some("name part must be no more than 63 characters".into());
    }
    (!is_name(name)).then(|| QUALIFIED.into())
}

/// Checks the value of a label.
pub(super) fn label_value(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some("must be no more than 63 characters".into());
    }
    (!text.is_empty() && !is_name(text)).then(|| VALUE.into())
}

/// Checks the key of an entry in a Secret or ConfigMap.
pub(super) fn data_key(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some("must be no more than 253 characters".into());
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    match text {
        "." | ".." => Some(format!("must not be '{text}'")),
        _ if text.starts_with("..") => Some("must not start with '..'".into()),
        _ => (text.is_empty() || !text.chars().all(fine)).then(|| DATA_KEY.into()),
    }
}

fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bounded(text, plain, |byte| plain(byte) || byte == b'-')
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    bounded(text, plain, |byte| plain(byte) || b"-_.".contains(&byte))
}

fn bounded(text: &str, at_ends: impl Fn(u8) -> bool, within: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            at_ends(*first) && at_ends(*last) && bytes.iter().all(|byte| within(*byte))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_rules() {
        assert!(label("a-1").is_none());
        assert!(
            label("a.b").is_some() && label("-a").is_some() && label(&"a".repeat(64)).is_some()
        );
        assert!(subdomain("a.b-c").is_none() && subdomain("a..b").is_some());
        assert!(subdomain("A").is_some());
        assert!(qualified("example.com/My_Name").is_none() && qualified("a/b/c").is_some());
        assert!(label_value("").is_none() && label_value("a b").is_some());
        assert!(
            data_key("tls.crt").is_none() && data_key("a/b").is_some() && data_key("").is_some()
        );
        assert!(path_segment("system:a").is_none() && path_segment("a/b").is_some());
    }
}
