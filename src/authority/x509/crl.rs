//! Certificate revocation lists (RFC 5280, version 2).

use crate::clock::Moment;
use crate::x509::extension::{self, Extension};
use crate::x509::key::{KeyError, SigningAlgorithm, SigningKey};
use crate::x509::{der, oid};

/// The contents of a CRL.
pub(crate) struct List<'a> {
    /// The issuer's Name, as in its certificate.
    pub issuer: &'a [u8],
    pub issuer_key_identifier: &'a [u8],
    /// Increases with every CRL of the authority.
    pub number: u64,
    pub this_update: Moment,
    pub next_update: Moment,
    pub entries: &'a [Entry],
    /// The address of a CRL that covers only some of the certificates.
    pub part: Option<&'a str>,
}

/// A revoked certificate.
pub(crate) struct Entry {
    pub serial: Vec<u8>,
    pub revoked_at: Moment,
    /// AWS's name for the reason.
    pub reason: String,
}

/// Returns RFC 5280's code for AWS's name of a reason. Unspecified has no code, since the RFC recommends to omit it.
pub(crate) fn reason_code(name: &str) -> Option<u8> {
    Some(match name {
        "KEY_COMPROMISE" => 1,
        "CERTIFICATE_AUTHORITY_COMPROMISE" => 2,
        "AFFILIATION_CHANGED" => 3,
        "SUPERSEDED" => 4,
        "CESSATION_OF_OPERATION" => 5,
        "PRIVILEGE_WITHDRAWN" => 9,
        "A_A_COMPROMISE" => 10,
        _ => return None,
    })
}

impl List<'_> {
    /// Signs the CRL.
    pub fn sign(&self, key: &SigningKey, algorithm: SigningAlgorithm) -> Result<Vec<u8>, KeyError> {
        let mut parts = vec![
            der::number(1),
            algorithm.identifier(),
            self.issuer.to_vec(),
            der::time(self.this_update),
            der::time(self.next_update),
        ];
        // An empty list of revoked certificates must be omitted.
        if !self.entries.is_empty() {
            parts.push(der::sequence(self.entries.iter().map(Entry::to_der)));
        }
        parts.push(der::context(0, &der::sequence(self.extensions())));
        let list = der::sequence(parts);
        let signature = key.sign(algorithm, &list)?;
        Ok(der::sequence([
            list,
            algorithm.identifier(),
            der::bits(&signature),
        ]))
    }

    fn extensions(&self) -> Vec<Vec<u8>> {
        let mut all = vec![
            extension::authority_key(self.issuer_key_identifier),
            Extension::new(oid::CRL_NUMBER, false, der::number(self.number)),
        ];
        if let Some(url) = self.part {
            let name = extension::distribution_point_name(url);
            let value = der::sequence([name]);
            all.push(Extension::new(oid::ISSUING_DISTRIBUTION_POINT, true, value));
        }
        all.iter().map(Extension::to_der).collect()
    }
}

impl Entry {
    fn to_der(&self) -> Vec<u8> {
        let mut parts = vec![der::unsigned(&self.serial), der::time(self.revoked_at)];
        if let Some(code) = reason_code(&self.reason) {
            let value = der::element(der::ENUMERATED, &[code]);
            let reason = Extension::new(oid::REASON_CODE, false, value);
            parts.push(der::sequence([reason.to_der()]));
        }
        der::sequence(parts)
    }
}
