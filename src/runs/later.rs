//! Newer runs that changed what a run changed: they have to be undone first.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    deeds::{authorities, changed},
    error::RunsError,
};
use windlass_ground::Timestamp;
use windlass_journal::{Outcome, RunId, RunRow, State};
use windlass_script::AuthorityUse;
use windlass_world::value::Command;

/// As many things are named.
const NAMED: usize = 3;

/// Refuses to undo a run while something that it changed was changed again by another run, which is not undone: an undo
/// restores what was there before the older run, and the changes of the newer run may depend on what that removes. So may
/// certificates that a newer run had issued by a CA which the undo deletes, and the other way round: what the undo
/// restores may be of a CA that a newer run deleted, or of an older run that was undone since.
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
    let own = (changed(state), authorities(state));
    if own.0.is_empty() && own.1.is_empty() {
        return Ok(());
    }
    let may_meet = |row: &RunRow| {
        row.id != *id
            && row.target == run.target
            && row.ended_at.is_none_or(|ended| ended > run.started_at)
    };
    let mut runs: Vec<_> = runs.into_iter().filter(may_meet).collect();
    runs.sort_by_key(|row| std::cmp::Reverse(row.started_at));
    for row in runs {
        let is_undone = row.outcome.as_deref() == Some(Outcome::Undone.as_str());
        // A newer run that is undone has left nothing.
        if is_undone && row.started_at > run.started_at {
            continue;
        }
        let other = read(&row.id)?;
        let other = (changed(&other), authorities(&other));
        let (what, named) = if is_undone {
            (
                "has been undone since, and changed what this one changed",
                both_changed(&own, &other, row.ended_at),
            )
        } else {
            in_the_way(&own, &other)
        };
        if named.is_empty() {
            continue;
        }
        return Err(refused(id, &row, is_undone, what, &named).into());
    }
    Ok(())
}

/// What a run changed, with the time of its last change, and what it did with CAs.
type Deeds = (
    BTreeMap<String, Timestamp>,
    BTreeMap<String, BTreeSet<AuthorityUse>>,
);

/// Returns what a newer run did that an undo has to come after, and to which things.
fn in_the_way<'d>(own: &'d Deeds, newer: &'d Deeds) -> (&'static str, Vec<&'d str>) {
    let later = own
        .0
        .iter()
        .filter(|(what, at)| newer.0.get(*what).is_some_and(|later| later > at));
    let changed: Vec<&str> = later.map(|(what, _)| what.as_str()).collect();
    if !changed.is_empty() {
        return ("is newer and changed what this one changed", changed);
    }
    let with = |mine: &[AuthorityUse], theirs: AuthorityUse| -> Vec<&'d str> {
        let mine = own
            .1
            .iter()
            .filter(|(_, uses)| mine.iter().any(|one| uses.contains(one)));
        let mine = mine.map(|(arn, _)| arn.as_str());
        mine.filter(|arn| newer.1.get(*arn).is_some_and(|uses| uses.contains(&theirs)))
            .collect()
    };
    let issued = with(&[AuthorityUse::Created], AuthorityUse::Issued);
    if !issued.is_empty() {
        return (
            "is newer and issued certificates by a CA that this one created",
            issued,
        );
    }
    let deleted = with(
        &[AuthorityUse::Named, AuthorityUse::Issued],
        AuthorityUse::Deleted,
    );
    ("is newer and deleted a CA that this one used", deleted)
}

/// What two runs changed, where the other one is older and was undone after this one changed it.
fn both_changed<'d>(own: &'d Deeds, older: &Deeds, undone_at: Option<Timestamp>) -> Vec<&'d str> {
    let before = |at: &Timestamp| undone_at.is_some_and(|undone| *at < undone);
    let own = own
        .0
        .iter()
        .filter(|(_, at)| before(at))
        .map(|(what, _)| what);
    own.filter(|what| older.0.contains_key(*what))
        .map(String::as_str)
        .collect()
}

fn refused(id: &RunId, row: &RunRow, is_undone: bool, what: &str, all: &[&str]) -> RunsError {
    let mut named = all[..all.len().min(NAMED)].join(", ");
    if all.len() > NAMED {
        named.push_str(&format!(" and {} more", all.len() - NAMED));
    }
    let (workflow, other) = (&row.workflow, &row.id);
    let message = format!("run {id} can't be undone yet: run {other} ({workflow}) {what}: {named}");
    let hint = if !is_undone {
        format!(
            "undo the newer run first: `{}`; or add --force, which leaves files, objects, tags and policies that it changed, and sends all other undos, such as those of HTTP calls and programs, all the same",
            Command::new("undo").arg(other)
        )
    } else {
        "an undo would restore what that run had left, such as certificates that are revoked by now; to do it all the same, add --force".to_owned()
    };
    RunsError::conflict("newer-run", message).hint(hint)
}
