use std::collections::BTreeMap;

use super::{
    entry::{Entry, Inventory, Origin, Problem, Supersession},
    facts::{Facts, Role},
    place::Place,
    sighting::{Deed, Sighting, Sightings, What},
};
use windlass_script::plain_serial;

/// Builds the inventory from the sightings of all runs, which come with the runs' ids.
///
/// A certificate is superseded when a certificate with the same subject and kind replaces it in a place, or when the same step of the same
/// workflow on the same target has one issued that has the same names, too. A certificate that an undo puts back is no longer superseded.
pub fn fold(runs: &[(String, Sightings)]) -> Inventory {
    let mut all: Vec<(&str, &Sightings, &Sighting)> = runs
        .iter()
        .flat_map(|(run, of_run)| of_run.seen.iter().map(move |one| (&**run, of_run, one)))
        .collect();
    // The sort is stable: sightings of a run within the same millisecond keep their order.
    all.sort_by_key(|(_, _, one)| one.at);
    let mut fold = Fold::default();
    for (run, of_run, one) in all {
        fold.see(run, of_run, one);
    }
    fold.finish()
}

#[derive(Default)]
struct Fold<'s> {
    entries: BTreeMap<&'s str, Entry>,
    /// The fingerprints that each place holds now, by key.
    places: BTreeMap<&'s Place, BTreeMap<&'s str, Vec<&'s str>>>,
    /// What the places of deleted CAs held.
    deleted: BTreeMap<&'s Place, BTreeMap<&'s str, Vec<&'s str>>>,
    /// The last certificate that each step (workflow, target, step, role) had issued.
    made: BTreeMap<(&'s str, &'s str, &'s str, Role), &'s str>,
    /// The CAs that revoked a certificate with this serial.
    revoked: BTreeMap<&'s str, Vec<&'s str>>,
    /// The subject of each CA's certificate, by the CA's ARN.
    authorities: BTreeMap<&'s str, &'s str>,
}

impl<'s> Fold<'s> {
    fn see(&mut self, run: &str, of_run: &'s Sightings, one: &'s Sighting) {
        let origin = Origin {
            run: run.to_owned(),
            workflow: of_run.workflow.clone(),
            file: of_run.file.clone(),
            target: of_run.target.clone(),
            step: one.step.clone(),
            at: one.at,
        };
        match &one.what {
            What::Found(number) => {
                self.entry(&of_run.certificates[*number], &origin);
            }
            What::Made(number) => {
                let facts = &of_run.certificates[*number];
                let step = (&*of_run.workflow, &*of_run.target, &*one.step, facts.role());
                self.entry(facts, &origin).made_by = Some(origin.clone());
                if let Some(old) = self.made.insert(step, &facts.fingerprint) {
                    self.supersede(old, facts, &origin);
                }
            }
            What::Holds {
                place,
                contents,
                deed,
            } => self.holds(of_run, (place, contents), *deed, &origin),
            What::Restored { place, contents } => {
                self.restored(of_run, (place, contents), &origin);
            }
            What::Undeleted { place } => self.undeleted(place),
            What::Revoked { authority, serial } => {
                self.revoked.entry(serial).or_default().push(authority);
            }
        }
    }

    fn entry(&mut self, facts: &'s Facts, origin: &Origin) -> &mut Entry {
        let entry = self.entries.entry(&facts.fingerprint).or_insert_with(|| {
            let mut entry = Entry::new(facts.clone());
            entry.first_seen = Some(origin.clone());
            entry
        });
        if entry.facts.key_digest.is_none() {
            entry.facts = facts.clone();
        }
        entry
    }

