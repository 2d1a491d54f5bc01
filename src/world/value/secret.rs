use std::{fmt, sync::Arc};

use data_encoding::BASE64;
use zeroize::Zeroizing;

/// The text that is shown instead of a secret.
pub const MASK: &str = "‹secret›";

/// How the text begins that is shown instead of a reference to a secret.
pub(super) const MASK_OF_REFERENCE: &str = "‹secret from ";

/// Says whether a text contains what is shown in place of a secret. Where a secret is expected, such a text was copied from a page or an
/// answer, and would replace the secret.
pub fn holds_mask(text: &str) -> bool {
    text.contains(MASK) || text.contains(MASK_OF_REFERENCE)
}

/// Holds a text that no log, journal, error or page ever shows: a private key, a token.
///
/// It prints as [`MASK`] in every format; the text leaves only through [`Secret::reveal`], whose
/// callers are the places that deliver it (a 0600 file, an encrypted journal record). The memory
/// is wiped when the last clone is dropped.
///
/// A keystore is a secret that is not text: it holds the bytes, and its text is their base64.
#[derive(Clone)]
pub struct Secret(Arc<Held>);

struct Held {
    text: Zeroizing<String>,
    /// The bytes, if the secret is not text.
    bytes: Option<Zeroizing<Vec<u8>>>,
}

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Held {
            text: Zeroizing::new(text.into()),
            bytes: None,
        }))
    }

    /// Holds bytes, as a text if they are UTF-8.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::new(text),
            Err(_) => Self(Arc::new(Held {
                text: Zeroizing::new(BASE64.encode(bytes)),
                bytes: Some(Zeroizing::new(bytes.to_vec())),
            })),
        }
    }

    /// Returns the text itself, or the base64 of bytes that are not text. Every call of this delivers a
    /// secret.
    pub fn reveal(&self) -> &str {
        &self.0.text
    }

    /// Returns the content byte by byte, as it is written to a file or sent. Like [`Secret::reveal`], it delivers a
    /// secret.
    pub fn reveal_bytes(&self) -> &[u8] {
        match &self.0.bytes {
            Some(bytes) => bytes,
            None => self.0.text.as_bytes(),
        }
    }

    /// Returns the content as a text, for what takes nothing else. Like [`Secret::reveal`], it delivers a secret.
    ///
    /// # Errors
    /// Bytes that are not text: their base64 is not what was meant.
    pub fn text(&self) -> Result<&str, NotText> {
        if self.is_text() {
            Ok(&self.0.text)
        } else {
            Err(NotText)
        }
    }

    /// Says whether the content is a text.
    pub fn is_text(&self) -> bool {
        self.0.bytes.is_none()
    }
}

/// A secret consists of bytes where a text is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret is not text, but bytes (`base64::encode` makes a text of them)")]
pub struct NotText;

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

/// Two secrets are equal if their contents are, so that the interpreter and `==` in a script can compare values that contain them. The
/// comparison takes constant time, so that it reveals nothing but its result.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.reveal_bytes(), other.reveal_bytes());
        aws_lc_rs::constant_time::verify_slices_are_equal(mine, theirs).is_ok()
    }
}
