//! Counts how often each answer of a test was used, from the log of its calls.

use std::collections::{BTreeMap, VecDeque};

use super::log::{Answered, Line, Log};
use crate::{
    compile::{Given, QuestionEnd},
    journal::{EffectEnded, EffectIntended, Event, InstanceId, State},
    script::EffectKey,
    value::Value,
};

/// Returns how often an answer has been used.
pub fn used(log: &Log, number: usize) -> usize {
    let lines = log.lines.iter();
    lines
        .filter(|line| matches!(&line.answer, Answered::Given { number: n } | Answered::Lost { number: n, .. } if *n == number))
        .count()
}

/// Returns how often an answer may be used.
pub fn most(given: &[Given], number: usize) -> usize {
    let one = &given[number];
    let is_same =
        |other: &&Given| other.function == one.function && other.arguments == one.arguments;
    match one.times {
        Some(times) => times as usize,
        None if given[number + 1..].iter().any(|other| is_same(&other)) => 1,
        None => usize::MAX,
    }
}

/// Returns the result of a call whose answer was lost, by its key.
pub fn lost_in(log: &Log, key: &EffectKey) -> Option<Value> {
    log.lines.iter().find_map(|line| match &line.answer {
        Answered::Lost { value, .. } if line.key == key.as_str() => {
            Value::parse_json(&value.to_string()).ok()
        }
        _ => None,
    })
}

/// Returns the answers to calls that a process died before recording. The calls of a step are made one after another, so these are the last
/// calls in the log that the journal does not have.
pub fn unrecorded(lines: &[Line], events: &[Event]) -> BTreeMap<String, VecDeque<usize>> {
    let (mut functions, mut recorded) = (BTreeMap::new(), BTreeMap::<String, usize>::new());
    for event in events {
        match event {
            Event::EffectIntended(EffectIntended {
                step,
                position,
                call,
                ..
            }) => {
                functions.insert((step.clone(), position.0), call.function.clone());
            }
            Event::EffectEnded(EffectEnded {
                step,
                position,
                call,
                ..
            }) => {
                let known = functions.get(&(step.clone(), position.0));
                let function = call.as_ref().map(|call| &call.function).or(known);
                // A wait is not a call.
                if function.is_none_or(|function| function != "time::sleep") {
                    *recorded.entry(step.to_string()).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    let mut seen = BTreeMap::<&str, usize>::new();
    let mut answers = BTreeMap::<String, VecDeque<usize>>::new();
    for line in lines {
        let seen = seen.entry(&line.step).or_default();
        *seen += 1;
        let is_recorded = *seen <= recorded.get(&line.step).copied().unwrap_or(0);
        if let (Answered::Given { number }, false) = (&line.answer, is_recorded) {
            answers
                .entry(line.key.clone())
                .or_default()
                .push_back(*number);
        }
    }
    answers
}

/// Returns the numbers of the answers that were never used.
pub fn unused(given: &[Given], lines: &[Line]) -> Vec<usize> {
    let is_used = |number: usize| {
        lines.iter().any(|line| matches!(&line.answer, Answered::Given { number: n } | Answered::Lost { number: n, .. } if *n == number))
    };
    (0..given.len())
        .filter(|number| !is_used(*number))
        .collect()
}

/// Returns the answer of a test to a question: for this item, or for all items of a `for_each`.
pub fn end_of<'e>(
    approvals: &'e BTreeMap<String, QuestionEnd>,
    id: &InstanceId,
) -> Option<&'e QuestionEnd> {
    approvals
        .get(id.as_str())
        .or_else(|| approvals.get(&without_items(id)))
}

/// Returns the steps of `approvals` that asked nothing.
pub fn unasked<'e>(approvals: &'e BTreeMap<String, QuestionEnd>, state: &State) -> Vec<&'e str> {
    let asked = state
        .steps
        .iter()
        .filter(|(_, step)| step.approval.is_some());
    let asked: Vec<_> = asked.map(|(id, _)| id).collect();
    let is_used = |step: &str| {
        let mut asked = asked.iter();
        asked.any(|id| id.as_str() == step || without_items(id) == step)
    };
    let steps = approvals.keys().map(String::as_str);
    steps.filter(|step| !is_used(step)).collect()
}

/// Returns `each[x]/ask` as `each/ask`.
fn without_items(id: &InstanceId) -> String {
    let bare: Vec<_> = id.segments().map(|segment| segment.name).collect();
    bare.join("/")
}
