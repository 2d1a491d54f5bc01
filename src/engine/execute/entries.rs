//! Writes the entries of a call to the ledger: its announcement, its result, and how a doubt was settled.

use super::{doubt::settle_doubt, gate::Gate, stops::Stops, substrate::Made};
use windlass_ground::Timestamp;
use windlass_journal::{
    CallRecord, EffectEnded, EffectIntended, EffectOutcome, EffectState, Event, Position,
};
use windlass_script::{Call, Class, EffectKey, Interruption, OnStop, Stop};
use windlass_world::value::{Failure, Proof, Value};

/// Larger data must go to files: the journal and every replay hold each result in memory.
const MAX_RESULT_BYTES: usize = 1 << 20;
/// The limit for all results of a step together: Restate returns them in one message, of 32 MiB at most.
pub(super) const MAX_STEP_BYTES: usize = 16 << 20;

impl Gate {
    /// Announces a call, with the state before it. A failure to read that state is the call's own failure, and ends
    /// the call. Says whether an earlier life announced it: then that life may have made the call, too.
    pub(super) fn announce(
        &self,
        call: &mut Call,
        record: CallRecord,
        position: u32,
    ) -> Result<Announced, Interruption> {
        let (name, function) = (
            format!("{position} {}: intent", call.function),
            call.function,
        );
        let (reported, at) = (record.clone(), position);
        let (step, position) = (self.instance.clone(), Position(position));
        let (stops, before) = (self.ledger.stops(), call.before.take());
        let making = async move {
            if let Err(stop) = stops.check() {
                return Made::stopped(stop);
            }
            let looked = match before {
                None => Ok(None),
                Some(before) => match stops.act(before(), OnStop::Await).await {
                    Err(stop) => return Made::stopped(stop),
                    Ok(looked) => looked.map(Some),
                },
            };
            let intended = |before| {
                Event::EffectIntended(EffectIntended {
                    step: step.clone(),
                    position,
                    call: record,
                    before,
                })
            };
            match looked {
                // The call is made next.
                Ok(before) => Made::from(intended(before)).urgent(),
                Err(failure) => {
                    // The call was certainly not made.
                    let outcome = EffectOutcome::Failed(failure.proving(Proof::NotDone));
                    let ended = Event::EffectEnded(EffectEnded {
                        step: step.clone(),
                        position,
                        call: None,
                        outcome,
                    });
                    Made {
                        events: vec![intended(None), ended],
                        ..Made::default()
                    }
                }
            }
        };
        let making = self.reporting(reported, at, Box::pin(making));
        Ok(match self.enter_redacted(function, &name, making)? {
            (Some((Event::EffectEnded(EffectEnded { outcome, .. }), _)), _) => {
                Announced::Ended(outcome)
            }
            (last, is_old) => Announced::Intended {
                is_old,
                at: last.map_or_else(|| self.ledger.now(), |(_, at)| at),
            },
        })
    }

    /// Reads the state again before a call in doubt is repeated, and records it if others have changed it since the call was announced.
    /// Returns the outcome if the look failed, which ends the call; it stays in doubt.
    pub(super) fn look_again(
        &self,
        call: &mut Call,
        recorded: &EffectState,
        position: u32,
    ) -> Result<Option<EffectOutcome>, Interruption> {
        let (Some(first), Some(before), Some(replaces)) = (
            recorded.before.clone(),
            call.before.take(),
            call.replaces.take(),
        ) else {
            return Ok(None);
        };
        let name = format!("{position} {}: look again", call.function);
        let (step, position) = (self.instance.clone(), Position(position));
        let (record, stops) = (recorded.call.clone(), self.ledger.stops());
        let redactor = self.redactor.clone();
        let making = async move {
            if let Err(stop) = stops.check() {
                return Made::stopped(stop);
            }
            match stops.act(before(), OnStop::Await).await {
                Err(stop) => Made::stopped(stop),
                Ok(Ok(again)) => {
                    // As the first one was recorded: a secret that an object quotes is no difference.
                    let again = redactor.value(again);
                    if !replaces(&first, &again) {
                        return Made::default();
                    }
                    Made::from(Event::EffectIntended(EffectIntended {
                        step,
                        position,
                        call: record,
                        before: Some(again),
                    }))
                    .urgent()
                }
                Ok(Err(failure)) => Made::from(Event::EffectEnded(EffectEnded {
                    step,
                    position,
                    call: None,
                    outcome: EffectOutcome::Failed(failure.proving(Proof::Unknown)),
                })),
            }
        };
        let entered = self.enter(call.function, &name, Box::pin(making))?;
        Ok(match entered {
            (Some((Event::EffectEnded(EffectEnded { outcome, .. }), _)), _) => Some(outcome),
            _ => None,
        })
    }

