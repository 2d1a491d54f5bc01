use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    entries::{Announced, MAX_STEP_BYTES, MakeCall, size_of},
    observer::Observer,
    shown::{describe, shown},
    substrate::{Ledger, Making},
};
use crate::{
    journal::{CallRecord, EffectOutcome, EffectState, Event, InstanceId, Position, RunId},
    script::{Call, Class, EffectKey, Effects, Interruption, Level, Stop},
    value::{Digest, Failure, FailureClass, Value},
};

/// Shorter waits are not worth a record: after a crash they begin again.
const SHORTEST_DURABLE_SLEEP: Duration = Duration::from_secs(1);

/// The gate of one attempt: every effect of its script goes through here, in order.
///
/// Recorded effects are replayed without touching the world; the first one that is not recorded
/// is done, with its intent durable before and its result durable after.
pub(super) struct Gate {
    pub run: RunId,
    pub instance: InstanceId,
    /// How often the instance was reset: another round has other keys.
    pub round: u32,
    pub recorded: Vec<EffectState>,
    /// Calls beyond the records may have been made, too.
    pub is_suspect: bool,
    /// It may only read: its records are forgotten when it runs again.
    pub is_fresh: bool,
    pub ledger: Arc<dyn Ledger>,
    pub observer: Arc<dyn Observer>,
    pub progress: Mutex<Progress>,
}

#[derive(Default)]
pub(super) struct Progress {
    /// Of the next effect.
    position: u32,
    /// What was recorded by this attempt, in order, for the fold.
    events: Vec<(Event, i64)>,
    /// Of the results that were passed by so far.
    bytes: usize,
}

impl Gate {
    /// Takes what this attempt recorded.
    pub fn take_events(&self) -> Vec<(Event, i64)> {
        std::mem::take(&mut self.progress().events)
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_position(&self) -> u32 {
        let mut progress = self.progress();
        progress.position += 1;
        progress.position - 1
    }

    /// The key of a call of this attempt.
    pub(super) fn key(&self, position: u32) -> EffectKey {
        self.key_of(&self.instance, self.round, position)
    }

    /// The same for ever for one position of one round of one instance of one run.
    pub(super) fn key_of(&self, instance: &InstanceId, round: u32, position: u32) -> EffectKey {
        let digest = Digest::of(&[
            self.run.as_str().as_bytes(),
            instance.as_str().as_bytes(),
            &round.to_be_bytes(),
            &position.to_be_bytes(),
        ]);
        EffectKey::new(digest.short(32))
    }

    /// Makes an entry and gives its last event, if it has one, and whether it is from an earlier life.
    pub(super) fn enter(
        &self,
        name: &str,
        making: Making,
    ) -> Result<(Option<Event>, bool), Interruption> {
        let entry = self
            .ledger
            .enter(name, making)
            .map_err(Interruption::Stopped)?;
        let last = entry.events.last().map(|(event, _)| event.clone());
        self.progress().events.extend(entry.events);
        match entry.stop {
            Some(stop) => Err(Interruption::Stopped(stop)),
            None => Ok((last, entry.is_old)),
        }
    }
}

fn given(outcome: EffectOutcome) -> Result<Value, Interruption> {
    match outcome {
        EffectOutcome::Done(value) => Ok(value),
        EffectOutcome::Failed(failure) => Err(Interruption::Failed(failure)),
        // Only an undo says that of an effect, and nothing goes forward after it.
        EffectOutcome::NotDone => Err(Interruption::Stopped(Stop::Cancelled)),
    }
}

fn changes_in_fresh_step(function: &str) -> Interruption {
    let message = "a step with `fresh: true` may only read, and this call changes something";
    let failure = Failure::new(FailureClass::Rejected, function, "FreshStep", message);
    Interruption::Failed(failure.with_hint(
        "change things in one step and look in another; of a program that only reads, say `read: true`",
    ))
}

impl Effects for Gate {
    fn perform(&self, mut call: Call) -> Result<Value, Interruption> {
        if self.is_fresh && call.class != Class::Read {
            return Err(changes_in_fresh_step(call.function));
        }
        let position = self.next_position();
        let digest = Digest::of(&[
            call.function.as_bytes(),
            call.arguments.to_json().to_string().as_bytes(),
        ]);
        let recorded = self.recorded.get(position as usize);
        if let Some(effect) = recorded {
            if effect.call.digest != digest {
                return Err(Interruption::Stopped(Stop::Diverged {
                    position,
                    recorded: describe(&effect.call.function, &effect.call.arguments),
                    made: describe(call.function, &shown(&call.arguments)),
                }));
            }
            match &effect.outcome {
                Some(outcome @ EffectOutcome::Done(value)) => {
                    self.progress().bytes += size_of(outcome);
                    return Ok(value.clone());
                }
                Some(EffectOutcome::Failed(failure)) => {
                    return Err(Interruption::Failed(failure.clone()));
                }
                Some(EffectOutcome::NotDone) | None => {}
            }
        }
        let record = CallRecord {
            function: call.function.into(),
            arguments: shown(&call.arguments),
            digest,
            class: call.class,
        };
        self.observer.doing(&self.instance, call.function);
        let mut making = MakeCall {
            position,
            is_in_doubt: recorded.is_some() || self.is_suspect,
            is_announced: recorded.is_some(),
            is_begun: false,
            room: MAX_STEP_BYTES.saturating_sub(self.progress().bytes),
            record,
        };
        if recorded.is_none() && self.ledger.announces(&call) {
            match self.announce(&mut call, making.record.clone(), position)? {
                Announced::Ended(outcome) => return given(outcome),
                Announced::Intended { is_old } => making.is_in_doubt |= is_old,
            }
            making.is_announced = true;
            making.is_begun = true;
        }
        let outcome = self.make(call, making)?;
        self.progress().bytes += size_of(&outcome);
        given(outcome)
    }

