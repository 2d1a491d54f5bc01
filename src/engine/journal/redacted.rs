//! Events without the secrets that others quote.

use super::{
    event::{CallRecord, EffectOutcome, Event},
    instance::{EffectState, Round},
    state::State,
};
use windlass_world::value::{Redactor, Value};

impl Event {
    /// The event as it is recorded: every text that came from outside of the workflow's files without secrets. A value in
    /// which there is one becomes a secret, which is sealed.
    ///
    /// Params, inputs and items stay as they are: they come from results that have been through this, or from who started the run.
    pub fn redacted(self, redactor: &Redactor) -> Self {
        if redactor.is_empty() {
            return self;
        }
        match self {
            Self::RunEnded {
                outcome,
                outputs,
                error,
            } => Self::RunEnded {
                outcome,
                outputs: redactor.value(outputs),
                error: error.map(|error| redactor.error(error)),
            },
            Self::StepSucceeded { step, outputs } => Self::StepSucceeded {
                step,
                outputs: redactor.value(outputs),
            },
            Self::StepFailed {
                step,
                error,
                retry_at,
            } => Self::StepFailed {
                step,
                error: redactor.error(error),
                retry_at,
            },
            Self::StepSkipped { step, reason } => Self::StepSkipped {
                step,
                reason: redactor.owned(reason),
            },
            Self::ApprovalAsked {
                step,
                attempt,
                message,
                digest,
                deadline,
            } => Self::ApprovalAsked {
                step,
                attempt,
                message: redactor.owned(message),
                digest,
                deadline,
            },
            Self::ApprovalDecided {
                step,
                verdict,
                approver,
                via,
                comment,
                digest,
            } => Self::ApprovalDecided {
                step,
                verdict,
                approver,
                via,
                comment: comment.map(|comment| redactor.owned(comment)),
                digest,
            },
            Self::EffectIntended {
                step,
                position,
                call,
                before,
            } => Self::EffectIntended {
                step,
                position,
                call: call.redacted(redactor),
                before: before.map(|before| redactor.value(before)),
            },
            Self::EffectEnded {
                step,
                position,
                call,
                outcome,
            } => Self::EffectEnded {
                step,
                position,
                call: call.map(|call| call.redacted(redactor)),
                outcome: outcome.redacted(redactor),
            },
            Self::EffectSettled {
                step,
                round,
                position,
                outcome,
            } => Self::EffectSettled {
                step,
                round,
                position,
                outcome: outcome.redacted(redactor),
            },
            Self::EffectAnswered {
                step,
                position,
                requester,
                done,
            } => Self::EffectAnswered {
                step,
                position,
                requester,
                done: done.map(|done| redactor.value(done)),
            },
            Self::Logged {
                step,
                level,
                message,
            } => Self::Logged {
                step,
                level,
                message: redactor.owned(message),
            },
            other => other,
        }
    }

    /// Lets a redactor know the secrets in the event, given the function of the call that it is about, if it is about one.
    pub fn teach(&self, function: &str, redactor: &Redactor) {
        match self {
            Self::EffectIntended { before, .. } => {
                let before = before.iter();
                before.for_each(|before| learn_before(function, before, redactor));
            }
            Self::EffectEnded { outcome, .. } | Self::EffectSettled { outcome, .. } => {
                let given = outcome.value().into_iter();
                given.for_each(|given| learn_given(function, given, redactor));
            }
            Self::RunStarted { params, .. } | Self::RunEdited { params, .. } => {
                redactor.learn(params);
            }
            Self::StepStarted { inputs, items, .. } => {
                inputs.iter().for_each(|inputs| redactor.learn(inputs));
                let items = items.iter().flatten();
                items.for_each(|(_, item)| redactor.learn(item));
            }
            Self::StepSucceeded { outputs, .. } | Self::RunEnded { outputs, .. } => {
                redactor.learn(outputs);
            }
            Self::EffectAnswered { done, .. } => done.iter().for_each(|done| redactor.learn(done)),
            _ => {}
        }
    }
}

impl State {
    /// Lets a redactor know every secret of the run so far.
    pub fn teach(&self, redactor: &Redactor) {
        if let Some(run) = &self.run {
            redactor.learn(&run.params);
        }
        redactor.learn(&self.outputs);
        for instance in self.steps.values() {
            redactor.learn(&instance.inputs);
            redactor.learn(&instance.outputs);
            let items = instance.items.iter().flatten();
            items.for_each(|(_, item)| redactor.learn(item));
            let effects = instance.effects.iter();
            effects.for_each(|effect| effect.teach(redactor));
            instance
                .earlier
                .iter()
                .for_each(|round| round.teach(redactor));
        }
    }
}

impl Round {
    /// Lets a redactor know every secret of the round.
    pub fn teach(&self, redactor: &Redactor) {
        redactor.learn(&self.inputs);
        self.outputs.iter().for_each(|given| redactor.learn(given));
        self.effects
            .iter()
            .for_each(|effect| effect.teach(redactor));
    }
}

impl EffectState {
    /// Lets a redactor know the secrets that the call gave or found.
    pub fn teach(&self, redactor: &Redactor) {
        let function = &self.call.function;
        let before = self.before.iter();
        before.for_each(|before| learn_before(function, before, redactor));
        let outcomes = self.outcome.iter().chain(&self.settled);
        let given = outcomes.filter_map(EffectOutcome::value);
        given.for_each(|given| learn_given(function, given, redactor));
    }
}

/// All that stands in a Secret of Kubernetes counts as secret, also names of namespaces and hosts.
fn learn_given(function: &str, given: &Value, redactor: &Redactor) {
    match function.starts_with("kube::") {
        true => redactor.learn_found(given),
        false => redactor.learn(given),
    }
}

/// A file that is overwritten is sealed because it may have been a secret; mostly it is a certificate.
fn learn_before(function: &str, before: &Value, redactor: &Redactor) {
    if !function.starts_with("file::") {
        learn_given(function, before, redactor);
    }
}

impl CallRecord {
    fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            arguments: redactor.json(self.arguments),
            ..self
        }
    }
}

impl EffectOutcome {
    /// What the call gave, if it was done.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Done(value) => Some(value),
            Self::Failed(_) | Self::NotDone => None,
        }
    }

    fn redacted(self, redactor: &Redactor) -> Self {
        match self {
            Self::Done(value) => Self::Done(redactor.value(value)),
            Self::Failed(failure) => Self::Failed(redactor.failure(failure)),
            Self::NotDone => Self::NotDone,
        }
    }
}
