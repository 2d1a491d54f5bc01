use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a certificate is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Place {
    File {
        path: String,
    },
    /// A key of a Kubernetes object.
    Object {
        /// The target of the run that saw it; `None` in a scan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// The cluster's role in the target, or the context of a kubeconfig.
        cluster: String,
        /// Empty for an object that has no namespace.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        namespace: String,
        /// The kind and name: `secret/cacerts`.
        object: String,
        /// The key of its data, such as `ca-cert.pem`; for other fields, the path to the field.
        key: String,
    },
    /// The certificate of a CA of AWS Private CA.
    Authority {
        arn: String,
    },
    /// The audit report of a CA of AWS Private CA: the certificate was issued and not revoked. Where it is used is not known.
    Issued {
        arn: String,
    },
    /// The chain that a TLS server presents.
    Server {
        address: String,
    },
}

impl Place {
    /// Returns whether programs use the certificate from this place. Files are copies of what runs delivered, and a CA's own record is used
    /// only by the CA.
    pub fn is_read_by_others(&self) -> bool {
        match self {
            Self::Object { .. } | Self::Server { .. } => true,
            Self::File { .. } | Self::Authority { .. } | Self::Issued { .. } => false,
        }
    }

    /// Returns the target whose cluster it is in; `None` in a scan, and outside of clusters.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Object { target, .. } => target.as_deref(),
            _ => None,
        }
    }

    /// Returns this place with a key, for an object that holds several certificates.
    pub fn at(&self, within: &str) -> Self {
        let mut place = self.clone();
        if let Self::Object { key, .. } = &mut place {
            within.clone_into(key);
        }
        place
    }
}

/// Writes a place for people: a file by its path; an object by its cluster, namespace, and name as in kubectl.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path } => f.write_str(path),
            Self::Object {
                cluster,
                namespace,
                object,
                key,
                ..
            } => {
                write!(f, "{cluster}: ")?;
                if !namespace.is_empty() {
                    write!(f, "{namespace} ")?;
                }
                write!(f, "{object}")?;
                match key.as_str() {
                    "" => Ok(()),
                    key => write!(f, " {key}"),
                }
            }
            Self::Authority { arn } => write!(f, "CA {arn}"),
            Self::Issued { arn } => write!(f, "issued as {arn}"),
            Self::Server { address } => write!(f, "server {address}"),
        }
    }
}