    fn sleep(&self, duration: Duration) -> Result<(), Interruption> {
        let wait = |duration| self.ledger.wait(duration).map_err(Interruption::Stopped);
        if duration < SHORTEST_DURABLE_SLEEP {
            return match self.is_replaying() {
                true => Ok(()),
                false => wait(duration),
            };
        }
        let position = self.next_position();
        let arguments = Value::Int(duration.as_millis() as i64);
        let digest = Digest::of(&[b"time::sleep", arguments.to_string().as_bytes()]);
        let step = self.instance.clone();
        let event = match self.recorded.get(position as usize) {
            Some(effect) if effect.call.digest != digest => {
                return Err(Interruption::Stopped(Stop::Diverged {
                    position,
                    recorded: describe(&effect.call.function, &effect.call.arguments),
                    made: describe("time::sleep", &shown(&arguments)),
                }));
            }
            Some(effect) if effect.outcome.is_some() => return Ok(()),
            Some(_) => None,
            None => Some(Event::EffectIntended {
                step: step.clone(),
                position: Position(position),
                call: CallRecord {
                    function: "time::sleep".into(),
                    arguments: shown(&arguments),
                    digest,
                    class: Class::Read,
                },
                before: None,
            }),
        };
        self.observer.doing(&self.instance, "time::sleep");
        let left = match (event, self.recorded.get(position as usize)) {
            (Some(event), _) => {
                let name = format!("{position} time::sleep: intent");
                self.enter(&name, Box::pin(async { event.into() }))?;
                duration
            }
            (None, Some(effect)) => {
                let slept = self.ledger.now().saturating_sub(effect.at).max(0) as u64;
                duration.saturating_sub(Duration::from_millis(slept))
            }
            (None, None) => duration,
        };
        wait(left)?;
        let ended = Event::EffectEnded {
            step,
            position: Position(position),
            call: None,
            outcome: EffectOutcome::Done(Value::Null),
        };
        let name = format!("{position} time::sleep");
        self.enter(&name, Box::pin(async { ended.into() }))
            .map(|_| ())
    }

    fn is_replaying(&self) -> bool {
        (self.progress().position as usize) < self.recorded.len()
    }

    fn note(&self, level: Level, message: String) {
        if self.is_replaying() {
            return;
        }
        self.observer.said(&self.instance, &message);
        let noted = self.ledger.note(Event::Logged {
            step: self.instance.clone(),
            level,
            message,
        });
        self.progress().events.push(noted);
    }
}
