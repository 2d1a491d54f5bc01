use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
};

use age::{
    secrecy::ExposeSecret,
    x25519::{Identity, Recipient},
};
use aws_lc_rs::hmac;
use data_encoding::{BASE64_NOPAD, HEXLOWER};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value as Json, json};

use super::{error::JournalError, placed::JOURNAL};
use windlass_ground::{disk, lock, private};
use windlass_world::value::{Bytes, Digest, MASK, Reference, Secret, Value};

/// Marks an encrypted value in stored JSON. A user's map key that begins with `$` is stored with one more `$`.
const MARK: &str = "$secret";
/// Marks bytes: their base64, or their ciphertext if they are a secret.
const BYTES: &str = "$bytes";
/// Marks a float that JSON can't express: `NaN`, `inf`, `-inf`.
const FLOAT: &str = "$float";

/// Marks a reference to a secret in another store.
const REFERENCE: &str = "$from";

/// Separates the key of digests from other keys that are derived from the identity.
const DIGEST_KEY: &[u8] = b"windlass digests of secrets 1";

/// Encrypts the secrets of values for the journal, and decrypts them.
pub(super) struct Seal {
    path: PathBuf,
    identity: Mutex<Option<Identity>>,
}

impl Seal {
    pub fn new(state: &Path) -> Self {
        Self {
            path: state.join("identity.txt"),
            identity: Mutex::new(None),
        }
    }

    /// Converts a value to its stored form. Creates the identity if there is none.
    pub fn close(&self, value: Value) -> Result<Json, JournalError> {
        close_with(value, &mut |secret| self.close_secret(secret))
    }

    /// Encrypts one secret: returns its ciphertext as text, which is different each time.
    ///
    /// # Errors
    /// An identity that can't be used, or one that is lost ([`JournalError::IdentityLost`]).
    pub fn close_secret(&self, secret: &Secret) -> Result<String, JournalError> {
        let sealed = age::encrypt(&self.recipient()?, secret.reveal().as_bytes())
            .map_err(|e| JournalError::Identity(e.to_string()))?;
        Ok(BASE64_NOPAD.encode(&sealed))
    }

    /// Creates the identity unless there is one. Returns whether it created it.
    pub fn ensure(&self) -> Result<bool, JournalError> {
        let is_there = self.existing()?.is_some();
        self.recipient()?;
        Ok(!is_there)
    }

    /// Fails if the text contains secrets of this journal that can't be opened because the identity is missing.
    pub fn require(&self, stored: &str) -> Result<(), JournalError> {
        if stored.contains(&begin_of_sealed()) && self.existing()?.is_none() {
            Err(JournalError::Identity("identity.txt does not exist".into()))
        } else {
            Ok(())
        }
    }

    /// Reads a stored value. Without the identity, a secret becomes the text of its mask, which is enough to show a run but not to
    /// resume it.
    pub fn open(&self, json: Json) -> Result<Value, JournalError> {
        open_with(json, &mut |sealed| self.open_secret(sealed))
    }

    pub fn open_secret(&self, sealed: &str) -> Result<Value, JournalError> {
        let Some(identity) = self.existing()? else {
            return Ok(MASK.into());
        };
        let damaged = || JournalError::Identity("it can't decrypt a secret of this run".into());
        let sealed = BASE64_NOPAD
            .decode(sealed.as_bytes())
            .map_err(|_| damaged())?;
        let text = age::decrypt(&identity, &sealed).map_err(|_| damaged())?;
        String::from_utf8(text)
            .map(|text| Value::Secret(Secret::new(text)))
            .map_err(|_| damaged())
    }

