use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{certificates::certificates, next_steps::approvals, object::object, style::utc_time};
use crate::{
    journal::{EffectOutcome, Event, Record, RunId, State},
    value::{Digest, Value},
};

/// What an audit found, for people. The chain holds if this is printed at all.
pub fn audit(run: &RunId, state: &State, records: &[Record]) -> String {
    let mut text = format!("run {run}: {} events, unbroken\n", records.len());
    text.push_str(&format!("head      sha256 {}\n", head(records)));
    if let Some(info) = &state.run {
        text.push_str(&format!(
            "workflow  {} ({}), sha256 {}\n",
            info.workflow, info.file, info.program
        ));
        text.push_str(&format!(
            "started   {} UTC by {} on target {}\n",
            utc_time(info.started_at),
            info.requester,
            info.target
        ));
    }
    let status = state
        .outcome
        .map_or("unfinished", |outcome| outcome.as_str());
    match state.ended_at {
        Some(at) => text.push_str(&format!("ended     {} UTC: {status}\n", utc_time(at))),
        None => text.push_str(&format!("ended     {status}\n")),
    }
    let section = |title: &str, lines: Vec<String>| match lines.is_empty() {
        true => String::new(),
        false => format!("\n{title}\n  {}\n", lines.join("\n  ")),
    };
    text.push_str(&section("approvals", approvals(state)));
    let effects = counts(records)
        .into_iter()
        .map(|((function, object), n)| format!("{n:5}  {function} {object}").trim_end().to_owned())
        .collect();
    text.push_str(&section("calls that changed something", effects));
    let made = certificates(state)
        .into_iter()
        .map(|c| format!("{}  {}  until {}", c.serial, c.subject, c.not_after))
        .collect();
    text.push_str(&section("certificates", made));
    text
}

/// The same for machines.
pub fn audit_json(run: &RunId, state: &State, records: &[Record]) -> Json {
    let info = state.run.as_ref();
    let asked: Vec<Json> = state
        .steps
        .iter()
        .filter_map(|(step, instance)| Some((step, instance.approval.as_ref()?)))
        .map(|(step, approval)| {
            let answer = approval.answer.as_ref();
            json!({
                "step": step, "question": approval.message, "digest": approval.digest,
                "asked_at": approval.asked_at,
                "verdict": answer.map(|a| a.verdict.as_str()),
                "approver": answer.map(|a| &a.approver),
                "comment": answer.and_then(|a| a.comment.as_ref()),
                "answered_at": answer.map(|a| a.at),
            })
        })
        .collect();
    let counted = counts(records);
    let mut by_function: BTreeMap<&str, usize> = BTreeMap::new();
    for ((function, _), n) in &counted {
        *by_function.entry(function).or_default() += n;
    }
    let objects: Vec<Json> = counted
        .iter()
        .map(
            |((function, object), n)| json!({ "function": function, "object": object, "count": n }),
        )
        .collect();
    json!({
        "run": run,
        "events": records.len(),
        "head": head(records),
        "program": info.map(|info| info.program),
        "requester": info.map(|info| &info.requester),
        "status": state.outcome.map_or("unfinished", |outcome| outcome.as_str()),
        "approvals": asked,
        "calls": by_function,
        "objects": objects,
    })
}

fn head(records: &[Record]) -> Digest {
    records.last().map_or(Digest::ZERO, |last| last.digest)
}

/// How often each call that changed something outside was done, by its function and its object.
fn counts(records: &[Record]) -> BTreeMap<(String, String), usize> {
    let mut intended: BTreeMap<(String, u32), (String, String)> = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for record in records {
        match &record.event {
            Event::EffectIntended {
                step,
                position,
                call,
                ..
            } => {
                let about = (call.function.clone(), object(call).unwrap_or_default());
                intended.insert((step.to_string(), position.0), about);
            }
            Event::EffectEnded {
                step,
                position,
                outcome: EffectOutcome::Done(given),
                ..
            } => {
                let about = intended.get(&(step.to_string(), position.0));
                // Where an undo finds nothing to revoke it gives the reason.
                let is_idle = |(function, _): &(String, String)| {
                    function == "pca::revoke_certificate" && matches!(given, Value::String(_))
                };
                if let Some(about) = about.filter(|about| !is_idle(about)) {
                    *counts.entry(about.clone()).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    counts.retain(|(function, _), _| function != "time::sleep");
    counts
}
