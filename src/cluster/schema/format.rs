//! The formats of texts in the schemas of custom objects.
//!
//! From "Specifying a structural schema" (Kubernetes documentation) and `k8s.io/kube-openapi/pkg/validation/strfmt`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use time::{
    Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description,
};

/// The formats that are checked; the API server ignores unknown ones.
const KNOWN: [&str; 13] = [
    "byte",
    "cidr",
    "date",
    "date-time",
    "datetime",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "mac",
    "uri",
    "uuid",
];

pub(super) fn is_known(format: &str) -> bool {
    KNOWN.contains(&format)
}

/// Returns whether a text has a known format.
pub(super) fn fits(format: &str, text: &str) -> bool {
    match format {
        "byte" => data_encoding::BASE64.decode(text.as_bytes()).is_ok(),
        "cidr" => is_cidr(text),
        "date" => Date::parse(text, format_description!("[year]-[month]-[day]")).is_ok(),
        "date-time" | "datetime" => OffsetDateTime::parse(text, &Rfc3339).is_ok(),
        "duration" => is_duration(text),
        "email" => is_email(text),
        "hostname" => is_host(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "mac" => is_mac(text),
        "uri" => is_uri(text),
        "uuid" => uuid::Uuid::try_parse(text).is_ok(),
        _ => true,
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}

/// Checks a duration as Go writes it (`1h30m`), or of the form that `strfmt` accepts as well (`2 days`).
fn is_duration(text: &str) -> bool {
    let units = [
        "ns",
        "us",
        "\u{b5}s",
        "\u{3bc}s",
        "ms",
        "s",
        "m",
        "h",
        "d",
        "w",
        "nano",
        "nanos",
        "nanosecond",
        "nanoseconds",
        "micro",
        "micros",
        "microsecond",
        "microseconds",
        "milli",
        "millis",
        "millisecond",
        "milliseconds",
        "sec",
        "secs",
        "second",
        "seconds",
        "min",
        "mins",
        "minute",
        "minutes",
        "hr",
        "hrs",
        "hour",
        "hours",
        "day",
        "days",
        "wk",
        "wks",
        "week",
        "weeks",
    ];
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        let is_digit = |c: char| c.is_ascii_digit() || c == '.';
        let unit = rest.trim_start_matches(is_digit);
        let number = &rest[..rest.len() - unit.len()];
        let unit = unit.trim_start_matches(' ');
        let end = unit
            .find(|c: char| is_digit(c) || c == ' ')
            .unwrap_or(unit.len());
        if number.parse::<f64>().is_err() || !units.contains(&&unit[..end]) {
            return false;
        }
        rest = unit[end..].trim_start_matches(' ');
        parts += 1;
    }
    parts > 0
}

fn is_email(text: &str) -> bool {
    // A display name is allowed, as in `A <a@b.c>`.
    let address = match text.split_once('<') {
        Some((_, address)) => address.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let is_plain = |c: char| !c.is_whitespace() && !"<>(),;:\\\"[]@".contains(c);
    address.rsplit_once('@').is_some_and(|(local, domain)| {
        let parts = [local, domain];
        parts
            .iter()
            .all(|part| !part.is_empty() && part.chars().all(is_plain))
            && !local.starts_with('.')
            && !local.ends_with('.')
    })
}

fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&label.len())
            && label.chars().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    name.len() <= 255 && name.split('.').all(is_label)
}

fn is_mac(text: &str) -> bool {
    let separator = if text.contains('-') { '-' } else { ':' };
    let parts: Vec<_> = text.split(separator).collect();
    let is_byte = |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
    [6, 8, 20].contains(&parts.len()) && parts.iter().all(is_byte)
}

/// Checks a URI as Go's `url.ParseRequestURI` does: with a scheme, or an absolute path.
fn is_uri(text: &str) -> bool {
    let is_clean = text.chars().all(|c| !c.is_whitespace() && !c.is_control());
    let has_scheme = text.split_once(':').is_some_and(|(scheme, rest)| {
        let mut letters = scheme.chars();
        let begins = letters.next().is_some_and(|c| c.is_ascii_alphabetic());
        begins
            && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !rest.is_empty()
    });
    is_clean && (has_scheme || text.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_texts_that_fit_and_others() {
        for (format, right, wrong) in [
            ("byte", &["aGk=", ""][..], &["a"][..]),
            (
                "cidr",
                &["10.0.0.0/8", "::/0"],
                &["10.0.0.0", "10.0.0.0/33", "a/8"],
            ),
            ("date", &["2026-02-28"], &["2026-02-30", "28.2.2026"]),
            (
                "date-time",
                &["2026-02-28T10:00:00Z", "2026-02-28T10:00:00.5+01:00"],
                &["2026-02-28", "nope"],
            ),
            (
                "duration",
                &["1h30m", "0", "1.5s", "-2m", "2 days", "72h"],
                &["", "xx", "1", "h", "1 parsec"],
            ),
            (
                "email",
                &["a@b.c", "A <a@b.c>"],
                &["a", "@b", "a@", "a b@c"],
            ),
            (
                "hostname",
                &["a", "a-b.c", "a."],
                &["", "-a", "a..b", "a/b"],
            ),
            ("ipv4", &["1.2.3.4"], &["1.2.3", "::1", "1.2.3.400"]),
            ("ipv6", &["::1", "2001:db8::"], &["1.2.3.4", ":::"]),
            (
                "mac",
                &["01:23:45:67:89:ab", "01-23-45-67-89-AB"],
                &["01:23", "0123456789ab", "zz:23:45:67:89:ab"],
            ),
            (
                "uri",
                &["https://a.b/c", "urn:a", "/path"],
                &["nope", "", "a b:c", ":a"],
            ),
            ("uuid", &["123e4567-e89b-12d3-a456-426614174000"], &["123"]),
        ] {
            for text in right {
                assert!(fits(format, text), "{format}: {text}");
            }
            for text in wrong {
                assert!(!fits(format, text), "{format}: {text}");
            }
        }
    }
}
