//! General names (subject alternative names, locations) from the fields of the API.

use serde::Deserialize;

use crate::x509::der;
use crate::x509::name::{NameError, Subject, object};

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

impl GeneralName {
    /// Returns the GeneralName element.
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
            found.push(der::context_primitive(2, dns(host)?));
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

/// Addresses, URIs and mailboxes are refused, since no client matches them with a host name.
fn dns(text: &str) -> Result<&[u8], NameError> {
    let is_other = text.parse::<std::net::IpAddr>().is_ok()
        || text.contains([':', '/', '@'])
        || text.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_other {
        return Err(NameError::Host(text.to_owned()));
    }
    ia5("DnsName", text)
}

fn ip(text: &str) -> Result<Vec<u8>, NameError> {
    match text.parse() {
        Ok(std::net::IpAddr::V4(address)) => Ok(address.octets().to_vec()),
        Ok(std::net::IpAddr::V6(address)) => Ok(address.octets().to_vec()),
        Err(_) => Err(NameError::Address(text.to_owned())),
    }
}
