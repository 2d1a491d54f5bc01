//! Deletes old runs in Restate.

use std::path::Path;

use super::OnRestate;
use crate::{
    bundle::gathered,
    clock::now,
    error::RunsError,
    prune::{CHANGED, Prunable, Pruning, Retention, delete_old, picked},
    service::{Evidence, Person},
};
use windlass_journal::{Link, Pruned, RunId, RunRow, State};
use windlass_restate::{Done, PrunedRun, Remote};

impl OnRestate {
    /// Deletes runs; their evidence is written to the folder in `[retention]`.
    pub(super) fn prune_runs(
        &self,
        wanted: &Retention,
        who: &Person,
    ) -> Result<Pruning, RunsError> {
        let bundles = self.load_targets()?.bundles();
        let state = &self.options.state;
        let done = prune_on(&self.remote, state, wanted, bundles.as_deref(), &who.name)?;
        for run in &done.deleted {
            self.reads.forget(run);
        }
        Ok(done)
    }

    pub(super) fn pruned_runs(&self) -> Result<Vec<Pruned>, RunsError> {
        let pruned = self.remote.pruned()?.into_iter();
        let pruned = pruned.map(|pruned| Pruned {
            run: pruned.run,
            at: pruned.at,
            by: pruned.by,
            events: pruned.events,
            head: pruned.head,
            seen: pruned.seen,
        });
        Ok(pruned.collect())
    }
}

/// Lists the runs that [`prune_on`] would delete, newest first.
///
/// # Errors
/// An error of Restate.
pub fn prunable_on(remote: &Remote, wanted: &Retention) -> Result<Vec<RunRow>, RunsError> {
    let picked = picked(remote, wanted)?.into_iter();
    Ok(picked.map(|(row, _)| row).collect())
}

/// Deletes runs in Restate, as [`crate::prune`] deletes those of a journal. `state` is the folder with the copy of
/// their certificates.
///
/// # Errors
/// An error of Restate, or bundles that can't be written. A run that can't be read, or has changed meanwhile, is kept.
pub fn prune_on(
    remote: &Remote,
    state: &Path,
    wanted: &Retention,
    bundles: Option<&Path>,
    by: &str,
) -> Result<Pruning, RunsError> {
    delete_old(remote, state, wanted, bundles, by)
}

impl Prunable for Remote {
    fn all(&self) -> Result<Vec<(RunRow, String)>, RunsError> {
        let rows = self.runs()?.into_iter();
        Ok(rows.map(|row| (row, String::new())).collect())
    }

    fn driver(&self, run: &RunId) -> Result<Option<String>, RunsError> {
        // A driver holds its run: what asks for it then waits until the driver ends.
        let driver = Remote::driver(self, run)?;
        Ok(driver.map(|_| "Restate".to_owned()))
    }

    fn state_of(&self, run: &RunId) -> Result<Result<State, String>, RunsError> {
        match Remote::state_of(self, run) {
            Ok(state) => Ok(Ok(state)),
            Err(error) if error.passes() => Err(error.into()),
            Err(error) => Ok(Err(RunsError::from(error).message)),
        }
    }

    fn evidence(&self, run: &RunId) -> Result<Evidence, RunsError> {
        let events = self.links(run)?.into_iter().map(Link::redacted);
        gathered(
            run,
            self.row(run)?.as_slice(),
            events.collect(),
            |edition| Ok(self.files(run, edition)?),
        )
    }

    fn delete(
        &self,
        run: &RunId,
        (_, events): (&str, u64),
        seen: Option<String>,
        by: &str,
    ) -> Result<Option<String>, RunsError> {
        let links = self.links(run)?;
        // Events are only ever added, so with this number they are those that were checked.
        let Some(last) = links.last().filter(|_| links.len() as u64 == events) else {
            return Ok(Some(CHANGED.into()));
        };
        let pruned = PrunedRun {
            run: run.clone(),
            at: now(),
            by: by.to_owned(),
            events: links.len() as u64,
            head: last.digest,
            seen,
        };
        Ok(match self.forget(&pruned)? {
            Done::Done => None,
            Done::Void => Some(CHANGED.into()),
        })
    }
}
