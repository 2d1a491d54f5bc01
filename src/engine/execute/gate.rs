use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{
    entries::{Announced, MAX_STEP_BYTES, MakeCall, size_of},
    observer::{Called, Observer},
    shown::{describe, shown},
    stage::Stage,
    substrate::{Ledger, Making},
};
use windlass_ground::{Timestamp, lock};
use windlass_journal::{
    CallRecord, EffectEnded, EffectIntended, EffectOutcome, EffectState, Event, InstanceId, Logged,
    Position, RunId,
};
use windlass_script::{
    Call, Class, EffectKey, Effects, Interruption, Level, Stop, WRONG_ARGUMENTS,
};
use windlass_world::value::{Digest, Failure, FailureClass, MASK, Redactor, Value};

/// Shorter waits are not recorded: after a crash they begin again.
const SHORTEST_DURABLE_SLEEP: Duration = Duration::from_secs(1);
/// The limits of the messages of one attempt, in bytes and in number: they are kept with the run, and every reader of
/// the run holds them in memory.
const MAX_NOTED_BYTES: usize = 1 << 20;
const MAX_NOTES: usize = 10_000;

/// The gate of one attempt: every effect of its script passes here, in order.
///
/// Recorded effects are replayed without a call to the outside. The first effect that is not recorded is made: its intent is
/// durable before the call, if the call changes something, and its result is durable before anything that may depend on
/// it leaves.
pub(super) struct Gate {
    pub run: RunId,
    pub instance: InstanceId,
    /// How often the instance was reset: each round has its own keys.
    pub round: u32,
    /// The number of this attempt of the instance, from 1.
    pub attempt: u32,
    pub recorded: Vec<EffectState>,
    /// An earlier attempt may have made calls beyond the records.
    pub is_suspect: bool,
    /// It may only read: its records are discarded when it runs again.
    pub is_fresh: bool,
    pub ledger: Arc<dyn Ledger>,
    pub observer: Arc<dyn Observer>,
    pub stage: Option<Arc<dyn Stage>>,
    /// Knows the secrets of the run, as far as they are known here.
    pub redactor: Arc<Redactor>,
    pub progress: Mutex<Progress>,
}

#[derive(Default)]
pub(super) struct Progress {
    /// The position of the next effect.
    position: u32,
    /// The events of this attempt, in order, for the fold.
    events: Vec<(Event, Timestamp)>,
    /// The total size of the results so far.
    bytes: usize,
    /// The total size of the messages of this attempt.
    noted_bytes: usize,
    notes: usize,
}

impl Gate {
    /// Returns the recorded events and removes them from the gate.
    pub fn take_events(&self) -> Vec<(Event, Timestamp)> {
        std::mem::take(&mut self.progress().events)
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    /// Returns the message, or the notice that no more messages are kept, or `None` after that notice.
    fn within_budget(&self, message: String) -> Option<String> {
        let mut progress = self.progress();
        if progress.notes > MAX_NOTES {
            return None;
        }
        progress.notes += 1;
        progress.noted_bytes += message.len();
        if progress.notes <= MAX_NOTES && progress.noted_bytes <= MAX_NOTED_BYTES {
            return Some(message);
        }
        progress.notes = MAX_NOTES + 1;
        Some(format!(
            "further messages of this attempt are not recorded: the limit is {MAX_NOTES} messages or 1 MiB"
        ))
    }

    /// Returns the position of the next effect.
    fn position(&self) -> u32 {
        self.progress().position
    }

    /// Moves on behind the effect at a position. Every effect before the next position is recorded, so only calls that are
    /// recorded may have one.
    fn pass(&self, position: u32) {
        self.progress().position = position + 1;
    }

    /// Returns the key of a call of this attempt.
    pub(super) fn key(&self, position: u32) -> EffectKey {
        self.key_of(&self.instance, self.round, position)
    }

    /// Returns the key, which is always the same for one position of one round of one instance of one run.
    pub(super) fn key_of(&self, instance: &InstanceId, round: u32, position: u32) -> EffectKey {
        let digest = Digest::of(&[
            self.run.as_str().as_bytes(),
            instance.as_str().as_bytes(),
            &round.to_be_bytes(),
            &position.to_be_bytes(),
        ]);
        EffectKey::new(digest.short(32))
    }

    /// Makes an entry about a call. Returns its last event with the time, if it has one, and whether it is from an earlier life.
    /// Secrets that the other side quotes are removed from what is recorded and from what the script gets.
    pub(super) fn enter(
        &self,
        function: &str,
        name: &str,
        making: Making,
    ) -> Result<(Option<(Event, Timestamp)>, bool), Interruption> {
        let (redactor, about) = (self.redactor.clone(), function.to_owned());
        let making = Box::pin(async move { making.await.redacted(&about, &redactor) });
        self.enter_redacted(function, name, making)
    }

    /// Like [`Gate::enter`], for events that contain no secrets of the run.
    pub(super) fn enter_redacted(
        &self,
        function: &str,
        name: &str,
        making: Making,
    ) -> Result<(Option<(Event, Timestamp)>, bool), Interruption> {
        let entry = self
            .ledger
            .enter(name, making)
            .map_err(Interruption::Stopped)?;
        for (event, _) in &entry.events {
            event.teach(function, &self.redactor);
        }
        let last = entry.events.last().cloned();
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
        // Only an undo records this outcome, and a run does not continue after an undo began.
        EffectOutcome::NotDone => Err(Interruption::Stopped(Stop::Cancelled)),
    }
}

/// Says whether a value contains the mask of a secret. The mask is for people; sent as a value it would replace the secret and appear to succeed.
fn holds_mask(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(MASK),
        Value::Secret(secret) => secret.reveal().contains(MASK),
        Value::List(items) => items.iter().any(holds_mask),
        Value::Map(map) => map
            .iter()
            .any(|(key, item)| key.contains(MASK) || holds_mask(item)),
        _ => false,
    }
}

