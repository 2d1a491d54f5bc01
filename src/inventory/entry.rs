use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{facts::Facts, place::Place};
use windlass_ground::Timestamp;

/// Every certificate that is known, by the time at which it expires.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub certificates: Vec<Entry>,
    pub problems: Vec<Problem>,
}

/// A certificate, and what became of it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub facts: Facts,
    /// Where it is now, as far as is known.
    pub places: Vec<Place>,
    /// The run that made it last; `None` if no run did, so that nothing renews it.
    pub made_by: Option<Origin>,
    /// Where the key of its issuer is, if that is a Secret of a cluster and no run made the certificate: a controller there, such
    /// as Gloo Mesh or istiod, renews it in time.
    pub renewed_at: Option<Place>,
    /// The run that saw it first; `None` in a scan.
    pub first_seen: Option<Origin>,
    pub superseded_by: Option<Supersession>,
    pub is_revoked: bool,
    /// Whether it is that of a CA that was deleted.
    pub is_deleted: bool,
}

/// A controller that has not renewed a certificate in the last tenth of its life is late: Gloo Mesh begins then
/// (`secretRotationGracePeriodRatio`, 0.1 by default), others earlier.
const LATE: i64 = 10;
/// The most that this tenth may be: 30 days, in seconds.
const LATEST: i64 = 30 * 86_400;

/// The keys of a Secret that hold the certificate of the key beside it: as Istio names it, and as Kubernetes does.
const OWN_CERTIFICATE: [&str; 2] = ["ca-cert.pem", "tls.crt"];

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub run: String,
    pub workflow: String,
    pub file: String,
    pub target: String,
    pub step: String,
    pub at: Timestamp,
}

/// The certificate that took another's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supersession {
    pub fingerprint: String,
    pub serial: String,
    pub by: Origin,
}

/// What could not be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub place: String,
    pub why: String,
}

/// What a certificate is worth now, apart from its dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is somewhere.
    InUse,
    /// Another one took its place.
    Superseded,
    /// The CA that it is of was deleted.
    Deleted,
    /// A run had it issued, and it is nowhere.
    Orphaned,
    Revoked,
    /// It was seen on the way to something else, and is nowhere.
    Seen,
}

impl Condition {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "in use",
            Self::Superseded => "superseded",
            Self::Deleted => "deleted",
            Self::Orphaned => "orphaned",
            Self::Revoked => "revoked",
            Self::Seen => "seen",
        }
    }
}

impl Entry {
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            places: Vec::new(),
            made_by: None,
            renewed_at: None,
            first_seen: None,
            superseded_by: None,
            is_revoked: false,
            is_deleted: false,
        }
    }

    pub fn condition(&self) -> Condition {
        match self {
            Self {
                is_revoked: true, ..
            } => Condition::Revoked,
            Self {
                superseded_by: Some(_),
                ..
            } => Condition::Superseded,
            Self {
                is_deleted: true, ..
            } => Condition::Deleted,
            Self { places, .. } if !places.is_empty() => Condition::InUse,
            Self {
                made_by: Some(_), ..
            } => Condition::Orphaned,
            _ => Condition::Seen,
        }
    }

    /// Whether something would break if it expired: it is somewhere, also where another one has taken its place elsewhere.
    /// A file that holds the certificate of a deleted CA is a copy.
    pub fn matters(&self) -> bool {
        let counts = |place: &Place| !self.is_deleted || place.is_read_by_others();
        !self.is_revoked && self.places.iter().any(counts)
    }

    /// Whether it was revoked, and something still shows or trusts it: a peer that looks at revocations refuses it.
    pub fn is_revoked_in_use(&self) -> bool {
        self.is_revoked && self.places.iter().any(Place::is_read_by_others)
    }

    /// Returns the seconds from a moment until it expires; below zero afterwards.
    pub fn left(&self, now: Timestamp) -> i64 {
        self.facts.not_after.as_secs() - now.as_secs()
    }

    /// Whether it has expired, or has less than this many seconds left. One that a controller renews is due when that is late,
    /// whatever it has left: controllers of meshes renew a certificate of a day or a year again and again.
    pub fn is_due(&self, now: Timestamp, within: i64) -> bool {
        match self.renewed_at {
            Some(_) => self.left(now) <= (self.life() / LATE).min(LATEST),
            None => self.left(now) <= within,
        }
    }

    /// Returns the seconds from the beginning of its validity to its end.
    pub fn life(&self) -> i64 {
        self.facts.not_after.as_secs() - self.facts.not_before.as_secs()
    }

    /// Whether neither a workflow nor a controller is known to renew it.
    pub fn is_unmanaged(&self) -> bool {
        self.made_by.is_none() && self.renewed_at.is_none()
    }

    /// Returns the Secret that holds its key, if it is a CA whose key is in a cluster. A bundle of trusted CAs holds no key.
    fn key_in_a_cluster(&self) -> Option<&Place> {
        let of_aws = |place: &&Place| matches!(place, Place::Authority { .. });
        if !self.facts.is_ca || self.places.iter().any(|place| of_aws(&place)) {
            return None;
        }
        let beside_its_key = |place: &&Place| {
            matches!(place, Place::Object { object, key, .. }
                if object.starts_with("secret/") && OWN_CERTIFICATE.contains(&key.as_str()))
        };
        self.places.iter().find(beside_its_key)
    }
}

