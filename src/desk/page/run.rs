use std::collections::BTreeMap;

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    detail::values,
    format::{length, moment, status, visible},
    graph::graph,
    layout::{Frame, page},
    steps::{Node, nodes},
    waterfall::waterfall,
};
use crate::{
    decide,
    desk::{
        access::Access,
        answer::Problem,
        api::{self, Allowed},
        server::Desk,
    },
    journal::{InstanceId, Record, RunId, State as RunState},
    report::{self, EventLines},
    runs::{Ask, Cursor, Runs, RunsError, Shown},
    value::StepError,
};

/// How many events are listed.
const EVENTS: usize = 60;
/// A longer journal is only read for who asks for it.
const MANY_EVENTS: u64 = 3000;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RunQuery {
    /// The instance that is looked at.
    step: String,
    /// `all` for every event.
    log: String,
}

/// A run with all that its page shows.
pub(super) struct View {
    pub(super) shown: Shown,
    nodes: Vec<Node>,
    trouble: Option<String>,
    waits_for: Option<String>,
    events: Vec<String>,
    /// Events that are not shown.
    hidden: u64,
    access: Access,
    allowed: BTreeMap<String, Allowed>,
    selected: Option<InstanceId>,
}

/// `GET /runs/RUN`.
pub async fn run(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Query(query): Query<RunQuery>,
) -> Result<Response, Problem> {
    let run = super::act::run_id(&run)?;
    let is_whole = query.log == "all";
    let asked = desk.ask(move |runs| {
        let shown = runs.run(&run)?;
        let (events, hidden) = events(runs, &run, shown.state.events, is_whole)?;
        let held_up = (runs.trouble(&run), api::waits_for(runs, &run));
        Ok((held_up, events, hidden, shown))
    });
    let ((trouble, waits_for), events, hidden, shown) = asked.await?;
    let view = View {
        nodes: nodes(&shown.program.workflow, &shown.state, shown.at),
        allowed: api::allowed(&shown, &access),
        trouble,
        waits_for,
        events,
        hidden,
        selected: (!query.step.is_empty()).then(|| InstanceId::parse(&query.step)),
        shown,
        access,
    };
    Ok(view.page())
}

/// Returns the last events as lines, and how many come before them.
fn events(
    runs: &dyn Runs,
    run: &RunId,
    known: u64,
    is_whole: bool,
) -> Result<(Vec<String>, u64), RunsError> {
    if known > MANY_EVENTS && !is_whole {
        return Ok((Vec::new(), known));
    }
    let (mut cursor, mut lines, mut all) = (Cursor::default(), EventLines::default(), Vec::new());
    runs.events(run, &mut cursor, &mut |record: Record| {
        all.push(lines.line(&record, false));
    })?;
    let hidden = match is_whole {
        true => 0,
        false => all.len().saturating_sub(EVENTS),
    };
    Ok((all.split_off(hidden), hidden as u64))
}

impl View {
    fn page(&self) -> Response {
        let Self { shown, nodes, .. } = self;
        let (info, state) = (&shown.info, &*shown.state);
        let over = nodes
            .iter()
            .filter(|node| matches!(node.status.as_str(), "succeeded" | "skipped"));
        let failed = nodes.iter().filter(|node| node.status == "failed").count();
        let summary = format!(
            "{}: {} of {} steps over, {failed} failed",
            shown.status(),
            over.count(),
            nodes.len()
        );
        let title = format!("{} · {}", info.workflow, shown.status());
        let frame = Frame {
            title: &title,
            part: "Runs",
            stream: Some(format!(
                "/api/v1/runs/{}/stream?after={}",
                shown.id,
                state.events.saturating_sub(1)
            )),
            summary,
            access: Some(&self.access),
        };
        let end = state.ended_at.unwrap_or(shown.at);
        let selected = self.selected.as_ref();
        page(
            &frame,
            html! {
                (self.head())
                @if let Some(trouble) = &self.trouble {
                    p class="trouble" role="alert" { "This run can't continue: " (visible(trouble)) }
                }
                @if let Some(what) = &self.waits_for {
                    p class="held" { span aria-hidden="true" { "⏳ " } "This run waits for " (visible(what)) }
                }
                @for ask in shown.asks() { (self.question(&ask)) }
                (self.errors())
                div class="columns picture" {
                    section class="card" aria-labelledby="graph-title" {
                        h2 id="graph-title" { "Graph" }
                        div class="scroll" tabindex="0" role="region" aria-label="Graph of the steps" {
                            (graph(&shown.program.workflow, nodes, |id| self.link(id), selected.map(InstanceId::as_str)))
                        }
                    }
                    section class="card" aria-labelledby="steps-title" {
                        h2 id="steps-title" { "Steps" }
                        (self.steps())
                    }
                }
                @if let Some(selected) = selected { (self.detail(selected)) }
                section class="card" aria-labelledby="fall-title" {
                    h2 id="fall-title" { "Time" }
                    (waterfall(nodes, (info.started_at, end), |id| self.link(id)))
                }
                div class="columns" {
                    (values("Params", &info.params))
                    (values("Outputs", &state.outputs))
                }
                (self.log())
            },
        )
    }

