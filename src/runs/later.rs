//! Newer runs that changed what a run changed: they have to be undone first.

use super::error::RunsError;
use windlass_engine::{
    execute::changed,
    journal::{Outcome, RunId, RunRow, State},
};
use windlass_world::value::Command;

/// As many things are named.
const NAMED: usize = 3;

/// Refuses to undo a run while something that it changed was changed again by another run, which is not undone: an undo
/// restores what was there before the older run, and the changes of the newer run may depend on what that removes.
///
/// `runs` are the runs of the same place, and `read` reads one of them.
///
/// # Errors
/// `newer-run`, with the newest such run and what both changed; what `read` says.
pub fn refuse_undo_before_newer<E: From<RunsError>>(
    id: &RunId,
    state: &State,
    runs: Vec<RunRow>,
    mut read: impl FnMut(&RunId) -> Result<State, E>,
) -> Result<(), E> {
    let Some(run) = &state.run else {
        return Ok(());
    };
    let own = changed(state);
    let may_be_newer = |row: &RunRow| {
        row.id != *id
            && row.target == run.target
            && row.outcome.as_deref() != Some(Outcome::Undone.as_str())
            && row.ended_at.is_none_or(|ended| ended > run.started_at)
    };
    let mut runs: Vec<_> = runs.into_iter().filter(may_be_newer).collect();
    runs.sort_by_key(|row| std::cmp::Reverse(row.started_at));
    for row in runs.into_iter().filter(|_| !own.is_empty()) {
        let other = changed(&read(&row.id)?);
        let both: Vec<&str> = own
            .iter()
            .filter(|(what, at)| other.get(*what).is_some_and(|later| later > at))
            .map(|(what, _)| what.as_str())
            .collect();
        if both.is_empty() {
            continue;
        }
        let mut named = both[..both.len().min(NAMED)].join(", ");
        if both.len() > NAMED {
            named.push_str(&format!(" and {} more", both.len() - NAMED));
        }
        let (workflow, newer) = (&row.workflow, &row.id);
        let message =
            format!("run {newer} ({workflow}) is newer and changed what run {id} changed: {named}");
        let hint = format!(
            "undo the newer run first: `{}`; or, to leave what it changed and undo the rest, add --force",
            Command::new("undo").arg(newer)
        );
        return Err(RunsError::conflict("newer-run", message).hint(hint).into());
    }
    Ok(())
}
