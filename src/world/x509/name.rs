//! Formats distinguished names for people and scripts (RFC 4514).

use std::fmt::Write as _;

use x509_parser::{
    asn1_rs::Any,
    x509::{AttributeTypeAndValue, X509Name},
};

/// The short names of types in OpenSSL and LDAP.
const TYPES: [(&str, &str); 19] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// Formats a name as in RFC 4514, with the last attribute first: `CN=leaf,O=Solo.io\, Inc.,C=US`.
///
/// A type without a short name, and a value that is not a text, are written as numbers and hex, as the RFC
/// specifies.
pub(super) fn rfc4514(name: &X509Name) -> String {
    let mut parts: Vec<_> = name
        .iter()
        .map(|part| {
            let mut attributes: Vec<_> = part.iter().map(attribute).collect();
            attributes.reverse();
            attributes.join("+")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue) -> String {
    let id = attribute.attr_type().to_id_string();
    let known = TYPES.iter().find(|(known, _)| *known == id);
    match (known, text(attribute.attr_value())) {
        (Some((_, short)), Some(text)) => format!("{short}={}", escaped(&text)),
        (Some((_, short)), None) => format!("{short}={}", hex(attribute.attr_value())),
        (None, _) => format!("{id}={}", hex(attribute.attr_value())),
    }
}

/// Returns the text of a value, for any of ASN.1's string types.
///
/// TeletexString is read as ISO 8859-1, as OpenSSL and other programs do.
fn text(value: &Any) -> Option<String> {
    let data = value.data;
    match value.header.tag().0 {
        // UTF8String
        12 => String::from_utf8(data.to_vec()).ok(),
        // NumericString, PrintableString, IA5String, VisibleString
        18 | 19 | 22 | 26 => data
            .is_ascii()
            .then(|| data.iter().map(|byte| char::from(*byte)).collect()),
        // TeletexString
        20 => Some(data.iter().map(|byte| char::from(*byte)).collect()),
        // UniversalString
        28 => data
            .chunks(4)
            .map(|four| char::from_u32(u32::from_be_bytes(four.try_into().ok()?)))
            .collect(),
        // BMPString
        30 => {
            let units: Option<Vec<_>> = data
                .chunks(2)
                .map(|two| Some(u16::from_be_bytes(two.try_into().ok()?)))
                .collect();
            String::from_utf16(&units?).ok()
        }
        _ => None,
    }
}

/// Escapes a value (RFC 4514, 2.4). Control characters are escaped too, as in OpenSSL.
fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::new();
    for (at, letter) in text.chars().enumerate() {
        let is_at_an_end = at == 0 || at == last;
        match letter {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => out.extend(['\\', letter]),
            '#' if at == 0 => out.push_str("\\#"),
            ' ' if is_at_an_end => out.push_str("\\ "),
            _ if letter.is_control() => {
                for byte in letter.to_string().bytes() {
                    // Writing to a String can't fail.
                    let _ = write!(out, "\\{byte:02X}");
                }
            }
            _ => out.push(letter),
        }
    }
    out
}

/// Returns `#` and the DER of the value.
fn hex(value: &Any) -> String {
    let length = value.data.len();
    // A name's value is short: two bytes of length are enough for any certificate.
    let head = match length {
        0..=0x7F => vec![length as u8],
        0x80..=0xFF => vec![0x81, length as u8],
        _ => vec![0x82, (length >> 8) as u8, length as u8],
    };
    let constructed = if value.header.is_constructed() {
        0x20
    } else {
        0
    };
    let class = (value.header.class() as u8) << 6;
    let tag = class | constructed | (value.header.tag().0 as u8 & 0x1F);
    let der = [&[tag][..], &head, value.data].concat();
    format!("#{}", data_encoding::HEXUPPER.encode(&der))
}