fn mask_sent(function: &str) -> Failure {
    let message = format!("an argument contains {MASK}, the mask of a secret");
    Failure::new(FailureClass::Rejected, function, WRONG_ARGUMENTS, message).with_hint(
        "pass the secret itself, or remove the mask: text.replace(\"‹secret›\", \"***\")",
    )
}

fn changes_in_fresh_step(function: &str) -> Interruption {
    let message = "a step with `fresh: true` may only read, and this call changes something";
    let failure = Failure::new(FailureClass::Rejected, function, "FreshStep", message);
    Interruption::Failed(failure.with_hint(
        "change things in one step and check them in another; for a program that only reads, set `read: true`",
    ))
}

impl Effects for Gate {
    fn perform(&self, call: Call) -> Result<Value, Interruption> {
        let mut call = match &self.stage {
            Some(stage) => stage.set(&self.instance, call),
            None => call,
        };
        if holds_mask(&call.arguments) {
            return Err(Interruption::Failed(mask_sent(call.function)));
        }
        if self.is_fresh && call.class != Class::Read {
            return Err(changes_in_fresh_step(call.function));
        }
        let position = self.position();
        self.redactor.learn(&call.arguments);
        let digest = Digest::of(&[
            call.function.as_bytes(),
            call.arguments.to_json().to_string().as_bytes(),
        ]);
        let recorded = self.recorded.get(position as usize);
        // A call that was made is replayed even if it would be refused now. Another one at its position comes after this call,
        // which was refused then, too.
        let was_made = recorded.is_some_and(|effect| effect.call.digest == digest);
        if let Some(failure) = call.refusal.take().filter(|_| !was_made) {
            return Err(Interruption::Failed(failure));
        }
        self.pass(position);
        let mut refused = None;
        if let Some(effect) = recorded {
            if effect.call.digest != digest {
                let recorded = describe(&effect.call.function, &effect.call.arguments);
                // First a person has to say whether that call was made.
                if effect.is_open() && effect.call.class == Class::Unsure {
                    return Err(Interruption::Stopped(Stop::InDoubt {
                        position,
                        call: recorded,
                        refused: None,
                    }));
                }
                return Err(Interruption::Stopped(Stop::Diverged {
                    position,
                    recorded,
                    made: describe(call.function, &shown(&call.arguments, &self.redactor)),
                }));
            }
            match &effect.outcome {
                Some(outcome @ EffectOutcome::Done(value)) => {
                    self.progress().bytes += size_of(outcome);
                    return Ok(value.clone());
                }
                // The call was made, and its answer ended the attempt: it is not repeated without asking.
                Some(EffectOutcome::Failed(failure)) if effect.is_refused_done() => {
                    refused = Some(failure.clone());
                }
                Some(EffectOutcome::Failed(failure)) => {
                    return Err(Interruption::Failed(failure.clone()));
                }
                Some(EffectOutcome::NotDone) | None => {}
            }
        }
        let record = CallRecord {
            function: call.function.into(),
            arguments: shown(&call.arguments, &self.redactor),
            digest,
            class: call.class,
        };
        self.observer.doing(&self.instance, call.function);
        if refused.is_some() && call.class == Class::Unsure {
            return Err(Interruption::Stopped(Stop::InDoubt {
                position,
                call: describe(&record.function, &record.arguments),
                refused,
            }));
        }
        if let Some(effect) =
            recorded.filter(|effect| call.class == Class::Keyed && effect.outcome.is_none())
            && let Some(outcome) = self.look_again(&mut call, effect, position)?
        {
            return given(outcome);
        }
        let mut making = MakeCall {
            position,
            announced_at: recorded.map(|effect| effect.at),
            is_in_doubt: recorded.is_some() || self.is_suspect,
            is_announced: recorded.is_some(),
            is_begun: false,
            room: MAX_STEP_BYTES.saturating_sub(self.progress().bytes),
            record,
        };
        if recorded.is_none() && self.ledger.announces(&call) {
            match self.announce(&mut call, making.record.clone(), position)? {
                Announced::Ended(outcome) => return given(outcome),
                Announced::Intended { is_old, at } => {
                    making.is_in_doubt |= is_old;
                    making.announced_at = Some(at);
                }
            }
            making.is_announced = true;
            making.is_begun = true;
        }
        if let Some(left) = call.left.as_ref().filter(|_| making.is_in_doubt)
            && let Some(left) = left(&self.key(position))
        {
            let words = format!("waits for {left}, which an earlier process of this run started");
            self.note(Level::Info, words);
        }
        let outcome = self.make(call, making)?;
        self.progress().bytes += size_of(&outcome);
        given(outcome)
    }

