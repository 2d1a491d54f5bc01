//! The evidence of a run: its chain, verified now, its approvals and changes, and the bundle to download.

use axum::{
    extract::{Path, State},
    response::Response,
};
use maud::{Markup, html};

use super::{
    act::run_id,
    format::{moment, status, visible},
    layout::{Frame, heads, page},
};
use crate::{access::Access, answer::Problem, server::Desk};
use windlass_ground::Timestamp;
use windlass_runs::now;

/// `GET /runs/RUN/audit`: shows what a run proves.
pub async fn audit(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    let run = run_id(&run)?;
    let asked = run.clone();
    let evidence = desk.ask(move |runs| runs.evidence(&asked)).await?;
    let summary = evidence.summary;
    let text = |name: &str| summary[name].as_str().unwrap_or_default().to_owned();
    let frame = Frame::still("Evidence", "Runs", Some(&access));
    Ok(page(
        &frame,
        html! {
            div class="head" {
                div {
                    h1 { "Evidence" }
                    p class="quiet" { a href={ "/runs/" (run) } { code class="id" { (run) } } " " (status(&text("status"))) }
                }
                div class="actions" {
                    a class="button main" id="bundle" href={ "/runs/" (run) "/evidence" } download={ (run) ".evidence.json" } { "Download the bundle" }
                }
            }
            section class="card" aria-labelledby="chain-title" {
                h2 id="chain-title" { span class="status good" { span aria-hidden="true" { "✓" } "verified" } " The chain of events is unbroken" }
                dl class="values" {
                    dt { "Events" } dd { (summary["events"]) }
                    dt { "Head" } dd { code { (text("head")) } }
                    dt { "Workflow" } dd { code { (text("program")) } }
                    dt { "Started by" } dd { (text("requester")) }
                }
                p class="hint" { "An auditor can verify the bundle without this server and without its secrets: " code { "windlass audit --verify " (run) ".evidence.json" } }
            }
            (approvals(&summary["approvals"]))
            (changes(&summary["changes"]))
        },
    ))
}

fn approvals(all: &serde_json::Value) -> Markup {
    let all: Vec<_> = all.as_array().into_iter().flatten().collect();
    let text =
        |one: &serde_json::Value, name: &str| visible(one[name].as_str().unwrap_or_default());
    html! {
        @if !all.is_empty() {
            section class="card" {
                h2 { "Approvals" }
                table class="list" {
                    (heads(&["Step", "Answer", "By", "When"]))
                    tbody {
                        @for one in &all {
                            tr {
                                td class="workflow" { code { (text(one, "step")) } p { (text(one, "question")) } }
                                td data-label="Answer" { (status(one["verdict"].as_str().unwrap_or("waiting"))) @if one["comment"].is_string() { p { (text(one, "comment")) } } }
                                td data-label="By" { (text(one, "approver")) }
                                td data-label="When" { @if let Some(at) = one["answered_at"].as_i64() { (moment(Timestamp::from_millis(at), now())) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn changes(all: &serde_json::Value) -> Markup {
    /// The largest number of calls that the page lists. The bundle has all of them.
    const MOST: usize = 300;
    let all: Vec<_> = all.as_array().into_iter().flatten().collect();
    html! {
        section class="card" {
            h2 { "Changes outside " span class="quiet" { (all.len()) } }
            @if all.is_empty() { p class="quiet" { "Nothing." } }
            ol class="changes" {
                @for one in all.iter().take(MOST) {
                    li {
                        code { (one["step"].as_str().unwrap_or_default()) } " "
                        b { (visible(one["function"].as_str().unwrap_or_default())) }
                        @if let Some(object) = one["object"].as_str() { " " (visible(object)) }
                    }
                }
            }
            @if all.len() > MOST { p class="hint" { "and " (all.len() - MOST) " more, in the bundle" } }
        }
    }
}
