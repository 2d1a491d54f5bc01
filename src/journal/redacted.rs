//! Removes secrets that others quote from events.

use super::{
    event::{CallRecord, EffectOutcome, Event},
    instance::{EffectState, Round},
    payload::{
        ApprovalAsked, ApprovalDecided, EffectAnswered, EffectEnded, EffectIntended, EffectSettled,
        Logged, RunEdited, RunEnded, RunStarted, StepFailed, StepSkipped, StepStarted,
        StepSucceeded,
    },
    state::State,
};
use windlass_world::value::{Redactor, Value};

impl Event {
    /// Returns the event as it is recorded: without secrets in texts that came from outside of the workflow's files. A value that
    /// contains a secret becomes a secret, which is sealed.
    ///
    /// Params, inputs and items are not changed: they come from results that have been redacted already, or from the person who started the run.
    pub fn redacted(self, redactor: &Redactor) -> Self {
        if redactor.is_empty() {
            return self;
        }
        match self {
            Self::RunEnded(ended) => Self::RunEnded(ended.redacted(redactor)),
            Self::StepSucceeded(done) => Self::StepSucceeded(done.redacted(redactor)),
            Self::StepFailed(failed) => Self::StepFailed(failed.redacted(redactor)),
            Self::StepSkipped(skipped) => Self::StepSkipped(skipped.redacted(redactor)),
            Self::ApprovalAsked(asked) => Self::ApprovalAsked(asked.redacted(redactor)),
            Self::ApprovalDecided(decided) => Self::ApprovalDecided(decided.redacted(redactor)),
            Self::EffectIntended(intended) => Self::EffectIntended(intended.redacted(redactor)),
            Self::EffectEnded(ended) => Self::EffectEnded(ended.redacted(redactor)),
            Self::EffectSettled(settled) => Self::EffectSettled(settled.redacted(redactor)),
            Self::EffectAnswered(answered) => Self::EffectAnswered(answered.redacted(redactor)),
            Self::Logged(logged) => Self::Logged(logged.redacted(redactor)),
            other => other,
        }
    }

    /// Teaches a redactor the secrets in the event, given the function of the event's call, if it has one.
    pub fn teach(&self, function: &str, redactor: &Redactor) {
        match self {
            Self::EffectIntended(intended) => {
                let before = intended.before.iter();
                before.for_each(|before| learn_before(function, before, redactor));
            }
            Self::EffectEnded(EffectEnded { outcome, .. })
            | Self::EffectSettled(EffectSettled { outcome, .. }) => {
                let given = outcome.value().into_iter();
                given.for_each(|given| learn_given(function, given, redactor));
            }
            Self::RunStarted(RunStarted { params, .. })
            | Self::RunEdited(RunEdited { params, .. }) => redactor.learn(params),
            Self::StepStarted(StepStarted { inputs, items, .. }) => {
                inputs.iter().for_each(|inputs| redactor.learn(inputs));
                let items = items.iter().flatten();
                items.for_each(|(_, item)| redactor.learn(item));
            }
            Self::StepSucceeded(StepSucceeded { outputs, .. })
            | Self::RunEnded(RunEnded { outputs, .. }) => redactor.learn(outputs),
            Self::EffectAnswered(answered) => {
                answered.done.iter().for_each(|done| redactor.learn(done));
            }
            _ => {}
        }
    }
}

impl RunEnded {
    fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            outputs: redactor.value(self.outputs),
            error: self.error.map(|error| redactor.error(error)),
            ..self
        }
    }
}

impl StepSucceeded {
    fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            outputs: redactor.value(self.outputs),
            ..self
        }
    }
}

impl StepFailed {
    fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            error: redactor.error(self.error),
            ..self
        }
    }
}

impl StepSkipped {
    fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            reason: redactor.owned(self.reason),
            ..self
        }
    }
}

impl ApprovalAsked {
    fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            message: redactor.owned(self.message),
            ..self
        }
    }
}

impl ApprovalDecided {
    fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            comment: self.comment.map(|comment| redactor.owned(comment)),
            ..self
        }
    }
}

impl EffectIntended {
    fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            call: self.call.redacted(redactor),
            before: self.before.map(|before| redactor.value(before)),
            ..self
        }
    }
}

impl EffectEnded {
    fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            call: self.call.map(|call| call.redacted(redactor)),
            outcome: self.outcome.redacted(redactor),
            ..self
        }
    }
}

impl EffectSettled {
    fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            outcome: self.outcome.redacted(redactor),
            ..self
        }
    }
}

impl EffectAnswered {
    fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            done: self.done.map(|done| redactor.value(done)),
            ..self
        }
    }
}

impl Logged {
    fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            message: redactor.owned(self.message),
            ..self
        }
    }
}

impl State {
    /// Teaches a redactor every secret of the run so far.
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
    /// Teaches a redactor every secret of the round.
    pub fn teach(&self, redactor: &Redactor) {
        redactor.learn(&self.inputs);
        self.outputs.iter().for_each(|given| redactor.learn(given));
        self.effects
            .iter()
            .for_each(|effect| effect.teach(redactor));
    }
}

impl EffectState {
    /// Teaches a redactor the secrets that the call returned or found.
    pub fn teach(&self, redactor: &Redactor) {
        let function = &self.call.function;
        let before = self.before.iter();
        before.for_each(|before| learn_before(function, before, redactor));
        let outcomes = self.outcome.iter().chain(&self.settled);
        let given = outcomes.filter_map(EffectOutcome::value);
        given.for_each(|given| learn_given(function, given, redactor));
    }
}

/// All values of a Kubernetes Secret count as secrets, including names of namespaces and hosts.
fn learn_given(function: &str, given: &Value, redactor: &Redactor) {
    if function.starts_with("kube::") {
        redactor.learn_found(given)
    } else {
        redactor.learn(given)
    }
}

/// An overwritten file is sealed because it may have been a secret, but it is usually a certificate, so it is not learnt.
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
    /// Returns the result of the call, if it was made.
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