    fn sleep(&self, duration: Duration) -> Result<(), Interruption> {
        let wait = |duration| self.ledger.wait(duration).map_err(Interruption::Stopped);
        if duration < SHORTEST_DURABLE_SLEEP {
            return if self.is_replaying() {
                Ok(())
            } else {
                wait(duration)
            };
        }
        let position = self.position();
        self.pass(position);
        let arguments = Value::Int(duration.as_millis() as i64);
        let digest = Digest::of(&[b"time::sleep", arguments.to_string().as_bytes()]);
        let step = self.instance.clone();
        let slept = CallRecord {
            function: "time::sleep".into(),
            arguments: shown(&arguments, &self.redactor),
            digest,
            class: Class::Read,
        };
        let event = match self.recorded.get(position as usize) {
            Some(effect) if effect.call.digest != digest => {
                return Err(Interruption::Stopped(Stop::Diverged {
                    position,
                    recorded: describe(&effect.call.function, &effect.call.arguments),
                    made: describe("time::sleep", &shown(&arguments, &self.redactor)),
                }));
            }
            Some(effect) if effect.outcome.is_some() => return Ok(()),
            Some(_) => None,
            None => Some(Event::EffectIntended(EffectIntended {
                step: step.clone(),
                position: Position(position),
                call: slept.clone(),
                before: None,
            })),
        };
        self.observer.doing(&self.instance, "time::sleep");
        let (began, since) = (self.ledger.now(), Instant::now());
        let left = match (event, self.recorded.get(position as usize)) {
            (Some(event), _) => {
                let name = format!("{position} time::sleep: intent");
                self.enter("time::sleep", &name, Box::pin(async { event.into() }))?;
                duration
            }
            (None, Some(effect)) => {
                let slept = self.ledger.now().since(effect.at);
                duration.saturating_sub(slept)
            }
            (None, None) => duration,
        };
        wait(left)?;
        let outcome = EffectOutcome::Done(Value::Null);
        let ended = Event::EffectEnded(EffectEnded {
            step,
            position: Position(position),
            call: None,
            outcome: outcome.clone(),
        });
        let name = format!("{position} time::sleep");
        let (_, is_old) = self.enter("time::sleep", &name, Box::pin(async { ended.into() }))?;
        if !is_old {
            self.observer.called(&Called {
                id: &self.call_id(position),
                record: &slept,
                began,
                took: since.elapsed(),
                outcome: &outcome,
            });
        }
        Ok(())
    }

    fn is_replaying(&self) -> bool {
        (self.progress().position as usize) < self.recorded.len()
    }

    fn note(&self, level: Level, message: String) {
        if self.is_replaying() {
            return;
        }
        let Some(message) = self.within_budget(message) else {
            return;
        };
        let message = self.redactor.owned(message);
        // The message may contain what was read. If the journal is broken, the next effect reports it.
        if self.ledger.settle().is_err() {
            return;
        }
        self.observer.said(&self.instance, &message);
        let noted = self.ledger.note(Event::Logged(Logged {
            step: self.instance.clone(),
            level,
            message,
        }));
        self.progress().events.push(noted);
    }
}

#[cfg(test)]
mod tests;
