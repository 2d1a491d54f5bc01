use std::{collections::BTreeMap, fmt::Display, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    cache::Cache,
    entry::{Inventory, Problem},
    fold::fold,
    sighting::{Sightings, sightings},
};
use windlass_journal::{RunId, State};

/// A run to gather sightings from.
pub struct RunStamp {
    pub run: RunId,
    /// A text that changes whenever the run gets events; `None` if this is not known without reading the run.
    pub stamp: Option<String>,
}

/// Returns what the inventory keeps of a run that is deleted, as JSON for [`gather`]; `None` if the run saw no certificates.
///
/// # Errors
/// Fails if the run delivered to Secrets whose contents can't be read, because the journal's identity is missing.
pub fn kept_of(state: &State) -> Result<Option<String>, Sealed> {
    let seen = sightings(state);
    match (seen.is_sealed, seen.seen.is_empty()) {
        (true, _) => Err(Sealed),
        (false, true) => Ok(None),
        // Strings and numbers can always be written as JSON.
        (false, false) => serde_json::to_string(&seen).map(Some).map_err(|_| Sealed),
    }
}

/// The secrets of a run can't be decrypted.
#[derive(Debug)]
pub struct Sealed;

/// Removes deleted runs from the cache.
pub fn forget(state: &Path, runs: &[RunId]) {
    if let Some(mut cache) = Cache::open(state).filter(|_| !runs.is_empty()) {
        cache.forget(runs.iter().map(RunId::as_str));
    }
}

/// What runs saw of certificates, from which the inventory is built.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Gathered {
    /// The sightings of each run, with its id.
    runs: Vec<(String, Sightings)>,
    problems: Vec<Problem>,
    #[serde(default)]
    is_partial: bool,
}

impl Gathered {
    /// Builds the inventory.
    pub fn inventory(&self) -> Inventory {
        let mut inventory = fold(&self.runs);
        inventory.problems.clone_from(&self.problems);
        inventory.is_partial = self.is_partial;
        inventory
    }

    /// Keeps only the runs for whose workflow and target `sees` returns true. Removes all problems, because they name runs.
    pub fn only(mut self, sees: impl Fn(&str, &str) -> bool) -> Self {
        self.runs
            .retain(|(_, seen)| sees(&seen.workflow, &seen.target));
        self.problems.clear();
        self.is_partial = true;
        self
    }
}

/// Gathers what runs saw of certificates. `kept` has what [`kept_of`] returned for deleted runs. `read` is called only for runs that have
/// changed since the last time; the others come from the cache in the state folder.
///
/// A run that can't be read, or whose secrets can't be decrypted, is added to the problems.
pub fn gather<E: Display>(
    runs: Vec<RunStamp>,
    kept: Vec<(RunId, String)>,
    state: &Path,
    mut read: impl FnMut(&RunId) -> Result<State, E>,
) -> Gathered {
    let mut cache = Cache::open(state);
    let mut known = cache.as_ref().map(Cache::known).unwrap_or_default();
    let mut all: Vec<(String, Sightings)> = Vec::with_capacity(runs.len());
    let mut new: BTreeMap<usize, String> = BTreeMap::new();
    let (mut problems, mut sealed) = (Vec::new(), 0);
    for (run, seen) in kept {
        match serde_json::from_str(&seen) {
            Ok(seen) => all.push((run.to_string(), seen)),
            Err(error) => problems.push(Problem {
                place: format!("run {run}, which was deleted"),
                why: error.to_string(),
            }),
        }
    }
    for RunStamp { run, stamp } in runs {
        match known.remove(run.as_str()) {
            Some((of, seen)) if stamp.as_ref() == Some(&of) => {
                all.push((run.to_string(), seen));
                continue;
            }
            _ => {}
        }
        match read(&run) {
            Ok(state) => {
                let seen = sightings(&state);
                if seen.is_sealed {
                    // Not cached: once the identity is back, more can be read.
                    sealed += 1
                } else {
                    new.extend(stamp.map(|stamp| (all.len(), stamp)))
                }
                all.push((run.to_string(), seen));
            }
            Err(error) => problems.push(Problem {
                place: format!("run {run}"),
                why: error.to_string(),
            }),
        }
    }
    if let Some(cache) = cache.as_mut().filter(|_| !new.is_empty()) {
        let rows = new.iter().map(|(at, stamp)| {
            let (run, seen) = &all[*at];
            (&**run, &**stamp, seen)
        });
        cache.keep(rows);
    }
    if sealed > 0 {
        problems.push(Problem {
            place: state.join("identity.txt").display().to_string(),
            why: format!(
                "is missing, so the certificates that {sealed} runs delivered to Secrets can't be read"
            ),
        });
    }
    Gathered {
        runs: all,
        problems,
        is_partial: false,
    }
}
