//! Reports the calls of an attempt to an observer.

use std::time::Instant;

use super::{
    gate::Gate,
    observer::{CallId, Called},
    substrate::{Made, Making},
};
use windlass_journal::{CallRecord, EffectEnded, Event, Position};
use windlass_script::{Act, Call};
use windlass_world::outside::traced;

impl Gate {
    /// Returns the id of a call of this attempt.
    pub(super) fn call_id(&self, position: u32) -> CallId {
        CallId {
            step: self.instance.clone(),
            round: self.round,
            attempt: self.attempt,
            position: Position(position),
        }
    }

    /// Removes the run's secrets from the events of a call, and reports the call when it has its result. An entry of an earlier life is
    /// not made again, so it is not reported again.
    pub(super) fn reporting(&self, record: CallRecord, position: u32, making: Making) -> Making {
        let (observer, redactor) = (self.observer.clone(), self.redactor.clone());
        let (id, clock) = (self.call_id(position), self.ledger.clock());
        Box::pin(async move {
            let (began, since) = (clock(), Instant::now());
            let made = making.await;
            let took = since.elapsed();
            let made = made.redacted(&record.function, &redactor);
            if let Some(outcome) = outcome_in(&made) {
                observer.called(&Called {
                    id: &id,
                    record: &record,
                    began,
                    took,
                    outcome,
                });
            }
            made
        })
    }

    /// Adds the trace of a call to its requests.
    pub(super) fn tracing(&self, call: Call, position: u32) -> Call {
        let Some(parent) = self.observer.traceparent(&self.call_id(position)) else {
            return call;
        };
        let traced_act = |act: Act| -> Act {
            let parent = parent.clone();
            Box::new(move |key| Box::pin(traced(parent, act(key))))
        };
        Call {
            act: traced_act(call.act),
            again: call.again.map(traced_act),
            ..call
        }
    }
}

fn outcome_in(made: &Made) -> Option<&windlass_journal::EffectOutcome> {
    match made.events.last()? {
        Event::EffectEnded(EffectEnded { outcome, .. }) => Some(outcome),
        _ => None,
    }
}
