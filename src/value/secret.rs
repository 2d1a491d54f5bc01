use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

/// What is shown wherever a secret would be printed.
pub const MASK: &str = "‹secret›";

/// Holds a text that no log, journal, error or page ever shows: a private key, a token.
///
/// It prints as [`MASK`] in every format; the text leaves only through [`Secret::reveal`], whose
/// callers are the places that deliver it (a 0600 file, an encrypted journal record). The memory
/// is wiped when the last clone is dropped.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    /// Returns the text itself. Every call of this is a place where a secret is delivered.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Two secrets are equal when their texts are, so that values which hold them can be compared by
/// the interpreter and by `==` in a script. In constant time, so that a comparison tells nothing but its result.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes())
            .is_ok()
    }
}