    /// Makes a call, or settles a call in doubt, and records the result.
    pub(super) fn make(&self, call: Call, making: MakeCall) -> Result<EffectOutcome, Interruption> {
        let MakeCall {
            position,
            record,
            is_in_doubt,
            is_announced,
            is_begun,
            announced_at,
            room,
        } = making;
        let (name, function) = (format!("{position} {}", call.function), call.function);
        let (call, reported, at) = (self.tracing(call, position), record.clone(), position);
        let (key, stops) = (self.key(position), self.ledger.stops());
        let (step, clock) = (self.instance.clone(), self.ledger.clock());
        let making = async move {
            if !is_begun && let Err(stop) = stops.check() {
                return Made::stopped(stop);
            }
            let function = call.function;
            let done = if is_in_doubt {
                let age = announced_at.map(|at| clock().millis_since(at));
                settle_doubt(call, &record, key, position, age, &stops).await
            } else {
                act(call, key, &stops).await
            };
            let done = done.and_then(|outcome| check_size(function, outcome, room));
            let position = Position(position);
            // A repeated read, a call with a key and a look return the same result; other calls do not.
            let is_urgent = record.class == Class::Unsure;
            let call = (!is_announced).then_some(record);
            match (done, call) {
                (Ok(outcome), call) => Made {
                    events: vec![Event::EffectEnded(EffectEnded {
                        step,
                        position,
                        call,
                        outcome,
                    })],
                    stop: None,
                    is_urgent,
                },
                // The call may have been made nevertheless, and an undo must know of it.
                (Err(stop), Some(call)) if call.class != Class::Read => Made {
                    events: vec![Event::EffectIntended(EffectIntended {
                        step,
                        position,
                        call,
                        before: None,
                    })],
                    stop: Some(stop),
                    is_urgent: true,
                },
                (Err(stop), _) => Made::stopped(stop),
            }
        };
        let making = self.reporting(reported, at, Box::pin(making));
        match self.enter_redacted(function, &name, making)? {
            (Some((Event::EffectEnded(EffectEnded { outcome, .. }), _)), _) => Ok(outcome),
            _ => Err(Interruption::Stopped(Stop::Journal(
                "an entry of a call holds no result".into(),
            ))),
        }
    }
}

/// The result of an announcement.
pub(super) enum Announced {
    Intended {
        is_old: bool,
        at: Timestamp,
    },
    /// The state before could not be read.
    Ended(EffectOutcome),
}

/// How a call is made.
pub(super) struct MakeCall {
    pub position: u32,
    pub record: CallRecord,
    /// The call may have been made before.
    pub is_in_doubt: bool,
    pub is_announced: bool,
    /// `None` if it was not announced.
    pub announced_at: Option<Timestamp>,
    /// The call was announced just now, so a cancel lets it end.
    pub is_begun: bool,
    /// How many bytes its result may have, besides the results of the step's other calls.
    pub room: usize,
}

async fn act(call: Call, key: EffectKey, stops: &Stops) -> Result<EffectOutcome, Stop> {
    let done = stops.act((call.act)(key), call.on_stop).await;
    done.map(outcome_of)
}

fn check_size(function: &str, outcome: EffectOutcome, room: usize) -> Result<EffectOutcome, Stop> {
    let bytes = size_of(&outcome);
    let (call, step_bytes) = (function.to_owned(), MAX_STEP_BYTES - room + bytes);
    if bytes > MAX_RESULT_BYTES {
        return Err(Stop::TooLarge { call, bytes });
    }
    if bytes > room {
        Err(Stop::TooMuch { call, step_bytes })
    } else {
        Ok(outcome)
    }
}

/// Returns the size of a result in the journal.
pub(super) fn size_of(outcome: &EffectOutcome) -> usize {
    match outcome {
        EffectOutcome::Done(value) => {
            let json = value.reveal_json();
            json.unwrap_or_else(|_| value.to_json()).to_string().len()
        }
        EffectOutcome::Failed(_) | EffectOutcome::NotDone => 0,
    }
}

pub(super) fn outcome_of(result: Result<Value, Failure>) -> EffectOutcome {
    match result {
        Ok(value) => EffectOutcome::Done(value),
        Err(failure) => EffectOutcome::Failed(failure),
    }
}