    /// Returns the address at which an instance is looked at.
    pub(super) fn link(&self, step: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("step", step);
        format!("/runs/{}?{}#detail", self.shown.id, query.finish())
    }

    fn head(&self) -> Markup {
        let Self { shown, .. } = self;
        let (info, at) = (&shown.info, shown.at);
        let took = shown.state.ended_at.unwrap_or(at) - info.started_at;
        html! {
            div class="head" {
                div {
                    h1 { (info.workflow) " " (status(shown.status())) }
                    p class="quiet" {
                        code class="id" { (shown.id) } " · on " b { (info.target) } " · started " (moment(info.started_at, at))
                        " by " b { (info.requester) } " · " (length(took))
                    }
                }
                div class="actions" {
                    (self.act("resume", "Resume"))
                    (self.act("cancel", "Cancel"))
                    (self.undo())
                }
            }
        }
    }

    /// Returns a button, which says why where it can't be used.
    fn act(&self, name: &str, label: &str) -> Markup {
        let allowed = self.allowed.get(name);
        let why = allowed
            .filter(|allowed| !allowed.ok)
            .map(|allowed| allowed.why.clone().unwrap_or_default());
        html! {
            form method="post" action={ "/runs/" (self.shown.id) "/" (name) } {
                @match why {
                    None => button id={ "do-" (name) } { (label) },
                    Some(why) => {
                        button id={ "do-" (name) } type="button" aria-disabled="true" title=(why) aria-describedby={ "why-" (name) } { (label) }
                        span id={ "why-" (name) } class="unseen" { (why) }
                    }
                }
            }
        }
    }

    /// Returns an undo begins with its plan.
    fn undo(&self) -> Markup {
        match self.allowed.get("undo") {
            Some(allowed) if allowed.ok => {
                html! { a class="button" id="do-undo" href={ "/runs/" (self.shown.id) "/undo" } { "Undo…" } }
            }
            _ => self.act("undo", "Undo…"),
        }
    }

    /// Returns a question, what it is bound to, and the buttons to answer it.
    fn question(&self, ask: &Ask) -> Markup {
        let Self { shown, access, .. } = self;
        let allowed = api::may_answer(shown, ask, access);
        let digest = ask.digest.to_string();
        let program = shown.info.program.to_string();
        html! {
            section id="ask" class="card ask" aria-labelledby="ask-title" {
                h2 id="ask-title" { span aria-hidden="true" { "? " } (visible(&ask.message)) }
                p class="quiet" {
                    "step " code { (ask.step) } " · asked " (moment(ask.asked_at, shown.at))
                    @if let Some(deadline) = ask.deadline { " · expires " (moment(deadline, shown.at)) }
                }
                div class="bound" {
                    h3 { "What happens next" }
                    (self.what_follows())
                    p class="quiet" {
                        "The answer is bound to this question, to the files " code title=(program) { (program[..12]) }
                        " and to the params below: " code title=(digest) { (digest[..12]) } ". If any of them changes, it does not count."
                    }
                }
                form method="post" action={ "/runs/" (shown.id) "/approve" } {
                    input type="hidden" name="step" value=(ask.step);
                    input type="hidden" name="digest" value=(digest);
                    @if allowed.ok {
                        label { span { "Comment" } input id="comment" name="comment" maxlength="1000" autocomplete="off"; }
                        div class="answers" {
                            button class="main" { "Approve" }
                            button class="danger" formaction={ "/runs/" (shown.id) "/reject" } { "Reject" }
                        }
                    } @else {
                        p class="hint" { "You can't answer this: " (allowed.why.as_deref().unwrap_or_default()) "." }
                    }
                }
            }
        }
    }

