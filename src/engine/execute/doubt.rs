//! Settles calls in doubt: the process died inside the call, or the answer was lost.

use std::time::Duration;

use super::{entries::outcome_of, shown::describe, stops::Stops};
use windlass_journal::{CallRecord, EffectOutcome};
use windlass_script::{Call, Class, EffectKey, OnStop, Stop};
use windlass_world::value::{Proof, Value};

/// How often to look whether what an earlier process started is still at work.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Looks for the effect of a call in doubt, or makes the call again.
///
/// `age` is how long ago it was announced, in milliseconds; `None` if that is not known.
pub(super) async fn settle_doubt(
    call: Call,
    record: &CallRecord,
    key: EffectKey,
    position: u32,
    age: Option<i64>,
    stops: &Stops,
) -> Result<EffectOutcome, Stop> {
    let in_doubt = || {
        Err(Stop::InDoubt {
            position,
            call: describe(&record.function, &record.arguments),
            refused: None,
        })
    };
    if let Some(left) = &call.left {
        while left(&key).is_some() {
            let pause = async {
                tokio::time::sleep(LOOK_AGAIN).await;
                Ok(Value::Null)
            };
            let _ = stops.act(pause, OnStop::Drop).await?;
        }
    }
    let act = call.again.unwrap_or(call.act);
    match (call.class, call.look) {
        (Class::Unsure, _) => in_doubt(),
        (Class::Keyed, _) if !is_key_alive(call.key_lives, age) => in_doubt(),
        (Class::Found, Some(look)) => {
            let looking = look(key.clone());
            let mut found = None;
            let looked = async {
                found = looking.await?;
                Ok(Value::Null)
            };
            if let Err(failure) = stops.act(looked, OnStop::Await).await? {
                return Ok(EffectOutcome::Failed(failure));
            }
            match found {
                Some(value) => Ok(EffectOutcome::Done(value)),
                None => stops.act(act(key), call.on_stop).await.map(outcome_of),
            }
        }
        _ => {
            let repeated = stops.act(act(key), call.on_stop).await;
            repeated.map(|result| still_in_doubt(outcome_of(result)))
        }
    }
}

/// The refusal of a repetition says nothing about the first call, which may be why the repetition is refused.
fn still_in_doubt(outcome: EffectOutcome) -> EffectOutcome {
    match outcome {
        EffectOutcome::Failed(failure) if !failure.is_done => {
            EffectOutcome::Failed(failure.proving(Proof::Unknown))
        }
        other => other,
    }
}

/// Says whether the other side still knows the call's key, so that it does not make the call twice.
pub(super) fn is_key_alive(lives: Option<Duration>, age: Option<i64>) -> bool {
    match (lives, age) {
        (None, _) => true,
        // If the clock was set back, the age is not known.
        (Some(lives), Some(age)) => (0..=lives.as_millis() as i64).contains(&age),
        (Some(_), None) => false,
    }
}
