//! Calls that nobody knows the end of: the process died inside, or the answer was lost.

use super::{entries::outcome_of, shown::describe, stops::Stops};
use crate::{
    journal::{CallRecord, EffectOutcome},
    script::{Call, Class, EffectKey, Stop},
};

/// Looks for the effect of a call that is in doubt, or does it again.
pub(super) async fn settle_doubt(
    call: Call,
    record: &CallRecord,
    key: EffectKey,
    position: u32,
    stops: &Stops,
) -> Result<EffectOutcome, Stop> {
    match (call.class, call.look) {
        (Class::Unsure, _) => Err(Stop::InDoubt {
            position,
            call: describe(&record.function, &record.arguments),
        }),
        (Class::Found, Some(look)) => {
            let looking = look(key.clone());
            let mut found = None;
            let looked = async {
                found = looking.await?;
                Ok(crate::value::Value::Null)
            };
            if let Err(failure) = stops.act(looked, false).await? {
                return Ok(EffectOutcome::Failed(failure));
            }
            match found {
                Some(value) => Ok(EffectOutcome::Done(value)),
                None => stops.act((call.act)(key), false).await.map(outcome_of),
            }
        }
        _ => stops.act((call.act)(key), false).await.map(outcome_of),
    }
}
