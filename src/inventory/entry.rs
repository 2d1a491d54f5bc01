use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{facts::Facts, place::Place};
use windlass_ground::Timestamp;

/// All known certificates, in the order in which they expire.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub certificates: Vec<Entry>,
    pub problems: Vec<Problem>,
    /// Whether it leaves out runs that its reader may not see.
    pub is_partial: bool,
}

/// A certificate, its places and its condition.
#[derive(Clone, Debug)]
pub struct Entry {
    pub facts: Facts,
    /// Where it is now, as far as this is known.
    pub places: Vec<Place>,
    /// The last step that had it issued; `None` if no run did, so that no run renews it.
    pub made_by: Option<Origin>,
    /// The Secret that holds its issuer's key, if no run had the certificate issued. A controller in that cluster, such as Gloo Mesh or
    /// istiod, renews it.
    pub renewed_at: Option<Place>,
    /// The step that saw it first; `None` in a scan.
    pub first_seen: Option<Origin>,
    pub superseded_by: Option<Supersession>,
    pub is_revoked: bool,
    /// Whether it is the certificate of a CA that was deleted.
    pub is_deleted: bool,
}

/// A controller is late if it has not renewed a certificate when less than 1/`LATE` of its life is left. Gloo Mesh renews at this time
/// (`secretRotationGracePeriodRatio`, 0.1 by default), other controllers earlier.
const LATE: i64 = 10;
/// The upper limit of this time: 30 days, in seconds.
const LATEST: i64 = 30 * 86_400;

/// The keys of a Secret that hold the certificate of the private key in the same Secret: Istio's name (`cacerts`), and that of
/// `kubernetes.io/tls`.
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

/// The certificate that superseded another one.
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

/// The condition of a certificate, regardless of its dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is in at least one place.
    InUse,
    /// Another certificate superseded it.
    Superseded,
    /// It is the certificate of a CA that was deleted.
    Deleted,
    /// A run had it issued, but it is in no place.
    Orphaned,
    Revoked,
    /// A run saw it, but it is in no place.
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

    /// Returns whether something could break when it expires: it is still in a place, even if it was superseded in another. For the
    /// certificate of a deleted CA, files and the CA itself do not count.
    pub fn matters(&self) -> bool {
        let counts = |place: &Place| !self.is_deleted || place.is_read_by_others();
        !self.is_revoked && self.places.iter().any(counts)
    }

    /// Returns whether it was revoked, but programs still present or trust it. A peer that checks revocation refuses it.
    pub fn is_revoked_in_use(&self) -> bool {
        self.is_revoked && self.places.iter().any(Place::is_read_by_others)
    }

    /// Returns the seconds from `now` until it expires; negative if it has expired.
    pub fn left(&self, now: Timestamp) -> i64 {
        self.facts.not_after.as_secs() - now.as_secs()
    }

    /// Returns the seconds until it is valid; `None` if it has been valid already.
    pub fn starts_in(&self, now: Timestamp) -> Option<i64> {
        let left = self.facts.not_before.as_secs() - now.as_secs();
        (left > 0).then_some(left)
    }

    /// Returns whether it has expired, expires within this many seconds, or is not valid yet. A certificate that a controller renews is due
    /// only when the controller is late, because controllers often renew certificates that are valid for less than `within`.
    pub fn is_due(&self, now: Timestamp, within: i64) -> bool {
        match self.renewed_at {
            _ if self.starts_in(now).is_some() => true,
            Some(_) => self.left(now) <= (self.life() / LATE).min(LATEST),
            None => self.left(now) <= within,
        }
    }

    /// Returns the length of its validity in seconds.
    pub fn life(&self) -> i64 {
        self.facts.not_after.as_secs() - self.facts.not_before.as_secs()
    }

    /// Returns whether no workflow or controller is known to renew it.
    pub fn is_unmanaged(&self) -> bool {
        self.made_by.is_none() && self.renewed_at.is_none()
    }

    /// Returns the Secret that holds its private key, if it is a CA with its key in a cluster. A bundle of trusted CAs has no key, and in a
    /// chain, the key is that of the first certificate: so not in a place of one of those that it `issued`.
    fn key_in_a_cluster(&self, issued: &[&Self]) -> Option<&Place> {
        let of_aws = |place: &&Place| matches!(place, Place::Authority { .. });
        if !self.facts.is_ca || self.places.iter().any(|place| of_aws(&place)) {
            return None;
        }
        let beside_its_key = |place: &&Place| {
            matches!(place, Place::Object { object, key, .. }
                if object.starts_with("secret/") && OWN_CERTIFICATE.contains(&key.as_str()))
        };
        let is_of_chain = |place: &&Place| issued.iter().any(|other| other.places.contains(place));
        let mut places = self.places.iter().filter(beside_its_key);
        places.find(|place| !is_of_chain(place))
    }
}

