//! The subject of a certificate, by its attributes, within the limits of RFC 5280, A.1.

use std::collections::BTreeMap;

/// A distinguished name, with the attributes that AWS Private CA knows. Every value in it is valid in a
/// certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject(BTreeMap<&'static str, String>);

/// One attribute of a subject.
pub(super) struct Attribute {
    pub name: &'static str,
    /// The name in RFC 4514 and AWS.
    short: &'static str,
    pub oid: &'static [u64],
    /// The largest number of characters.
    most: usize,
    /// Whether it is a PrintableString, which allows few characters.
    pub is_printable: bool,
}

const fn attribute(
    name: &'static str,
    short: &'static str,
    oid: &'static [u64],
    most: usize,
) -> Attribute {
    Attribute {
        name,
        short,
        oid,
        most,
        is_printable: false,
    }
}

const fn printable(attribute: Attribute) -> Attribute {
    Attribute {
        is_printable: true,
        ..attribute
    }
}

/// The attributes in the usual order of a distinguished name, with the upper bounds of RFC 5280, A.1. There is none for a qualifier; AWS
/// allows 64 characters.
pub(super) const ATTRIBUTES: [Attribute; 14] = [
    printable(attribute("country", "C", &[2, 5, 4, 6], 2)),
    attribute("organization", "O", &[2, 5, 4, 10], 64),
    attribute("organizational_unit", "OU", &[2, 5, 4, 11], 64),
    attribute("state", "ST", &[2, 5, 4, 8], 128),
    attribute("locality", "L", &[2, 5, 4, 7], 128),
    attribute("common_name", "CN", &[2, 5, 4, 3], 64),
    printable(attribute(
        "serial_number",
        "serialNumber",
        &[2, 5, 4, 5],
        64,
    )),
    printable(attribute(
        "distinguished_name_qualifier",
        "dnQualifier",
        &[2, 5, 4, 46],
        64,
    )),
    attribute("title", "title", &[2, 5, 4, 12], 64),
    attribute("surname", "SN", &[2, 5, 4, 4], 32_768),
    attribute("given_name", "GN", &[2, 5, 4, 42], 32_768),
    attribute("initials", "initials", &[2, 5, 4, 43], 32_768),
    attribute("pseudonym", "pseudonym", &[2, 5, 4, 65], 128),
    attribute(
        "generation_qualifier",
        "generationQualifier",
        &[2, 5, 4, 44],
        32_768,
    ),
];

/// The reason why an attribute is not valid in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    #[error("a subject has no attribute `{name}` (one of {})", names())]
    Unknown { name: String },
    #[error("the subject's `{name}` is empty; leave it out instead")]
    Empty { name: &'static str },
    #[error(
        "the subject's `{name}` has {length} characters, and a certificate takes {most} at most"
    )]
    TooLong {
        name: &'static str,
        length: usize,
        most: usize,
    },
    #[error("the subject's `{name}` is `{value}`, and must be a code of two letters, such as `US`")]
    Country { name: &'static str, value: String },
    #[error(
        "the subject's `{name}` has the character {found:?}, and may only have ASCII letters, digits, space and '()+,-./:=?"
    )]
    NotPrintable { name: &'static str, found: char },
    #[error("the subject's `{name}` has the control character {found:?}")]
    Control { name: &'static str, found: char },
}

impl Subject {
    /// Sets one attribute, by its full or short name (`common_name` or `CN`).
    ///
    /// # Errors
    /// An unknown attribute, or a value that a certificate can't contain.
    pub fn set(&mut self, name: &str, value: String) -> Result<(), SubjectError> {
        let attribute = ATTRIBUTES
            .iter()
            .find(|known| known.name == name || known.short == name)
            .ok_or_else(|| SubjectError::Unknown { name: name.into() })?;
        attribute.check(&value)?;
        self.0.insert(attribute.name, value);
        Ok(())
    }

    /// Returns the full names of all attributes.
    pub fn attributes() -> impl Iterator<Item = &'static str> {
        ATTRIBUTES.iter().map(|attribute| attribute.name)
    }

    /// Says whether there is an attribute with this full or short name.
    pub fn has_attribute(name: &str) -> bool {
        let mut known = ATTRIBUTES.iter();
        known.any(|known| known.name == name || known.short == name)
    }

    /// Returns the value of an attribute, by its full name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Attribute {
    fn check(&self, value: &str) -> Result<(), SubjectError> {
        let name = self.name;
        let length = value.chars().count();
        if length == 0 {
            return Err(SubjectError::Empty { name });
        }
        let is_code = length == 2 && value.chars().all(|c| c.is_ascii_alphabetic());
        if name == "country" && !is_code {
            return Err(SubjectError::Country {
                name,
                value: value.into(),
            });
        }
        if length > self.most {
            return Err(SubjectError::TooLong {
                name,
                length,
                most: self.most,
            });
        }
        if let Some(found) = value.chars().find(|c| c.is_control()) {
            return Err(SubjectError::Control { name, found });
        }
        match value
            .chars()
            .find(|c| self.is_printable && !is_printable(*c))
        {
            Some(found) => Err(SubjectError::NotPrintable { name, found }),
            None => Ok(()),
        }
    }
}

/// The characters of a PrintableString (X.680).
fn is_printable(c: char) -> bool {
    c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c)
}

fn names() -> String {
    ATTRIBUTES.map(|attribute| attribute.name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Result<(), SubjectError> {
        Subject::default().set(name, value.into())
    }

    #[test]
    fn c7_a_subject_keeps_the_limits_of_rfc_5280() {
        for (name, value) in [
            ("country", "US"),
            ("C", "de"),
            ("common_name", &"é".repeat(64)),
            ("serial_number", "A-1 (b)=?"),
            ("O", "Müller & Söhne"),
        ] {
            assert_eq!(set(name, value), Ok(()), "{name} {value}");
        }
        for (name, value, why) in [
            ("country", "USA", "two letters"),
            ("country", "U1", "two letters"),
            ("country", "ÖS", "two letters"),
            ("common_name", &"é".repeat(65), "64 at most"),
            ("state", &"s".repeat(129), "128 at most"),
            ("serial_number", "a_b", "'_'"),
            ("dnQualifier", "naïve", "'ï'"),
            ("organization", "a\nb", "control"),
            ("common_name", "a\0.example", "control"),
            ("locality", "", "empty"),
            ("common_nam", "x", "no attribute"),
        ] {
            let error = set(name, value).expect_err(name).to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
    }
}
