use super::{
    decision::{Decision, Moment, Next},
    lock,
    scope::{Scope, Settled},
    undo,
};
use crate::{
    compile::{OnFailure, Workflow},
    journal::{Event, Outcome, State, Status},
    value::Value,
};

/// Decides what may happen next.
pub fn next<'w>(workflow: &'w Workflow, state: &State, moment: Moment) -> Next<'w> {
    let mut decision = Decision {
        state,
        moment,
        next: Next::default(),
        running: 0,
    };
    if state.run.is_none() || state.outcome.is_some() {
        return decision.next;
    }
    decision.running = state
        .steps
        .values()
        .filter(|instance| instance.status == Status::Running && !instance.is_composite())
        .count();
    let scope = Scope::whole(workflow, state);
    if state.is_undoing {
        // What is taken back is what the lock is for; one that can't be named was never taken.
        if scope.has_locks(&mut decision) != Ok(false) || state.is_cancelled {
            undo::next(&mut decision, workflow);
        }
        return decision.next;
    }
    decision.next.events = lock::released(state);
    if !decision.next.events.is_empty() {
        return decision.next;
    }
    if let Some(settled) = scope.visit(&mut decision) {
        decision.next.events.push(match settled {
            // It goes on, backwards, and keeps its locks.
            Settled::Failed { .. }
                if workflow.on_failure == OnFailure::Undo && !state.is_cancelled =>
            {
                Event::UndoStarted {
                    requester: "on_failure".into(),
                }
            }
            settled => ended(state, settled),
        });
    }
    decision.next
}

fn ended(state: &State, settled: Settled) -> Event {
    let (outcome, outputs, error) = match settled {
        _ if state.is_cancelled => (Outcome::Cancelled, Value::Null, None),
        Settled::Succeeded(outputs) => (Outcome::Succeeded, outputs, None),
        Settled::Failed { error, .. } => (Outcome::Failed, Value::Null, error),
    };
    Event::RunEnded {
        outcome,
        outputs,
        error,
    }
}
