//! Compares the outcome of a run with the expectations of its test.

use similar::TextDiff;

use super::{
    answers, certificates,
    log::{Answered, Line},
    matching::{fits, matches},
    named::also_known,
    outcome::Outcome,
};
use crate::{
    compile::{Calls, Case, ExpectedCall, takes},
    report::counted,
    value::{MASK, Value, one_line},
};

/// A difference from what a test expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In one sentence.
    pub what: String,
    /// More lines: a difference, a hint.
    pub detail: Option<String>,
}

impl Problem {
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            detail: None,
        }
    }

    pub fn with(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }
}

/// Compares the steps of which something is said with those that the test names.
fn other_steps(what: &str, wanted: Option<&[String]>, found: &[String]) -> Option<Problem> {
    let (mut wanted, mut found) = (wanted?.to_vec(), found.to_vec());
    wanted.sort();
    found.sort();
    let problem = || Problem::new(format!("other steps {what}"));
    (wanted != found).then(|| problem().with(diff(&lines(&wanted), &lines(&found))))
}

/// Lists the differences from what the test expects.
pub fn judge(case: &Case, outcome: &Outcome) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(unanswered(outcome));
    problems.extend(wrong_status(case, outcome));
    problems.extend(wrong_error(case, outcome));
    problems.extend(wrong_refusal(case, outcome));
    for (name, wanted) in &case.expect.outputs {
        let found = outcome.outputs().field(name).cloned().unwrap_or_default();
        if !matches(wanted, &found) {
            problems.push(
                Problem::new(format!("the output `{name}` is not as expected"))
                    .with(differs(wanted, &found)),
            );
        }
    }
    for (step, wanted) in &case.expect.steps {
        let found = outcome.status_of(step);
        if !is_there(step, outcome) {
            problems.push(Problem::new(format!("there is no item `{step}`")));
        } else if found != wanted {
            let problem = Problem::new(format!("the step `{step}` is {found}, not {wanted}"));
            let instance = outcome.state.steps.get(step.as_str());
            let why = instance.and_then(|i| {
                i.error
                    .as_ref()
                    .map(|e| one_line(&e.message))
                    .or(i.skip_reason.clone())
            });
            problems.push(match why {
                Some(why) => problem.with(why),
                None => problem,
            });
        }
    }
    let expect = &case.expect;
    problems.extend(other_steps(
        "were undone",
        expect.undone.as_deref(),
        &outcome.undone,
    ));
    problems.extend(other_steps(
        "have something that stays",
        expect.stays.as_deref(),
        &outcome.stays,
    ));
    for step in expect.undone.iter().flatten() {
        let is_named = expect.stays.iter().flatten().any(|named| named == step);
        if outcome.stays.contains(step) && !is_named {
            let problem = Problem::new(format!(
                "the step `{step}` was undone in part: something of it stays"
            ));
            problems.push(problem.with("if that is right, name it in `stays`, too"));
        }
    }
    problems.extend(
        case.expect
            .calls
            .as_ref()
            .and_then(|calls| wrong_calls(calls, outcome)),
    );
    let effects = outcome.effects();
    for (function, wanted) in &case.expect.effects {
        let found = effects.get(function).copied().unwrap_or(0);
        if found != *wanted {
            problems.push(Problem::new(format!(
                "`{function}` was done {}, not {}",
                times(found),
                times(*wanted)
            )));
        }
    }
    problems.extend(
        case.expect
            .files
            .iter()
            .filter_map(|(name, wanted)| wrong_file(name, wanted.as_deref(), outcome)),
    );
    problems.extend(missing_log(&case.expect.logs, outcome));
    for expected in &case.expect.certificates {
        problems.extend(certificates::wrong(expected, outcome));
    }
    problems.extend(
        case.expect
            .handshakes
            .as_ref()
            .and_then(|wanted| certificates::wrong_handshakes(wanted, outcome)),
    );
    // If there are other problems, they are usually the cause of this one.
    let is_alone = problems.is_empty();
    let unused = answers::unused(&case.given, &outcome.calls);
    problems.extend(
        unused
            .into_iter()
            .map(|number| never_used(case, number, outcome, is_alone)),
    );
    let unasked = answers::unasked(&case.approvals, &outcome.state);
    problems.extend(unasked.into_iter().map(|step| {
        let what = format!("the answer for `{step}` in `approvals` was never used");
        Problem::new(what).with(format!(
            "the step `{step}` is {}, and has asked nothing",
            outcome.status_of(step)
        ))
    }));
    problems
}

