//! Settles effects in doubt before their undo.

use super::{doubt::is_key_alive, gate::Gate, shown::describe, substrate::Made, undo::ended};
use windlass_journal::{
    EffectOutcome, EffectSettled, EffectState, Event, InstanceId, Position, RunId,
};
use windlass_script::{self as script, Class, Effects, Ended, Finding, OnStop, Stop};
use windlass_world::{
    outside::Clients,
    value::{Command, StepError, Value},
};

/// The place of an effect in its run.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub step: &'a InstanceId,
    pub round: u32,
    pub position: u32,
}

/// How an undo gets to know whether an effect was made, if it must know that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundOut {
    /// It looks for it.
    ByLook,
    /// Only a person can say it.
    ByAnswer,
}

/// Says how an undo finds out whether an effect was made; `None` if restoring the former state is enough.
pub fn found_out(effect: &EffectState, clients: &Clients) -> Option<FoundOut> {
    match finding(effect, clients) {
        Finding::NotNeeded => None,
        Finding::By { .. } => Some(FoundOut::ByLook),
        Finding::Impossible => Some(FoundOut::ByAnswer),
    }
}

fn finding(effect: &EffectState, clients: &Clients) -> Finding {
    if !effect.is_unknown() {
        return Finding::NotNeeded;
    }
    let before = effect.before.as_ref().unwrap_or(&Value::Null);
    // The author's undo reverses what the call made. If the call was not made, the same request may delete what is someone else's.
    if script::needs_its_call(&effect.call.function, &effect.call.arguments, before) {
        return Finding::Impossible;
    }
    if effect.call.class == Class::Unsure {
        Finding::NotNeeded
    } else {
        script::finding(&effect.call.function, before, clients)
    }
}

impl Gate {
    /// Finds out whether an effect of another instance was made, if its reversal needs to know, and records the result. This does
    /// not involve the script, which may have changed or may no longer exist.
    pub(super) fn settle(
        &self,
        place: Place,
        effect: &EffectState,
        clients: &Clients,
    ) -> Result<EffectState, Ended> {
        let mut effect = effect.clone();
        let in_doubt = Stop::InDoubt {
            position: place.position,
            call: describe(&effect.call.function, &effect.call.arguments),
            refused: match &effect.outcome {
                Some(EffectOutcome::Failed(failure)) => Some(failure.clone()),
                _ => None,
            },
        };
        let (look, within) = match finding(&effect, clients) {
            Finding::NotNeeded => return Ok(effect),
            Finding::By { look, within } => (look, within),
            // Earlier versions did not ask about a call with a key. What their undo has done is replayed.
            Finding::Impossible if effect.call.class != Class::Unsure && self.is_replaying() => {
                return Ok(effect);
            }
            Finding::Impossible => return Err(Ended::Stopped(in_doubt, None)),
        };
        let function = &effect.call.function;
        let name = format!("{} {} {function}: settle", place.step, place.position);
        let key = self.key_of(place.step, place.round, place.position);
        let stops = self.ledger.stops();
        let (step, round) = (place.step.clone(), place.round);
        let position = Position(place.position);
        let (clock, called_at) = (self.ledger.clock(), effect.at);
        let making = async move {
            if !is_key_alive(within, Some(clock().millis_since(called_at))) {
                return Made::stopped(in_doubt);
            }
            let mut found = None;
            let looking = async {
                found = look(key).await?;
                Ok(Value::Null)
            };
            let outcome = match stops.act(looking, OnStop::Await).await {
                Err(stop) => return Made::stopped(stop),
                // It is still not known.
                Ok(Err(_)) => return Made::default(),
                Ok(Ok(_)) => found.map_or(EffectOutcome::NotDone, EffectOutcome::Done),
            };
            Event::EffectSettled(EffectSettled {
                step,
                round,
                position,
                outcome,
            })
            .into()
        };
        match self
            .enter(function, &name, Box::pin(making))
            .map_err(ended)?
        {
            (Some((Event::EffectSettled(EffectSettled { outcome, .. }), _)), _) => {
                effect.settled = Some(outcome);
                Ok(effect)
            }
            _ => Err(still_unknown(&self.run, place.step, function).into()),
        }
    }
}

fn still_unknown(run: &RunId, step: &InstanceId, function: &str) -> StepError {
    let message =
        format!("it is not known whether {function} was done, and it could not be looked up");
    let undo = || Command::new("undo").arg(run);
    let answer = |what| undo().option("--answer", format!("{step}={what}"));
    StepError::new("undo-unknown", message).with_hint(format!(
        "to check again: `{}`; if it was done: `{}`; if it was not: `{}`",
        undo(),
        answer("done:VALUE"),
        answer("again")
    ))
}
