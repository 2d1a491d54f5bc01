use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    observer::Observer,
    shown::{describe, shown},
};
use crate::{
    journal::{
        CallRecord, EffectOutcome, EffectState, Event, InstanceId, JournalError, Position,
        RunJournal, crash_point,
    },
    script::{Act, Before, Call, Class, EffectKey, Effects, Interruption, Level, Stop},
    value::{Digest, Failure, Value},
};

/// Shorter waits are not worth two syncs of the disk: after a crash they begin again.
const SHORTEST_DURABLE_SLEEP: Duration = Duration::from_secs(1);
/// Larger things go to files; the journal and every replay hold each result in memory.
const MAX_RESULT_BYTES: usize = 1 << 20;

/// The gate of one attempt: every effect of its script goes through here, in order.
///
/// Recorded effects are replayed without touching the world; the first one that is not recorded
/// is done, with its intent durable before and its result durable after.
pub(super) struct Gate {
    pub run: Arc<RunJournal>,
    pub runtime: Handle,
    pub instance: InstanceId,
    /// How often the instance was reset: another round has other keys.
    pub round: u32,
    pub recorded: Vec<EffectState>,
    pub cancelled: Arc<AtomicBool>,
    pub cancellation: CancellationToken,
    pub deadline: Option<(Instant, Duration)>,
    pub observer: Arc<dyn Observer>,
    pub clock: fn() -> i64,
    pub purpose: Purpose,
    pub progress: Mutex<Progress>,
}

/// What an attempt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To go on from where the records end.
    Forward,
    /// To find out what became of the effects that nobody knows the end of, ahead of an undo;
    /// nothing is done beyond the records.
    Settle,
}

#[derive(Default)]
pub(super) struct Progress {
    /// Of the next effect.
    position: u32,
    /// What was recorded by this attempt, in order, for the fold.
    pub events: Vec<(Event, i64)>,
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

    /// The same for ever for one position of one round of one instance of one run.
    pub(super) fn key(&self, position: u32) -> EffectKey {
        let digest = Digest::of(&[
            self.run.id().as_str().as_bytes(),
            self.instance.as_str().as_bytes(),
            &self.round.to_be_bytes(),
            &position.to_be_bytes(),
        ]);
        EffectKey::new(digest.short(32))
    }

    pub(super) fn record(&self, event: Event) -> Result<(), Interruption> {
        let at = (self.clock)();
        self.run.append(vec![(event.clone(), at)]).map_err(broken)?;
        self.progress().events.push((event, at));
        Ok(())
    }

    fn check_stop(&self) -> Result<(), Interruption> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Interruption::Stopped(Stop::Cancelled));
        }
        match self.deadline {
            Some((at, timeout)) if Instant::now() >= at => {
                Err(Interruption::Stopped(Stop::TimedOut(timeout)))
            }
            _ => Ok(()),
        }
    }

    /// Makes the call; a cancel lets it end, the step's timeout does not.
    pub(super) fn act(
        &self,
        act: Act,
        key: EffectKey,
    ) -> Result<Result<Value, Failure>, Interruption> {
        self.act_or_stop(act, key, false)
    }

    fn act_or_stop(
        &self,
        act: Act,
        key: EffectKey,
        is_cancellable: bool,
    ) -> Result<Result<Value, Failure>, Interruption> {
        crash_point();
        let times_out = async {
            match self.deadline {
                Some((at, timeout)) => {
                    tokio::time::sleep_until(at.into()).await;
                    Stop::TimedOut(timeout)
                }
                None => std::future::pending().await,
            }
        };
        let done = self.runtime.block_on(async {
            tokio::select! {
                biased;
                outcome = act(key) => Ok(outcome),
                stop = times_out => Err(Interruption::Stopped(stop)),
                () = self.cancellation.cancelled(), if is_cancellable => {
                    Err(Interruption::Stopped(Stop::Cancelled))
                }
            }
        });
        // The other side has acted, and nobody here knows it yet.
        crash_point();
        done
    }

    /// Looks at what is there before a call; a failure of that is the call's own.
    fn look_before(
        &self,
        before: Option<Before>,
    ) -> Result<Result<Option<Value>, Failure>, Interruption> {
        let Some(before) = before else {
            return Ok(Ok(None));
        };
        let looked = self.act(Box::new(|_| before()), EffectKey::new(String::new()))?;
        Ok(looked.map(Some))
    }
}

pub(super) fn outcome_of(result: Result<Value, Failure>) -> EffectOutcome {
    match result {
        Ok(value) => EffectOutcome::Done(value),
        Err(failure) => EffectOutcome::Failed(failure),
    }
}

