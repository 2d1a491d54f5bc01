//! Parties that hold the same material.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::Arc,
};

use crate::{handshake::Party, x509};
use windlass_cluster::Moment;

/// The largest number of remembered classes: a mesh that is watched for days renews its certificates again and again.
const MAX_CLASSES: usize = 4096;

/// The classes of parties that were seen before, by the digest of everything that a party holds. So checking unchanged
/// parties again parses no certificate.
#[derive(Debug, Default)]
pub(super) struct Classes(HashMap<u64, Class>);

impl Classes {
    /// Returns the class of a party.
    pub fn of(&mut self, party: Party, now: Moment) -> Class {
        let mut hasher = DefaultHasher::new();
        party.hash(&mut hasher);
        let key = hasher.finish();
        if let Some(class) = self.0.get(&key)
            && now < class.until
        {
            return class.clone();
        }
        if self.0.len() >= MAX_CLASSES {
            self.0.clear();
        }
        let class = Class::new(party, now);
        self.0.insert(key, class.clone());
        class
    }
}

/// A party as a member of the class of parties that hold the same material.
#[derive(Clone, Debug)]
pub(super) struct Class {
    pub party: Arc<Party>,
    /// Equal for parties that accept the same chains.
    pub judges: u64,
    /// Equal for parties whose chains the same judges accept. Leaves are compared by their issuer and names.
    pub shows: u64,
    /// Equal for parties that are equal in both.
    pub digest: u64,
    /// When the first of its certificates that are valid now ends.
    pub until: Moment,
}

impl Class {
    fn new(party: Party, now: Moment) -> Self {
        let mut until = Moment::MAX;
        let mut ends = |certificate: &x509::Certificate| {
            // A certificate is valid to the end of its last second.
            let (from, to) = (
                x509::not_before(certificate),
                x509::not_after(certificate) + 1000,
            );
            for moment in [from, to] {
                if moment > now {
                    until = until.min(moment);
                }
            }
            (now >= from, now < to)
        };
        let judges = digest(&(party.library, &party.expects, &party.trusts));
        let mut hasher = DefaultHasher::new();
        for anchor in x509::parsed(party.trusts.as_deref().unwrap_or_default()) {
            ends(&anchor);
        }
        match &party.shows {
            None => 0.hash(&mut hasher),
            Some((chain, _)) => {
                let all = x509::certificates(chain).unwrap_or_default();
                for der in all.iter().skip(1) {
                    der.hash(&mut hasher);
                    x509::parse(der).iter().for_each(|one| {
                        ends(one);
                    });
                }
                match all.first().map(|leaf| x509::parse(leaf)) {
                    Some(Ok(leaf)) => {
                        ends(&leaf).hash(&mut hasher);
                        x509::names(&leaf).hash(&mut hasher);
                        x509::origin(&leaf).hash(&mut hasher);
                    }
                    _ => chain.hash(&mut hasher),
                }
            }
        }
        // The anchors are part of the judge, and their ends are part of `until`.
        let shows = hasher.finish();
        Self {
            party: Arc::new(party),
            judges,
            shows,
            digest: digest(&(judges, shows)),
            until,
        }
    }
}

pub(super) fn digest(content: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}
