//! Compares a run with another one, by default the last earlier run of the same workflow and target that succeeded.

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;
use similar::{ChangeTag, TextDiff};

use super::{
    act::run_id,
    format::{length, moment, short, status, value, visible},
    layout::{Frame, heads, page},
};
use crate::{
    access::Access,
    answer::Problem,
    compare::{Comparison, StepChange, StepSide, ValueChange, last_success},
    server::Desk,
};
use windlass_runs::{FileChange, Shown};
use windlass_targets::Role;

/// The largest number of lines shown of the difference of a file.
const LINES: usize = 200;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct CompareQuery {
    /// The run to compare with.
    with: String,
}

/// `GET /runs/RUN/compare`: shows what differs.
pub async fn compare(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Query(query): Query<CompareQuery>,
) -> Result<Response, Problem> {
    let run = run_id(&run)?;
    let with = match query.with.trim() {
        "" => None,
        with => Some(run_id(with)?),
    };
    let (shown, compared) = desk
        .ask(move |runs| {
            let after = runs.run(&run)?;
            let with = match with {
                Some(with) => Some(with),
                None => last_success(runs, &after)?,
            };
            match with {
                None => Ok((Some(after), None)),
                Some(with) => Ok((None, Some(Comparison::new(runs.run(&with)?, after)))),
            }
        })
        .await?;
    // The role was only checked for the run in the path.
    if let Some(Comparison { before, .. }) = &compared {
        access.need_of(Role::Viewer, before)?;
    }
    let frame = Frame::still("Compare", "Runs", Some(&access));
    let main = match (&compared, &shown) {
        (Some(compared), _) => compared_markup(compared),
        (None, Some(shown)) => html! {
            h1 { "Compare" }
            section class="card empty" {
                p { "No earlier run of " b { (shown.info.workflow) } " on " (shown.info.target) " has succeeded." }
                (other(shown, ""))
            }
        },
        (None, None) => html! {},
    };
    Ok(page(&frame, main))
}

fn other(shown: &Shown, with: &str) -> Markup {
    html! {
        form class="filter" method="get" action={ "/runs/" (shown.id) "/compare" } {
            label class="wide" { span { "Compare with the run" } input name="with" value=(with) autocomplete="off" spellcheck="false"; }
            button { "Compare" }
        }
    }
}

fn compared_markup(compared: &Comparison) -> Markup {
    let Comparison { before, after, .. } = compared;
    let is_alike = compared.params.is_empty()
        && compared.files.is_empty()
        && compared.steps.is_empty()
        && compared.outputs.is_empty();
    html! {
        h1 { "Compare " (after.info.workflow) }
        div class="columns" {
            (side("This run", after))
            (side("Compared with", before))
        }
        (other(after, before.id.as_str()))
        @if is_alike { section class="card empty" { p { "No differences: both runs have the same params, files, steps and outputs." } } }
        (values("Params", &compared.params))
        @if !compared.files.is_empty() {
            section class="card" {
                h2 { "Files" }
                @for file in &compared.files { (difference(file)) }
            }
        }
        @if !compared.steps.is_empty() {
            section class="card" {
                h2 { "Steps" }
                p class="quiet" { (compared.steps.len()) " differ, " (compared.same) " do not" }
                table class="list" {
                    (heads(&["Step", "This run", "Compared with"]))
                    tbody { @for change in &compared.steps { (step(change, after)) } }
                }
            }
        }
        (values("Outputs", &compared.outputs))
    }
}

fn side(title: &str, shown: &Shown) -> Markup {
    let took = shown
        .state
        .ended_at
        .unwrap_or(shown.at)
        .millis_since(shown.info.started_at);
    html! {
        section class="card" {
            h2 { (title) " " (status(shown.status())) }
            p class="quiet" {
                a href={ "/runs/" (shown.id) } { code class="id" { (shown.id) } }
                " · started " (moment(shown.info.started_at, shown.at)) " by " b { (shown.info.requester) } " · " (length(took))
            }
        }
    }
}

fn values(title: &str, changes: &[ValueChange]) -> Markup {
    let cell = |json: &serde_json::Value| {
        html! {
            @match short(json) {
                Some(text) => code { (text) },
                None => pre tabindex="0" { (value(json).unwrap_or_default()) },
            }
        }
    };
    html! {
        @if !changes.is_empty() {
            section class="card" {
                h2 { (title) }
                table class="list" {
                    (heads(&["Name", "This run", "Compared with"]))
                    tbody {
                        @for change in changes {
                            tr {
                                td class="workflow" { b { (change.name) } }
                                td data-label="This run" { div { (cell(&change.after)) } }
                                td data-label="Compared with" { div { (cell(&change.before)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn step(change: &StepChange, after: &Shown) -> Markup {
    let side = |side: &Option<StepSide>| {
        html! {
            @match side {
                None => span class="quiet" { "did not run" },
                Some(side) => {
                    (status(side.status)) " " span class="quiet" { (length(side.worked_ms)) @if side.attempt > 1 { ", attempt " (side.attempt) } }
                    @if let Some(error) = &side.error { p class="error" { (visible(error)) } }
                }
            }
        }
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("step", change.step.as_str());
    html! {
        tr {
            td class="workflow" { a href={ "/runs/" (after.id) "?" (query.finish()) "#detail" } { (change.step) } }
            td data-label="This run" { div { (side(&change.after)) } }
            td data-label="Compared with" { div { (side(&change.before)) } }
        }
    }
}

/// Returns the changed lines of a file, with three lines of context.
pub fn difference(file: &FileChange) -> Markup {
    let (before, after) = (
        file.before.as_deref().unwrap_or_default(),
        file.after.as_deref().unwrap_or_default(),
    );
    let diff = TextDiff::from_lines(before, after);
    let groups = diff.grouped_ops(3);
    let changes = groups.iter().flat_map(|group| {
        let lines = group.iter().flat_map(|op| diff.iter_changes(op));
        lines.map(|change| {
            (
                change.tag(),
                change.value().trim_end_matches('\n').to_owned(),
            )
        })
    });
    let lines: Vec<_> = changes.take(LINES + 1).collect();
    html! {
        h3 {
            code { (visible(&file.path)) }
            @match (&file.before, &file.after) {
                (None, _) => " (new)",
                (_, None) => " (removed)",
                _ => "",
            }
        }
        pre class="diff" tabindex="0" {
            @for (tag, line) in lines.iter().take(LINES) {
                @let (class, sign) = match tag {
                    ChangeTag::Delete => ("del", "- "),
                    ChangeTag::Insert => ("ins", "+ "),
                    ChangeTag::Equal => ("", "  "),
                };
                span class=(class) { (sign) (visible(line)) "\n" }
            }
            @if lines.len() > LINES { "…" }
        }
    }
}