impl Effects for Gate {
    fn perform(&self, call: Call) -> Result<Value, Interruption> {
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
            if self.purpose == Purpose::Settle && effect.is_unknown() {
                let outcome = effect.outcome.clone();
                self.settle(call, position)?;
                return match outcome {
                    Some(EffectOutcome::Failed(failure)) => Err(Interruption::Failed(failure)),
                    _ => Err(Interruption::Stopped(Stop::Settled)),
                };
            }
            match &effect.outcome {
                Some(EffectOutcome::Done(value)) => return Ok(value.clone()),
                Some(EffectOutcome::Failed(failure)) => {
                    return Err(Interruption::Failed(failure.clone()));
                }
                Some(EffectOutcome::NotDone) | None => {}
            }
        }
        if self.purpose == Purpose::Settle {
            return Err(Interruption::Stopped(Stop::Settled));
        }
        self.check_stop()?;
        let is_in_doubt = recorded.is_some();
        let (function, class) = (call.function, call.class);
        let record = CallRecord {
            function: function.into(),
            arguments: shown(&call.arguments),
            digest,
            class,
        };
        // A read changes nothing, so nobody needs to know that it was about to happen.
        let is_announced = is_in_doubt || class != Class::Read;
        self.observer.doing(&self.instance, function);
        let mut call = call;
        let mut outcome = None;
        if !is_in_doubt && is_announced {
            let before = match self.look_before(call.before.take())? {
                Ok(before) => before,
                Err(failure) => {
                    // Nothing was done; that is known.
                    outcome = Some(EffectOutcome::Failed(Failure {
                        is_unknown: false,
                        ..failure
                    }));
                    None
                }
            };
            self.record(Event::EffectIntended {
                step: self.instance.clone(),
                position: Position(position),
                call: record.clone(),
                before,
            })?;
        }
        let key = self.key(position);
        let outcome = match (outcome, is_in_doubt) {
            (Some(outcome), _) => outcome,
            (None, true) => self.settle_doubt(call, key, position)?,
            (None, false) => outcome_of(self.act_or_stop(call.act, key, call.is_cancellable)?),
        };
        if let EffectOutcome::Done(value) = &outcome {
            let bytes = value.to_json().to_string().len();
            if bytes > MAX_RESULT_BYTES {
                return Err(Interruption::Stopped(Stop::TooLarge {
                    call: function.into(),
                    bytes,
                }));
            }
        }
        self.record(Event::EffectEnded {
            step: self.instance.clone(),
            position: Position(position),
            call: (!is_announced).then_some(record),
            outcome: outcome.clone(),
        })?;
        match outcome {
            EffectOutcome::Done(value) => Ok(value),
            EffectOutcome::Failed(failure) => Err(Interruption::Failed(failure)),
            EffectOutcome::NotDone => Err(Interruption::Stopped(Stop::Settled)),
        }
    }

    fn sleep(&self, duration: Duration) -> Result<(), Interruption> {
        if duration < SHORTEST_DURABLE_SLEEP {
            return match (self.is_replaying(), self.purpose) {
                (true, _) => Ok(()),
                (false, Purpose::Forward) => self.wait(duration),
                (false, Purpose::Settle) => Err(Interruption::Stopped(Stop::Settled)),
            };
        }
        let position = self.next_position();
        let arguments = Value::Int(duration.as_millis() as i64);
        let digest = Digest::of(&[b"time::sleep", arguments.to_string().as_bytes()]);
        let began = match self.recorded.get(position as usize) {
            Some(effect) if effect.call.digest != digest => {
                return Err(Interruption::Stopped(Stop::Diverged {
                    position,
                    recorded: describe(&effect.call.function, &effect.call.arguments),
                    made: describe("time::sleep", &shown(&arguments)),
                }));
            }
            Some(EffectState {
                outcome: Some(_), ..
            }) => return Ok(()),
            _ if self.purpose == Purpose::Settle => {
                return Err(Interruption::Stopped(Stop::Settled));
            }
            Some(effect) => effect.at,
            None => {
                let call = CallRecord {
                    function: "time::sleep".into(),
                    arguments: shown(&arguments),
                    digest,
                    class: Class::Read,
                };
                let (step, position) = (self.instance.clone(), Position(position));
                self.record(Event::EffectIntended {
                    step,
                    position,
                    call,
                    before: None,
                })?;
                (self.clock)()
            }
        };
        self.observer.doing(&self.instance, "time::sleep");
        let slept = (self.clock)().saturating_sub(began).max(0) as u64;
        self.wait(duration.saturating_sub(Duration::from_millis(slept)))?;
        self.record(Event::EffectEnded {
            step: self.instance.clone(),
            position: Position(position),
            call: None,
            outcome: EffectOutcome::Done(Value::Null),
        })
    }

    fn is_replaying(&self) -> bool {
        (self.progress().position as usize) < self.recorded.len()
    }

    fn note(&self, level: Level, message: String) {
        if self.is_replaying() || self.purpose == Purpose::Settle {
            return;
        }
        self.observer.said(&self.instance, &message);
        let event = Event::Logged {
            step: self.instance.clone(),
            level,
            message,
        };
        // If the journal is broken, the next effect says so.
        let _ = self.run.append_lazily(vec![(event, (self.clock)())]);
    }
}

impl Gate {
    fn wait(&self, duration: Duration) -> Result<(), Interruption> {
        self.check_stop()?;
        let until = Instant::now() + duration;
        let (wake, times_out) = match self.deadline {
            Some((at, timeout)) if at < until => (at, Some(timeout)),
            _ => (until, None),
        };
        let was_cancelled = self.runtime.block_on(async {
            tokio::select! {
                () = self.cancellation.cancelled() => true,
                () = tokio::time::sleep_until(wake.into()) => false,
            }
        });
        match (was_cancelled, times_out) {
            (true, _) => Err(Interruption::Stopped(Stop::Cancelled)),
            (false, Some(timeout)) => Err(Interruption::Stopped(Stop::TimedOut(timeout))),
            (false, None) => Ok(()),
        }
    }
}

fn broken(error: JournalError) -> Interruption {
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(&error) {
        text = format!("{text}: {source}");
    }
    Interruption::Stopped(Stop::Journal(text))
}