impl Inventory {
    /// Brings the certificates into the order in which they expire, and finds those that controllers renew.
    pub fn finish(&mut self) {
        let key = |entry: &Entry| (entry.facts.not_after, entry.facts.fingerprint.clone());
        self.certificates.sort_by_cached_key(key);
        for (number, issuer) in self.issuers().into_iter().enumerate() {
            let key = issuer.and_then(|issuer| self.certificates[issuer].key_in_a_cluster());
            let key = key.cloned();
            let entry = &mut self.certificates[number];
            entry.renewed_at = key.filter(|_| entry.made_by.is_none());
        }
    }

    /// The issuer of each certificate, by their numbers; of several that could be, the newest that is in use.
    pub fn issuers(&self) -> Vec<Option<usize>> {
        // By subject and key, so that a year of roots with one name is not looked through for each leaf.
        let mut by_name: BTreeMap<(&str, Option<&str>), Vec<usize>> = BTreeMap::new();
        for (number, entry) in self.certificates.iter().enumerate() {
            let facts = &entry.facts;
            let keys = [facts.subject_key_id.as_deref(), None];
            let keys = if keys[0].is_none() { &keys[1..] } else { &keys };
            for key in keys {
                let same = by_name.entry((&facts.subject, *key)).or_default();
                same.push(number);
            }
        }
        let issuer = |entry: &Entry| {
            let facts = &entry.facts;
            if facts.is_self_issued() {
                return None;
            }
            let key = facts.authority_key_id.as_deref();
            let of_key = by_name.get(&(&*facts.issuer, key));
            // An issuer without a key id may be of any key.
            let named = of_key.or_else(|| by_name.get(&(&*facts.issuer, None)))?;
            let may_be = named.iter().copied().filter(|number| {
                let other = &self.certificates[*number].facts;
                facts.may_be_issued_by(other)
            });
            may_be.max_by_key(|number| {
                let other = &self.certificates[*number];
                let was_valid = other.facts.not_before <= facts.not_before
                    && facts.not_before <= other.facts.not_after;
                (was_valid, other.matters(), other.facts.not_before)
            })
        };
        self.certificates.iter().map(issuer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    /// A certificate of this many days, from 1970 on.
    fn entry(days: i64, places: Vec<Place>) -> Entry {
        let facts = Facts {
            fingerprint: "a".into(),
            subject: "CN=a".into(),
            issuer: "CN=root".into(),
            serial: "1".into(),
            not_before: Timestamp::EPOCH,
            not_after: Timestamp::from_secs(days * DAY),
            names: Vec::new(),
            is_ca: true,
            key_digest: None,
            subject_key_id: None,
            authority_key_id: None,
        };
        Entry {
            places,
            ..Entry::new(facts)
        }
    }

    fn secret() -> Place {
        Place::Object {
            target: None,
            cluster: "mgmt".into(),
            namespace: "default".into(),
            object: "secret/cacerts".into(),
            key: "ca-cert.pem".into(),
        }
    }

    fn file() -> Place {
        Place::File { path: "x".into() }
    }

    #[test]
    fn what_a_controller_renews_is_due_when_the_controller_is_late() {
        let mut of_a_day = entry(1, vec![secret()]);
        let at = |hours: i64| Timestamp::from_secs(hours * 3600);
        assert!(of_a_day.is_due(at(1), 30 * DAY));
        of_a_day.renewed_at = Some(secret());
        assert!(!of_a_day.is_due(at(21), 30 * DAY));
        assert!(of_a_day.is_due(at(22), 30 * DAY));
        // Whatever is asked for: two hours are left.
        assert!(of_a_day.is_due(at(22), 3600));
        let mut of_years = entry(3650, vec![secret()]);
        of_years.renewed_at = Some(secret());
        assert!(!of_years.is_due(at(24 * 3619), 90 * DAY));
        assert!(of_years.is_due(at(24 * 3620), 90 * DAY));
    }

    #[test]
    fn the_certificate_of_a_deleted_ca_is_not_in_use_in_a_copy() {
        let mut root = entry(10, vec![file()]);
        assert_eq!(root.condition(), Condition::InUse);
        root.is_deleted = true;
        assert_eq!(root.condition(), Condition::Deleted);
        assert!(!root.matters());
        root.places.push(secret());
        assert!(root.matters(), "something trusts it");
    }

    #[test]
    fn a_revoked_certificate_is_in_use_where_others_read_it() {
        let mut leaf = entry(10, vec![file(), secret()]);
        assert!(!leaf.is_revoked_in_use());
        leaf.is_revoked = true;
        assert!(leaf.is_revoked_in_use());
        leaf.places = vec![file()];
        assert!(!leaf.is_revoked_in_use(), "a copy");
    }
}
