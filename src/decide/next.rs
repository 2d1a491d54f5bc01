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
    let Some(run) = state.run.as_ref().filter(|_| state.outcome.is_none()) else {
        return decision.next;
    };
    decision.running = state
        .steps
        .values()
        .filter(|instance| instance.status == Status::Running && !instance.is_composite())
        .count();
    if state.is_undoing {
        undo::next(&mut decision, workflow);
        return decision.next;
    }
    decision.next.events = lock::released(state);
    if !decision.next.events.is_empty() {
        return decision.next;
    }
    let scope = Scope {
        workflow,
        inside: None,
        params: &run.params,
    };
    if let Some(settled) = scope.visit(&mut decision) {
        let event = ended(state, settled);
        let has_failed = matches!(
            event,
            Event::RunEnded {
                outcome: Outcome::Failed,
                ..
            }
        );
        decision.next.events.push(event);
        if has_failed && workflow.on_failure == OnFailure::Undo {
            decision.next.events.push(Event::UndoStarted {
                requester: "on_failure".into(),
            });
        }
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
