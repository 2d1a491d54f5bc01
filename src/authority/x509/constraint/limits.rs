//! What the certificates from an authority up to its root allow below it.

use x509_parser::certificate::X509Certificate;

use super::{ConstraintError, Constraints, of_certificate};
use crate::x509::{certificate, oid};

/// The limits of a chain, for certificates that its first authority signs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    /// The path length of an authority below must be smaller than this.
    pub path_length: Option<u32>,
    constraints: Vec<Constraints>,
}

impl Limits {
    /// Returns the limits of the certificates from an authority's own up to its root's.
    pub fn of<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, ConstraintError> {
        let mut limits = Self::default();
        for (below, bytes) in chain.into_iter().enumerate() {
            let certificate = certificate::parse(bytes).ok_or(ConstraintError::Unreadable)?;
            limits.add(&certificate, below)?;
        }
        Ok(limits)
    }

    /// Adds an authority that has `below` other authorities of the chain under it.
    pub fn add(
        &mut self,
        certificate: &X509Certificate<'_>,
        below: usize,
    ) -> Result<(), ConstraintError> {
        let basic = certificate.basic_constraints().ok().flatten();
        let length = basic.and_then(|found| found.value.path_len_constraint);
        let left =
            length.map(|length| length.saturating_sub(u32::try_from(below).unwrap_or(u32::MAX)));
        self.path_length = match (self.path_length, left) {
            (Some(known), Some(left)) => Some(known.min(left)),
            (known, left) => known.or(left),
        };
        if let Some(value) = extension(certificate, oid::NAME_CONSTRAINTS) {
            self.constraints.push(Constraints::read(value)?);
        }
        Ok(())
    }

    /// Refuses a certificate with names that an authority of the chain does not allow.
    pub fn check(
        &self,
        subject: &[u8],
        alternative_names: Option<&[u8]>,
        end_entity: bool,
    ) -> Result<(), ConstraintError> {
        if self.constraints.is_empty() {
            return Ok(());
        }
        let names =
            of_certificate(subject, alternative_names, end_entity).ok_or(ConstraintError::Names)?;
        self.constraints
            .iter()
            .try_for_each(|constraints| constraints.check(&names))
    }
}

/// Refuses a chain (the lowest certificate first) in which a certificate violates the constraints of one above it.
pub(crate) fn check_chain(chain: &[X509Certificate<'_>]) -> Result<(), ConstraintError> {
    let mut limits = Limits::default();
    for (index, certificate) in chain.iter().enumerate().rev() {
        // A self-issued authority, for the rollover of its key, is exempt (RFC 5280, 6.1.4).
        let itself = index > 0 && certificate.subject().as_raw() == certificate.issuer().as_raw();
        if !itself {
            let names = extension(certificate, oid::SUBJECT_ALTERNATIVE_NAME);
            limits.check(certificate.subject().as_raw(), names, false)?;
        }
        limits.add(certificate, 0)?;
    }
    Ok(())
}

fn extension<'a>(certificate: &'a X509Certificate<'_>, id: &str) -> Option<&'a [u8]> {
    certificate
        .extensions()
        .iter()
        .find(|extension| extension.oid.to_id_string() == id)
        .map(|extension| extension.value)
}
