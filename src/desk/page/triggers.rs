use axum::{
    extract::{Path, State},
    response::Response,
};
use maud::{Markup, html};

use super::{
    format::{moment, visible},
    layout::{Frame, heads, page, see_other},
};
use crate::{access::Access, answer::Problem, api, server::Desk};
use windlass_compile::Schedule;
use windlass_ground::Timestamp;
use windlass_notify::{Delivered, ReceiverQueue};
use windlass_report as report;
use windlass_runs::{encoded, now};
use windlass_targets::Role;
use windlass_triggers::{TriggerKey, TriggerStanding};

/// The largest number of notifications on the page.
const SHOWN: usize = 200;

/// `GET /triggers`: lists the triggers, and when each starts its workflow next.
pub async fn triggers(State(desk): State<Desk>, access: Access) -> Result<Response, Problem> {
    let triggers = desk.triggers.clone();
    let asked = desk.ask(move |_| Ok((triggers.standings(now())?, triggers.problems())));
    let (standings, problems) = asked.await?;
    let at = now();
    let frame = Frame {
        title: "Triggers",
        part: "Triggers",
        stream: Some("/api/v1/stream".into()),
        summary: format!("{} triggers", standings.len()),
        access: Some(&access),
    };
    let may_pause = access.has_everywhere(Role::Operator);
    Ok(page(
        &frame,
        html! {
            // Pausing a trigger writes no event of a run, so the page also reloads at intervals.
            div class="head" data-every="5000" { h1 { "Triggers" } }
            @for problem in &problems { p class="trouble" role="alert" { (visible(problem)) } }
            @if standings.is_empty() {
                section class="card empty" { p { "No workflow has " code { "triggers:" } "." } }
            } @else {
                table class="list" {
                    caption class="unseen" { "Triggers" }
                    (heads(&["Trigger", "When", "Next", "Last", ""]))
                    tbody { @for one in &standings { (row(one, may_pause, at)) } }
                }
            }
        },
    ))
}

fn row(one: &TriggerStanding, may_pause: bool, at: Timestamp) -> Markup {
    let action = |verb: &str| {
        format!(
            "/triggers/{}/{}/{verb}",
            encoded(&one.workflow),
            encoded(&one.trigger)
        )
    };
    html! {
        tr {
            td class="workflow" {
                b { (visible(&one.workflow)) }
                p class="quiet" { (visible(&one.trigger)) " on " (visible(&one.target)) }
            }
            td data-label="When" { code { (visible(&one.when)) } }
            td data-label="Next" {
                @if let (Some(by), Some(since)) = (&one.paused_by, one.paused_at) {
                    span class="status warn" { "! paused" }
                    p class="quiet" { "by " (visible(by)) ", " (moment(since, at)) }
                } @else if let Some(next) = one.next.first() {
                    (moment(*next, at))
                    p class="quiet" { (both_zones(*next, one.time_zone.as_deref())) }
                } @else if one.covers == Some(0) {
                    p class="quiet" { "covers no certificate in use" }
                } @else { "–" }
                @if let Some(waits) = &one.waits {
                    p { span class="status warn" { "! due " (moment(waits.due, at)) } }
                    @if let Some(why) = &waits.why { p class="quiet" { (visible(why)) } }
                }
            }
            td data-label="Last" {
                @if let Some(last) = &one.last {
                    @match &last.run {
                        Some(run) => a href={ "/runs/" (run) } { (moment(last.at, at)) },
                        None => (moment(last.at, at)),
                    }
                    @if last.is_made_up { p class="quiet" { "late: it was due at " (report::utc_time(last.due)) " UTC" } }
                } @else { "–" }
            }
            td {
                @if may_pause {
                    @if one.paused_by.is_some() {
                        form method="post" action=(action("resume")) { button class="plain" aria-label={ "Resume " (one.workflow) "/" (one.trigger) } { "Resume" } }
                    } @else {
                        form method="post" action=(action("pause")) { button class="plain" aria-label={ "Pause " (one.workflow) "/" (one.trigger) } { "Pause" } }
                    }
                }
            }
        }
    }
}

