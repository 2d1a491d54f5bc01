//! Calls that nobody knows the end of: the process died inside, or the answer was lost.

use super::{
    entries::outcome_of,
    shown::{describe, shown},
    stops::Stops,
};
use crate::{
    journal::EffectOutcome,
    script::{Call, Class, EffectKey, OnStop, Stop},
};

/// Looks for the effect of a call that is in doubt, or does it again.
pub(super) async fn settle_doubt(
    call: Call,
    key: EffectKey,
    position: u32,
    stops: &Stops,
) -> Result<EffectOutcome, Stop> {
    match (call.class, call.look) {
        (Class::Unsure, _) => Err(Stop::InDoubt {
            position,
            call: describe(call.function, &shown(&call.arguments)),
        }),
        (Class::Found, Some(look)) => {
            let looking = look(key.clone());
            let mut found = None;
            let looked = async {
                found = looking.await?;
                Ok(crate::value::Value::Null)
            };
            if let Err(failure) = stops.act(looked, OnStop::Await).await? {
                return Ok(EffectOutcome::Failed(failure));
            }
            match found {
                Some(value) => Ok(EffectOutcome::Done(value)),
                None => stops
                    .act((call.act)(key), call.on_stop)
                    .await
                    .map(outcome_of),
            }
        }
        _ => stops
            .act((call.act)(key), call.on_stop)
            .await
            .map(outcome_of),
    }
}
