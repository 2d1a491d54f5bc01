use data_encoding::BASE64;

use super::private::{BEGIN, without_public};
use crate::value::Secret;

/// Shorter secrets are not searched for: a run's records are full of short words and numbers, and a record in which each `1234` is
/// hidden would reveal the secret.
pub const LEAST_WHOLE: usize = 6;
/// The minimum for a line of a secret with several lines.
pub const LEAST_LINE: usize = 8;
/// The minimum for a secret inside the base64 of something longer: four characters of base64 stand for three bytes, and those at the ends also
/// depend on the bytes around them.
pub const LEAST_ENCODED: usize = 8;
/// The minimum for a word in a secret, such as the token in a URL: shorter ones are names of hosts and fields.
pub const LEAST_WORD: usize = 20;
/// The minimum for the beginning or the end of a secret that was cut elsewhere.
pub const LEAST_CUT: usize = 16;
/// Names in a Kubernetes Secret beside the secret values are shorter than this.
const LONGEST_NAME: usize = 15;

/// How certain it is that a secret is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was declared as one: a param, a generated key, or a value computed from one.
    Said,
    /// It was found beside secrets: every value of a Kubernetes Secret, which may be a namespace, a host, or the subject of a
    /// certificate. Then plain names are not treated as secrets, and nothing is searched for within certificates.
    Found,
}

/// A part of a secret that is searched for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    pub bytes: Vec<u8>,
    /// Whether it is a line of a private key, which is searched for only as it is: its other forms may be in a certificate.
    pub is_of_key: bool,
    /// Whether it may also be in a certificate or a request, where it stays visible: a line of a private key, or a value that was found beside
    /// secrets.
    pub may_be_public: bool,
    /// Whether its beginning or its end alone must be hidden: it is one long word, or not text.
    pub may_be_cut: bool,
}

/// Splits a secret into parts; `least` is the minimum length of a whole one.
///
/// A secret that is not text is searched for as it is, and as the base64 that its text is.
pub fn parts(secret: &Secret, origin: Origin, least: usize) -> Vec<Part> {
    let mut parts = parts_of_text(secret.reveal(), origin, least);
    let bytes = secret.reveal_bytes();
    if !secret.is_text() && bytes.len() >= least {
        parts.push(Part {
            bytes: bytes.to_vec(),
            is_of_key: false,
            may_be_public: false,
            may_be_cut: bytes.len() > LEAST_CUT,
        });
        // A private key in DER begins as all of its kind, and ends with its public half.
        if bytes[0] == DER_SEQUENCE {
            parts.iter_mut().for_each(|part| part.may_be_cut = false);
        }
    }
    parts
}

/// The first byte of keys and keystores in DER.
const DER_SEQUENCE: u8 = 0x30;

fn parts_of_text(secret: &str, origin: Origin, least: usize) -> Vec<Part> {
    if let Some(text) = encoded_pem(secret) {
        let mut parts = parts_of_text(&text, origin, least);
        // What stands before a key or a certificate may be short.
        if !text.trim_start().starts_with(BEGIN) {
            parts.push(Part {
                bytes: secret.trim().as_bytes().to_vec(),
                may_be_cut: false,
                is_of_key: false,
                may_be_public: origin == Origin::Found,
            });
        }
        return parts;
    }
    let taken = without_public(secret);
    let whole = taken.text.trim();
    let mut parts = Vec::new();
    if whole.len() < least || (origin == Origin::Found && is_not_secret(whole, least)) {
        return parts;
    }
    let mut add = |text: &str, is_of_key: bool| {
        parts.push(Part {
            bytes: text.as_bytes().to_vec(),
            may_be_cut: text.len() > LEAST_CUT && is_word(text) && !is_of_key,
            is_of_key,
            may_be_public: is_of_key || origin == Origin::Found,
        });
    };
    add(whole, false);
    if whole.contains('\n') {
        let least = match origin {
            Origin::Said => LEAST_LINE,
            Origin::Found => LEAST_CUT,
        };
        let lines = whole.lines().map(str::trim);
        for line in lines.filter(|line| line.len() >= least) {
            add(line, false);
        }
    }
    let lines = taken.key_lines.iter();
    for line in lines.filter(|line| line.len() >= LEAST_LINE) {
        add(line, true);
    }
    for word in words(whole) {
        add(word, false);
    }
    // Of two parts with the same text, the one that is always private comes first, and stays.
    parts.sort();
    parts.dedup_by(|other, first| other.bytes == first.bytes);
    parts
}

