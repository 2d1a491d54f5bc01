//! Shows which workloads of the rehearsal mesh can connect to each other. All handshakes are tried each time the page is loaded.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    extract::{Query, State},
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    format::{moment, status, visible},
    layout::{Frame, page},
    phases::{phase_statuses, stepper},
    steps::nodes,
};
use crate::{access::Access, answer::Problem, server::Desk};
use windlass_mesh::{Handshake, Handshakes};
use windlass_runs::{Filter, Runs, RunsError, Shown};
use windlass_targets::LOCAL;

/// How often the browser loads the page again, in milliseconds: proxies of a rehearsal mesh load certificates without an event of a run.
const EVERY: u32 = 1000;
/// The largest number of rows or columns of the table. A larger mesh shows only what fails.
const MOST: usize = 40;

/// How many of the newest runs are searched for runs that have not ended.
const LATELY: usize = 20;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct MeshQuery {
    target: String,
    /// Shows only the connections of this workload.
    who: String,
}

/// `GET /mesh`: shows the rotations and handshakes of a target.
pub async fn mesh(
    State(desk): State<Desk>,
    access: Access,
    Query(query): Query<MeshQuery>,
) -> Result<Response, Problem> {
    let target = match query.target.as_str() {
        "" => LOCAL.to_owned(),
        target => target.to_owned(),
    };
    let asked = target.clone();
    let look = move |runs: &dyn Runs| {
        let rotations = rotations(runs, &asked)?;
        Ok((runs.targets()?, rotations, runs.handshakes(&asked)))
    };
    let (targets, rotations, seen) = desk.ask(look).await?;
    let summary = match &seen {
        Ok(seen) => format!(
            "{} handshakes, {} refused",
            seen.all.len(),
            seen.failed().count()
        ),
        Err(error) => error.message.clone(),
    };
    let frame = Frame {
        title: "Mesh",
        part: "Mesh",
        // While there is a rotation, the page is also loaded after each event.
        stream: (!rotations.is_empty()).then(|| "/api/v1/stream".into()),
        summary,
        access: Some(&access),
    };
    Ok(page(
        &frame,
        html! {
            // `live.js` reads the interval from `data-every`.
            div class="head" data-every=(EVERY) {
                div {
                    h1 { "Mesh" }
                    p class="quiet" { "New connections between the workloads of the rehearsal clusters, tried every second with the certificates that each has loaded" }
                }
                @if targets.len() > 1 {
                    form class="filter" method="get" action="/mesh" data-live {
                        label { span { "Target" } select name="target" {
                            @for name in &targets { option selected[*name == target] { (name) } }
                        } }
                        noscript { button { "Show" } }
                    }
                }
            }
            @for shown in &rotations { (rotation(shown)) }
            @match seen {
                Err(error) => section class="card failed" {
                    p { (visible(&error.message)) }
                    @if let Some(hint) = error.hint { p class="hint" { "Hint: " (hint) } }
                },
                Ok(seen) if seen.all.is_empty() => section class="card empty" {
                    p { "There are no rehearsal clusters yet. A run on the target " b { "local" } " that uses Kubernetes creates them." }
                },
                Ok(seen) => {
                    (verdict(&seen))
                    (failures(&seen))
                    (matrix(&seen, &query.who, &target))
                }
            }
        },
    ))
}

/// Finds the runs with phases on a target: all that have not ended, and the newest run even if it has ended.
fn rotations(runs: &dyn Runs, target: &str) -> Result<Vec<Shown>, RunsError> {
    let filter = Filter {
        target: Some(target.to_owned()),
        limit: LATELY,
        is_brief: true,
        ..Filter::default()
    };
    let rows = runs.list(&filter)?.rows.into_iter().enumerate();
    let rows = rows.filter(|(number, row)| *number == 0 || !row.run.has_ended());
    let mut found = Vec::new();
    for (_, row) in rows {
        let shown = runs.run(&row.run.id)?;
        let is_one = !shown.info.kube.is_empty() && !shown.program.workflow.phases.is_empty();
        if is_one {
            found.push(shown);
        }
    }
    Ok(found)
}

/// Shows the progress of a rotation, with a link to it.
fn rotation(shown: &Shown) -> Markup {
    let (info, at) = (&shown.info, shown.at);
    let workflow = &shown.program.workflow;
    let nodes = nodes(workflow, &shown.state, at);
    let title = format!("rotation-{}", shown.id);
    html! {
        section class="card rotation" aria-labelledby=(title) {
            h2 id=(title) { a href={ "/runs/" (shown.id) } { (info.workflow) } " " (status(shown.status())) }
            p class="quiet" {
                "started " (moment(info.started_at, at)) " by " b { (info.requester) }
                @if let Some(ended) = shown.state.ended_at { " · ended " (moment(ended, at)) }
            }
            @for ask in shown.asks() {
                p class="held" { a href={ "/runs/" (shown.id) "#ask" } { (visible(&ask.listed().message)) } " waits for an answer." }
            }
            (stepper(&phase_statuses(workflow, &nodes, &shown.state)))
        }
    }
}