    /// Digests the secrets in a value, and nothing else of it, under a key derived from the identity, so that a reader of the digest can't
    /// test guesses of the secret. Returns `None` if there are no secrets. Creates the identity if there is none.
    pub fn digest_secrets(&self, value: &Value) -> Result<Option<Digest>, JournalError> {
        if value.secrets().is_empty() {
            return Ok(None);
        }
        self.recipient()?;
        let identity = self.existing()?.ok_or_else(gone)?;
        let text = identity.to_string();
        let key = Digest::of(&[DIGEST_KEY, text.expose_secret().as_bytes()]);
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        // The digest includes the places of the secrets: two that change places give another digest.
        let json = close_with(secrets_in_place(value), &mut |secret| {
            let tag = hmac::sign(&key, secret.reveal().as_bytes());
            Ok(HEXLOWER.encode(tag.as_ref()))
        })?;
        Ok(Some(Digest::of_content(json.to_string().as_bytes())))
    }

    pub fn recipient(&self) -> Result<Recipient, JournalError> {
        let mut cached = self.cached();
        self.read_once(&mut cached)?;
        if cached.is_none() {
            let is_lost = self.seals_something()?;
            // Another process may have created it meanwhile, and then sealed something.
            self.read_once(&mut cached)?;
            if cached.is_none() && is_lost {
                return Err(JournalError::IdentityLost);
            }
        }
        if cached.is_none() {
            self.create()?;
            self.read_once(&mut cached)?;
        }
        let identity = cached.as_ref();
        identity.map(Identity::to_public).ok_or_else(gone)
    }

    /// Returns the identity, or `None` if there is none.
    fn existing(&self) -> Result<Option<Identity>, JournalError> {
        let mut cached = self.cached();
        self.read_once(&mut cached)?;
        Ok(cached.clone())
    }

    fn cached(&self) -> MutexGuard<'_, Option<Identity>> {
        lock(&self.identity)
    }

    fn read_once(&self, cached: &mut Option<Identity>) -> Result<(), JournalError> {
        if cached.is_none() {
            private::check_secret_file(&self.path)?;
            let text = disk::read_if_there(&self.path);
            let text = text.map_err(|e| JournalError::Identity(e.to_string()))?;
            let Some(text) = text else {
                return Ok(());
            };
            let line = text
                .lines()
                .find(|line| line.starts_with("AGE-SECRET-KEY-"));
            let parsed = line.and_then(|line| line.trim().parse().ok());
            let identity: Identity = parsed.ok_or_else(|| {
                JournalError::Identity("identity.txt holds no age identity".into())
            })?;
            *cached = Some(identity);
        }
        Ok(())
    }

    /// Says whether the journal beside the identity holds secrets: they are sealed to one that must not be replaced.
    fn seals_something(&self) -> Result<bool, JournalError> {
        let journal = self.path.with_file_name(JOURNAL);
        Ok(journal.try_exists().unwrap_or(true) && holds_secrets(&journal)?)
    }

    /// Creates the identity, all or nothing: if two processes try at once, the first one wins.
    fn create(&self) -> Result<(), JournalError> {
        let failed = |source| JournalError::Folder {
            path: self.path.clone(),
            source,
        };
        if let Some(state) = self.path.parent() {
            private::create_state_folder(state).map_err(failed)?;
        }
        let identity = Identity::generate();
        let text = format!(
            "# The secrets in the journal beside this file are encrypted to this identity (age).\n\
             # public key: {}\n{}\n",
            identity.to_public(),
            identity.to_string().expose_secret()
        );
        // This comes before anything is sealed with the identity.
        disk::write_new_private(&self.path, text).map_err(failed)?;
        Ok(())
    }
}

/// Says whether the events of a journal hold secrets, which only its identity opens.
///
/// # Errors
/// What the database says.
pub fn holds_secrets(journal: &Path) -> rusqlite::Result<bool> {
    let database = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // A journal that is just being created has no tables yet.
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'events'";
    if database.query_row(tables, [], |row| row.get::<_, u64>(0))? == 0 {
        return Ok(false);
    }
    let sealed = "SELECT EXISTS (SELECT 1 FROM events WHERE instr(body, ?1))";
    database.query_row(sealed, [begin_of_sealed()], |row| row.get(0))
}

/// How a sealed secret begins in a stored event.
pub(super) fn begin_of_sealed() -> String {
    format!("{{\"{MARK}\":\"")
}

