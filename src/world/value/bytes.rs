use std::{fmt, ops::Deref, sync::Arc};

use data_encoding::BASE64;

/// Holds bytes that are not text, or that have not been read as text yet.
///
/// Clones share the content. In JSON bytes are their base64, as Kubernetes and AWS write them.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(Arc<[u8]>);

impl Bytes {
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Parses base64 of the standard alphabet, padded. `None` if it is invalid.
    pub fn from_base64(text: &str) -> Option<Self> {
        BASE64.decode(text.as_bytes()).ok().map(Self::new)
    }

    /// Parses the text of a `!!binary` of YAML: base64 that may be broken into lines.
    pub fn from_yaml(text: &str) -> Option<Self> {
        let base64: String = text.split_whitespace().collect();
        Self::from_base64(&base64)
    }

    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.0)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Shows how many there are: the content may be long, and is rarely readable.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes({})", self.0.len())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