    fn holds(
        &mut self,
        of_run: &'s Sightings,
        (place, contents): (&'s Place, &'s [(String, Vec<usize>)]),
        deed: Deed,
        origin: &Origin,
    ) {
        let mut now: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, numbers) in contents {
            for number in numbers {
                let facts = &of_run.certificates[*number];
                let fingerprint = facts.fingerprint.as_str();
                let before = self.places.get(place).and_then(|keys| keys.get(&**key));
                let is_back = before.is_some_and(|before| !before.contains(&fingerprint));
                let entry = self.entry(facts, origin);
                if is_back || deed == Deed::Changed {
                    entry.superseded_by = None;
                }
                if let Place::Authority { arn } = place {
                    self.entry(facts, origin).is_deleted = false;
                    self.authorities.insert(arn, &facts.subject);
                }
                now.entry(key).or_default().push(fingerprint);
            }
        }
        let before = self.places.insert(place, now.clone()).unwrap_or_default();
        if matches!(place, Place::Authority { .. }) && now.is_empty() {
            for fingerprint in before.values().flatten() {
                if let Some(entry) = self.entries.get_mut(fingerprint) {
                    entry.is_deleted = true;
                }
            }
            if !before.is_empty() {
                self.deleted.insert(place, before.clone());
            }
        }
        // Putting a certificate back by an undo supersedes nothing.
        if deed == Deed::Reversed {
            return;
        }
        for (key, old) in &before {
            let Some(new) = now.get(key) else { continue };
            for gone in old.iter().filter(|old| !new.contains(*old)) {
                let facts = &self.entries[gone].facts;
                let successors = of_run.certificates.iter().filter(|other| {
                    let fingerprint = other.fingerprint.as_str();
                    let is_new = new.contains(&fingerprint) && !old.contains(&fingerprint);
                    is_new && facts.is_succeeded_at_a_place_by(other)
                });
                // Of several with the same subject, one with the same names is preferred.
                if let Some(successor) = successors.max_by_key(|other| other.role() == facts.role())
                {
                    self.supersede(gone, successor, origin);
                }
            }
        }
    }

    fn undeleted(&mut self, place: &'s Place) {
        let Some(contents) = self.deleted.remove(place) else {
            return;
        };
        for fingerprint in contents.values().flatten() {
            if let Some(entry) = self.entries.get_mut(fingerprint) {
                entry.is_deleted = false;
            }
        }
        self.places.insert(place, contents);
    }

    /// Some keys of an object hold again what they held before.
    fn restored(
        &mut self,
        of_run: &'s Sightings,
        (place, contents): (&'s Place, &'s [(String, Vec<usize>)]),
        origin: &Origin,
    ) {
        for (key, numbers) in contents {
            let mut now: Vec<&str> = Vec::new();
            for number in numbers {
                let facts = &of_run.certificates[*number];
                self.entry(facts, origin).superseded_by = None;
                now.push(&facts.fingerprint);
            }
            let keys = self.places.entry(place).or_default();
            if now.is_empty() {
                keys.remove(&**key)
            } else {
                keys.insert(key, now)
            };
        }
    }

    fn supersede(&mut self, old: &str, by: &Facts, origin: &Origin) {
        if old == by.fingerprint {
            return;
        }
        if let Some(entry) = self.entries.get_mut(old) {
            entry.superseded_by.get_or_insert_with(|| Supersession {
                fingerprint: by.fingerprint.clone(),
                serial: by.serial.clone(),
                by: origin.clone(),
            });
        }
    }

    fn finish(mut self) -> Inventory {
        for (place, keys) in &self.places {
            for (key, fingerprints) in keys {
                for fingerprint in fingerprints {
                    if let Some(entry) = self.entries.get_mut(fingerprint) {
                        entry.places.push(place.at(key));
                    }
                }
            }
        }
        for entry in self.entries.values_mut() {
            entry.places.sort();
            entry.places.dedup();
            let serial = plain_serial(&entry.facts.serial);
            let by = self.revoked.get(&*serial);
            entry.is_revoked = by.into_iter().flatten().any(|authority| {
                let issuer = self.authorities.get(authority);
                issuer.is_none_or(|issuer| *issuer == entry.facts.issuer)
            });
        }
        let is_gone = |fingerprint: &str| {
            let successor = self.entries.get(fingerprint);
            successor.is_none_or(|entry| entry.is_revoked)
        };
        // If the successor was revoked, a certificate that is still in a place is in use again.
        let back: Vec<&str> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.places.is_empty())
            .filter(|(_, entry)| {
                let by = entry.superseded_by.as_ref();
                by.is_some_and(|by| is_gone(&by.fingerprint))
            })
            .map(|(fingerprint, _)| *fingerprint)
            .collect();
        for fingerprint in back {
            if let Some(entry) = self.entries.get_mut(fingerprint) {
                entry.superseded_by = None;
            }
        }
        let mut inventory = Inventory {
            certificates: self.entries.into_values().collect(),
            problems: Vec::<Problem>::new(),
            is_partial: false,
        };
        inventory.finish();
        inventory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Condition;
    use windlass_ground::Timestamp;

    fn facts(fingerprint: &str) -> Facts {
        Facts {
            fingerprint: fingerprint.into(),
            subject: "CN=leaf".into(),
            issuer: "CN=root".into(),
            serial: fingerprint.into(),
            not_before: Timestamp::EPOCH,
            not_after: Timestamp::from_secs(1000),
            names: Vec::new(),
            is_ca: false,
            key_digest: None,
            subject_key_id: None,
            authority_key_id: None,
        }
    }

    fn place(path: &str) -> Place {
        Place::File { path: path.into() }
    }

    /// Returns a run of one step with these sightings, one per millisecond.
    fn run(begins: i64, certificates: &[&str], seen: Vec<What>) -> Sightings {
        let seen = (begins..).zip(seen).map(|(at, what)| Sighting {
            at: Timestamp::from_millis(at),
            step: "sign".into(),
            what,
        });
        Sightings {
            workflow: "w".into(),
            target: "local".into(),
            certificates: certificates.iter().copied().map(facts).collect(),
            seen: seen.collect(),
            ..Sightings::default()
        }
    }

    fn holds(path: &str, certificate: usize, deed: Deed) -> What {
        What::Holds {
            place: place(path),
            contents: vec![(String::new(), vec![certificate])],
            deed,
        }
    }

    fn conditions(runs: Vec<Sightings>) -> Vec<(String, Condition, Option<String>)> {
        let runs: Vec<_> = runs
            .into_iter()
            .enumerate()
            .map(|(at, of_run)| (format!("run-{at}"), of_run))
            .collect();
        let found = fold(&runs).certificates.into_iter().map(|entry| {
            let by = entry.superseded_by.clone().map(|by| by.fingerprint);
            (entry.facts.fingerprint.clone(), entry.condition(), by)
        });
        found.collect()
    }

    #[test]
    fn a_certificate_supersedes_the_one_that_it_replaces_in_a_place() {
        let first = run(
            0,
            &["a"],
            vec![What::Found(0), holds("x", 0, Deed::Changed)],
        );
        let second = run(10, &["b"], vec![holds("x", 0, Deed::Changed)]);
        let superseded = ("a".into(), Condition::Superseded, Some("b".into()));
        let in_use = |name: &str| (name.to_owned(), Condition::InUse, None);
        let found = conditions(vec![first.clone(), second.clone()]);
        assert_eq!(found, [superseded, in_use("b")]);

        // It was put back without Windlass, and a run reads it there.
        let third = run(20, &["a"], vec![holds("x", 0, Deed::Looked)]);
        let found = conditions(vec![first.clone(), second.clone(), third]);
        let now_old = ("b".into(), Condition::Superseded, Some("a".into()));
        assert_eq!(found, [in_use("a"), now_old]);

        // An undo puts it back: this does not supersede the certificate that it removes.
        let undone = run(20, &["a"], vec![holds("x", 0, Deed::Reversed)]);
        let found = conditions(vec![first, second, undone]);
        let gone = ("b".into(), Condition::Seen, None);
        assert_eq!(found, [in_use("a"), gone]);
    }

    /// A newer run changed another key of the object since.
    #[test]
    fn an_undo_restores_only_the_keys_that_its_run_changed() {
        let holds = |keys: &[(&str, usize)]| What::Holds {
            place: place("secret"),
            contents: keys
                .iter()
                .map(|(key, n)| ((*key).to_owned(), vec![*n]))
                .collect(),
            deed: Deed::Changed,
        };
        let names = ["ca", "leaf", "next-ca", "next-leaf"];
        let first = run(0, &names, vec![holds(&[("ca.crt", 0), ("tls.crt", 1)])]);
        let second = run(10, &names, vec![holds(&[("ca.crt", 2), ("tls.crt", 1)])]);
        let third = run(20, &names, vec![holds(&[("ca.crt", 2), ("tls.crt", 3)])]);
        let restored = What::Restored {
            place: place("secret"),
            contents: vec![("ca.crt".to_owned(), vec![0])],
        };
        let undone = run(30, &names, vec![restored]);
        let found = conditions(vec![first, second, third, undone]);
        let in_use = found
            .iter()
            .filter(|(_, condition, _)| *condition == Condition::InUse);
        let in_use: Vec<&str> = in_use.map(|(name, ..)| &**name).collect();
        assert_eq!(in_use, ["ca", "next-leaf"]);
    }

    /// For example, the CA of a mesh that another cluster has joined.
    #[test]
    fn a_successor_may_have_other_names() {
        let first = run(0, &["a"], vec![What::Made(0), holds("x", 0, Deed::Changed)]);
        let next = |subject: &str| {
            let mut next = run(
                10,
                &["b"],
                vec![What::Made(0), holds("x", 0, Deed::Changed)],
            );
            next.workflow = "another".into();
            next.certificates[0].names = vec!["DNS:cluster-2".into()];
            next.certificates[0].subject = subject.into();
            next
        };
        let found = conditions(vec![first.clone(), next("CN=leaf")]);
        let superseded = ("a".into(), Condition::Superseded, Some("b".into()));
        assert_eq!(found[0], superseded);
        let found = conditions(vec![first.clone(), next("CN=other")]);
        assert_eq!(found[0], ("a".into(), Condition::Orphaned, None));
        // Certificates of workloads have only names.
        let mut nameless = first;
        nameless.certificates[0].subject = String::new();
        let found = conditions(vec![nameless, next("")]);
        assert_eq!(found[0], ("a".into(), Condition::Orphaned, None));
    }

    #[test]
    fn a_certificate_that_a_step_renews_is_superseded_everywhere() {
        let first = run(0, &["a"], vec![What::Made(0), holds("x", 0, Deed::Changed)]);
        let second = run(
            10,
            &["b"],
            vec![What::Made(0), holds("y", 0, Deed::Changed)],
        );
        let found = conditions(vec![first.clone(), second]);
        let superseded = ("a".into(), Condition::Superseded, Some("b".into()));
        assert_eq!(found[0], superseded);
        let lost = run(10, &["b"], vec![What::Made(0)]);
        assert_eq!(
            conditions(vec![first.clone(), lost])[1].1,
            Condition::Orphaned
        );
        // Once the second is revoked, the first is in use again.
        let revoked = What::Revoked {
            authority: "arn".into(),
            serial: "b".into(),
        };
        let undone = run(10, &["b"], vec![What::Made(0), revoked]);
        let found = conditions(vec![first, undone]);
        assert_eq!(found[0], ("a".into(), Condition::InUse, None));
        assert_eq!(found[1].1, Condition::Revoked);
    }

    #[test]
    fn the_certificate_of_a_deleted_ca_is_deleted_until_it_is_restored() {
        let place = || Place::Authority { arn: "arn".into() };
        let holds = |contents| What::Holds {
            place: place(),
            contents,
            deed: Deed::Changed,
        };
        let made = run(
            0,
            &["a"],
            vec![What::Made(0), holds(vec![(String::new(), vec![0])])],
        );
        let deleted = run(10, &[], vec![holds(Vec::new())]);
        let found = conditions(vec![made.clone(), deleted.clone()]);
        assert_eq!(found[0].1, Condition::Deleted);
        // The CA is restored, and looked at afterwards, or not.
        let undeleted = run(15, &[], vec![What::Undeleted { place: place() }]);
        let found = conditions(vec![made.clone(), deleted.clone(), undeleted]);
        assert_eq!(found[0].1, Condition::InUse);
        let restored = run(20, &["a"], vec![holds(vec![(String::new(), vec![0])])]);
        let found = conditions(vec![made, deleted, restored]);
        assert_eq!(found[0].1, Condition::InUse);
    }
}
