//! What the steps of a run do, and what happens around it.

use std::time::Duration;

use super::{Story, id, yaml};
use windlass_journal::{
    CallRecord, EffectEnded, EffectIntended, EffectOutcome, Event, Position, StepFailed,
    StepSucceeded,
};
use windlass_script::Class;
use windlass_world::value::{Digest, StepError, Value};

impl Story {
    /// The step succeeds without outputs.
    #[track_caller]
    pub fn succeeds(&mut self, step: &str) {
        self.gives(step, "{}");
    }

    /// The step succeeds with these outputs, as YAML.
    #[track_caller]
    pub fn gives(&mut self, step: &str, outputs: &str) {
        self.happen(Event::StepSucceeded(StepSucceeded {
            step: id(step),
            outputs: yaml(outputs),
        }));
    }

    /// The step fails for good.
    #[track_caller]
    pub fn fails(&mut self, step: &str) {
        self.happen(failed(step, None, self));
    }

    /// The step fails for good, with this code.
    #[track_caller]
    pub fn fails_with(&mut self, step: &str, code: &str) {
        self.happen(Event::StepFailed(StepFailed {
            step: id(step),
            error: StepError::new(code, "it did not work"),
            retry_at: None,
        }));
    }

    /// The step fails, and the driver has decided to retry it after a pause.
    #[track_caller]
    pub fn fails_for(&mut self, step: &str, pause: Duration) {
        self.happen(failed(step, Some(pause), self));
    }

    /// The attempt ends because the run was cancelled.
    #[track_caller]
    pub fn stops(&mut self, step: &str) {
        self.happen(Event::StepInterrupted { step: id(step) });
    }

    /// The step makes a call that succeeds.
    #[track_caller]
    pub fn calls(&mut self, step: &str, function: &str, class: Class) {
        self.happen(Event::EffectEnded(EffectEnded {
            step: id(step),
            position: self.next_position(step),
            call: Some(call(function, class)),
            outcome: EffectOutcome::Done(Value::Null),
        }));
    }

    /// The step announces a call that changes something; the result is not recorded.
    #[track_caller]
    pub fn announces(&mut self, step: &str, function: &str, class: Class) {
        self.happen(Event::EffectIntended(EffectIntended {
            step: id(step),
            position: self.next_position(step),
            call: call(function, class),
            before: None,
        }));
    }

    /// Time passes, and nothing happens.
    #[track_caller]
    pub fn passes(&mut self, duration: Duration) {
        self.now += duration;
        self.decide();
    }

    /// Another run releases a lock.
    #[track_caller]
    pub fn is_released(&mut self, lock: &str) {
        self.elsewhere.remove(lock);
        self.decide();
    }

    fn next_position(&self, step: &str) -> Position {
        Position(self.instance(step).effects.len() as u32)
    }

    /// Returns the names of the locks that it waits for.
    pub fn wanted(&self) -> Vec<&str> {
        let wants = self.wants.iter();
        wants.map(|want| want.any_of[0].as_str()).collect()
    }

    /// Returns the names of the locks that it holds.
    pub fn held(&self) -> Vec<&str> {
        self.state.locks.keys().map(String::as_str).collect()
    }
}

fn failed(step: &str, pause: Option<Duration>, run: &Story) -> Event {
    Event::StepFailed(StepFailed {
        step: id(step),
        error: StepError::new("script-threw", "it did not work"),
        retry_at: pause.map(|pause| run.now + pause),
    })
}

fn call(function: &str, class: Class) -> CallRecord {
    CallRecord {
        function: function.into(),
        arguments: serde_json::Value::Null,
        digest: Digest::ZERO,
        class,
    }
}
