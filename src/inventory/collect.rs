use std::{collections::BTreeMap, fmt::Display, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    cache::Cache,
    entry::{Inventory, Problem},
    fold::fold,
    sighting::{Sightings, sightings},
};
use windlass_engine::journal::{RunId, State};

/// A run to look at.
pub struct RunStamp {
    pub run: RunId,
    /// Changes whenever the run gets events; `None` where that is not known without reading it.
    pub stamp: Option<String>,
}

/// What an inventory needs to know of a run that is deleted ([`gather`] takes it); `None` if the run saw no certificates.
///
/// # Errors
/// A run that delivered to Secrets whose contents can't be read: the journal's identity is missing.
pub fn kept_of(state: &State) -> Result<Option<String>, Sealed> {
    let seen = sightings(state);
    match (seen.is_sealed, seen.seen.is_empty()) {
        (true, _) => Err(Sealed),
        (false, true) => Ok(None),
        // What can't be written as JSON can't be kept, and there is no such thing among strings and numbers.
        (false, false) => serde_json::to_string(&seen).map(Some).map_err(|_| Sealed),
    }
}

/// What a run delivered can't be read.
#[derive(Debug)]
pub struct Sealed;

/// Forgets what was read of runs that are deleted.
pub fn forget(state: &Path, runs: &[RunId]) {
    if let Some(mut cache) = Cache::open(state).filter(|_| !runs.is_empty()) {
        cache.forget(runs.iter().map(RunId::as_str));
    }
}

/// What some runs saw of certificates, of which their inventory is worked out.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Gathered {
    /// By their ids.
    runs: Vec<(String, Sightings)>,
    problems: Vec<Problem>,
}

impl Gathered {
    /// Works out the inventory.
    pub fn inventory(&self) -> Inventory {
        let mut inventory = fold(&self.runs);
        inventory.problems.clone_from(&self.problems);
        inventory
    }

    /// Leaves out the runs of workflows and targets that somebody may not see, and all problems: they name runs.
    pub fn only(mut self, sees: impl Fn(&str, &str) -> bool) -> Self {
        self.runs
            .retain(|(_, seen)| sees(&seen.workflow, &seen.target));
        self.problems.clear();
        self
    }
}

/// Gathers what some runs saw of certificates; `kept` is what is left of deleted ones, as [`kept_of`] made it. `read` is asked only for
/// runs that have changed since the last look, of which the state folder keeps a copy.
///
/// A run that can't be read, or whose secrets can't be opened, is a problem of the inventory.
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
                match seen.is_sealed {
                    // Once the identity is back, there is more to read.
                    true => sealed += 1,
                    false => new.extend(stamp.map(|stamp| (all.len(), stamp))),
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
    }
}
