//! Finds the public parts of a PEM text (RFC 7468).

use std::ops::Range;

use data_encoding::BASE64;

/// How a block in PEM begins.
pub const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// The labels of public blocks.
const PUBLIC: [&str; 10] = [
    "CERTIFICATE",
    "TRUSTED CERTIFICATE",
    "X509 CERTIFICATE",
    "CERTIFICATE REQUEST",
    "NEW CERTIFICATE REQUEST",
    "X509 CRL",
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "EC PARAMETERS",
    "DH PARAMETERS",
];

/// A text without its public parts.
pub struct Taken {
    pub text: String,
    /// The lines of its private keys, including the public halves.
    pub key_lines: Vec<String>,
}

/// Removes the certificates and other public blocks from a text, and from its private keys the parts that are not private: these are also in
/// certificates.
pub fn without_public(text: &str) -> Taken {
    let (mut kept, mut key_lines, mut end) = (String::new(), Vec::new(), 0);
    for block in blocks(text) {
        if !block.is_public() && !block.label.ends_with("PRIVATE KEY") {
            continue;
        }
        kept.push_str(&text[end..block.range.start]);
        if !block.is_public() {
            let lines = block.body.lines().map(str::trim);
            let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
            match private_lines(&lines) {
                Some(private) => kept.push_str(&private),
                None => kept.push_str(block.body),
            }
            key_lines.extend(lines.into_iter().map(str::to_owned));
        }
        end = block.range.end;
    }
    kept.push_str(&text[end..]);
    Taken {
        text: kept,
        key_lines,
    }
}

/// Returns the places of the public blocks of a text.
pub fn public_blocks(text: &str) -> Vec<Range<usize>> {
    let public = blocks(text).into_iter().filter(Block::is_public);
    public.map(|block| block.range).collect()
}

struct Block<'a> {
    label: &'a str,
    body: &'a str,
    range: Range<usize>,
}

impl Block<'_> {
    /// Only base64 may be public, even if its line ends are escaped.
    fn is_public(&self) -> bool {
        PUBLIC.contains(&self.label)
            && self.body.bytes().all(|byte| {
                byte.is_ascii_alphanumeric()
                    || byte.is_ascii_whitespace()
                    || matches!(byte, b'+' | b'/' | b'=' | b'\\')
            })
    }
}

/// Returns the blocks whose begin and end lines match.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let (mut blocks, mut at) = (Vec::new(), 0);
    while let Some(start) = text[at..].find(BEGIN).map(|found| at + found) {
        at = start + BEGIN.len();
        let Some(label) = text[at..].find(DASHES).map(|end| &text[at..at + end]) else {
            break;
        };
        let body = at + label.len() + DASHES.len();
        let Some(length) = text[body..].find(DASHES) else {
            break;
        };
        let closes = format!("-----END {label}-----");
        if text[body + length..].starts_with(&closes) {
            at = body + length + closes.len();
            blocks.push(Block {
                label,
                body: &text[body..body + length],
                range: start..at,
            });
        }
    }
    blocks
}

/// Returns the lines of a private key, each without the characters that encode public bytes.
fn private_lines(lines: &[&str]) -> Option<String> {
    let der = BASE64.decode(lines.concat().as_bytes()).ok()?;
    let private = private_bytes(&der)?;
    // The characters that encode only private bytes: four for three bytes.
    let end = if private.end == der.len() {
        usize::MAX
    } else {
        private.end * 8 / 6
    };
    let private = (private.start * 8).div_ceil(6)..end;
    let (mut at, mut kept) = (0, String::from("\n"));
    for line in lines {
        let from = private.start.clamp(at, at + line.len()) - at;
        let to = private.end.clamp(at, at + line.len()) - at;
        at += line.len();
        if from < to {
            kept.push_str(&line[from..to]);
            kept.push('\n');
        }
    }
    Some(kept)
}

/// Returns which bytes of a key are private, if that is known: PKCS #8 (RFC 5958), PKCS #1 (RFC 8017, A.1.2), SEC 1 (RFC 5915).
fn private_bytes(der: &[u8]) -> Option<Range<usize>> {
    let outer = element(der, 0, 0x30)?;
    let version = element(der, outer.start, 0x02)?;
    let inner = match element(der, version.end, 0x30) {
        // PKCS #8: the algorithm, then the key of that algorithm.
        Some(algorithm) => element(der, element(der, algorithm.end, 0x04)?.start, 0x30)?,
        None => outer,
    };
    let version = element(der, inner.start, 0x02)?;
    if let Some(key) = element(der, version.end, 0x04) {
        return Some(key);
    }
    let modulus = element(der, version.end, 0x02)?;
    let exponent = element(der, modulus.end, 0x02)?;
    Some(exponent.end..inner.end)
}

/// Returns the content of the element with this tag that begins here.
fn element(der: &[u8], at: usize, tag: u8) -> Option<Range<usize>> {
    if *der.get(at)? != tag {
        return None;
    }
    let first = usize::from(*der.get(at + 1)?);
    let (length, start) = match first {
        0..0x80 => (first, at + 2),
        _ => {
            let count = (first - 0x80).min(4);
            let bytes = der.get(at + 2..at + 2 + count)?;
            let length = bytes
                .iter()
                .fold(0, |all, byte| all << 8 | usize::from(*byte));
            (length, at + 2 + count)
        }
    };
    let end = start.checked_add(length)?;
    (end <= der.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_as_it_begins_is_public() {
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCC\n-----END CERTIFICATE-----";
        assert_eq!(without_public(certificate).text, "");
        for text in [
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----",
            "-----BEGIN CERTIFICATE-----\nnot, base64\n-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\nMIIB",
        ] {
            assert!(without_public(text).text.len() > 8, "{text}");
        }
        let escaped =
            r#"{"c":"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n","k":"s"}"#;
        assert_eq!(without_public(escaped).text, r#"{"c":"\n","k":"s"}"#);
    }
}
