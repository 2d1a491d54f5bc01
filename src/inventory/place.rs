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
        /// Empty for what lives in none.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        namespace: String,
        /// `secret/cacerts`.
        object: String,
        /// `ca-cert.pem`; for anything but data, the path to the field.
        key: String,
    },
    /// The certificate of a CA of AWS Private CA.
    Authority {
        arn: String,
    },
    /// Issued by a CA of AWS Private CA and not revoked; who uses it, the CA does not know.
    Issued {
        arn: String,
    },
    /// What a TLS server sends.
    Server {
        address: String,
    },
}

impl Place {
    /// Whether programs read it there: files are copies of what runs delivered, and the record of a CA serves only the CA.
    pub fn is_read_by_others(&self) -> bool {
        match self {
            Self::Object { .. } | Self::Server { .. } => true,
            Self::File { .. } | Self::Authority { .. } | Self::Issued { .. } => false,
        }
    }

    /// The same within a thing that holds several, by its key.
    pub fn at(&self, within: &str) -> Self {
        let mut place = self.clone();
        if let Self::Object { key, .. } = &mut place {
            within.clone_into(key);
        }
        place
    }
}

/// For people: a file by its path, an object as kubectl names it, after its cluster.
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
            Self::Issued { arn } => write!(f, "alive in {arn}"),
            Self::Server { address } => write!(f, "server {address}"),
        }
    }
}