impl Inventory {
    /// Sorts the certificates by when they expire, and finds those that controllers renew.
    pub fn finish(&mut self) {
        let key = |entry: &Entry| (entry.facts.not_after, entry.facts.fingerprint.clone());
        self.certificates.sort_by_cached_key(key);
        let mut issued: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, issuer) in self.issuers().into_iter().enumerate() {
            self.certificates[number].renewed_at = None;
            if let Some(issuer) = issuer {
                issued.entry(issuer).or_default().push(number);
            }
        }
        for (issuer, numbers) in issued {
            let of_issuer: Vec<_> = numbers.iter().map(|n| &self.certificates[*n]).collect();
            let key = self.certificates[issuer].key_in_a_cluster(&of_issuer);
            let Some(key) = key.cloned() else { continue };
            for number in numbers {
                let entry = &mut self.certificates[number];
                if entry.made_by.is_none() {
                    entry.renewed_at = Some(key.clone());
                }
            }
        }
    }

    /// Returns the index of each certificate's issuer. Of several possible issuers, it is the newest one that is in use.
    pub fn issuers(&self) -> Vec<Option<usize>> {
        // An index by subject and key id, so that many roots with the same name are not searched for each certificate.
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
            // An issuer without a key id matches any key id.
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

    /// Returns a certificate that is valid for this many days from 1970.
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
        // It is due regardless of `within`: two hours are left.
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
        assert!(root.matters(), "a Secret holds it");
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

    /// Returns a certificate of `subject` by `issuer`, in the key `tls.crt` of these Secrets.
    fn issued(subject: &str, issuer: &str, secrets: &[&str]) -> Entry {
        let place = |name: &&str| Place::Object {
            target: None,
            cluster: "mgmt".into(),
            namespace: "default".into(),
            object: format!("secret/{name}"),
            key: "tls.crt".into(),
        };
        let mut entry = entry(10, secrets.iter().map(place).collect());
        entry.facts.fingerprint = subject.into();
        entry.facts.subject = subject.into();
        entry.facts.issuer = issuer.into();
        entry.facts.is_ca = !subject.starts_with("leaf");
        entry
    }

    #[test]
    fn the_key_beside_a_chain_is_that_of_its_first_certificate() {
        let renewed = |entries: Vec<Entry>| {
            let mut inventory = Inventory {
                certificates: entries,
                ..Inventory::default()
            };
            inventory.finish();
            let entries = inventory.certificates.into_iter();
            let renewed = entries.filter(|entry| entry.renewed_at.is_some());
            renewed.map(|entry| entry.facts.subject).collect::<Vec<_>>()
        };
        let nothing: Vec<String> = Vec::new();
        let chain = || {
            vec![
                issued("leaf", "ca", &["of-leaf"]),
                issued("ca", "root", &["of-leaf"]),
            ]
        };
        assert_eq!(renewed(chain()), nothing, "nobody has the key of the CA");
        let mut with_its_own = chain();
        with_its_own.push(issued("ca", "root", &["of-leaf", "of-ca"]));
        with_its_own.remove(1);
        assert_eq!(renewed(with_its_own), ["leaf"]);
    }
}