fn verdict(seen: &Handshakes) -> Markup {
    let failed = seen.failed().count();
    let all = seen.all.len();
    html! {
        p id="verdict" class={ "verdict " (if failed == 0 { "good" } else { "bad" }) } {
            @if failed == 0 {
                span class="status good" { span aria-hidden="true" { "✓" } "all connected" }
                " All " (all) " handshakes succeed."
            } @else {
                span class="status bad" { span aria-hidden="true" { "✕" } (failed) " refused" }
                " Of " (all) " handshakes, " (all - failed) " succeed."
            }
        }
    }
}

/// Lists the failed handshakes by their reason, because a single wrong root can fail many of them.
fn failures(seen: &Handshakes) -> Markup {
    let mut by_reason: BTreeMap<&str, Vec<&Handshake>> = BTreeMap::new();
    for one in seen.failed() {
        let why = one.error.as_deref().unwrap_or_default();
        by_reason.entry(why).or_default().push(one);
    }
    let mut reasons: Vec<_> = by_reason.into_iter().collect();
    reasons.sort_by_key(|(_, all)| std::cmp::Reverse(all.len()));
    html! {
        @if !reasons.is_empty() {
            section class="card failed" aria-labelledby="refused-title" {
                h2 id="refused-title" { "Refused" }
                ul class="reasons" {
                    @for (why, all) in &reasons {
                        li {
                            details {
                                summary { b { (all.len()) " × " } (visible(why)) }
                                ul { @for one in all.iter().take(MOST) { li { (visible(&one.from)) " → " (visible(&one.to)) ":" (one.port) } }
                                    @if all.len() > MOST { li { "and " (all.len() - MOST) " more" } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Draws the table of handshakes: the callers are the rows, the servers are the columns.
fn matrix(seen: &Handshakes, who: &str, target: &str) -> Markup {
    let fits = |one: &&Handshake| who.is_empty() || one.from == who || one.to == who;
    let mut shown: Vec<&Handshake> = seen.all.iter().filter(fits).collect();
    let names = |all: &[&Handshake], of: fn(&Handshake) -> String| -> Vec<String> {
        let names: BTreeSet<String> = all.iter().map(|one| of(one)).collect();
        names.into_iter().collect()
    };
    let from = |one: &Handshake| one.from.clone();
    let to = |one: &Handshake| format!("{}:{}", one.to, one.port);
    let is_large = names(&shown, from).len() > MOST || names(&shown, to).len() > MOST;
    if is_large {
        shown.retain(|one| one.error.is_some());
    }
    let (rows, columns) = (names(&shown, from), names(&shown, to));
    let cells: BTreeMap<(String, String), &Handshake> = shown
        .iter()
        .map(|one| ((from(one), to(one)), *one))
        .collect();
    let link = |name: &str| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("target", target).append_pair("who", name);
        format!("/mesh?{}", query.finish())
    };
    html! {
        section class="card" aria-labelledby="matrix-title" {
            h2 id="matrix-title" { "Handshakes" }
            @if !who.is_empty() { p { "Only " code { (visible(who)) } " · " a href={ "/mesh?target=" (target) } { "all" } } }
            @if is_large { p class="hint" { "The mesh is large, so only refused handshakes are shown." } }
            @if rows.is_empty() { p class="quiet" { "Nothing is refused." } } @else {
                div class="scroll" tabindex="0" role="region" aria-label="Table of the handshakes" {
                    table class="matrix" {
                        thead {
                            tr {
                                th scope="col" { "calls ↓ to →" }
                                @for column in &columns {
                                    th scope="col" class="tall" { span { (short_name(column)) } span class="unseen" { " " (column) } }
                                }
                            }
                        }
                        tbody {
                            @for row in &rows {
                                tr {
                                    th scope="row" { a href=(link(row)) { (row) } }
                                    @for column in &columns {
                                        @match cells.get(&(row.clone(), column.clone())).map(|one| &one.error) {
                                            None => td class="none" {},
                                            Some(None) => td class="good" title={ (row) " → " (column) } { span aria-hidden="true" { "✓" } span class="unseen" { "ok" } },
                                            Some(Some(why)) => td class="bad" title={ (row) " → " (column) ": " (why) } { span aria-hidden="true" { "✕" } span class="unseen" { "refused: " (visible(why)) } },
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns a name without its namespace: `cluster-1/reviews:15006` for `cluster-1/bookinfo/reviews:15006`.
fn short_name(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        [cluster, _, rest @ ..] if !rest.is_empty() => format!("{cluster}/{}", rest.join("/")),
        _ => name.to_owned(),
    }
}