    /// Says what the steps to come will change outside, as far as it is known.
    fn what_follows(&self) -> Markup {
        let Self { shown, .. } = self;
        let mut begun = RunState::default();
        begun.run = Some(shown.info.clone());
        let all = decide::preview(&shown.program.workflow, &begun, shown.id.as_str());
        let json = report::preview_json(&all, &[]);
        let to_come: Vec<_> = json
            .as_array()
            .into_iter()
            .flatten()
            .filter(|step| {
                let id = step["step"].as_str().unwrap_or_default();
                let is_begun = shown.state.instance(&InstanceId::parse(id)).is_some();
                !is_begun && step["runs"] != false && step.get("approval").is_none()
            })
            .collect();
        html! {
            @if to_come.is_empty() { p { "No step is left to run after it." } }
            ul class="follows" {
                @for step in to_come.iter().take(20) {
                    li {
                        b { (step["step"].as_str().unwrap_or_default()) }
                        @if step["for_each"] == true { " (for each item)" }
                        @let changes = step["changes"].as_array();
                        @for change in changes.into_iter().flatten() {
                            " " code { (change.as_str().unwrap_or_default()) }
                        }
                    }
                }
                @if to_come.len() > 20 { li { "and " (to_come.len() - 20) " more steps" } }
            }
        }
    }

    fn errors(&self) -> Markup {
        let errors = report::errors(&self.shown.state);
        html! {
            @for (step, error) in errors.iter().take(5) {
                section class="card failed" {
                    h2 {
                        span aria-hidden="true" { "✕ " }
                        @match step {
                            Some(step) => { a href=(self.link(step.as_str())) { (step) } " failed" },
                            None => "The run failed",
                        }
                    }
                    (self.excerpt(*step, error))
                }
            }
            @if errors.len() > 5 { p class="hint" { "and " (errors.len() - 5) " more errors; the list of steps has them all." } }
        }
    }

    /// Returns an error with its place in the script, as a terminal shows it.
    pub(super) fn excerpt(&self, step: Option<&InstanceId>, error: &StepError) -> Markup {
        let Shown { id, program, .. } = &self.shown;
        let drawn = report::render_error(id, step, error, &program.files);
        html! { pre class="excerpt" tabindex="0" { (visible(&drawn)) } }
    }

    fn steps(&self) -> Markup {
        html! {
            table class="steps" {
                thead { tr { th scope="col" { "Step" } th scope="col" { "Status" } th scope="col" { "Took" } } }
                tbody {
                    @for node in &self.nodes {
                        @let is_selected = self.selected.as_ref().is_some_and(|id| *id == node.id);
                        tr id={ "step-" (node.name) } class=[is_selected.then_some("selected")] {
                            td {
                                a href=(self.link(node.id.as_str())) { (node.name) }
                                @if let Some((first, count)) = node.failing.as_ref().filter(|_| node.is_composite()) {
                                    p class="error" {
                                        a href=(self.link(first)) { (first) } " failed"
                                        @if *count > 1 { ", and " (count - 1) " more" }
                                    }
                                }
                            }
                            td {
                                (status(&node.status))
                                @if node.is_composite() { " " span class="quiet" { (node.progress()) } }
                                @if node.attempt > 1 { " " span class="quiet" { "attempt " (node.attempt) } }
                            }
                            td class="number" {
                                @if node.started_at.is_some() || node.waited.is_some() { (length(node.took(self.shown.at))) }
                            }
                        }
                    }
                }
            }
        }
    }

    fn log(&self) -> Markup {
        let all = format!("/runs/{}?log=all#log", self.shown.id);
        html! {
            section id="log" class="card" aria-labelledby="log-title" {
                h2 id="log-title" { "Events" }
                @if self.hidden > 0 {
                    p class="quiet" { (self.hidden) " earlier events: " a href=(all) { "show all" } }
                }
                @if !self.events.is_empty() {
                    pre class="log" tabindex="0" { @for line in &self.events { (visible(line)) "\n" } }
                }
            }
        }
    }
}
