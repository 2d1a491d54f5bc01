//! Distinguished names: created from the fields of the API, compared, and written as text.

use serde::Deserialize;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::x509::{der, oid};

/// The service model's `ASN1Subject`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Subject {
    pub country: Option<String>,
    pub organization: Option<String>,
    pub organizational_unit: Option<String>,
    pub distinguished_name_qualifier: Option<String>,
    pub state: Option<String>,
    pub common_name: Option<String>,
    pub serial_number: Option<String>,
    pub locality: Option<String>,
    pub title: Option<String>,
    pub surname: Option<String>,
    pub given_name: Option<String>,
    pub initials: Option<String>,
    pub pseudonym: Option<String>,
    pub generation_qualifier: Option<String>,
    pub custom_attributes: Option<Vec<CustomAttribute>>,
}

/// The service model's `CustomAttribute`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CustomAttribute {
    pub object_identifier: String,
    pub value: String,
}

/// Why a name is not valid; AWS's error is InvalidArgs.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("custom attributes cannot be used in combination with standard attributes")]
    Mixed,
    #[error("{0} is not an object identifier")]
    ObjectIdentifier(String),
    #[error("a general name must have exactly one of its members")]
    NotOne,
    #[error("{0} is not an IP address")]
    Address(String),
    #[error(
        "a country, serial number or qualifier may have only the characters of a PrintableString"
    )]
    Printable,
    #[error("{0} must be ASCII text and not empty")]
    Text(&'static str),
    #[error("{0} is not a DNS name")]
    Host(String),
    #[error("a country must be a code of two letters")]
    Country,
    #[error("the attribute {dotted} must have {most} characters at most")]
    TooLong { dotted: String, most: usize },
    #[error("the name cannot be read")]
    Unreadable,
}

impl Subject {
    /// Returns the Name, with one attribute per RDN in the order of the model, as AWS writes the names of authorities.
    pub fn to_der(&self) -> Result<Vec<u8>, NameError> {
        let standard = self.standard();
        let custom = self.custom_attributes.as_deref().unwrap_or_default();
        if !standard.is_empty() && !custom.is_empty() {
            return Err(NameError::Mixed);
        }
        let custom = custom.iter().map(|attribute| {
            (
                attribute.object_identifier.as_str(),
                attribute.value.as_str(),
            )
        });
        let relative = standard
            .into_iter()
            .chain(custom)
            .map(|(dotted, value)| attribute(dotted, value))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(der::sequence(relative))
    }

