//! Decides which steps are undone, in which order, and by which scripts.

use std::sync::Arc;

use super::{
    agenda::Agenda,
    decision::{Decision, Start},
    lock,
    place::{Places, ranks_of},
    step::step_of,
};
use windlass_compile::{Action, Retry, Workflow};
use windlass_journal::{Event, Instance, InstanceId, Outcome, RoundRef, RunEnded, State, Status};
use windlass_script::Script;
use windlass_world::value::{StepError, Value};

/// Lists the instances that changed something outside, in the order of the undo: an instance comes before those of the steps
/// that its own step depends on; otherwise the one that began to change something last comes first.
pub fn undo_order(workflow: &Workflow, state: &State) -> Vec<InstanceId> {
    let mut found: Vec<_> = state
        .steps
        .iter()
        .filter(|(id, _)| id.undone().is_none())
        .filter(|(id, instance)| did_something(workflow, id, instance))
        .collect();
    found.sort_by_cached_key(|(id, _)| ranks_of(workflow, id));
    let mut places = Places::default();
    let mut placed: Vec<_> = found
        .into_iter()
        .map(|(id, instance)| (places.place(workflow, id, newest(instance)), id))
        .collect();
    placed.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
    placed.into_iter().map(|(_, id)| id.clone()).collect()
}

/// Where the last round stands that did something or has its own undo: see [`Instance::order`].
fn newest(instance: &Instance) -> u64 {
    let mut rounds = instance.rounds();
    let last = rounds.find(|round| !round.effects.is_empty() || round.outputs.is_some());
    last.map_or(instance.order, |round| round.order)
}

fn did_something(workflow: &Workflow, id: &InstanceId, instance: &Instance) -> bool {
    // This includes earlier rounds: a step that is to run again, but has not yet, still has its earlier effects.
    let says_how = own_undos(workflow, id, instance).next().is_some();
    instance.has_changed_something() || says_how || instance.is_suspect
}

/// Lists the rounds of an instance that its script undoes itself, by its `fn undo`, newest first, with that script.
///
/// What stands is undone by the script that the step has now, which may have been corrected for that; if the step is gone or no longer says how,
/// and for what was superseded since, by the script that did it, if that says how. A round without inputs is that of a `for_each` as a
/// whole, which ran no script.
pub fn own_undos<'a>(
    workflow: &'a Workflow,
    id: &InstanceId,
    instance: &'a Instance,
) -> impl Iterator<Item = (RoundRef<'a>, &'a Arc<Script>)> {
    let script_of = |workflow: &'a Workflow| match &step_of(workflow, id)?.action {
        Action::Script(script) => Some(script).filter(|script| script.has_undo),
        _ => None,
    };
    let now = script_of(workflow);
    let rounds = instance.rounds().enumerate();
    let done = rounds
        .filter(|(_, round)| round.outputs.is_some() && matches!(round.inputs, Value::Map(_)));
    done.filter_map(move |(age, round)| {
        let then = workflow
            .former
            .get(&round.edition)
            .map(|former| script_of(former));
        let script = match then {
            Some(then) if age == 0 => now.or(then),
            Some(then) => then,
            None => now,
        };
        Some((round, script?))
    })
}

/// Says whether a run left nothing to undo.
pub(super) fn has_nothing(agenda: &mut Agenda, workflow: &Workflow, state: &State) -> bool {
    agenda.undo_order(workflow, state).0.is_empty()
}

/// Decides what an undo does next: one step at a time. After one that failed, only other items of the same `for_each` follow: a run,
/// too, may end with any of them done and others not. What came before them may be needed by what is left.
pub(super) fn next<'w>(
    decision: &mut Decision<'_, 'w>,
    workflow: &'w Workflow,
    agenda: &mut Agenda,
) {
    let state = decision.state;
    let (order, done) = agenda.undo_order(workflow, state);
    let mut failed: Vec<&InstanceId> = Vec::new();
    for id in &order[*done..] {
        if !failed.iter().all(|failed| are_in_other_items(failed, id)) {
            continue;
        }
        let undo = id.undo();
        let instance = state.instance(&undo);
        let attempt = instance.map_or(0, |instance| instance.attempt) + 1;
        let usual = Retry::default().longest;
        let longest = instance.map_or(usual, |instance| instance.longest_pause(usual));
        match state.status(&undo) {
            Status::Succeeded | Status::Skipped if failed.is_empty() => *done += 1,
            Status::Succeeded | Status::Skipped => {}
            Status::Running | Status::Waiting => return,
            Status::Failed => failed.push(id),
            _ if state.is_cancelled => {
                let error = StepError::new("undo-failed", "cancelled before everything was undone");
                return end(decision, Some(error));
            }
            Status::Retrying { at } if decision.is_early(at, longest) => {
                decision.seen.retries += 1;
                return decision.wake_at(at);
            }
            status @ (Status::Retrying { .. } | Status::Pending) => {
                if !lock::has_locks_again(decision, workflow, id) {
                    return;
                }
                let start = Start {
                    instance: undo,
                    step: step_of(workflow, id),
                    attempt,
                    inputs: std::collections::BTreeMap::new(),
                    is_finally: false,
                };
                return decision.start(start, status != Status::Pending);
            }
        }
    }
    let left = order[*done..].iter().filter(|id| {
        let status = state.status(&id.undo());
        status == Status::Pending && !failed.contains(id)
    });
    let error = (!failed.is_empty()).then(|| incomplete(&failed, left.count()));
    end(decision, error);
}

/// Says whether two instances are in different items of one `for_each`.
fn are_in_other_items(one: &InstanceId, other: &InstanceId) -> bool {
    let mut both = one.segments().zip(other.segments());
    let differs = both.find(|(a, b)| (a.step, a.item) != (b.step, b.item));
    differs.is_some_and(|(a, b)| a.step == b.step)
}

/// Returns the error of an undo that could not reverse everything.
fn incomplete(failed: &[&InstanceId], left: usize) -> StepError {
    let names: Vec<_> = failed.iter().map(|id| format!("`{id}`")).collect();
    let mut message = format!("could not reverse what {} did", names.join(", "));
    match left {
        0 => {}
        1 => message.push_str("; what 1 step before did is not reversed yet"),
        left => message.push_str(&format!(
            "; what {left} steps before did is not reversed yet"
        )),
    }
    StepError::new("undo-failed", message)
}

fn end(decision: &mut Decision, error: Option<StepError>) {
    let (outcome, error) = match error {
        Some(error) => {
            let error = error.with_hint("to continue the undo: `windlass undo`");
            (Outcome::UndoFailed, Some(error))
        }
        // Why the run undid itself.
        None => (Outcome::Undone, decision.state.error.clone()),
    };
    decision.next.events.push(Event::RunEnded(RunEnded {
        outcome,
        outputs: Value::Null,
        error,
    }));
}
