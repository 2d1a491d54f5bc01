use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    detail::values,
    edit::doubt_card,
    fold::{Picture, Web},
    format::{moment, running_length, status, visible},
    graph::{Links, graph},
    layout::{Frame, page},
    phases::{phase_statuses, replaced, stepper},
    steps::{Node, nodes},
    waterfall::waterfall,
};
use crate::{
    access::Access,
    answer::Problem,
    api::{self, Allowed},
    server::Desk,
};
use windlass_engine::decide;
use windlass_ground::lock;
use windlass_journal::{InstanceId, Record, RunId, State as RunState, Status};
use windlass_report::{self as report, EventLines};
use windlass_runs::{Ask, Runs, RunsError, Shown};
use windlass_world::value::{Digest, StepError};

/// The number of lines of the log on the page of a run. The page of the log has all.
const EVENTS: u64 = 60;
/// How many earlier events are read as well, because the lines of calls need the events with which the calls began.
const EARLIER: u64 = 40;
/// In a workflow with more steps than this, a selected step is drawn with its neighbourhood only.
const NEAR: usize = 300;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RunQuery {
    /// The selected instance.
    pub step: String,
    /// The open groups of the graph: `3.7` is group 7 inside of group 3; `all` is the whole graph.
    pub open: String,
    /// The search of the list: a part of an instance's id, and a status.
    pub find: String,
    pub is: String,
    /// The first row of the list.
    pub from: usize,
}

/// A run, with everything that its page shows.
pub(super) struct View {
    pub(super) shown: Shown,
    pub(super) query: RunQuery,
    pub(super) nodes: Vec<Node>,
    trouble: Option<String>,
    waits_for: Option<String>,
    events: Vec<String>,
    /// The number of earlier events, which are not shown.
    hidden: u64,
    access: Access,
    allowed: BTreeMap<String, Allowed>,
    pub(super) selected: Option<InstanceId>,
}

/// `GET /runs/RUN`: shows a run.
pub async fn run(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Query(query): Query<RunQuery>,
) -> Result<Response, Problem> {
    let run = super::act::run_id(&run)?;
    let asked = desk.ask(move |runs| {
        let shown = runs.run(&run)?;
        let (events, hidden) = events(runs, &run, shown.state.events)?;
        let trouble = runs.trouble(&run);
        let is_paused = trouble.is_some() && runs.is_paused(&shown);
        let held_up = (trouble, is_paused, api::waits_for(runs, &run));
        Ok((held_up, events, hidden, shown))
    });
    let ((trouble, is_paused, waits_for), events, hidden, shown) = asked.await?;
    let view = View {
        nodes: nodes_of(&shown),
        allowed: api::allowed(&shown, is_paused, &access),
        trouble,
        waits_for,
        events,
        hidden,
        selected: query.step.parse().ok(),
        query,
        shown,
        access,
    };
    Ok(view.page())
}

/// Returns the steps of a run. Nothing of a run that no process drives goes on.
fn nodes_of(shown: &Shown) -> Vec<Node> {
    let mut nodes = nodes(&shown.program.workflow, &shown.state, shown.at);
    if !shown.is_driven {
        nodes.iter_mut().for_each(|node| node.working = None);
    }
    nodes
}

/// Says whether a step of a plan has begun everywhere, such as `each/pack` in all items of `each`: then nothing of it follows. `path` has the
/// names of the step and of those around it, as far as they are inside of `outer`.
fn is_begun(state: &RunState, outer: Option<&InstanceId>, path: &[&str]) -> bool {
    let [name, inside @ ..] = path else {
        return true;
    };
    let id = InstanceId::step(outer, name);
    match state.instance(&id).filter(|i| i.items.is_some()) {
        Some(each) => {
            let mut items = each.item_instances.ids().iter();
            is_over(state, &id) || items.all(|item| has_begun(state, item, inside))
        }
        None => has_begun(state, &id, inside),
    }
}

/// Says whether an instance has begun, and all that `inside` names in it.
fn has_begun(state: &RunState, id: &InstanceId, inside: &[&str]) -> bool {
    let Some(instance) = state.instance(id) else {
        return false;
    };
    // One that runs again is pending until then; what it contains may stay done.
    let is_reset = instance.status == Status::Pending && !instance.is_scope;
    is_over(state, id) || !is_reset && is_begun(state, Some(id), inside)
}

fn is_over(state: &RunState, id: &InstanceId) -> bool {
    matches!(state.status(id), Status::Succeeded | Status::Skipped)
}

