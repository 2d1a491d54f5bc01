//! `--answer`: the operator says whether a call in doubt was made.

use super::failure::Failure;
use crate::{
    compile::parse_value,
    journal::{InstanceId, NotAnInstance, State},
    runs::{DoubtAnswer, RunsError, after_answers},
    value::Value,
};

const FORM: &str =
    "write --answer STEP=done, STEP=done:VALUE or STEP=again; in an undo, also STEP=leave";

/// Adds answers from the command line to the state of a run that has ended.
pub fn after(state: State, texts: &[String]) -> Result<State, Failure> {
    after_answers(state, &read_all(texts)?).map_err(refused)
}

/// Adds the form of an answer to the error about one.
pub fn refused(error: RunsError) -> Failure {
    match error.code {
        "bad-answer" => Failure::from(error).hint(FORM),
        _ => error.into(),
    }
}

/// Reads several answers.
pub fn read_all(texts: &[String]) -> Result<Vec<(InstanceId, DoubtAnswer)>, Failure> {
    texts.iter().map(|text| read(text)).collect()
}

/// Reads `STEP=done`, `STEP=done:VALUE`, `STEP=again` or `STEP=leave`.
fn read(text: &str) -> Result<(InstanceId, DoubtAnswer), Failure> {
    if let Some(step) = text.strip_suffix("=again") {
        return Ok((instance(step)?, DoubtAnswer::Again));
    }
    if let Some(step) = text.strip_suffix("=leave") {
        return Ok((instance(step)?, DoubtAnswer::Leave));
    }
    let unreadable = || wrong(format!("`{text}` is not a valid answer"));
    let (step, value) = text.split_once("=done").ok_or_else(unreadable)?;
    let value = match (value, value.strip_prefix(':')) {
        ("", _) => Value::Null,
        (_, Some(value)) => parse_value(value)
            .map_err(|why| wrong(format!("can't read the value for `{step}`: {why}")))?,
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