/// Returns a point in time in the time zone of its schedule and in UTC.
fn both_zones(at: Timestamp, zone: Option<&str>) -> String {
    let utc = format!("{} UTC", report::utc_time(at));
    match zone.filter(|zone| *zone != "UTC") {
        Some(zone) => format!("{} · {utc}", Schedule::local_time(at, zone)),
        None => utc,
    }
}

pub async fn pause_trigger(
    desk: State<Desk>,
    access: Access,
    key: Path<(String, String)>,
) -> Result<Response, Problem> {
    let by = access.person.name;
    set_paused(desk, key, Some(by)).await
}

pub async fn resume_trigger(
    desk: State<Desk>,
    key: Path<(String, String)>,
) -> Result<Response, Problem> {
    set_paused(desk, key, None).await
}

async fn set_paused(
    State(desk): State<Desk>,
    Path((workflow, trigger)): Path<(String, String)>,
    by: Option<String>,
) -> Result<Response, Problem> {
    api::pause(&desk, TriggerKey { workflow, trigger }, by).await?;
    Ok(see_other("/triggers", None))
}

/// `GET /notifications`: lists the notifications that were sent or are queued.
pub async fn notifications(State(desk): State<Desk>, access: Access) -> Result<Response, Problem> {
    let outbox = desk.outbox.clone();
    let asked = desk.ask(move |_| Ok((outbox.queues()?, outbox.list(None, None, SHOWN)?)));
    let (queues, listed) = asked.await?;
    let at = now();
    let queued: u64 = queues.iter().map(|queue| queue.queued).sum();
    let frame = Frame {
        title: "Notifications",
        part: "Notifications",
        stream: Some("/api/v1/stream".into()),
        summary: format!("{queued} notifications are queued"),
        access: Some(&access),
    };
    Ok(page(
        &frame,
        html! {
            div class="head" {
                h1 { "Notifications" }
                p class="quiet" { (queued) " queued" }
            }
            @if queues.is_empty() {
                section class="card empty" { p { "No notifications are sent, because windlass.toml has no " code { "[[notify.receivers]]" } "." } }
            } @else { (receivers(&queues)) }
            @if !listed.is_empty() {
                table class="list" {
                    caption class="unseen" { "Notifications, the newest first" }
                    (heads(&["What", "When", "Receiver", "State"]))
                    tbody { @for one in &listed { (delivery(one, at)) } }
                }
            }
        },
    ))
}

fn receivers(queues: &[ReceiverQueue]) -> Markup {
    html! {
        table class="list" {
            caption class="unseen" { "Receivers" }
            (heads(&["Receiver", "Kind", "Queued", "Sent", "Given up"]))
            tbody {
                @for queue in queues {
                    tr {
                        td class="workflow" { b { (visible(&queue.receiver)) } }
                        td data-label="Kind" { (queue.channel) }
                        td data-label="Queued" { (queue.queued) @if queue.attempts > 0 { " · " (queue.attempts) " attempts failed" } }
                        td data-label="Sent" { (queue.sent) }
                        td data-label="Given up" { (queue.given_up) }
                    }
                }
            }
        }
    }
}

fn delivery(one: &Delivered, at: Timestamp) -> Markup {
    let (class, mark, word) = match one.state.as_str() {
        "sent" => ("good", "✓", "sent"),
        "given_up" => ("bad", "✕", "given up"),
        _ => ("busy", "▶", "queued"),
    };
    html! {
        tr {
            td class="workflow" {
                @match &one.run {
                    Some(run) => a href={ "/runs/" (run) } { (visible(&one.title)) },
                    None => b { (visible(&one.title)) },
                }
                @if !one.text.is_empty() { p class="quiet" { (visible(&one.text)) } }
            }
            td data-label="When" { (moment(one.at, at)) }
            td data-label="Receiver" { (visible(&one.receiver)) }
            td data-label="State" {
                span class={ "status " (class) } { span aria-hidden="true" { (mark) } " " (word) }
                @if let Some(error) = &one.error { p class="quiet" { (visible(error)) } }
                @if let Some(next) = one.next_at { p class="quiet" { "attempt " (one.attempts + 1) " " (moment(next, at)) } }
            }
        }
    }
}
