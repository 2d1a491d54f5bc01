//! Values as YAML text.
//!
//! It reads YAML 1.2 (its core schema), with the merge keys of 1.1. It writes YAML that 1.1 and 1.2 read in the same way, since
//! kubectl, PyYAML and Ansible read 1.1.

mod read;
mod write;

use self::read::Octals;
use super::Value;

impl Value {
    /// Parses one YAML (or JSON) document; an empty one is null. `None` if it is invalid.
    pub fn from_yaml(text: &str) -> Option<Self> {
        let documents = read::documents(text, 1, Octals::Decimal).ok()?;
        Some(documents.into_iter().next().unwrap_or_default())
    }

    /// Parses one YAML (or JSON) document; an empty text is null.
    ///
    /// # Errors
    /// The mistake, with its line and column: also a second document, a key that is defined twice, or a tag that is not YAML's
    /// own, and a number such as `0400`, which YAML 1.1 reads as octal.
    pub fn parse_yaml(text: &str) -> Result<Self, String> {
        let documents = read::documents(text, 1, Octals::Refused)?;
        Ok(documents.into_iter().next().unwrap_or_default())
    }

    /// Parses all documents of a YAML stream.
    ///
    /// # Errors
    /// The same as of [`Value::parse_yaml`].
    pub fn parse_yaml_all(text: &str) -> Result<Vec<Self>, String> {
        read::documents(text, usize::MAX, Octals::Refused)
    }

    /// Parses at most `most` documents as earlier versions did: a number such as `0400` is decimal.
    ///
    /// # Errors
    /// The same as of [`Value::parse_yaml`], but for such numbers.
    pub fn parse_yaml_as_earlier(text: &str, most: usize) -> Result<Vec<Self>, String> {
        read::documents(text, most, Octals::Decimal)
    }

    /// Returns YAML in block style, with every secret masked.
    pub fn to_yaml(&self) -> String {
        write::document(self)
    }
}
