//! What all requests of a server share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::Connection;

use crate::ancestry::Ancestry;
use crate::clock::Moment;
use crate::failure::{Code, Failure};
use crate::options::Options;
use crate::revocation;
use crate::store::Store;
use crate::store::authority::{self, Authority};
use crate::store::certificate::Issued;
use crate::throttle::Throttle;
use crate::x509::key::{KeyError, SigningKey};
use windlass_ground::{StoreError, lock, random_bytes};

/// The options, the state, and caches of what was read from the state.
pub(crate) struct Service {
    pub options: Options,
    pub store: Store,
    pub throttle: Throttle,
    /// Ensures that CRLs are written one at a time: a CRL that was read earlier must not replace a later one.
    pub publishing: Mutex<()>,
    /// Only shortcuts past reading and counting: authorities as they were at a revision of the state, and what they had issued.
    authorities: Mutex<HashMap<String, Known>>,
    /// Past parsing: an authority's key never changes.
    keys: Mutex<HashMap<String, Arc<SigningKey>>>,
    /// A cache of parsed certificates, by authority, with the generation of the identity.
    ancestries: Mutex<HashMap<String, (i64, Arc<Ancestry>)>>,
}

/// What is known of an authority at one revision of the state.
#[derive(Clone)]
struct Known {
    revision: i64,
    authority: Arc<Authority>,
    issued: Issued,
}

impl Service {
    pub fn open(options: Options) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::open(&options.folder)?,
            options,
            throttle: Throttle::default(),
            publishing: Mutex::default(),
            authorities: Mutex::default(),
            keys: Mutex::default(),
            ancestries: Mutex::default(),
        })
    }

    /// Does work that became due or that a crash left undone: purges keys of deleted authorities, and writes CRLs.
    pub fn catch_up(&self) {
        let now = self.options.clock.now();
        // As on AWS, no request depends on this; it is retried at the next start.
        let purged = self
            .store
            .write(move |connection| authority::purge(connection, now));
        if let Err(error) = purged {
            tracing::warn!(
                ?error,
                "deleted authorities can't be purged; it is tried again"
            );
        }
        revocation::publish_all(self);
    }

    /// The authority of an ARN as [`authority::find`] gives it, and the revision at which it is so.
    pub fn authority(
        &self,
        connection: &Connection,
        arn: &str,
        now: Moment,
    ) -> Result<(Arc<Authority>, i64), Failure> {
        let revision = authority::revision(connection)?;
        let known = self.authorities().get(arn).cloned();
        let found = known.filter(|known| known.revision == revision);
        if let Some(known) = found {
            return if known.authority.is_there(now) {
                Ok((known.authority, revision))
            } else {
                Err(authority::unknown(arn))
            };
        }
        let authority = match authority::find(connection, arn, now) {
            Ok(authority) => Arc::new(authority),
            Err(failure) => {
                self.authorities().remove(arn);
                return Err(failure);
            }
        };
        let known = Known {
            revision,
            authority: Arc::clone(&authority),
            issued: Issued::default(),
        };
        self.authorities().insert(arn.to_owned(), known);
        Ok((authority, revision))
    }

    /// What an authority has issued. For a transaction that only reads: what is not committed may never have been.
    pub fn issued(
        &self,
        connection: &Connection,
        arn: &str,
        revision: i64,
    ) -> Result<Issued, Failure> {
        let known = self.authorities().get(arn).cloned();
        let known = known.filter(|known| known.revision == revision);
        let before = known.map(|known| known.issued).unwrap_or_default();
        let issued = before.until_now(connection, arn)?;
        if let Some(known) = self.authorities().get_mut(arn)
            && known.revision == revision
        {
            known.issued = issued;
        }
        Ok(issued)
    }

    /// Returns the key of an authority.
    pub fn key(
        &self,
        connection: &Connection,
        authority: &Authority,
    ) -> Result<Arc<SigningKey>, Failure> {
        if let Some(key) = self.keys().get(&authority.arn) {
            return Ok(Arc::clone(key));
        }
        let pkcs8 = authority::private_key(connection, &authority.arn)?;
        let key = Arc::new(SigningKey::read(authority.key_algorithm()?, &pkcs8)?);
        self.keys().insert(authority.arn.clone(), Arc::clone(&key));
        Ok(key)
    }

    /// Returns what the present certificates of an authority require of those below it.
    pub fn ancestry(&self, authority: &Authority) -> Result<Arc<Ancestry>, Failure> {
        let identity = authority.identity.as_ref().ok_or_else(|| {
            Code::InternalFailure.says("the authority's certificate can't be read")
        })?;
        let known = || lock(&self.ancestries);
        if let Some((generation, ancestry)) = known().get(&authority.arn)
            && *generation == authority.generation
        {
            return Ok(Arc::clone(ancestry));
        }
        let ancestry = Arc::new(Ancestry::read(identity)?);
        known().insert(
            authority.arn.clone(),
            (authority.generation, Arc::clone(&ancestry)),
        );
        Ok(ancestry)
    }

    fn authorities(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        lock(&self.authorities)
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<String, Arc<SigningKey>>> {
        lock(&self.keys)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Code::InternalFailure.says(error.to_string())
    }
}

/// Returns a random identifier in the format of a UUID (version 4).
pub(crate) fn unique() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    random_bytes(&mut bytes)
        .map_err(|_| Code::InternalFailure.says("the source of randomness failed"))?;
    Ok(uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string())
}