fn gone() -> JournalError {
    JournalError::Identity("identity.txt was deleted".into())
}

/// Returns a value with its secrets in their places, and without all else.
fn secrets_in_place(value: &Value) -> Value {
    match value {
        Value::Secret(_) => value.clone(),
        Value::List(items) => Value::List(items.iter().map(secrets_in_place).collect()),
        Value::Map(fields) => {
            let fields = fields
                .iter()
                .filter(|(_, field)| !field.secrets().is_empty());
            Value::map(fields.map(|(name, field)| (name.clone(), secrets_in_place(field))))
        }
        _ => Value::Null,
    }
}

/// Converts a value to its stored form; `close` returns the ciphertext of a secret.
pub(super) fn close_with(
    value: Value,
    close: &mut impl FnMut(&Secret) -> Result<String, JournalError>,
) -> Result<Json, JournalError> {
    Ok(match value {
        Value::Secret(secret) if secret.is_text() => json!({ MARK: close(&secret)? }),
        Value::Secret(secret) => json!({ BYTES: { MARK: close(&secret)? } }),
        Value::Reference(reference) => json!({ REFERENCE: reference.as_str() }),
        Value::Bytes(bytes) => json!({ BYTES: bytes.to_base64() }),
        Value::Float(x) if !x.is_finite() => json!({ FLOAT: x.to_string() }),
        Value::List(items) => Json::Array(
            items
                .into_iter()
                .map(|item| close_with(item, close))
                .collect::<Result<_, _>>()?,
        ),
        Value::Map(map) => Json::Object(
            map.into_iter()
                .map(|(key, item)| {
                    let key = if key.starts_with('$') {
                        format!("${key}")
                    } else {
                        key
                    };
                    Ok((key, close_with(item, close)?))
                })
                .collect::<Result<Map<_, _>, JournalError>>()?,
        ),
        other => other.to_json(),
    })
}

/// Reads a stored value; `open` returns the secret of a ciphertext.
pub(super) fn open_with(
    json: Json,
    open: &mut impl FnMut(&str) -> Result<Value, JournalError>,
) -> Result<Value, JournalError> {
    Ok(match json {
        Json::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| open_with(item, open))
                .collect::<Result<_, _>>()?,
        ),
        Json::Object(map) => match marked(&map) {
            Some((MARK, Json::String(sealed))) => open(sealed)?,
            Some((BYTES, Json::String(base64))) => Bytes::from_base64(base64)
                .map(Value::Bytes)
                .ok_or_else(|| damaged("bytes that are not base64"))?,
            Some((BYTES, sealed)) => match open_with(sealed.clone(), open)? {
                Value::Secret(base64) => Bytes::from_base64(base64.reveal())
                    .map(|bytes| Value::Secret(Secret::of_bytes(&bytes)))
                    .ok_or_else(|| damaged("secret bytes that are not base64"))?,
                masked => masked,
            },
            Some((REFERENCE, Json::String(text))) => match Reference::parse(text) {
                Ok(Some(reference)) => Value::Reference(reference),
                _ => return Err(damaged("an invalid reference to a secret")),
            },
            Some((FLOAT, Json::String(number))) => number
                .parse()
                .map(Value::Float)
                .map_err(|_| damaged("a float that is not a number"))?,
            _ => Value::Map(
                map.into_iter()
                    .map(|(key, item)| {
                        let key = key.strip_prefix('$').map(Into::into).unwrap_or(key);
                        Ok((key, open_with(item, open)?))
                    })
                    .collect::<Result<_, JournalError>>()?,
            ),
        },
        other => Value::from_json(other),
    })
}

fn damaged(what: &str) -> JournalError {
    JournalError::Damaged(format!("a stored value holds {what}"))
}