/// Describes an answer that was never used: an earlier one was used in its place, or no call matches it.
fn never_used(case: &Case, number: usize, outcome: &Outcome, is_alone: bool) -> Problem {
    let given = &case.given[number];
    let problem = Problem::new(format!(
        "the answer of `{}` in line {} was never used",
        given.function, given.line
    ));
    let earlier = outcome.calls.iter().find_map(|line| match line.answer {
        Answered::Given { number } if is_call(&given.function, &given.arguments, line) => {
            Some(number)
        }
        _ => None,
    });
    if let Some(earlier) = earlier {
        let line = case.given[earlier].line;
        return problem.with(format!(
            "the answer in line {line} was used instead; to use this one after it, add `times: 1` there"
        ));
    }
    let calls = outcome
        .calls
        .iter()
        .filter(|line| line.function == given.function);
    let calls: Vec<_> = calls.map(shown).collect();
    if calls.is_empty() || !is_alone {
        problem
    } else {
        problem.with(format!("these calls were made:\n{}", lines(&calls)))
    }
}

/// Describes the calls that no answer matched, with the lines to add to the test.
fn unanswered(outcome: &Outcome) -> Vec<Problem> {
    let calls = outcome
        .calls
        .iter()
        .filter(|line| line.answer == Answered::Nobody);
    calls
        .map(|line| {
            let what = format!(
                "the step `{}` calls `{}`, but no answer of the test matches",
                line.step, line.function
            );
            let mut arguments = line.arguments.clone();
            if let Some(map) = arguments.as_object_mut() {
                map.retain(|name, _| takes(&line.function, name));
            }
            let arguments = flow(&unmasked(&arguments));
            Problem::new(what).with(format!(
                "add to `given`:\n- {}: {arguments}\n  gives: …",
                line.function
            ))
        })
        .collect()
}

/// Replaces the mask of a secret, which matches nothing, by `*`, which matches everything.
fn unmasked(arguments: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match arguments {
        Json::String(text) => text.replace(MASK, "*").into(),
        Json::Array(items) => items.iter().map(unmasked).collect(),
        Json::Object(map) => {
            let entries = map.iter();
            let entries = entries.map(|(key, value)| (key.clone(), unmasked(value)));
            Json::Object(entries.collect())
        }
        other => other.clone(),
    }
}

fn wrong_status(case: &Case, outcome: &Outcome) -> Option<Problem> {
    let usual = if case.undo { "undone" } else { "succeeded" };
    let wanted = case.expect.status.as_deref().unwrap_or(usual);
    if outcome.is(wanted, case.undo) {
        return None;
    }
    let mut details: Vec<_> = outcome
        .errors()
        .into_iter()
        .map(|(step, error)| {
            let place = error
                .place
                .as_ref()
                .map_or_else(String::new, |place| format!(" ({place})"));
            let step = step.map_or_else(String::new, |step| format!("{step}: "));
            format!("{step}{}{place}", one_line(&error.message))
        })
        .collect();
    let waits = outcome
        .state
        .steps
        .iter()
        .filter(|(_, step)| step.status == crate::journal::Status::Waiting);
    details
        .extend(waits.map(|(id, _)| format!("{id} waits for an approval: add it to `approvals`")));
    let problem = Problem::new(format!("the run is {}, not {wanted}", outcome.status()));
    Some(if details.is_empty() {
        problem
    } else {
        problem.with(lines(&details))
    })
}

fn wrong_refusal(case: &Case, outcome: &Outcome) -> Option<Problem> {
    match (case.expect.refused.as_deref(), outcome.refused.as_deref()) {
        (None, None) => None,
        (Some(wanted), Some(why)) if fits(wanted, why) => None,
        (_, Some(why)) => Some(Problem::new(format!(
            "an answer to a question was not accepted: {why}"
        ))),
        (Some(wanted), None) => Some(Problem::new(format!(
            "every answer to a question was accepted, but `{wanted}` was expected"
        ))),
    }
}

fn wrong_error(case: &Case, outcome: &Outcome) -> Option<Problem> {
    let wanted = case.expect.error.as_deref()?;
    let messages: Vec<_> = outcome
        .errors()
        .into_iter()
        .map(|(_, error)| error.message.clone())
        .collect();
    if messages.iter().any(|message| fits(wanted, message)) {
        return None;
    }
    Some(if messages.is_empty() {
        Problem::new(format!(
            "the run ends without an error, not with `{wanted}`"
        ))
    } else {
        Problem::new("the run ends with another error").with(diff(wanted, &lines(&messages)))
    })
}

fn wrong_calls(wanted: &Calls, outcome: &Outcome) -> Option<Problem> {
    let made: Vec<&Line> = outcome.left().collect();
    let found: Vec<_> = made.iter().map(|line| shown(line)).collect();
    match wanted {
        Calls::Count(count) if *count == made.len() => None,
        Calls::Count(count) => {
            let what = format!(
                "{} were made to the outside, not {count}",
                counted(made.len(), "call")
            );
            Some(Problem::new(what).with(lines(&found)))
        }
        Calls::InOrder(wanted) => {
            let is_same = wanted.len() == made.len()
                && wanted
                    .iter()
                    .zip(&made)
                    .all(|(wanted, line)| is_call(&wanted.function, &wanted.arguments, line));
            // A call that matches is shown as the test writes it, so that only the differences stand out.
            let found = made
                .iter()
                .enumerate()
                .map(|(i, line)| match wanted.get(i) {
                    Some(wanted) if is_call(&wanted.function, &wanted.arguments, line) => {
                        written(wanted)
                    }
                    _ => shown(line),
                });
            let found: Vec<_> = found.collect();
            let wanted: Vec<_> = wanted.iter().map(written).collect();
            (!is_same).then(|| {
                Problem::new("other calls were made to the outside")
                    .with(diff(&lines(&wanted), &lines(&found)))
            })
        }
    }
}

