//! Scans files, servers, Kubernetes clusters and the CAs of AWS Private CA for certificates, including those that no run issued.
//!
//! A scan changes and stores nothing, and does not parse private keys. What can't be read is a [`Problem`] with its place, and the scan
//! continues.

mod authorities;
mod clusters;
mod files;
mod servers;

pub use authorities::{AuditRow, authorities, read_audit_report};
pub use clusters::cluster;
pub use files::files;
pub use servers::{parse_address, server};

use std::collections::BTreeMap;

use super::{
    entry::{Entry, Inventory, Problem},
    facts::Facts,
    place::Place,
};
use windlass_world::x509::holding::Read;

/// The results of scans so far.
#[derive(Default)]
pub struct Scanned {
    entries: BTreeMap<String, Entry>,
    problems: Vec<Problem>,
}

impl Scanned {
    /// Adds what was read at a place. Returns the number of certificates.
    fn add(&mut self, place: &Place, read: Read) -> usize {
        for certificate in &read.certificates {
            let facts = Facts::of(certificate);
            let entry = self
                .entries
                .entry(facts.fingerprint.clone())
                .or_insert_with(|| Entry::new(facts));
            entry.places.push(place.clone());
        }
        for why in read.problems {
            self.problem(place.to_string(), why);
        }
        read.certificates.len()
    }

    /// Adds what could not be read.
    pub fn problem(&mut self, place: impl Into<String>, why: impl Into<String>) {
        self.problems.push(Problem {
            place: place.into(),
            why: why.into(),
        });
    }

    /// Adds what runs know about each certificate, from the inventory.
    pub fn finish(self, known: &Inventory) -> Inventory {
        let known: BTreeMap<&str, &Entry> = known
            .certificates
            .iter()
            .map(|entry| (&*entry.facts.fingerprint, entry))
            .collect();
        let mut inventory = Inventory {
            certificates: self.entries.into_values().collect(),
            problems: self.problems,
            is_partial: false,
        };
        for entry in &mut inventory.certificates {
            entry.places.sort();
            entry.places.dedup();
            if let Some(known) = known.get(&*entry.facts.fingerprint) {
                entry.made_by = known.made_by.clone();
                entry.first_seen = known.first_seen.clone();
                entry.superseded_by = known.superseded_by.clone();
                entry.is_revoked = known.is_revoked;
            }
        }
        inventory.finish();
        // The issuer's key may be in a place that was not scanned.
        let renewed = known.values().filter_map(|entry| {
            let facts = &entry.facts;
            let place = entry.renewed_at.as_ref()?;
            Some(((&*facts.issuer, facts.authority_key_id.as_deref()), place))
        });
        let renewed: BTreeMap<_, _> = renewed.collect();
        for entry in &mut inventory.certificates {
            let facts = &entry.facts;
            let issuer = (&*facts.issuer, facts.authority_key_id.as_deref());
            if entry.made_by.is_none() && entry.renewed_at.is_none() {
                entry.renewed_at = renewed.get(&issuer).map(|place| (*place).clone());
            }
        }
        inventory
    }
}