    fn standard(&self) -> Vec<(&'static str, &str)> {
        [
            (oid::COUNTRY, &self.country),
            (oid::ORGANIZATION, &self.organization),
            (oid::ORGANIZATIONAL_UNIT, &self.organizational_unit),
            (oid::NAME_QUALIFIER, &self.distinguished_name_qualifier),
            (oid::STATE, &self.state),
            (oid::COMMON_NAME, &self.common_name),
            (oid::SERIAL_NUMBER, &self.serial_number),
            (oid::LOCALITY, &self.locality),
            (oid::TITLE, &self.title),
            (oid::SURNAME, &self.surname),
            (oid::GIVEN_NAME, &self.given_name),
            (oid::INITIALS, &self.initials),
            (oid::PSEUDONYM, &self.pseudonym),
            (oid::GENERATION_QUALIFIER, &self.generation_qualifier),
        ]
        .into_iter()
        .filter_map(|(dotted, value)| Some((dotted, value.as_deref()?)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
    }
}

fn attribute(dotted: &str, value: &str) -> Result<Vec<u8>, NameError> {
    let tag = match dotted {
        oid::COUNTRY | oid::SERIAL_NUMBER | oid::NAME_QUALIFIER => der::PRINTABLE_STRING,
        oid::EMAIL_ADDRESS | oid::DOMAIN_COMPONENT => der::IA5_STRING,
        _ => der::UTF8_STRING,
    };
    if tag == der::IA5_STRING && !value.is_ascii() {
        return Err(NameError::Text("an e-mail address or domain component"));
    }
    if tag == der::PRINTABLE_STRING && !value.bytes().all(is_printable) {
        return Err(NameError::Printable);
    }
    within_bounds(dotted, value)?;
    let pair = der::sequence([object(dotted)?, der::element(tag, value.as_bytes())]);
    Ok(der::set(vec![pair]))
}

/// Checks the upper bounds of RFC 5280, A.1. AWS's model has them, too, and some smaller ones, but only for the API.
fn within_bounds(dotted: &str, value: &str) -> Result<(), NameError> {
    if dotted == oid::COUNTRY {
        let is_code = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_alphabetic());
        return if is_code {
            Ok(())
        } else {
            Err(NameError::Country)
        };
    }
    let most = match dotted {
        oid::COMMON_NAME
        | oid::ORGANIZATION
        | oid::ORGANIZATIONAL_UNIT
        | oid::TITLE
        | oid::SERIAL_NUMBER => 64,
        oid::STATE | oid::LOCALITY | oid::PSEUDONYM => 128,
        oid::EMAIL_ADDRESS => 255,
        _ => return Ok(()),
    };
    if value.chars().count() > most {
        return Err(NameError::TooLong {
            dotted: dotted.to_owned(),
            most,
        });
    }
    Ok(())
}

/// Checks the Name of a request: the string types and bounds of RFC 5280, A.1.
pub(crate) fn check(name: &[u8]) -> Result<(), NameError> {
    let (_, name) = X509Name::from_der(name).map_err(|_| NameError::Unreadable)?;
    for attribute in name.iter_attributes() {
        let dotted = attribute.attr_type().to_id_string();
        let tag = attribute.attr_value().header.tag().0;
        let must_be_printable = matches!(
            dotted.as_str(),
            oid::COUNTRY | oid::SERIAL_NUMBER | oid::NAME_QUALIFIER
        );
        if must_be_printable && tag != u32::from(der::PRINTABLE_STRING) {
            return Err(NameError::Printable);
        }
        // Other string types are old and rare; their length is counted in bytes.
        let bytes = attribute.as_slice();
        let text = String::from_utf8_lossy(bytes);
        if must_be_printable && !bytes.iter().copied().all(is_printable) {
            return Err(NameError::Printable);
        }
        within_bounds(&dotted, &text)?;
    }
    Ok(())
}

/// Returns whether a PrintableString (X.680) may contain the character.
fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte)
}

pub(crate) fn object(dotted: &str) -> Result<Vec<u8>, NameError> {
    der::object(dotted).ok_or_else(|| NameError::ObjectIdentifier(dotted.to_owned()))
}

/// Returns whether two Names have the same attributes in the same order, in any string types: an external authority may use
/// other string types when it copies the subject of a request.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    let of = |name| {
        let (_, name) = X509Name::from_der(name).ok()?;
        let attribute = |attribute: &AttributeTypeAndValue<'_>| {
            let value = attribute.as_str().map(str::as_bytes);
            let value = value.unwrap_or_else(|_| attribute.as_slice());
            (attribute.attr_type().to_id_string(), value.to_vec())
        };
        Some(name.iter_attributes().map(attribute).collect::<Vec<_>>())
    };
    match (of(one), of(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// Writes a Name as RFC 2253 defines, with the last attribute first. Attributes without a short name are in hexadecimal.
pub(crate) fn readable(name: &[u8]) -> String {
    let Ok((_, name)) = X509Name::from_der(name) else {
        return String::new();
    };
    let mut attributes: Vec<String> = name
        .iter_attributes()
        .map(|attribute| {
            let id = attribute.attr_type().to_id_string();
            match (short_name(&id), attribute.as_str()) {
                (Some(short), Ok(value)) => format!("{short}={}", escaped(value)),
                _ => {
                    let value = attribute.attr_value();
                    // The string types of X.690 that occur here have numbers below 31, so the tag is one byte.
                    let tag = u8::try_from(value.header.tag().0).unwrap_or_default();
                    let element = der::element(tag, value.data);
                    format!("{id}=#{}", data_encoding::HEXLOWER.encode(&element))
                }
            }
        })
        .collect();
    attributes.reverse();
    attributes.join(",")
}

fn short_name(id: &str) -> Option<&'static str> {
    Some(match id {
        oid::COMMON_NAME => "CN",
        oid::ORGANIZATIONAL_UNIT => "OU",
        oid::ORGANIZATION => "O",
        oid::LOCALITY => "L",
        oid::STATE => "ST",
        oid::COUNTRY => "C",
        oid::DOMAIN_COMPONENT => "DC",
        _ => return None,
    })
}

fn escaped(value: &str) -> String {
    let mut out = String::new();
    for letter in value.chars() {
        if matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}
