use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use windlass_ground::Timestamp;

/// How long a user has for logging in at the provider.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// A login that has begun. The browser keeps it, sealed, in a cookie: so this process keeps nothing for strangers, and a login ends
/// only in the browser that began it. That it ends once is the provider's care: a code is good once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub state: String,
    pub nonce: String,
    /// Of PKCE.
    pub verifier: String,
    /// The address that the provider leads back to.
    pub back: String,
    pub at: Timestamp,
}

/// Seals logins with a key that only this process has.
pub struct LoginSeal(RandomizedNonceKey);

impl LoginSeal {
    /// Makes a key; `None` where the system gives no randomness.
    pub fn new() -> Option<Self> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).ok()?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).ok().map(Self)
    }

    /// Returns the value of a cookie.
    pub fn close(&self, begun: &Begun) -> Option<String> {
        let mut text = serde_json::to_vec(begun).ok()?;
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::empty(), &mut text)
            .ok()?;
        Some(BASE64URL_NOPAD.encode(&[nonce.as_ref().as_slice(), &text].concat()))
    }

    /// Reads the value of a cookie; `None` for what this process did not seal.
    pub fn open(&self, sealed: &str) -> Option<Begun> {
        let sealed = BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?;
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let text = self.0.open_in_place(nonce, Aad::empty(), &mut text).ok()?;
        serde_json::from_slice(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_read_by_who_sealed_it() {
        let seal = LoginSeal::new().expect("a key");
        let begun = Begun {
            state: "state".into(),
            nonce: "nonce".into(),
            verifier: "verifier".into(),
            back: "https://windlass.example.com/login/callback".into(),
            at: Timestamp::from_millis(7),
        };
        let sealed = seal.close(&begun).expect("sealed");
        assert_eq!(seal.open(&sealed), Some(begun.clone()));
        assert_ne!(
            seal.close(&begun).expect("sealed"),
            sealed,
            "a nonce of its own"
        );
        assert_eq!(LoginSeal::new().expect("a key").open(&sealed), None);
        for i in 0..sealed.len() {
            let mut other = sealed.clone().into_bytes();
            other[i] = if other[i] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).expect("text");
            assert_eq!(seal.open(&other), None, "at {i}");
        }
        assert_eq!(seal.open(""), None);
    }
}
