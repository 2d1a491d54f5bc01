//! Certificates: created from a blueprint, and read for the rules that depend on their contents.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::clock::Moment;
use crate::x509::extension::Extension;
use crate::x509::key::{KeyError, SigningAlgorithm, SigningKey};
use crate::x509::{der, extension};
use windlass_ground::{NoRandomness, random_bytes};

/// A certificate's serial number: 128 bits, positive, and without leading zeros in its 32 hexadecimal digits.
///
/// It begins with the time, so that new certificates come last in an index, however many there are: in a place drawn by lot,
/// each changes a page of its own. The other 80 bits are random (RFC 5280 asks for none, CAs of the public web for 64).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Serial([u8; 16]);

/// The milliseconds since 1970 in a serial number: 46 bits, behind one that says that it is positive, and a first digit.
const TIME: u64 = (1 << 46) - 1;

impl Serial {
    /// Returns a random serial number. A collision within an authority is as unlikely as guessing a key.
    pub fn draw(now: Moment) -> Result<Self, NoRandomness> {
        let time = now.cast_unsigned() & TIME | (TIME + 1);
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&time.to_be_bytes()[2..]);
        random_bytes(&mut bytes[6..])?;
        Ok(Self(bytes))
    }

    /// Returns 32 lower-case hexadecimal digits, as at the end of a certificate's ARN.
    pub fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }
}

/// The contents of a certificate. The names and the key are complete DER elements.
pub(crate) struct Blueprint<'a> {
    pub serial: Serial,
    pub issuer: &'a [u8],
    pub subject: &'a [u8],
    pub public_key: &'a [u8],
    pub not_before: Moment,
    pub not_after: Moment,
    pub extensions: &'a [Extension],
}

impl Blueprint<'_> {
    /// Signs the certificate. Returns an X.509 v3 certificate in DER.
    pub fn sign(&self, key: &SigningKey, algorithm: SigningAlgorithm) -> Result<Vec<u8>, KeyError> {
        let extensions = der::sequence(self.extensions.iter().map(Extension::to_der));
        let to_be_signed = der::sequence([
            der::context(0, &der::number(2)),
            der::unsigned(&self.serial.0),
            algorithm.identifier(),
            self.issuer.to_vec(),
            der::sequence([der::time(self.not_before), der::time(self.not_after)]),
            self.subject.to_vec(),
            self.public_key.to_vec(),
            der::context(3, &extensions),
        ]);
        let signature = key.sign(algorithm, &to_be_signed)?;
        Ok(der::sequence([
            to_be_signed,
            algorithm.identifier(),
            der::bits(&signature),
        ]))
    }
}

/// What the rules need from a certificate.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub subject: Vec<u8>,
    pub public_key: Vec<u8>,
    pub subject_key_identifier: Vec<u8>,
    pub serial: String,
    pub not_before: Moment,
    pub not_after: Moment,
}

/// Parses one certificate. Returns `None` if the bytes are not exactly one certificate.
pub(crate) fn parse(bytes: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(bytes) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
}

/// Returns the facts of a certificate, or `None` if it can't be read.
pub(crate) fn facts(bytes: &[u8]) -> Option<Facts> {
    let certificate = parse(bytes)?;
    let key = certificate.public_key();
    Some(Facts {
        subject: certificate.subject().as_raw().to_vec(),
        public_key: key.raw.to_vec(),
        subject_key_identifier: written_key_identifier(&certificate)
            .unwrap_or_else(|| extension::key_identifier(&key.subject_public_key.data)),
        serial: data_encoding::HEXLOWER.encode(certificate.raw_serial()),
        not_before: certificate.validity().not_before.timestamp() * 1000,
        not_after: certificate.validity().not_after.timestamp() * 1000,
    })
}

/// Returns the subject key identifier in a certificate.
pub(crate) fn written_key_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    use x509_parser::extensions::ParsedExtension;
    certificate
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_grow_with_time_and_are_positive() {
        let now = 1_795_732_441_250;
        let at = |now| Serial::draw(now).unwrap().hex();
        let all = [at(i64::MIN), at(0), at(now), at(now + 1), at(i64::MAX)];
        assert!(
            all.iter()
                .all(|hex| hex.len() == 32 && ('4'..='7').contains(&hex.chars().next().unwrap()))
        );
        assert!(all[1] < all[2] && all[2] < all[3], "{all:?}");
        assert_ne!(at(now), at(now));
    }
}
