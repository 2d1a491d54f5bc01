//! The name constraints extension, and the check of names against it.

use super::form::Name;
use super::subtree;
use crate::x509::der;
use crate::x509::read::{Element, Reader};

/// The names that one authority allows in the certificates below it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Constraints {
    permitted: Vec<Name>,
    excluded: Vec<Name>,
}

/// What is wrong with constraints, or with the names that they apply to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConstraintError {
    #[error("the name constraints of a certificate authority cannot be read")]
    Unreadable,
    #[error("name constraints of the form {0} are not supported")]
    Form(&'static str),
    #[error("the names of the certificate cannot be read")]
    Names,
    #[error("{0} is not permitted by the name constraints of a certificate authority")]
    NotPermitted(String),
    #[error("{0} is excluded by the name constraints of a certificate authority")]
    Excluded(String),
}

impl ConstraintError {
    /// Returns whether the names are wrong rather than the constraints.
    pub fn is_violation(&self) -> bool {
        matches!(self, Self::NotPermitted(_) | Self::Excluded(_))
    }
}

impl Constraints {
    /// Reads the value of the extension. This profile of X.509 does not use distances (`minimum`, `maximum`).
    pub fn read(value: &[u8]) -> Result<Self, ConstraintError> {
        let read = Self::parse(value).ok_or(ConstraintError::Unreadable)?;
        let form = read
            .permitted
            .iter()
            .chain(&read.excluded)
            .find_map(|base| match base {
                Name::Other(form) => Some(*form),
                _ => None,
            });
        form.map_or(Ok(read), |form| Err(ConstraintError::Form(form)))
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let mut all = Reader::new(value);
        let mut parts = all.expect(der::SEQUENCE)?.inside();
        let permitted = parts.optional(0xa0);
        let excluded = parts.optional(0xa1);
        let whole = all.is_empty() && parts.is_empty();
        let any = permitted.is_some() || excluded.is_some();
        let bases = |part: Option<Element<'_>>| match part {
            Some(part) => bases(part.inside()),
            None => Some(Vec::new()),
        };
        (whole && any).then_some(())?;
        Some(Self {
            permitted: bases(permitted)?,
            excluded: bases(excluded)?,
        })
    }

    /// Refuses the first name that is excluded, or that has a permitted form but is in none of its bases.
    pub fn check(&self, names: &[Name]) -> Result<(), ConstraintError> {
        names.iter().try_for_each(|name| self.check_one(name))
    }

    fn check_one(&self, name: &Name) -> Result<(), ConstraintError> {
        let alike = |base: &&Name| subtree::is_alike(base, name);
        let mut permitted = self.permitted.iter().filter(alike).peekable();
        let mut excluded = self.excluded.iter().filter(alike).peekable();
        let (selects, excludes) = (permitted.peek().is_some(), excluded.peek().is_some());
        if excluded.any(|base| subtree::excludes(base, name)) {
            return Err(ConstraintError::Excluded(name.to_string()));
        }
        let is_outside = selects && !permitted.any(|base| subtree::permits(base, name));
        if is_outside || ((selects || excludes) && is_vague(name)) {
            return Err(ConstraintError::NotPermitted(name.to_string()));
        }
        Ok(())
    }
}

/// Returns whether it can't be determined if a name is outside of a base.
fn is_vague(name: &Name) -> bool {
    match name {
        Name::Uri(text) => subtree::host(text).is_none(),
        Name::Mail(text) => !text.contains('@'),
        _ => false,
    }
}

/// Reads the bases of GeneralSubtrees, of which there must be at least one.
fn bases(mut list: Reader<'_>) -> Option<Vec<Name>> {
    let mut bases = Vec::new();
    while !list.is_empty() {
        let mut subtree = list.expect(der::SEQUENCE)?.inside();
        let base = Name::read(subtree.next()?)?;
        // An IPv4 or IPv6 address with its mask, or nothing.
        let wrong = matches!(&base, Name::Address(bytes) if ![0, 8, 32].contains(&bytes.len()));
        if wrong || !subtree.is_empty() {
            return None;
        }
        bases.push(base);
    }
    (!bases.is_empty()).then_some(bases)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constraints(part: u8, base: &[u8]) -> Vec<u8> {
        der::sequence([der::context(part, &der::sequence([base]))])
    }

    #[test]
    fn only_forms_that_aws_supports_are_accepted() {
        let host = der::context_primitive(2, b"example.com");
        let read = Constraints::read(&constraints(0, &host)).unwrap();
        assert!(read.check(&[Name::Dns("a.example.com".into())]).is_ok());
        assert!(read.check(&[Name::Mail("a@b".into())]).is_ok());
        let refused = read.check(&[Name::Dns("other.com".into())]).unwrap_err();
        assert!(refused.is_violation());
        let registered = der::context_primitive(8, &[0x2a]);
        assert_eq!(
            Constraints::read(&constraints(1, &registered)).unwrap_err(),
            ConstraintError::Form("registeredID")
        );
        let distance = [host, der::context_primitive(0, &[1])].concat();
        for wrong in [
            constraints(0, &distance),
            constraints(0, &der::context_primitive(7, &[1, 2, 3])),
            der::sequence([[]; 0]),
            b"nonsense".to_vec(),
        ] {
            assert_eq!(
                Constraints::read(&wrong).unwrap_err(),
                ConstraintError::Unreadable
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            drop(Constraints::read(&bytes));
            drop(super::super::alternative(&bytes));
        }
    }
}
