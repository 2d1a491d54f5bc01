//! Deletes old runs in Restate.

use std::path::Path;

use super::OnRestate;
use crate::{
    bundle::gathered,
    clock::now,
    error::RunsError,
    prune::{Pruning, Retention, write_bundle},
    service::Person,
};
use windlass_engine::journal::{Link, Outcome, Pruned, RunId, RunRow};
use windlass_inventory as inventory;
use windlass_restate::{Done, PrunedRun, Remote};

impl OnRestate {
    /// Deletes runs; their evidence is written to the folder in `[retention]`.
    pub(super) fn prune_runs(
        &self,
        wanted: &Retention,
        who: &Person,
    ) -> Result<Pruning, RunsError> {
        let retention = self.load_targets()?.retention;
        let bundles = retention.and_then(|retention| retention.bundles);
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
    let rows = remote.runs()?.into_iter();
    let picked = wanted.pick(rows.map(|row| (row, String::new())).collect());
    Ok(picked.into_iter().map(|(row, _)| row).collect())
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
    let mut done = Pruning::default();
    for row in prunable_on(remote, wanted)? {
        match delete(remote, wanted, &row.id, bundles, by)? {
            None => done.deleted.push(row.id),
            Some(why) => done.left.push((row.id, why)),
        }
    }
    inventory::forget(state, &done.deleted);
    Ok(done)
}

/// Deletes a run, or returns why it is kept.
fn delete(
    remote: &Remote,
    wanted: &Retention,
    run: &RunId,
    bundles: Option<&Path>,
    by: &str,
) -> Result<Option<String>, RunsError> {
    // Requests to a run wait until its driver ends.
    if remote.driver(run)?.is_some() {
        return Ok(Some("Restate drives it".into()));
    }
    // A damaged run must be examined by a person, so it is not deleted.
    let state = match remote.state_of(run) {
        Ok(state) => state,
        Err(error) if error.passes() => return Err(error.into()),
        Err(error) => return Ok(Some(RunsError::from(error).message)),
    };
    if !wanted.takes(state.outcome.map(Outcome::as_str)) {
        return Ok(Some("it has changed meanwhile".into()));
    }
    let Ok(seen) = inventory::kept_of(&state) else {
        let why = "which certificates it delivered can't be read without identity.txt";
        return Ok(Some(why.into()));
    };
    let links = remote.links(run)?;
    let Some(head) = links.last().map(|last| last.digest) else {
        return Ok(Some("it has changed meanwhile".into()));
    };
    let pruned = PrunedRun {
        run: run.clone(),
        at: now(),
        by: by.to_owned(),
        events: links.len() as u64,
        head,
        seen,
    };
    if let Some(folder) = bundles {
        let events = links.into_iter().map(Link::redacted).collect();
        let evidence = gathered(run, &remote.runs()?, events, |edition| {
            Ok(remote.files(run, edition)?)
        })?;
        write_bundle(folder, run, &evidence.bundle)?;
    }
    Ok(match remote.forget(&pruned)? {
        Done::Done => None,
        Done::Void => Some("it has changed meanwhile".into()),
    })
}
