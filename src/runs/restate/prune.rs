//! Deleting old runs that a Restate server keeps.

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
    /// Deletes runs; their evidence goes where `[retention]` says.
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

/// Lists the runs that [`prune_on`] would delete, the newest first.
///
/// # Errors
/// What the engine says.
pub fn prunable_on(remote: &Remote, wanted: &Retention) -> Result<Vec<RunRow>, RunsError> {
    let rows = remote.runs()?.into_iter();
    let picked = wanted.pick(rows.map(|row| (row, String::new())).collect());
    Ok(picked.into_iter().map(|(row, _)| row).collect())
}

/// Deletes runs that a Restate server keeps, as [`crate::prune`] deletes those of a journal. `state` is the folder with the copy of
/// their certificates.
///
/// # Errors
/// What the engine says, and bundles that can't be written. A run that can't be read, or has changed meanwhile, is left.
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

/// Deletes a run, or says why it is left.
fn delete(
    remote: &Remote,
    wanted: &Retention,
    run: &RunId,
    bundles: Option<&Path>,
    by: &str,
) -> Result<Option<String>, RunsError> {
    // A driver holds its run: what asks for it then waits until the driver ends.
    if remote.driver(run)?.is_some() {
        return Ok(Some("Restate drives it".into()));
    }
    // What is damaged is looked at by a person, and not thrown away.
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
