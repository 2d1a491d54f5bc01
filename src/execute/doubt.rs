//! Calls that nobody knows the end of: the process died inside, or the answer was lost.

use super::{
    gate::{Gate, Purpose, outcome_of},
    shown::{describe, shown},
};
use crate::{
    journal::{EffectOutcome, Event, Position},
    script::{Call, Class, EffectKey, Interruption, Stop},
    value::Value,
};

impl Gate {
    /// Looks for the effect of a call that is in doubt, or does it again.
    pub(super) fn settle_doubt(
        &self,
        call: Call,
        key: EffectKey,
        position: u32,
    ) -> Result<EffectOutcome, Interruption> {
        match (call.class, call.look) {
            (Class::Unsure, _) if self.purpose == Purpose::Settle => {
                Err(Interruption::Stopped(Stop::Settled))
            }
            (Class::Unsure, _) => Err(Interruption::Stopped(Stop::InDoubt {
                position,
                call: describe(call.function, &shown(&call.arguments)),
            })),
            (Class::Found, Some(look)) => {
                let mut found = None;
                let looked = self.act(
                    {
                        let key = key.clone();
                        Box::new(move |_| {
                            Box::pin(async move {
                                Ok(look(key)
                                    .await?
                                    .map_or(Value::Null, |v| Value::List(vec![v])))
                            })
                        })
                    },
                    key.clone(),
                )?;
                match looked {
                    Ok(Value::List(mut one)) => found = one.pop(),
                    Ok(_) => {}
                    Err(failure) => return Ok(EffectOutcome::Failed(failure)),
                }
                match (found, self.purpose) {
                    (Some(value), _) => Ok(EffectOutcome::Done(value)),
                    (None, Purpose::Settle) => Ok(EffectOutcome::NotDone),
                    (None, Purpose::Forward) => self.act(call.act, key).map(outcome_of),
                }
            }
            _ => self.act(call.act, key).map(outcome_of),
        }
    }

    /// Finds out what became of a recorded effect whose answer was lost, and remembers it for
    /// the undo; the script sees what it saw.
    pub(super) fn settle(&self, call: Call, position: u32) -> Result<(), Interruption> {
        let key = self.key(position);
        match self.settle_doubt(call, key, position)? {
            // Still nobody knows.
            EffectOutcome::Failed(failure) if failure.is_unknown => Ok(()),
            outcome => self.record(Event::EffectSettled {
                step: self.instance.clone(),
                round: self.round,
                position: Position(position),
                outcome,
            }),
        }
    }
}
