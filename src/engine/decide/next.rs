use super::{
    agenda::{Agenda, ScopeAgenda},
    decision::{Decision, Moment, Next, Seen},
    doubt, lock,
    scope::{Scope, Settled},
    undo,
};
use windlass_compile::{OnFailure, Workflow};
use windlass_journal::{Event, Outcome, RunEnded, State, UndoStarted};
use windlass_world::value::Value;

/// Decides what may happen next by looking at everything.
pub fn next<'w>(workflow: &'w Workflow, state: &State, moment: Moment) -> Next<'w> {
    Agenda::default().next(workflow, state, moment)
}

/// Decides what may happen next by looking only at what the agenda marks.
pub(super) fn decide<'w>(
    agenda: &mut Agenda,
    workflow: &'w Workflow,
    state: &State,
    moment: Moment,
) -> Next<'w> {
    let mut decision = Decision {
        state,
        moment,
        next: Next::default(),
        running: state.at_work(),
        seen: Seen::default(),
    };
    if state.run.is_none() || state.outcome.is_some() {
        return decision.next;
    }
    if state.is_undoing {
        let scope = Scope::whole(workflow, state);
        let seen = decision.look(|decision| {
            // The lock protects the steps that are undone, if there are any; a lock whose name can't be evaluated was never taken.
            let is_free = undo::has_nothing(agenda, workflow, state) || state.is_cancelled;
            if is_free || scope.has_locks(decision) != Ok(false) {
                undo::next(decision, workflow, agenda);
            }
        });
        return told(decision, seen);
    }
    let is_new = agenda.root.is_none();
    if std::mem::take(&mut agenda.may_release) || is_new {
        decision.next.events = lock::released(workflow, state, moment.run_id);
        if !decision.next.events.is_empty() {
            return decision.next;
        }
    }
    let root = agenda.root.take();
    let mut root = root.unwrap_or_else(|| Box::new(ScopeAgenda::new(workflow)));
    let mut settled = None;
    let seen = decision.look(|decision| {
        settled = Scope::whole(workflow, state).visit(decision, &mut root);
    });
    agenda.root = Some(root);
    if let Some(settled) = settled {
        decision.next.events.push(match settled {
            // The run continues with its undo, and keeps its locks.
            Settled::Failed { error, .. }
                if workflow.on_failure == OnFailure::Undo
                    && !state.is_cancelled
                    && !doubt::has_doubt(state) =>
            {
                Event::UndoStarted(UndoStarted::on_failure(error))
            }
            settled => ended(state, settled),
        });
    }
    told(decision, seen)
}

/// Returns the decision with what the whole run waits for.
fn told<'w>(decision: Decision<'_, 'w>, seen: Seen) -> Next<'w> {
    Next {
        asks: seen.asks,
        retries: seen.retries,
        wake_at: seen.wake_at,
        ..decision.next
    }
}

fn ended(state: &State, settled: Settled) -> Event {
    let (outcome, outputs, error) = match settled {
        _ if state.is_cancelled => (Outcome::Cancelled, Value::Null, None),
        Settled::Succeeded(outputs) => (Outcome::Succeeded, outputs, None),
        Settled::Failed { error, .. } => (Outcome::Failed, Value::Null, error),
    };
    Event::RunEnded(RunEnded {
        outcome,
        outputs,
        error,
    })
}