/// Says whether a value that stands beside secrets is not secret itself: a name, also in base64, as in a Kubernetes Secret, or a short text.
fn is_not_secret(found: &str, least: usize) -> bool {
    let decoded = BASE64.decode(found.as_bytes()).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    is_name(found) || decoded.is_some_and(|text| text.trim().len() < least || is_name(text.trim()))
}

/// Decodes a text in base64 with a key or a certificate in it, as in a Kubernetes Secret, so that its content is searched for.
fn encoded_pem(secret: &str) -> Option<String> {
    let decoded = String::from_utf8(BASE64.decode(secret.trim().as_bytes()).ok()?).ok()?;
    decoded.contains(BEGIN).then_some(decoded)
}

/// Returns the words that look random: letters of both cases and digits, or hex digits.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-'));
    // A slash occurs in base64 as well as in paths.
    let words = text
        .split(ends)
        .chain(text.split(move |c| c == '/' || ends(c)));
    words.filter(|word| {
        let has = |test: fn(&u8) -> bool| word.bytes().any(|byte| test(&byte));
        let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
        let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        // This is the base64 of `-----BEGIN CERTIFICATE`, as in the CA of a kubeconfig.
        let is_public = word.starts_with("LS0tLS1CRUdJTiBDRVJU");
        word.len() >= LEAST_WORD
            && word.len() < text.len()
            && has(u8::is_ascii_digit)
            && (is_mixed || is_hex)
            && !is_public
    })
}

/// Says whether a text is one word of the characters that tokens and keys consist of.
fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-' | b'.')
    })
}

/// Says whether a text is a name such as `istio-system`, `us-east-1` or `db.internal`: words or numbers with marks between them.
fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME
        && text.split(['-', '.', '_', '/', ':']).all(|word| {
            word.bytes().all(|byte| byte.is_ascii_lowercase())
                || word.bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(secret: &str, origin: Origin) -> Vec<String> {
        let parts = parts(&Secret::new(secret), origin, LEAST_WHOLE);
        let text = |part: Part| String::from_utf8(part.bytes).expect("text");
        parts.into_iter().map(text).collect()
    }

    #[test]
    fn what_is_worth_finding_is_found() {
        assert_eq!(texts("hunter2", Origin::Said), ["hunter2"]);
        assert!(texts("1234", Origin::Said).is_empty());
        assert_eq!(
            texts("first line\nshort\nthe third\n", Origin::Said),
            ["first line", "first line\nshort\nthe third", "the third"]
        );
        let url = "https://hooks.example.com/services/aB3dE5gH7jK9mN1pQ3sT";
        assert_eq!(
            texts(url, Origin::Said),
            [
                "aB3dE5gH7jK9mN1pQ3sT",
                "com/services/aB3dE5gH7jK9mN1pQ3sT",
                "https://hooks.example.com/services/aB3dE5gH7jK9mN1pQ3sT"
            ]
        );
    }

    #[test]
    fn the_ends_of_a_key_in_der_are_public() {
        let bytes = |first: u8| Secret::of_bytes(&[&[first, 0x81][..], &[0xfe; 40]].concat());
        let may_be_cut = |secret| {
            let parts = parts(&secret, Origin::Said, LEAST_WHOLE);
            parts.iter().any(|part| part.may_be_cut)
        };
        assert!(!may_be_cut(bytes(DER_SEQUENCE)));
        assert!(may_be_cut(bytes(0xff)));
    }

    #[test]
    fn names_beside_secrets_are_none() {
        for name in ["istio-system", "us-east-1", "10.0.0.1", "postgres"] {
            assert!(texts(name, Origin::Found).is_empty(), "{name}");
            assert_eq!(texts(name, Origin::Said), [name]);
        }
        assert_eq!(texts("tr0ub4dor", Origin::Found), ["tr0ub4dor"]);
        for (text, is_secret) in [
            ("istio-system", false),
            ("cluster-1\n", false),
            ("true", false),
            ("tr0ub4dor", true),
            ("Gloo Mesh Root CA", true),
        ] {
            let encoded = BASE64.encode(text.as_bytes());
            assert_eq!(
                !texts(&encoded, Origin::Found).is_empty(),
                is_secret,
                "{text}"
            );
        }
    }

    #[test]
    fn certificates_in_a_secret_are_public() {
        let certificate =
            "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ3\n-----END CERTIFICATE-----\n";
        assert!(texts(certificate, Origin::Said).is_empty());
        let both = format!("a secret line\n{certificate}");
        assert_eq!(texts(&both, Origin::Said), ["a secret line"]);
        let encoded = BASE64.encode(both.as_bytes());
        assert_eq!(
            texts(&encoded, Origin::Found),
            ["a secret line", encoded.as_str()]
        );
    }
}
