use std::{fmt, sync::Arc};

use super::secret::MASK_OF_REFERENCE;

/// A reference to a secret in a store, which is read when it is needed: `ssm:/app/password`.
///
/// The reference is stored and shown instead of the secret.
///
/// It is rare and shared, so that it does not make every [`Value`](super::Value) larger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference(Arc<Read>);

#[derive(Debug, PartialEq, Eq)]
struct Read {
    text: String,
    source: Source,
}

/// The store of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// AWS Secrets Manager: a name or an ARN, and a key of the JSON in it.
    SecretsManager { id: String, key: Option<String> },
    /// The parameter store of AWS Systems Manager.
    Ssm { name: String },
    /// A key-value engine of HashiCorp Vault.
    Vault { path: String, field: String },
    /// A file of the person who starts the run.
    File { path: String },
    /// A variable of their environment.
    Variable { name: String },
}

/// A text that begins like a reference but is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a reference to a secret: write {form}")]
pub struct NoReference {
    text: String,
    form: &'static str,
}

/// The prefix of a literal secret that begins like a reference.
const LITERAL: &str = "text:";

/// The meaning of a text that was given for a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    Reference(Reference),
    /// The secret itself.
    Literal(String),
}

impl Reference {
    /// Reads a text that was given for a secret: a reference, or the secret itself. The prefix `text:` marks a secret that looks like a
    /// reference.
    ///
    /// # Errors
    /// A reference that lacks a part.
    pub fn read(text: &str) -> Result<Given, NoReference> {
        if let Some(literal) = text.strip_prefix(LITERAL) {
            return Ok(Given::Literal(literal.to_owned()));
        }
        match Self::parse(text)? {
            Some(reference) => Ok(Given::Reference(reference)),
            None => Ok(Given::Literal(text.to_owned())),
        }
    }

    /// Parses a reference; returns `None` for a text that does not begin like one.
    ///
    /// # Errors
    /// A reference that lacks a part.
    pub fn parse(text: &str) -> Result<Option<Self>, NoReference> {
        let lacks = |form| {
            Err(NoReference {
                text: text.to_owned(),
                form,
            })
        };
        let Some((scheme, rest)) = text.split_once(':') else {
            return Ok(None);
        };
        let source = match (scheme, rest) {
            ("secretsmanager", _) => {
                let (id, key) = match rest.split_once('#') {
                    Some((id, key)) => (id, Some(key)),
                    None => (rest, None),
                };
                if id.is_empty() || key == Some("") {
                    return lacks("`secretsmanager:NAME` or `secretsmanager:NAME#KEY`");
                }
                Source::SecretsManager {
                    id: id.into(),
                    key: key.map(Into::into),
                }
            }
            ("ssm", "") => return lacks("`ssm:/PATH/NAME`"),
            ("ssm", name) => Source::Ssm { name: name.into() },
            ("vault", _) => match rest.split_once('#') {
                Some((path, field))
                    if path.trim_matches('/').contains('/') && !field.is_empty() =>
                {
                    Source::Vault {
                        path: path.trim_matches('/').into(),
                        field: field.into(),
                    }
                }
                _ => return lacks("`vault:MOUNT/PATH#FIELD`"),
            },
            ("file", "") => return lacks("`file:PATH`"),
            ("file", path) => Source::File { path: path.into() },
            ("env", name) => {
                if name.is_empty() || name.contains('=') {
                    return lacks("`env:NAME`");
                } else {
                    Source::Variable { name: name.into() }
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(Self(Arc::new(Read {
            text: text.into(),
            source,
        }))))
    }

    pub fn source(&self) -> &Source {
        &self.0.source
    }

    /// Returns the reference as it was given.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }
}

/// Shows the reference, in place of the secret.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MASK_OF_REFERENCE}{}›", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    /// The smallest map has room for eleven values: a run of 100,000 steps with an output each keeps several times as many.
    #[test]
    fn a_reference_makes_a_value_no_larger() {
        assert!(size_of::<Value>() <= size_of::<String>() + size_of::<usize>());
    }

    #[test]
    fn references_are_told_from_secrets() {
        for (text, wanted) in [
            (
                "secretsmanager:db/prod#password",
                Some(Source::SecretsManager {
                    id: "db/prod".into(),
                    key: Some("password".into()),
                }),
            ),
            (
                "secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:a-b",
                Some(Source::SecretsManager {
                    id: "arn:aws:secretsmanager:eu-west-1:1:secret:a-b".into(),
                    key: None,
                }),
            ),
            (
                "ssm:/a/b",
                Some(Source::Ssm {
                    name: "/a/b".into(),
                }),
            ),
            (
                "vault:secret/db#password",
                Some(Source::Vault {
                    path: "secret/db".into(),
                    field: "password".into(),
                }),
            ),
            (
                "file:/run/s",
                Some(Source::File {
                    path: "/run/s".into(),
                }),
            ),
            (
                "env:TOKEN",
                Some(Source::Variable {
                    name: "TOKEN".into(),
                }),
            ),
            ("hunter2", None),
            ("pass:word", None),
        ] {
            let read = Reference::parse(text).expect("whole");
            assert_eq!(
                read.as_ref().map(Reference::source),
                wanted.as_ref(),
                "{text}"
            );
        }
        for text in [
            "vault:secret#x",
            "vault:secret/db",
            "env:",
            "ssm:",
            "secretsmanager:#a",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            Reference::read("text:env:TOKEN"),
            Ok(Given::Literal("env:TOKEN".into()))
        );
    }
}