/// Returns the mark of a stored value that JSON can't express, and the value under it.
fn marked(map: &Map<String, Json>) -> Option<(&str, &Json)> {
    let (key, value) = map.iter().next()?;
    (map.len() == 1).then_some((key.as_str(), value))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a8_every_value_comes_back_as_it_was() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let seal = Seal::new(folder.path());
        let every_byte: Vec<u8> = (0..=255).collect();
        let value = Value::map([
            ("bytes", Value::Bytes(Bytes::new(every_byte.clone()))),
            ("keystore", Value::Secret(Secret::of_bytes(&every_byte))),
            ("$bytes", Value::map([("$bytes", "AAAA".into())])),
            ("mine", Value::map([("$float", "inf".into())])),
            ("huge", Value::Float(f64::NEG_INFINITY)),
        ]);
        let stored = seal.close(value.clone()).expect("sealed");
        assert_eq!(seal.open(stored.clone()).ok(), Some(value));
        let sealed = stored["keystore"].to_string();
        assert!(
            sealed.starts_with("{\"$bytes\":{\"$secret\":\""),
            "{sealed}"
        );
    }

    #[test]
    fn a_lost_identity_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let journal = Connection::open(folder.path().join(JOURNAL)).expect("created");
        let close = || Seal::new(folder.path()).close(Value::Secret(Secret::new("hunter2")));
        let add = |body: &str| {
            let sql = "INSERT INTO events VALUES (?)";
            journal.execute(sql, [body]).expect("stored");
        };
        journal
            .execute_batch("CREATE TABLE events (body TEXT)")
            .expect("created");
        add("{\"event\":\"logged\"}");
        let stored = close().expect("nothing is sealed yet");
        add(&stored.to_string());
        close().expect("the identity is there");
        fs::remove_file(folder.path().join("identity.txt")).expect("removed");
        let refused = close().expect_err("the journal holds a secret");
        assert!(matches!(refused, JournalError::IdentityLost), "{refused}");
        assert!(!folder.path().join("identity.txt").exists());
    }

    #[test]
    fn a11_secrets_count_by_a_digest_that_needs_the_key() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (seal, elsewhere) = (Seal::new(folder.path()), tempfile::tempdir());
        let params = |text: &str| Value::map([("pin", Value::Secret(Secret::new(text)))]);
        let digest = |seal: &Seal, text| seal.digest_secrets(&params(text)).expect("digested");
        let first = digest(&seal, "1234");
        assert!(first.is_some());
        assert_eq!(first, digest(&Seal::new(folder.path()), "1234"));
        assert_ne!(first, digest(&seal, "1235"));
        let other = Seal::new(elsewhere.expect("a temporary folder").path());
        assert_ne!(first, digest(&other, "1234"));
        assert_eq!(seal.digest_secrets(&Value::Int(3)).expect("digested"), None);
        // Only secrets count: another value of another param gives the same digest.
        let beside = |mode: &str, pin: &str| {
            let pin = Value::List(vec![mode.into(), Value::Secret(Secret::new(pin))]);
            let params = Value::map([("mode", Value::from(mode)), ("pins", pin)]);
            seal.digest_secrets(&params).expect("digested")
        };
        assert_eq!(beside("bad", "1234"), beside("good", "1234"));
        assert_ne!(beside("bad", "1234"), beside("bad", "1235"));
    }

    #[test]
    fn secrets_come_back_and_are_not_in_the_text() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let seal = Seal::new(folder.path());
        let value = Value::map([
            ("key", Value::Secret(Secret::new("hunter2"))),
            ("$secret", "no secret".into()),
        ]);
        let stored = seal.close(value.clone()).expect("sealed");
        assert!(!stored.to_string().contains("hunter2"));
        assert_eq!(
            Seal::new(folder.path()).open(stored.clone()).ok(),
            Some(value)
        );
        let mode = fs::metadata(folder.path().join("identity.txt"))
            .expect("there")
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let elsewhere = tempfile::tempdir().expect("a temporary folder");
        let read = Seal::new(elsewhere.path())
            .open(stored)
            .expect("readable without the identity");
        assert_eq!(read.field("key"), Some(&MASK.into()));
    }
}
