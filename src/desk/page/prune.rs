use std::time::Duration;

use axum::{
    extract::{Query, State},
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    act::Form,
    format::{moment, status, visible},
    layout::{Frame, heads, page},
};
use crate::{access::Access, answer::Problem, api, server::Desk};
use windlass_ground::Timestamp;
use windlass_journal::RunRow;
use windlass_report as report;
use windlass_runs::{Pruning, Retention, now};

/// The largest number of runs that are listed. All of them are counted and deleted.
const SHOWN: usize = 200;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct PruneQuery {
    keep: String,
    keep_last: String,
    workflow: String,
    failed: String,
}

impl PruneQuery {
    fn wanted(&self, keep: Duration, at: Timestamp) -> Result<Retention, Problem> {
        let keep_last = match self.keep_last.as_str() {
            "" => 0,
            text => text
                .parse()
                .map_err(|_| Problem::bad("the number of runs to keep is not a valid number"))?,
        };
        Ok(Retention {
            keep,
            keep_last,
            workflow: Some(self.workflow.trim().to_owned()).filter(|name| !name.is_empty()),
            failed: !self.failed.is_empty(),
            at,
        })
    }
}

/// `GET /prune`: shows which runs would be deleted, and the button.
pub async fn prune_form(
    State(desk): State<Desk>,
    access: Access,
    Query(query): Query<PruneQuery>,
) -> Result<Response, Problem> {
    let at = now();
    let (runs, why) = match query.keep.trim() {
        "" => (None, None),
        text => match api::keep_duration(text) {
            Err(problem) => (None, Some(problem.detail)),
            Ok(keep) => {
                let wanted = query.wanted(keep, at)?;
                let runs = desk.ask(move |runs| runs.prunable(&wanted)).await?;
                (Some(runs), None)
            }
        },
    };
    let frame = Frame::still("Delete old runs", "Runs", Some(&access));
    Ok(page(
        &frame,
        html! {
            section class="card" {
                h1 { "Delete old runs" }
                p class="quiet" { "Runs that have not ended are never deleted. The inventory keeps what deleted runs saw of certificates." }
                @if let Some(why) = &why { p class="trouble" role="alert" { (visible(why)) } }
                (form(&query))
            }
            @if let Some(runs) = &runs { (list(runs, &query, at)) }
        },
    ))
}

fn form(query: &PruneQuery) -> Markup {
    html! {
        form class="filter" method="get" action="/prune" aria-label="Which runs" {
            label { span { "Ended longer ago than" } input name="keep" required placeholder="90d" value=(query.keep) autocomplete="off"; }
            label { span { "Runs to keep of each workflow and target" } input name="keep_last" type="number" min="0" value=(query.keep_last); }
            label { span { "Workflow" } input name="workflow" type="search" value=(query.workflow) autocomplete="off"; }
            label class="check" {
                input name="failed" type="checkbox" value="yes" checked[!query.failed.is_empty()];
                span { "Include failed and cancelled runs" }
            }
            button { "List" }
        }
    }
}

fn list(runs: &[RunRow], query: &PruneQuery, at: Timestamp) -> Markup {
    html! {
        section class="card" {
            h2 { (report::counted(runs.len(), "run")) " would be deleted" }
            @if !runs.is_empty() {
                table class="list" {
                    caption class="unseen" { "The runs that would be deleted, the newest first" }
                    (heads(&["Status", "Workflow", "Run", "Target", "Ended"]))
                    tbody {
                        @for run in runs.iter().take(SHOWN) {
                            tr {
                                td { (status(run.status())) }
                                td class="workflow" { a href={ "/runs/" (run.id) } { (run.workflow) } }
                                td data-label="Run" { code class="id" { (run.id) } }
                                td data-label="Target" { (run.target) }
                                td data-label="Ended" { @if let Some(ended) = run.ended_at { (moment(ended, at)) } }
                            }
                        }
                    }
                }
                @if runs.len() > SHOWN { p class="quiet" { "and " (runs.len() - SHOWN) " older ones" } }
                form method="post" action="/prune" {
                    input type="hidden" name="keep" value=(query.keep);
                    input type="hidden" name="keep_last" value=(query.keep_last);
                    input type="hidden" name="workflow" value=(query.workflow);
                    input type="hidden" name="failed" value=(query.failed);
                    // Runs that pass the limit only after this list was made are not deleted.
                    input type="hidden" name="at" value=(at.as_millis());
                    div class="answers" {
                        button class="danger" { "Delete " (report::counted(runs.len(), "run")) }
                        a class="button" href="/" { "Back" }
                    }
                }
            }
        }
    }
}

/// `POST /prune`: deletes the runs that were listed.
pub async fn prune(
    State(desk): State<Desk>,
    access: Access,
    form: Form,
) -> Result<Response, Problem> {
    let field = |name: &str| form.field(name).unwrap_or_default().to_owned();
    let query = PruneQuery {
        keep: field("keep"),
        keep_last: field("keep_last"),
        workflow: field("workflow"),
        failed: field("failed"),
    };
    let at = form.field("at").and_then(|at| at.parse().ok());
    let at = at.map(Timestamp::from_millis);
    let at = at.ok_or_else(|| Problem::bad("the form has no time"))?;
    let wanted = query.wanted(api::keep_duration(query.keep.trim())?, at.min(now()))?;
    let who = access.person.clone();
    let Pruning { deleted, left, .. } = desk.ask(move |runs| runs.prune(&wanted, &who)).await?;
    let frame = Frame {
        summary: format!("{} deleted", report::counted(deleted.len(), "run")),
        ..Frame::still("Delete old runs", "Runs", Some(&access))
    };
    Ok(page(
        &frame,
        html! {
            section class="card" {
                h1 { "Delete old runs" }
                p role="status" { (report::counted(deleted.len(), "run")) " deleted." }
                @if !left.is_empty() {
                    ul class="plan" { @for (run, why) in &left { li { a href={ "/runs/" (run) } { code class="id" { (run) } } " was not deleted: " (visible(why)) } } }
                }
                p { a class="button" href="/" { "Back to the runs" } }
            }
        },
    ))
}
