use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use windlass_ground::{Timestamp, random_bytes};

/// How long a user may take to log in at the provider.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// A login that has begun. The browser keeps it, encrypted, in a cookie. So this process stores nothing for unknown clients, and a login
/// can be completed only in the browser that began it. It can't be completed twice, because the provider accepts a code once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub state: String,
    pub nonce: String,
    /// The code verifier of PKCE.
    pub verifier: String,
    /// The address to which the provider redirects.
    pub back: String,
    /// The page of this server that the person wanted to see.
    pub next: Option<String>,
    pub at: Timestamp,
}

/// Encrypts logins with a key that only this process has.
pub struct LoginSeal(RandomizedNonceKey);

impl LoginSeal {
    /// Creates a key; `None` if the system has no randomness.
    pub fn new() -> Option<Self> {
        let mut key = [0; 32];
        random_bytes(&mut key).ok()?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).ok().map(Self)
    }

    /// Encrypts a login, as the value of a cookie.
    pub fn close(&self, begun: &Begun) -> Option<String> {
        let mut text = serde_json::to_vec(begun).ok()?;
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::empty(), &mut text)
            .ok()?;
        Some(BASE64URL_NOPAD.encode(&[nonce.as_ref().as_slice(), &text].concat()))
    }

    /// Decrypts the value of a cookie; `None` if this process did not encrypt it.
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
    fn only_the_process_that_encrypted_a_login_can_decrypt_it() {
        let seal = LoginSeal::new().expect("a key");
        let begun = Begun {
            state: "state".into(),
            nonce: "nonce".into(),
            verifier: "verifier".into(),
            back: "https://windlass.example.com/login/callback".into(),
            next: Some("/waiting".into()),
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
