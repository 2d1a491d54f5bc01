use std::collections::BTreeMap;

use super::{
    evaluate::View,
    lock,
    scope::{Scope, Settled},
    undo,
};
use crate::{
    compile::{OnFailure, Step, Workflow},
    journal::{Event, InstanceId, Outcome, State, Status},
    value::{StepError, Value},
};

/// What a decision depends on beside the workflow and the state.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    pub run_id: &'a str,
    /// Milliseconds since 1970.
    pub now: i64,
    /// How many step attempts may run at once in the whole run.
    pub max_parallel: usize,
}

/// What may happen next. Empty, with nothing running, only when the run has ended.
#[derive(Debug, Default)]
pub struct Next<'w> {
    /// To be appended and applied, in this order; then [`next`] is asked again.
    pub events: Vec<Event>,
    /// Attempts to be started once the events are durable.
    pub starts: Vec<Start<'w>>,
    /// When to ask again although nothing happened (milliseconds since 1970).
    pub wake_at: Option<i64>,
    /// Locks that are missing; an [`Event::LockTaken`] gives one.
    pub wants: Vec<Want>,
    /// How many questions wait for a person.
    pub asks: usize,
}

/// A lock that something waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Any one of these will do.
    pub any_of: Vec<String>,
    /// The step that would hold it; `None` for the run.
    pub step: Option<InstanceId>,
}

/// One attempt of one step instance.
#[derive(Debug)]
pub struct Start<'w> {
    pub instance: InstanceId,
    /// `None` for the undo of a step that the workflow has no more.
    pub step: Option<&'w Step>,
    pub attempt: u32,
    pub inputs: BTreeMap<String, Value>,
}

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

/// What is being put together while the scopes are visited.
pub(super) struct Decision<'a, 'w> {
    pub state: &'a State,
    pub moment: Moment<'a>,
    pub next: Next<'w>,
    /// Attempts that run, with those that are started now.
    pub running: usize,
}

impl<'w> Decision<'_, 'w> {
    pub fn view(&self) -> View<'_> {
        View {
            state: self.state,
            run_id: self.moment.run_id,
        }
    }

    pub fn has_room(&self) -> bool {
        self.running < self.moment.max_parallel
    }

    pub fn start(&mut self, start: Start<'w>, is_retry: bool) {
        self.running += 1;
        self.next.events.push(Event::StepStarted {
            step: start.instance.clone(),
            attempt: start.attempt,
            inputs: (!is_retry).then(|| Value::Map(start.inputs.clone())),
            items: None,
            is_scope: false,
        });
        self.next.starts.push(start);
    }

    pub fn fail(&mut self, step: &InstanceId, error: StepError) {
        self.next.events.push(Event::StepFailed {
            step: step.clone(),
            error,
            retry_at: None,
        });
    }

    pub fn wake_at(&mut self, at: i64) {
        self.next.wake_at = Some(self.next.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}
