use std::collections::BTreeMap;

use super::{
    entry::{Entry, Inventory, Origin, Problem, Supersession},
    facts::{Facts, Role},
    place::Place,
    sighting::{Deed, Sighting, Sightings, What, plain_serial},
};

/// Puts together what runs saw, by their ids.
///
/// A certificate is superseded when another one of the same subject and kind comes to a place where it was, or when one that has
/// the same names, too, is made by the same step of the same workflow on the same target. What an undo puts back is not
/// superseded any more.
pub fn fold(runs: &[(String, Sightings)]) -> Inventory {
    let mut all: Vec<(&str, &Sightings, &Sighting)> = runs
        .iter()
        .flat_map(|(run, of_run)| of_run.seen.iter().map(move |one| (&**run, of_run, one)))
        .collect();
    // Stable: what one run did within a millisecond stays in its order.
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
    /// What each place holds now, by key.
    places: BTreeMap<&'s Place, BTreeMap<&'s str, Vec<&'s str>>>,
    /// What each step made last: workflow, target, step.
    made: BTreeMap<(&'s str, &'s str, &'s str, Role), &'s str>,
    /// The CAs that revoked a certificate of this serial.
    revoked: BTreeMap<&'s str, Vec<&'s str>>,
    /// The CA's ARN of its certificate's subject, where that is known.
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
        }
        // A certificate that an undo puts back supersedes nothing.
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
                // Of several with its subject, the one with its names.
                if let Some(successor) = successors.max_by_key(|other| other.role() == facts.role())
                {
                    self.supersede(gone, successor, origin);
                }
            }
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
        // An undo revoked the successor and put this one back, or never took it away.
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

    /// A run of one step that sees these things, a millisecond after each other.
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
    fn what_takes_a_place_supersedes_what_was_there() {
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

        // It was put back without Windlass, and a run reads it.
        let third = run(20, &["a"], vec![holds("x", 0, Deed::Looked)]);
        let found = conditions(vec![first.clone(), second.clone(), third]);
        let now_old = ("b".into(), Condition::Superseded, Some("a".into()));
        assert_eq!(found, [in_use("a"), now_old]);

        // An undo puts it back: what it took away is no older.
        let undone = run(20, &["a"], vec![holds("x", 0, Deed::Reversed)]);
        let found = conditions(vec![first, second, undone]);
        let gone = ("b".into(), Condition::Seen, None);
        assert_eq!(found, [in_use("a"), gone]);
    }

    /// As the CA of a mesh that another cluster has joined.
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
        // Workloads have names alone.
        let mut nameless = first;
        nameless.certificates[0].subject = String::new();
        let found = conditions(vec![nameless, next("")]);
        assert_eq!(found[0], ("a".into(), Condition::Orphaned, None));
    }

    #[test]
    fn what_a_step_makes_again_supersedes_it_everywhere() {
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
        // Until that is revoked: then the first is all there is.
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
    fn the_certificate_of_a_deleted_ca_is_not_lost() {
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
        // Restored within its days.
        let restored = run(20, &["a"], vec![holds(vec![(String::new(), vec![0])])]);
        let found = conditions(vec![made, deleted, restored]);
        assert_eq!(found[0].1, Condition::InUse);
    }
}
