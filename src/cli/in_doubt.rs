//! `--answer`: the operator says whether a call in doubt was made.

use super::{failure::Failure, process::requester};
use crate::{
    compile::parse_value,
    journal::{Event, InstanceId, NotAnInstance, State},
    runs::{DoubtAnswer, Person, answered},
    value::Value,
};

const FORM: &str = "write --answer STEP=done, STEP=done:VALUE or STEP=again";

/// Makes the event of an answer, as the command line has it.
pub fn event(state: &State, text: &str) -> Result<Event, Failure> {
    let (step, answer) = read(text)?;
    let who = Person {
        name: requester(),
        via: None,
    };
    let event = answered(state, &step, &answer, &who);
    event.map_err(|error| Failure::from(error).hint(FORM))
}

/// Reads `STEP=done`, `STEP=done:VALUE` or `STEP=again`.
pub fn read(text: &str) -> Result<(InstanceId, DoubtAnswer), Failure> {
    if let Some(step) = text.strip_suffix("=again") {
        return Ok((instance(step)?, DoubtAnswer::Again));
    }
    let unreadable = || wrong(format!("`{text}` is not a valid answer"));
    let (step, value) = text.split_once("=done").ok_or_else(unreadable)?;
    let value = match (value, value.strip_prefix(':')) {
        ("", _) => Value::Null,
        (_, Some(value)) => parse_value(value)
            .map_err(|why| wrong(format!("the value for `{step}` can't be read: {why}")))?,
        (_, None) => return Err(unreadable()),
    };
    Ok((instance(step)?, DoubtAnswer::Done(value)))
}

fn instance(text: &str) -> Result<InstanceId, Failure> {
    text.parse()
        .map_err(|why: NotAnInstance| wrong(why.to_string()))
}

fn wrong(why: String) -> Failure {
    Failure::new("bad-answer", why).hint(FORM)
}
