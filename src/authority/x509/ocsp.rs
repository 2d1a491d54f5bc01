//! The Online Certificate Status Protocol (RFC 6960): reads requests, writes responses.

use aws_lc_rs::digest;

use crate::clock::Moment;
use crate::x509::key::{KeyError, SigningAlgorithm, SigningKey};
use crate::x509::read::{Element, Reader};
use crate::x509::{crl, der, oid};

/// The largest number of certificates in a request. Each costs a look-up, and no client asks for as many at once.
const MOST: usize = 100;

/// A certificate in a request.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// The CertID, which the response repeats.
    pub id: Vec<u8>,
    hash: &'static digest::Algorithm,
    issuer_name_hash: Vec<u8>,
    issuer_key_hash: Vec<u8>,
    /// 32 hexadecimal digits.
    pub serial: String,
}

/// The status of a certificate.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    Good,
    Revoked { at: Moment, reason: String },
    Unknown,
}

/// The errors that leave no response to sign.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    Malformed = 1,
    Internal = 2,
    Unauthorized = 6,
}

impl Question {
    /// Returns whether the issuer in the question has this name and these public key bits.
    pub fn is_about(&self, name: &[u8], public_key_bits: &[u8]) -> bool {
        digest::digest(self.hash, name).as_ref() == self.issuer_name_hash
            && digest::digest(self.hash, public_key_bits).as_ref() == self.issuer_key_hash
    }
}

/// Returns the certificates in a request, at least one, or `None` if it can't be read.
pub(crate) fn read(bytes: &[u8]) -> Option<Vec<Question>> {
    let mut all = Reader::new(bytes);
    let mut request = all.expect(der::SEQUENCE)?.inside();
    let mut inner = request.expect(der::SEQUENCE)?.inside();
    inner.optional(0xa0); // version
    inner.optional(0xa1); // the requestor's name
    let mut list = inner.expect(der::SEQUENCE)?.inside();
    let mut questions = Vec::new();
    while !list.is_empty() {
        let id = list.expect(der::SEQUENCE)?.inside().expect(der::SEQUENCE)?;
        questions.push(question(id)?);
    }
    (all.is_empty() && (1..=MOST).contains(&questions.len())).then_some(questions)
}

fn question(id: Element<'_>) -> Option<Question> {
    let mut parts = id.inside();
    let algorithm = parts.expect(der::SEQUENCE)?.inside().expect(0x06)?;
    let is = |dotted| der::object(dotted).is_some_and(|object| object == algorithm.raw);
    let hash = if is(oid::SHA1) {
        &digest::SHA1_FOR_LEGACY_USE_ONLY
    } else if is(oid::SHA256) {
        &digest::SHA256
    } else {
        return None;
    };
    let issuer_name_hash = parts.expect(der::OCTET_STRING)?.content.to_vec();
    let issuer_key_hash = parts.expect(der::OCTET_STRING)?.content.to_vec();
    let serial = parts.expect(der::INTEGER)?.content;
    let hex = data_encoding::HEXLOWER.encode(serial);
    Some(Question {
        id: id.raw.to_vec(),
        hash,
        issuer_name_hash,
        issuer_key_hash,
        serial: format!("{:0>32}", hex.trim_start_matches('0')),
    })
}

/// Returns an OCSP error response, which is not signed.
pub(crate) fn refuse(refusal: Refusal) -> Vec<u8> {
    der::sequence([der::element(der::ENUMERATED, &[refusal as u8])])
}

/// Signs a response with the authority's own key; the key's identifier (SHA-1 of its bits) names the responder.
pub(crate) fn answer(
    answers: &[(Question, Standing)],
    key_identifier: &[u8],
    now: Moment,
    next: Moment,
    key: &SigningKey,
    algorithm: SigningAlgorithm,
) -> Result<Vec<u8>, KeyError> {
    let singles = answers.iter().map(|(question, standing)| {
        der::sequence([
            question.id.clone(),
            status(standing),
            der::generalized(now),
            der::context(0, &der::generalized(next)),
        ])
    });
    let data = der::sequence([
        der::context(2, &der::octets(key_identifier)),
        der::generalized(now),
        der::sequence(singles),
    ]);
    let signature = key.sign(algorithm, &data)?;
    let basic = der::sequence([data, algorithm.identifier(), der::bits(&signature)]);
    let bytes = der::sequence([known(oid::OCSP_BASIC), der::octets(&basic)]);
    Ok(der::sequence([
        der::element(der::ENUMERATED, &[0]),
        der::context(0, &bytes),
    ]))
}

fn status(standing: &Standing) -> Vec<u8> {
    match standing {
        Standing::Good => der::context_primitive(0, &[]),
        Standing::Unknown => der::context_primitive(2, &[]),
        Standing::Revoked { at, reason } => {
            let mut content = der::generalized(*at);
            if let Some(code) = crl::reason_code(reason) {
                content.extend(der::context(0, &der::element(der::ENUMERATED, &[code])));
            }
            der::context(1, &content)
        }
    }
}

fn known(dotted: &str) -> Vec<u8> {
    der::object(dotted).expect("the constants of oid.rs are object identifiers")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(serial: &[u8]) -> Vec<u8> {
        let hash = der::octets(&[7; 20]);
        let algorithm = der::sequence([der::object(oid::SHA1).unwrap()]);
        let id = der::sequence([algorithm, hash.clone(), hash, der::unsigned(serial)]);
        let list = der::sequence([der::sequence([id])]);
        der::sequence([der::sequence([list])])
    }

    #[test]
    fn the_serial_of_a_request_has_32_digits() {
        let questions = read(&request(&[0x80, 1])).unwrap();
        assert_eq!(questions[0].serial, format!("{:0>32}", "8001"));
    }

    proptest::proptest! {
        #[test]
        fn any_damage_is_read_or_refused(at in 0..60usize, byte in proptest::num::u8::ANY, cut in 0..90usize) {
            let mut bytes = request(&[1; 16]);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(cut);
            drop(read(&bytes));
        }
    }
}
