//! Distinguished names and general names, from the API's fields.

use serde::Deserialize;

use crate::authority::x509::{der, oid};

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

/// The service model's `GeneralName`: exactly one of its members.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GeneralName {
    pub other_name: Option<OtherName>,
    pub rfc822_name: Option<String>,
    pub dns_name: Option<String>,
    pub directory_name: Option<Subject>,
    pub edi_party_name: Option<EdiPartyName>,
    pub uniform_resource_identifier: Option<String>,
    pub ip_address: Option<String>,
    pub registered_id: Option<String>,
}

/// The service model's `OtherName`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OtherName {
    pub type_id: String,
    pub value: String,
}

/// The service model's `EdiPartyName`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EdiPartyName {
    pub party_name: String,
    pub name_assigner: Option<String>,
}

/// Why a name can't be written; AWS calls it InvalidArgs.
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
    #[error("{0} must be ASCII text and not empty")]
    Text(&'static str),
}

impl Subject {
    /// The Name: one attribute per RDN, in the model's order, which is how AWS writes the names of authorities.
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
    let pair = der::sequence([object(dotted)?, der::element(tag, value.as_bytes())]);
    Ok(der::set(vec![pair]))
}

impl GeneralName {
    /// The GeneralName element.
    pub fn to_der(&self) -> Result<Vec<u8>, NameError> {
        let mut found = Vec::new();
        if let Some(other) = &self.other_name {
            let text = der::element(der::UTF8_STRING, other.value.as_bytes());
            let parts = [object(&other.type_id)?, der::context(0, &text)];
            found.push(der::context(0, &parts.concat()));
        }
        if let Some(mail) = &self.rfc822_name {
            found.push(der::context_primitive(1, ia5("Rfc822Name", mail)?));
        }
        if let Some(host) = &self.dns_name {
            found.push(der::context_primitive(2, ia5("DnsName", host)?));
        }
        if let Some(directory) = &self.directory_name {
            found.push(der::context(4, &directory.to_der()?));
        }
        if let Some(party) = &self.edi_party_name {
            found.push(edi_party(party));
        }
        if let Some(address) = &self.uniform_resource_identifier {
            found.push(der::context_primitive(
                6,
                ia5("UniformResourceIdentifier", address)?,
            ));
        }
        if let Some(address) = &self.ip_address {
            found.push(der::context_primitive(7, &ip(address)?));
        }
        if let Some(registered) = &self.registered_id {
            let element = object(registered)?;
            found.push(der::context_primitive(8, &element[2..]));
        }
        match found.pop() {
            Some(name) if found.is_empty() => Ok(name),
            _ => Err(NameError::NotOne),
        }
    }
}

fn edi_party(party: &EdiPartyName) -> Vec<u8> {
    let text = |text: &str| der::element(der::UTF8_STRING, text.as_bytes());
    let mut content = Vec::new();
    if let Some(assigner) = &party.name_assigner {
        content.extend(der::context(0, &text(assigner)));
    }
    content.extend(der::context(1, &text(&party.party_name)));
    der::context(5, &content)
}

fn ia5<'a>(what: &'static str, text: &'a str) -> Result<&'a [u8], NameError> {
    if text.is_empty() || !text.is_ascii() {
        return Err(NameError::Text(what));
    }
    Ok(text.as_bytes())
}

fn ip(text: &str) -> Result<Vec<u8>, NameError> {
    match text.parse() {
        Ok(std::net::IpAddr::V4(address)) => Ok(address.octets().to_vec()),
        Ok(std::net::IpAddr::V6(address)) => Ok(address.octets().to_vec()),
        Err(_) => Err(NameError::Address(text.to_owned())),
    }
}

pub(crate) fn object(dotted: &str) -> Result<Vec<u8>, NameError> {
    der::object(dotted).ok_or_else(|| NameError::ObjectIdentifier(dotted.to_owned()))
}

/// A Name as RFC 2253 writes it, the last attribute first; what has no short name there stands in hex.
pub(crate) fn readable(name: &[u8]) -> String {
    use x509_parser::prelude::{FromDer, X509Name};
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
                    // X.690 numbers the string types that occur here below 31: one byte of tag.
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
