use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{device, lock::Lock};
use crate::{
    cli::{failure::Failure, process::now, server::Named},
    disk,
    value::Secret,
};
use windlass_ground::{Timestamp, private::check_secret_file};

/// A token that expires sooner than this is renewed before it is used.
const SOON: Duration = Duration::from_secs(60);

/// The stored logins of this user, in a file that only they may read.
#[derive(Default, Serialize, Deserialize)]
pub struct Credentials {
    /// The logins, by the address of each server.
    #[serde(default)]
    servers: BTreeMap<String, Entry>,
}

/// The login at one server.
#[derive(Serialize, Deserialize)]
pub struct Entry {
    pub token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How to renew the token when it has expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Renewal {
    pub issuer: String,
    pub client_id: String,
    pub refresh_token: String,
}

impl Entry {
    /// Stores a token that does not expire.
    pub fn of_token(token: String) -> Self {
        Self {
            token,
            expires_at: None,
            renewal: None,
        }
    }

    /// Returns how to renew the token, if it must be renewed.
    fn due(&self) -> Option<Renewal> {
        let expires_at = self.expires_at?;
        let is_old = expires_at - SOON < now();
        self.renewal.clone().filter(|_| is_old)
    }
}

impl Credentials {
    /// Returns the token for a server, renewed if it has expired; `None` if the user has not logged in there.
    pub fn token_of(server: &Named) -> Result<Option<Secret>, Failure> {
        let all = Self::read()?;
        let Some(entry) = all.servers.get(&server.url) else {
            return Ok(None);
        };
        if entry.due().is_none() {
            return Ok(Some(Secret::new(entry.token.as_str())));
        }
        // Many providers accept a refresh token only once (RFC 6749, 10.4; RFC 9700, 4.14.2), so one command renews it, and the commands that waited
        // find the new token.
        let _lock = lock()?;
        let mut all = Self::read()?;
        let Some(entry) = all.servers.get(&server.url) else {
            return Ok(None);
        };
        let Some(renewal) = entry.due() else {
            return Ok(Some(Secret::new(entry.token.as_str())));
        };
        let renewed = device::renew(server, renewal)?;
        let token = Secret::new(renewed.token.as_str());
        all.servers.insert(server.url.clone(), renewed);
        all.write()?;
        Ok(Some(token))
    }

    /// Stores the login at a server. Returns the path of the file.
    pub fn keep(server: &Named, entry: Entry) -> Result<PathBuf, Failure> {
        let _lock = lock()?;
        let mut all = Self::read()?;
        all.servers.insert(server.url.clone(), entry);
        all.write()
    }

    /// Removes the login at a server; returns whether there was one.
    pub fn forget(server: &Named) -> Result<bool, Failure> {
        if !Self::read()?.servers.contains_key(&server.url) {
            return Ok(false);
        }
        let _lock = lock()?;
        let mut all = Self::read()?;
        let was_there = all.servers.remove(&server.url).is_some();
        if was_there {
            all.write()?;
        }
        Ok(was_there)
    }

    fn read() -> Result<Self, Failure> {
        let Some(path) = path() else {
            return Ok(Self::default());
        };
        let text = disk::read_if_there(&path).map_err(|e| unusable(&path, &e))?;
        let Some(text) = text else {
            return Ok(Self::default());
        };
        check_secret_file(&path).map_err(|e| unusable(&path, &e).hint(e.hint()))?;
        serde_json::from_str(&text).map_err(|e| unusable(&path, &e))
    }

    fn write(&self) -> Result<PathBuf, Failure> {
        let Some(path) = path() else {
            let message = "cannot store the login: neither XDG_CONFIG_HOME nor HOME is set";
            return Err(
                Failure::new("login", message).hint("give the token in WINDLASS_TOKEN instead")
            );
        };
        let text = serde_json::to_string_pretty(self).map_err(|e| unusable(&path, &e))?;
        disk::write_private(&path, text + "\n").map_err(|e| unusable(&path, &e))?;
        Ok(path)
    }
}

/// Locks the file, so that commands do not overwrite each other's changes; returns `None` if there is no folder for it.
fn lock() -> Result<Option<Lock>, Failure> {
    let Some(path) = path() else { return Ok(None) };
    let lock = Lock::of(&path).map_err(|e| unusable(&path, &e))?;
    Ok(Some(lock))
}

/// Returns `$XDG_CONFIG_HOME/windlass/credentials.json`, or that path below `~/.config`.
fn path() -> Option<PathBuf> {
    let of = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let folder = match of("XDG_CONFIG_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(of("HOME")?).join(".config"),
    };
    Some(folder.join("windlass/credentials.json"))
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new("login", format!("can't use {}: {why}", path.display()))
}