/// Returns a disabled first button: without it, Enter in a field would press the first real one, and so answer the question.
pub fn no_enter() -> Markup {
    html! { button disabled hidden aria-hidden="true" {} }
}

/// Returns the plan of a run from its start. Working it out is slow, and it is the same as long as the run has the same files and params,
/// so recent plans are cached.
fn foreseen(shown: &Shown) -> Arc<Json> {
    /// The largest number of cached plans.
    const KEPT: usize = 64;
    static KNOWN: Mutex<BTreeMap<Digest, Arc<Json>>> = Mutex::new(BTreeMap::new());
    let known = || lock(&KNOWN);
    let key = Digest::of(&[
        shown.id.as_str().as_bytes(),
        shown.info.program.as_bytes(),
        shown.info.params.digest().as_bytes(),
    ]);
    if let Some(json) = known().get(&key) {
        return json.clone();
    }
    let mut begun = RunState::default();
    begun.run = Some(shown.info.clone());
    let all = decide::preview(&shown.program.workflow, &begun, shown.id.as_str());
    let json = Arc::new(report::preview_json(&all, &[]));
    let mut known = known();
    if known.len() >= KEPT {
        known.clear();
    }
    known.insert(key, json.clone());
    json
}

/// Returns the last events as lines, and the number of events before them.
fn events(runs: &dyn Runs, run: &RunId, known: u64) -> Result<(Vec<String>, u64), RunsError> {
    let from = known.saturating_sub(EVENTS);
    let mut cursor = runs.cursor(run, from.saturating_sub(EARLIER))?;
    let (mut lines, mut all) = (EventLines::default(), Vec::new());
    runs.events(run, &mut cursor, &mut |record: Record| {
        let line = lines.line(&record, false);
        if record.seq >= from {
            all.push(line);
        }
    })?;
    Ok((all, from))
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
            "{}: {} of {} steps done, {failed} failed",
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
                (self.questions())
                (self.errors())
                (self.phases())
                div class="columns picture" {
                    section class="card" aria-labelledby="graph-title" {
                        (self.graph())
                    }
                    section id="steps" class="card" aria-labelledby="steps-title" {
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

    /// Returns the address that shows an instance.
    pub(super) fn link(&self, step: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("step", step);
        let kept = [("find", &self.query.find), ("is", &self.query.is)];
        query.extend_pairs(kept.iter().filter(|(_, value)| !value.is_empty()));
        format!("/runs/{}?{}#detail", self.shown.id, query.finish())
    }

    /// Returns the address of the graph with some groups open.
    fn opened(&self, open: &[usize]) -> String {
        let numbers: Vec<_> = open.iter().map(usize::to_string).collect();
        let open = if numbers.is_empty() {
            "all".to_owned()
        } else {
            numbers.join(".")
        };
        format!("/runs/{}?open={open}", self.shown.id)
    }

    /// Draws the graph: all steps if there are few, otherwise groups that open, or the selected step with its neighbourhood.
    fn graph(&self) -> Markup {
        let web = Web::of(&self.shown.program.workflow);
        let selected = self.selected.as_ref();
        // For an instance inside of a step, the step is selected in the graph.
        let step = selected.and_then(|id| {
            let name = id.as_str().split(['/', '[', '!']).next()?;
            self.nodes.iter().position(|node| node.name == name)
        });
        let is_near = self.nodes.len() > NEAR && self.query.open.is_empty();
        let (picture, near) = match step.filter(|_| is_near) {
            Some(step) => (web.near(step), Some(&self.nodes[step])),
            None => {
                let open: Vec<usize> = self
                    .query
                    .open
                    .split('.')
                    .map_while(|number| number.parse().ok())
                    .collect();
                (web.picture(&open), None)
            }
        };
        let links = Links {
            step: &|id| self.link(id),
            open: &|number| self.opened(&[&picture.opened[..], &[number]].concat()),
        };
        let drawn = step.map(|step| self.nodes[step].id.as_str().to_owned());
        html! {
            div class="bar" {
                h2 id="graph-title" { "Graph" }
                div class="zoom" role="group" aria-label="Size of the graph" {
                    button type="button" class="plain" data-zoom="out" aria-label="Smaller" { "−" }
                    button type="button" class="plain" data-zoom="fit" { "Fit" }
                    button type="button" class="plain" data-zoom="in" aria-label="Larger" { "+" }
                }
            }
            @if web.is_folded() { (self.way(&picture, near)) }
            div class="scroll pan" id="graph-box" tabindex="0" role="region" aria-label="Graph of the steps" {
                (graph(&picture, &self.nodes, &links, drawn.as_deref()))
            }
        }
    }

    /// Shows which part of a large graph is drawn, with links back.
    fn way(&self, picture: &Picture, near: Option<&Node>) -> Markup {
        let all = self.nodes.len();
        html! {
            p class="way quiet" {
                @if let Some(node) = near {
                    b { (node.name) } " and the steps around it: " (picture.shown) " of " (all) " steps · "
                    a href=(self.opened(&[])) { "the whole graph" }
                } @else if picture.opened.is_empty() {
                    (all) " steps in groups. Select a group to open it."
                } @else {
                    a href=(self.opened(&[])) { "All " (all) " steps" }
                    @for depth in 1..picture.opened.len() {
                        " › " a href=(self.opened(&picture.opened[..depth])) { "group " (picture.opened[depth - 1] + 1) }
                    }
                    " › " b { "group " (picture.opened[picture.opened.len() - 1] + 1) ", " (picture.shown) " steps" }
                }
            }
        }
    }

    fn head(&self) -> Markup {
        let Self { shown, .. } = self;
        let (info, at) = (&shown.info, shown.at);
        let took = shown
            .state
            .ended_at
            .unwrap_or(at)
            .millis_since(info.started_at);
        // A process that is killed writes no event, so an open page also reloads at intervals.
        let every = shown.state.ended_at.is_none().then_some("10000");
        html! {
            div class="head" data-every=[every] {
                div {
                    h1 { (info.workflow) " " (status(shown.status())) }
                    p class="quiet" {
                        code class="id" { (shown.id) } " · on " b { (info.target) } " · started " (moment(info.started_at, at))
                        " by " b { (info.requester) } " · " (running_length(took, at, shown.is_driven && shown.state.ended_at.is_none()))
                    }
                }
                div class="actions" {
                    nav class="ways" aria-label="This run" {
                        a href={ "/runs/" (shown.id) "/log" } { "Log" }
                        a href={ "/runs/" (shown.id) "/compare" } { "Compare" }
                        a href={ "/runs/" (shown.id) "/audit" } { "Evidence" }
                    }
                    (self.act("resume", "Resume"))
                    (self.leads("edit", "Edit and resume…"))
                    (self.act("cancel", "Cancel"))
                    (self.leads("undo", "Undo…"))
                }
            }
        }
    }

    /// Returns a button. If it can't be used now, it shows why.
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

    /// Returns a link to an action that first shows its plan.
    fn leads(&self, name: &str, label: &str) -> Markup {
        match self.allowed.get(name) {
            Some(allowed) if allowed.ok => {
                html! { a class="button" id={ "do-" (name) } href={ "/runs/" (self.shown.id) "/" (name) } { (label) } }
            }
            _ => self.act(name, label),
        }
    }

    /// Returns the cards of the questions and of the calls in doubt.
    fn questions(&self) -> Markup {
        let (asks, doubts) = (self.shown.asks(), self.shown.doubts());
        let may_say = api::may_say(&self.access, &self.shown);
        html! {
            @if !asks.is_empty() || !doubts.is_empty() {
                div id="ask" class="questions" {
                    @for ask in &asks { (self.question(ask)) }
                    @for doubt in &doubts { (doubt_card(&self.shown, doubt, &may_say)) }
                }
            }
        }
    }

    /// Returns the card of a question: what happens next, what the answer is bound to, and the buttons.
    fn question(&self, ask: &Ask) -> Markup {
        let Self { shown, access, .. } = self;
        let allowed = api::may_answer(shown, ask, access);
        let digest = ask.digest.to_string();
        let program = shown.info.program.to_string();
        // A live update keeps focus and typed text within an element of the same id, so each question has an id of its own.
        let id = card_id(&[ask.step.as_str().as_bytes(), ask.digest.as_bytes()]);
        let title = format!("{id}-title");
        html! {
            section id=(id) class="card ask" aria-labelledby=(title) {
                h2 id=(title) { span aria-hidden="true" { "? " } (visible(&ask.message)) }
                p class="quiet" {
                    "step " code { (ask.step) } " · asked " (moment(ask.asked_at, shown.at))
                    @if let Some(deadline) = ask.deadline { " · expires " (moment(deadline, shown.at)) }
                }
                div class="bound" {
                    h3 { "What happens next" }
                    (self.what_follows())
                    p class="quiet" {
                        "The answer is bound to this question, to the files " code title=(program) { (program[..12]) }
                        " and to the params below: " code title=(digest) { (digest[..12]) } ". If any of these changes, the answer is not accepted."
                    }
                }
                form method="post" action={ "/runs/" (shown.id) "/approve" } {
                    input type="hidden" name="step" value=(ask.step);
                    input type="hidden" name="digest" value=(digest);
                    @if allowed.ok {
                        (no_enter())
                        label { span { "Comment" } input name="comment" maxlength="1000" autocomplete="off"; }
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

    /// Shows the progress through the phases, and what each replaces.
    fn phases(&self) -> Markup {
        let workflow = &self.shown.program.workflow;
        if workflow.phases.is_empty() {
            return html! {};
        }
        let phases = phase_statuses(workflow, &self.nodes, &self.shown.state);
        html! {
            section id="phases" class="card" aria-labelledby="phases-title" {
                h2 id="phases-title" { "Phases" }
                (stepper(&phases))
                @if workflow.phases.iter().any(|phase| phase.replaces.is_some()) {
                    h3 { "What each replaces" }
                    (self.replaced(|_| true, 0))
                }
            }
        }
    }

    /// Shows what the phases with `wanted` statuses replace.
    fn replaced(&self, wanted: impl Fn(&str) -> bool, unfolded: usize) -> Markup {
        let Self { shown, nodes, .. } = self;
        let workflow = &shown.program.workflow;
        match report::replacing(workflow, &shown.state, shown.id.as_str()) {
            Err(why) => html! { p class="trouble" { (visible(&why)) } },
            Ok(phases) => {
                let phase_statuses = phase_statuses(workflow, nodes, &shown.state);
                let phases = phases.into_iter().zip(phase_statuses);
                let phases = phases.filter(|(_, (_, status))| wanted(status));
                let phases: Vec<_> = phases.map(|(phase, _)| phase).collect();
                replaced(&phases, unfolded)
            }
        }
    }

    /// Lists the steps that have not started, with the calls that change something, as far as this is known.
    fn what_follows(&self) -> Markup {
        let Self { shown, .. } = self;
        let json = foreseen(shown);
        let to_come: Vec<_> = json
            .as_array()
            .into_iter()
            .flatten()
            .filter(|step| {
                let id = step["step"].as_str().unwrap_or_default();
                let path: Vec<_> = id.split('/').collect();
                step["runs"] != false && !is_begun(&shown.state, None, &path)
            })
            .collect();
        html! {
            (self.replaced(|status| status == "pending", 1))
            @if to_come.is_empty() { p { "No steps follow." } }
            @if !shown.program.workflow.phases.is_empty() && !to_come.is_empty() { h3 { "Steps" } }
            ul class="follows" {
                @for step in to_come.iter().take(20) {
                    li {
                        b { (step["step"].as_str().unwrap_or_default()) }
                        @if step["for_each"] == true { " (for each item)" }
                        @if let Some(question) = step["approval"].as_str() { " asks: " (visible(question)) }
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
            @if errors.len() > 5 { p class="hint" { "and " (errors.len() - 5) " more errors; the list of steps has all of them." } }
        }
    }

    /// Returns an error with an excerpt of the script, as a terminal shows it.
    pub(super) fn excerpt(&self, step: Option<&InstanceId>, error: &StepError) -> Markup {
        let Shown {
            id, program, state, ..
        } = &self.shown;
        let hint = report::hint(state, step, error).map(str::to_owned);
        let error = StepError {
            hint,
            ..error.clone()
        };
        let drawn = report::render_error(id, step, &error, &program.files);
        html! { pre class="excerpt" tabindex="0" { (visible(&drawn)) } }
    }

    fn log(&self) -> Markup {
        let log = format!("/runs/{}/log", self.shown.id);
        html! {
            section id="log" class="card" aria-labelledby="log-title" {
                h2 id="log-title" { "Log" }
                p class="quiet" {
                    @if self.hidden > 0 { (self.hidden) " earlier lines: " }
                    "times in UTC · " a href=(log) { "search all lines" } " · " a href={ (log) "?errors=1" } { "errors" } " · " a href={ (log) ".txt" } { "plain text" }
                }
                @if !self.events.is_empty() {
                    pre class="log" tabindex="0" { @for line in &self.events { (visible(line)) "\n" } }
                }
            }
        }
    }
}

/// Returns the id of the card of a question that has these parts.
pub(super) fn card_id(parts: &[&[u8]]) -> String {
    format!("ask-{}", &Digest::of(parts).to_string()[..16])
}