fn is_call(function: &str, pattern: &Value, line: &Line) -> bool {
    let arguments = Value::parse_json(&line.arguments.to_string()).unwrap_or_default();
    let other = arguments
        .as_map()
        .and_then(|map| also_known(&line.function, map));
    (line.function == function || other.as_deref() == Some(function))
        && matches(pattern, &arguments)
}

fn written(call: &ExpectedCall) -> String {
    if call
        .arguments
        .as_map()
        .is_some_and(std::collections::BTreeMap::is_empty)
    {
        call.function.clone()
    } else {
        format!("{} {}", call.function, flow(&call.arguments.to_json()))
    }
}

/// Formats a call in the form of a test.
pub fn shown(line: &Line) -> String {
    format!("{} {}", line.function, flow(&line.arguments))
}

/// Says whether a step may have this instance: an item of a `for_each` whose items are known is one of them.
fn is_there(step: &str, outcome: &Outcome) -> bool {
    let each = step.strip_suffix(']').and_then(|it| it.rsplit_once('['));
    let each = each.and_then(|(each, _)| outcome.state.steps.get_key_value(each));
    let items = each.and_then(|(id, instance)| Some((id, instance.items.as_ref()?)));
    items.is_none_or(|(id, items)| items.iter().any(|(key, _)| id.item(key).as_str() == step))
}

fn wrong_file(name: &str, wanted: Option<&str>, outcome: &Outcome) -> Option<Problem> {
    let Some(wanted) = wanted else {
        let mut names = outcome.files.keys();
        let found = names.find(|file| *file == name || fits(name, file))?;
        return Some(Problem::new(format!("the file `{found}` exists")));
    };
    match outcome.files.get(name) {
        None => {
            let there: Vec<_> = outcome.files.keys().cloned().collect();
            let problem = Problem::new(format!("the file `{name}` does not exist"));
            Some(if there.is_empty() {
                problem.with("the run wrote no files")
            } else {
                problem.with(format!("these are: {}", there.join(", ")))
            })
        }
        Some(file) => {
            let found = String::from_utf8_lossy(&file.content);
            // The line break at the end of a file does not matter.
            let fits = fits(wanted, &found) || fits(wanted, found.trim_end_matches('\n'));
            (!fits).then(|| {
                let problem = Problem::new(format!("the file `{name}` is not as expected"));
                if file.is_secret {
                    problem
                } else {
                    problem.with(diff(wanted, &found))
                }
            })
        }
    }
}

fn missing_log(wanted: &[String], outcome: &Outcome) -> Option<Problem> {
    let mut logs = outcome.logs.iter();
    let missing = wanted
        .iter()
        .find(|wanted| !logs.any(|message| fits(wanted, message)))?;
    let problem = Problem::new(format!(
        "the message `{missing}` is missing, or is not in this order"
    ));
    Some(if outcome.logs.is_empty() {
        problem.with("the scripts wrote no messages")
    } else {
        problem.with(lines(&outcome.logs))
    })
}

fn differs(wanted: &Value, found: &Value) -> String {
    let (wanted, found) = (wanted.to_json(), found.to_json());
    diff(&format!("{wanted:#}"), &format!("{found:#}"))
}

/// Shows the expected (`-`) and the actual (`+`) text, line by line.
pub fn diff(wanted: &str, found: &str) -> String {
    let (wanted, found) = (
        format!("{}\n", wanted.trim_end()),
        format!("{}\n", found.trim_end()),
    );
    let changes = TextDiff::from_lines(&wanted, &found);
    let mut text = String::from("- expected, + found\n");
    for change in changes.iter_all_changes() {
        text.push_str(&format!("{} {}", change.tag(), change.value()));
        if !change.value().ends_with('\n') {
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

/// Formats JSON as one line of YAML: `{ url: "https://…" }`.
pub fn flow(json: &serde_json::Value) -> String {
    match json {
        serde_json::Value::Object(map) if map.is_empty() => "{}".into(),
        serde_json::Value::Object(map) => {
            let entries: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", key_of(key), flow(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        serde_json::Value::Array(items) => {
            let items: Vec<_> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

fn key_of(key: &str) -> String {
    let is_plain = key
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    if is_plain && !key.is_empty() {
        key.to_owned()
    } else {
        serde_json::Value::from(key).to_string()
    }
}

fn lines(texts: &[String]) -> String {
    texts.join("\n")
}

fn times(count: i64) -> String {
    match count {
        1 => "once".into(),
        count => format!("{count} times"),
    }
}
