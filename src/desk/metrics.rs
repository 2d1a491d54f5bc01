//! `GET /metrics`, for Prometheus.

use std::{collections::BTreeMap, fmt::Write};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;

use super::{answer::Problem, server::Desk};
use windlass_notify::ReceiverQueue;
use windlass_report::{self as report, Pick, label};
use windlass_runs::{Filter, Tallies, now};
use windlass_triggers::TriggerStanding;

/// The content type of Prometheus' text format, version 0.0.4.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub async fn metrics(State(desk): State<Desk>) -> Result<Response, Problem> {
    let filter = Filter {
        is_brief: true,
        ..Filter::default()
    };
    let asked = desk.ask(move |runs| {
        let page = runs.list(&filter)?;
        let stuck = runs.stuck()?;
        Ok((page, stuck, runs.tallies(), runs.certificates()?))
    });
    let (page, stuck, tallies, inventory) = asked.await?;
    let mut runs: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in &page.rows {
        let key = (row.run.workflow.clone(), row.status.clone());
        *runs.entry(key).or_default() += 1;
    }
    let mut text = String::new();
    let lines = runs.iter().map(|((workflow, status), count)| {
        (
            vec![("workflow", workflow.as_str()), ("status", status)],
            *count,
        )
    });
    family(
        &mut text,
        "windlass_runs",
        "gauge",
        "Runs in the journal, by workflow and status.",
        lines,
    );
    counters(&mut text, &tallies);
    let waiting = page.rows.iter().map(|row| row.asks.len() as u64).sum();
    let one = |value| std::iter::once((Vec::new(), value));
    family(
        &mut text,
        "windlass_approvals_waiting",
        "gauge",
        "Questions that wait for an answer.",
        one(waiting),
    );
    let (paused, retried): (Vec<_>, Vec<_>) = stuck.iter().partition(|one| one.is_paused);
    family(
        &mut text,
        "windlass_runs_paused",
        "gauge",
        "Runs that can't continue until a person resumes them.",
        one(paused.len() as u64),
    );
    family(
        &mut text,
        "windlass_runs_retrying",
        "gauge",
        "Runs that can't continue for now; this is tried again.",
        one(retried.len() as u64),
    );
    let pick = Pick {
        is_all: true,
        ..Pick::default()
    };
    text.push_str(&triggers_and_notifications(&desk).await?);
    text.push_str(&report::inventory_metrics(&inventory, pick, now()));
    Ok(([(header::CONTENT_TYPE, FORMAT)], text).into_response())
}

/// Writes the metrics of notifications and triggers.
async fn triggers_and_notifications(desk: &Desk) -> Result<String, Problem> {
    let (triggers, outbox) = (desk.triggers.clone(), desk.outbox.clone());
    let asked = desk.ask(move |_| {
        Ok((
            triggers.standings(now())?,
            [triggers.lost(), triggers.unmet()].concat(),
            outbox.queues()?,
        ))
    });
    let (standings, lost, queues) = asked.await?;
    let mut text = String::new();
    let queue = |count: fn(&ReceiverQueue) -> u64| {
        queues.iter().map(move |queue| {
            let labels = vec![("receiver", &*queue.receiver), ("channel", &*queue.channel)];
            (labels, count(queue))
        })
    };
    family(
        &mut text,
        "windlass_notifications_queued",
        "gauge",
        "Notifications that are queued for a receiver.",
        queue(|queue| queue.queued),
    );
    family(
        &mut text,
        "windlass_notification_attempts_failed",
        "gauge",
        "Failed attempts to send the next notification of a receiver.",
        queue(|queue| queue.attempts),
    );
    let trigger = |value: fn(&TriggerStanding) -> Option<u64>| {
        standings.iter().filter_map(move |one| {
            let labels = vec![("workflow", &*one.workflow), ("trigger", &*one.trigger)];
            Some((labels, value(one)?))
        })
    };
    family(
        &mut text,
        "windlass_trigger_next_start_timestamp_seconds",
        "gauge",
        "When a trigger starts its workflow next, in seconds since 1970.",
        trigger(|one| u64::try_from(one.next.first()?.as_secs()).ok()),
    );
    family(
        &mut text,
        "windlass_trigger_last_start_timestamp_seconds",
        "gauge",
        "When a trigger started its workflow last, in seconds since 1970.",
        trigger(|one| u64::try_from(one.last.as_ref()?.at.as_secs()).ok()),
    );
    family(
        &mut text,
        "windlass_trigger_waits",
        "gauge",
        "Whether a start is due but has not happened yet.",
        trigger(|one| Some(one.waits.is_some().into())),
    );
    family(
        &mut text,
        "windlass_trigger_paused",
        "gauge",
        "Whether a trigger is paused.",
        trigger(|one| Some(one.paused_by.is_some().into())),
    );
    let is_lost = |one: &&TriggerStanding| {
        let keys = lost.iter().map(|lost| &lost.trigger.key);
        let mut keys = keys.map(|key| (&key.workflow, &key.trigger));
        keys.any(|key| key == (&one.workflow, &one.trigger))
    };
    let working = standings.iter().filter(|one| !is_lost(one)).map(|one| {
        let labels = vec![("workflow", &*one.workflow), ("trigger", &*one.trigger)];
        (labels, 0)
    });
    let lost = lost.iter().map(|one| {
        let key = &one.trigger.key;
        (
            vec![("workflow", &*key.workflow), ("trigger", &*key.trigger)],
            1,
        )
    });
    family(
        &mut text,
        "windlass_trigger_broken",
        "gauge",
        "Whether a trigger starts nothing, because the file of its workflow has mistakes or windlass.toml lacks its target or hook.",
        working.chain(lost),
    );
    Ok(text)
}

/// Writes the counters of this process, since its start.
fn counters(text: &mut String, tallies: &Tallies) {
    let one = |value| std::iter::once((Vec::new(), value));
    family(
        text,
        "windlass_runs_driven",
        "gauge",
        "Runs that this server drives now.",
        one(tallies.driven),
    );
    let steps = tallies.steps.iter();
    let steps = steps.map(|(result, count)| (vec![("result", *result)], *count));
    family(
        text,
        "windlass_step_attempts_total",
        "counter",
        "Attempts of steps that ended in this process, by result.",
        steps,
    );
    let effects = tallies.effects.iter();
    let effects = effects.map(|((function, result), count)| {
        (
            vec![("function", function.as_str()), ("result", *result)],
            *count,
        )
    });
    family(
        text,
        "windlass_effects_total",
        "counter",
        "Calls of scripts that ended in this process, by function and result.",
        effects,
    );
    let ended = tallies.runs.iter();
    let ended = ended.map(|(outcome, count)| (vec![("outcome", *outcome)], *count));
    family(
        text,
        "windlass_runs_ended_total",
        "counter",
        "Runs that ended in this process, by outcome.",
        ended,
    );
}

fn family<'a>(
    text: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    lines: impl Iterator<Item = (Vec<(&'a str, &'a str)>, u64)>,
) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in lines {
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", label(value)))
            .collect();
        let labels = match labels.as_slice() {
            [] => String::new(),
            labels => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_can_not_end_its_line() {
        let mut text = String::new();
        let lines = [(vec![("workflow", "a\"b\\c\nd")], 3)];
        family(&mut text, "m", "gauge", "Help.", lines.into_iter());
        let wanted = "# HELP m Help.\n# TYPE m gauge\nm{workflow=\"a\\\"b\\\\c\\nd\"} 3\n";
        assert_eq!(text, wanted);
    }
}
