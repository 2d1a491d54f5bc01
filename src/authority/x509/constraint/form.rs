//! The names of a certificate, in the forms that constraints support.

use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use crate::x509::der;
use crate::x509::oid;
use crate::x509::read::{Element, Reader};
use crate::x509::request::EMPTY_NAME;

/// A relative distinguished name: its attributes in order, with values normalized for comparison.
pub(crate) type Relative = Vec<(String, Vec<u8>)>;

/// A GeneralName.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Mail(String),
    Dns(String),
    Directory(Vec<Relative>),
    Uri(String),
    Address(Vec<u8>),
    /// A form for which constraints are not supported, with its name in RFC 5280.
    Other(&'static str),
}

impl Name {
    /// Reads a GeneralName. Returns `None` if it is malformed.
    pub fn read(element: Element<'_>) -> Option<Self> {
        let text = || {
            let text = std::str::from_utf8(element.content).ok()?;
            text.is_ascii().then(|| text.to_owned())
        };
        Some(match element.tag {
            0xa0 => Self::Other("otherName"),
            0x81 => Self::Mail(text()?),
            0x82 => Self::Dns(text()?),
            0xa3 => Self::Other("x400Address"),
            0xa4 => Self::Directory(directory(element.content)?),
            0xa5 => Self::Other("ediPartyName"),
            0x86 => Self::Uri(text()?),
            0x87 => Self::Address(element.content.to_vec()),
            0x88 => Self::Other("registeredID"),
            _ => return None,
        })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mail(text) | Self::Dns(text) | Self::Uri(text) => f.write_str(text),
            Self::Address(bytes) => match (
                <[u8; 4]>::try_from(bytes.as_slice()),
                <[u8; 16]>::try_from(bytes.as_slice()),
            ) {
                (Ok(v4), _) => std::net::Ipv4Addr::from(v4).fmt(f),
                (_, Ok(v6)) => std::net::Ipv6Addr::from(v6).fmt(f),
                _ => f.write_str("an IP address"),
            },
            Self::Directory(_) => f.write_str("the subject or a directory name"),
            Self::Other(form) => f.write_str(form),
        }
    }
}

/// Returns the names in the value of a subjectAltName, or `None` if it is malformed or empty.
pub(crate) fn alternative(value: &[u8]) -> Option<Vec<Name>> {
    let mut all = Reader::new(value);
    let mut list = all.expect(der::SEQUENCE)?.inside();
    let mut names = Vec::new();
    while !list.is_empty() {
        let name = Name::read(list.next()?)?;
        if matches!(&name, Name::Address(bytes) if bytes.len() != 4 && bytes.len() != 16) {
            return None;
        }
        names.push(name);
    }
    (all.is_empty() && !names.is_empty()).then_some(names)
}

/// Returns all names in a certificate: its subject, the mail addresses in the subject, and its alternative names.
///
/// For an end entity without a DNS name among these, its common names are included if they look like DNS names, because
/// openssl and most clients accept them, too.
pub(crate) fn of_certificate(
    subject: &[u8],
    alternative_names: Option<&[u8]>,
    end_entity: bool,
) -> Option<Vec<Name>> {
    let mut names = match alternative_names {
        Some(value) => alternative(value)?,
        None => Vec::new(),
    };
    if subject == EMPTY_NAME {
        return Some(names);
    }
    let has_host = names.iter().any(|name| matches!(name, Name::Dns(_)));
    for (id, value) in attributes(subject)?.into_iter().flatten() {
        let text = text(value.0, &value.1);
        match (id.as_str(), text) {
            (oid::EMAIL_ADDRESS, Some(text)) => names.push(Name::Mail(text)),
            (oid::COMMON_NAME, Some(text)) if end_entity && !has_host && is_host(&text) => {
                names.push(Name::Dns(text));
            }
            _ => {}
        }
    }
    names.push(Name::Directory(directory(subject)?));
    Some(names)
}

/// Normalizes a Name for comparison: case, blanks at the ends and the number of blanks between words do not matter.
fn directory(name: &[u8]) -> Option<Vec<Relative>> {
    let relative = attributes(name)?.into_iter().map(|attributes| {
        let mut compared: Relative = attributes
            .into_iter()
            .map(|(id, (tag, value))| match text(tag, &value) {
                Some(text) => {
                    let words: Vec<&str> = text.split_ascii_whitespace().collect();
                    (id, words.join(" ").to_ascii_lowercase().into_bytes())
                }
                None => (id, value),
            })
            .collect();
        compared.sort();
        compared
    });
    Some(relative.collect())
}

/// Returns the attributes of each relative name: the object identifier, the string type and the bytes.
#[expect(clippy::type_complexity, reason = "used within this file only")]
fn attributes(name: &[u8]) -> Option<Vec<Vec<(String, (u32, Vec<u8>))>>> {
    let (rest, name) = X509Name::from_der(name).ok()?;
    rest.is_empty().then(|| {
        name.iter()
            .map(|relative| {
                relative
                    .iter()
                    .map(|attribute| {
                        let value = attribute.attr_value();
                        let id = attribute.attr_type().to_id_string();
                        (id, (value.header.tag().0, value.data.to_vec()))
                    })
                    .collect()
            })
            .collect()
    })
}

/// Returns the text of an X.690 string type, or `None` for another type.
fn text(tag: u32, bytes: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, PrintableString, IA5String, VisibleString
        12 | 19 | 22 | 26 => String::from_utf8(bytes.to_vec()).ok(),
        // TeletexString, which in practice contains Latin-1.
        20 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        // UniversalString
        28 => bytes
            .chunks(4)
            .map(|four| char::from_u32(u32::from_be_bytes(four.try_into().ok()?)))
            .collect(),
        // BMPString
        30 => {
            let units = bytes
                .chunks(2)
                .map(|two| Some(u16::from_be_bytes(two.try_into().ok()?)))
                .collect::<Option<Vec<_>>>()?;
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// Returns whether clients would accept a common name as a DNS name.
fn is_host(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'*');
    text.contains('.') && text.bytes().all(allowed)
}
