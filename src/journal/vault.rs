use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, OnceLock},
};

use serde_json::Value as Json;

use super::{
    error::JournalError,
    event::Event,
    seal::{Seal, close_with, open_with},
};
use windlass_ground::lock;
use windlass_world::value::{Digest, Secret, Value};

/// Seals the secrets of a run whose events are stored outside of the database.
///
/// It remembers the ciphertext of each secret that it has sealed, so that repeating the same actions in the same order gives
/// the same texts: a replay can be compared with what was recorded.
pub struct Vault {
    seal: Arc<Seal>,
    /// The public half of the identity, which takes some time to derive.
    recipient: Arc<OnceLock<String>>,
    /// The ciphertexts, by the digest of the secret.
    known: Mutex<BTreeMap<Digest, String>>,
}

impl Vault {
    /// Uses the identity of a state folder.
    pub fn new(state: &Path) -> Self {
        Self {
            seal: Arc::new(Seal::new(state)),
            recipient: Arc::default(),
            known: Mutex::default(),
        }
    }

    /// Creates the identity unless there is one, so that secrets can't be confused with their masks. Returns whether it created
    /// it.
    ///
    /// # Errors
    /// An identity that can't be used or created.
    pub fn ensure_identity(&self) -> Result<bool, JournalError> {
        self.seal.ensure()
    }

    /// Returns the public half of the identity.
    ///
    /// # Errors
    /// An identity that can't be used or created.
    pub fn recipient(&self) -> Result<String, JournalError> {
        if let Some(known) = self.recipient.get() {
            return Ok(known.clone());
        }
        let recipient = self.seal.recipient()?.to_string();
        Ok(self.recipient.get_or_init(|| recipient).clone())
    }

    /// Digests the secrets in a value under a key derived from the identity, as for a journal. Returns `None` without
    /// secrets.
    ///
    /// # Errors
    /// An identity that can't be used or created.
    pub fn digest_secrets(&self, value: &Value) -> Result<Option<Digest>, JournalError> {
        self.seal.digest_secrets(value)
    }

    /// Returns a vault with the same identity that remembers nothing.
    pub fn fresh(&self) -> Self {
        Self {
            seal: self.seal.clone(),
            recipient: self.recipient.clone(),
            known: Mutex::default(),
        }
    }

    /// Converts a value to its stored form.
    ///
    /// # Errors
    /// An identity that can't be used or created.
    pub fn close(&self, value: Value) -> Result<Json, JournalError> {
        close_with(value, &mut |secret| {
            if let Some(sealed) = self.known().get(&digest(secret)) {
                return Ok(sealed.clone());
            }
            let sealed = self.seal.close_secret(secret)?;
            self.known().insert(digest(secret), sealed.clone());
            Ok(sealed)
        })
    }

    /// Reads a stored value. Without the identity, a secret becomes the text of its mask.
    ///
    /// # Errors
    /// A secret of another identity.
    pub fn open(&self, json: Json) -> Result<Value, JournalError> {
        open_with(json, &mut |sealed| {
            let value = self.seal.open_secret(sealed)?;
            if let Value::Secret(secret) = &value {
                self.known().insert(digest(secret), sealed.to_owned());
            }
            Ok(value)
        })
    }

    /// Says whether the ciphertexts of all secrets in a value are known.
    pub fn knows(&self, value: &Value) -> bool {
        match value {
            Value::Secret(secret) => self.known().contains_key(&digest(secret)),
            Value::List(items) => items.iter().all(|item| self.knows(item)),
            Value::Map(map) => map.values().all(|item| self.knows(item)),
            _ => true,
        }
    }

    /// Fails if a text contains secrets that can't be opened because the identity is missing.
    ///
    /// # Errors
    /// [`JournalError::Identity`].
    pub fn require(&self, stored: &str) -> Result<(), JournalError> {
        self.seal.require(stored)
    }

    /// Like [`Vault::close`], for every value of an event.
    ///
    /// # Errors
    /// The same as there.
    pub fn close_event(&self, event: Event) -> Result<Event<Json>, JournalError> {
        event.try_map(|value| self.close(value))
    }

    /// Like [`Vault::open`], for every value of an event.
    ///
    /// # Errors
    /// The same as there.
    pub fn open_event(&self, event: Event<Json>) -> Result<Event, JournalError> {
        event.try_map(|json| self.open(json))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<Digest, String>> {
        lock(&self.known)
    }
}

fn digest(secret: &Secret) -> Digest {
    Digest::of_content(secret.reveal().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_secret_has_one_ciphertext() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let vault = Vault::new(folder.path());
        let value = Value::List(vec![Value::Secret(Secret::new("hunter2")), "x".into()]);
        let first = vault.close(value.clone()).expect("closed");
        assert_eq!(vault.close(value.clone()).expect("closed"), first);
        let other = vault.fresh();
        assert!(!other.knows(&value));
        assert_ne!(other.fresh().close(value.clone()).expect("closed"), first);
        assert_eq!(other.open(first.clone()).expect("opened"), value);
        assert!(other.knows(&value));
        assert_eq!(other.close(value).expect("closed"), first);
    }
}
