//! Resuming a run with changed files, changed params or steps that run again: first the plan, then the button, which applies exactly this
//! plan. Also the answers to calls in doubt.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;
use maud::{Markup, html};

use super::{
    act::{Form, run_id},
    compare::difference,
    fields::{entered, input, is_as_shown, typed},
    format::{moment, value, visible},
    layout::{Frame, heads, page, problem_text, see_other},
    run::{card_id, no_enter},
};
use crate::{access::Access, answer::Problem, api, server::Desk};
use windlass_compile::{Param, Program, parse_argument, parse_value};
use windlass_journal::InstanceId;
use windlass_report as report;
use windlass_runs::{
    Changes, Doubt, DoubtAnswer, Revision, RunsError, Shown, WorkflowName, file_changes,
};
use windlass_world::value::{Type, Value};

/// The largest number of steps that are offered to run again, and of rows of a plan that are shown.
const STEPS: usize = 300;
const ROWS: usize = 200;

/// The form: a run, the current files of its workflow, and what the person entered.
struct Sheet {
    shown: Shown,
    /// The workflow with its current files, or why they can't be used.
    now: Result<Program, Problem>,
    given: Form,
    /// The steps that are selected to run again.
    redo: Vec<InstanceId>,
    is_allowed: api::Allowed,
}

/// `GET /runs/RUN/edit`: shows the form, with the plan for the files that have changed already.
pub async fn edit(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    let sheet = Sheet::read(&desk, &access, &run, Form(Vec::new())).await?;
    sheet.planned(&desk, &access).await
}

/// `POST /runs/RUN/edit`: shows the plan for the form, or resumes the run.
pub async fn revise(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    given: Form,
) -> Result<Response, Problem> {
    let sheet = Sheet::read(&desk, &access, &run, given).await?;
    if sheet.given.field("do") != Some("resume") {
        return sheet.planned(&desk, &access).await;
    }
    // The form has the digest of the plan that was shown, because no other plan must be applied.
    let shown = sheet.given.field("digest");
    let shown = shown.ok_or_else(|| Problem::bad("the form has no digest"))?;
    let shown = api::digest(shown)?;
    let changes = match sheet.changes() {
        Ok(changes) => changes,
        Err(error) => return Ok(sheet.refused(&access, error.into())),
    };
    let (id, who) = (sheet.shown.id.clone(), access.person.clone());
    let back = format!("/runs/{id}");
    let resumed = desk.ask(move |runs| runs.resume_with(&id, &changes, Some(shown), &who));
    Ok(match resumed.await {
        Ok(()) => see_other(&back, None),
        Err(problem) => sheet.refused(&access, problem),
    })
}

/// `POST /runs/RUN/doubt`: records whether a call in doubt was done.
pub async fn doubt(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    form: Form,
) -> Result<Response, Problem> {
    let run = run_id(&run)?;
    let back = format!("/runs/{run}");
    let step = form
        .field("step")
        .ok_or_else(|| Problem::bad("the form has no step"))?;
    let step = api::instance_id(step)?;
    let answer = match form.field("answer") {
        Some("again") => DoubtAnswer::Again,
        Some("done") => {
            let gave = form.field("value").unwrap_or_default();
            let gave = match gave.trim() {
                "" => Ok(Value::Null),
                text => parse_value(text),
            };
            DoubtAnswer::Done(gave.map_err(|why| Problem::bad(format!("the value: {why}")))?)
        }
        _ => return Err(Problem::bad("the form has no answer")),
    };
    // The answer counts only for the call that the page showed.
    let shown = form.field("events").and_then(|events| events.parse().ok());
    let shown = shown.ok_or_else(|| Problem::bad("the form does not say what was shown"))?;
    let answers = [(step, answer)];
    desk.ask(move |runs| runs.answer_doubts(&run, &answers, Some(shown), &access.person))
        .await?;
    Ok(see_other(&back, None))
}

impl Sheet {
    async fn read(desk: &Desk, access: &Access, run: &str, given: Form) -> Result<Self, Problem> {
        let run = run_id(run)?;
        let marked = given.0.iter().filter(|(name, _)| name == "redo");
        let redo = marked
            .map(|(_, step)| api::instance_id(step))
            .collect::<Result<_, _>>()?;
        let (shown, now) = desk
            .ask(move |runs| {
                let shown = runs.run(&run)?;
                let stem = std::path::Path::new(&shown.info.file).file_stem();
                let name = stem.and_then(|stem| WorkflowName::parse(stem.to_str()?));
                let now = match name.map(|name| runs.workflow(&name)) {
                    // Another workflow may have its file's name by now, and this client need not be allowed to see it.
                    Some(Ok(program)) if program.workflow.name != shown.info.workflow => {
                        Err(RunsError::missing(
                            "unknown-workflow",
                            "its file now contains another workflow",
                        ))
                    }
                    Some(now) => now,
                    None => Err(RunsError::missing(
                        "unknown-workflow",
                        "its file has no name that this server can look up",
                    )),
                };
                Ok((shown, now))
            })
            .await?;
        let is_allowed = api::allowed(&shown, false, access).remove("edit");
        Ok(Self {
            is_allowed: is_allowed.unwrap_or_else(api::not_allowed),
            now: now.map_err(Problem::from),
            shown,
            given,
            redo,
        })
    }

    /// Returns the program whose params the form shows.
    fn program(&self) -> &Program {
        self.now.as_ref().unwrap_or(&self.shown.program)
    }

    /// Returns whether the run uses the current files: as the form says, or if nothing was sent yet, if they have changed.
    fn takes_files(&self) -> bool {
        match self.given.field("do") {
            Some(_) => self.given.field("files").is_some(),
            None => self
                .now
                .as_ref()
                .is_ok_and(|now| now.digest != self.shown.program.digest),
        }
    }

    fn changes(&self) -> Result<Changes, RunsError> {
        let takes_files = self.takes_files();
        let workflow = &self.program().workflow;
        let (mut params, mut errors) = (BTreeMap::new(), Vec::new());
        for (name, param) in &workflow.params {
            let Some(given) = entered(&self.given, name) else {
                continue;
            };
            let is_text = matches!(param.ty, Type::String) && param.limits.one_of.is_empty();
            // An empty field keeps the run's value; secrets are never shown.
            if given.is_empty() && !is_text || is_as_shown(&given, &self.now_of(name, param)) {
                continue;
            }
            match parse_argument(workflow, &format!("{name}={given}")) {
                Ok((name, value)) => {
                    params.insert(name, value);
                }
                Err(error) => errors.push(error),
            }
        }
        if let (Some(name), false) = (params.keys().next(), takes_files) {
            let message =
                format!("param {name} was changed, and params change only with the current files");
            return Err(RunsError::wrong("params", message).hint(
                "check \"Use the current files of the workflow\", also if they have not changed",
            ));
        }
        if errors.is_empty() {
            Ok(Changes {
                takes_files,
                params,
                redo: self.redo.clone(),
                ..Changes::default()
            })
        } else {
            Err(windlass_compile::ParamErrors(errors).into())
        }
    }

    /// Returns the run's value of a param, as it would be typed; an empty text if it contains secrets, because masks in their places would
    /// replace them.
    fn now_of(&self, name: &str, param: &Param) -> String {
        let value = self.shown.info.params.field(name);
        let is_shown = |value: &&Value| {
            !(param.ty.holds_secret() || value.holds_secret() || value.holds_reference())
        };
        let value = value.filter(is_shown);
        value.map_or_else(String::new, |value| typed(&param.ty, value))
    }

    async fn planned(self, desk: &Desk, access: &Access) -> Result<Response, Problem> {
        let changes = match self.changes() {
            Ok(changes) => changes,
            Err(error) => return Ok(self.refused(access, error.into())),
        };
        let id = self.shown.id.clone();
        let revision = desk.ask(move |runs| runs.revision(&id, &changes)).await;
        Ok(match revision {
            Ok(revision) => self.page(access, plan(&revision), Some(&revision)),
            Err(problem) => self.refused(access, problem),
        })
    }

    fn refused(&self, access: &Access, problem: Problem) -> Response {
        let shown =
            html! { section class="card failed" { h2 { "Not resumed" } (problem_text(&problem)) } };
        let mut response = self.page(access, shown, None);
        let status = StatusCode::from_u16(problem.status);
        *response.status_mut() = status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        response
    }

    fn page(&self, access: &Access, below: Markup, revision: Option<&Revision>) -> Response {
        let Self { shown, .. } = self;
        let title = format!("Edit and resume {}", shown.info.workflow);
        let frame = Frame::still(&title, "Runs", Some(access));
        let digest = revision.map(|revision| revision.digest.to_string());
        let takes_files = self.takes_files();
        page(
            &frame,
            html! {
                div {
                    h1 { "Edit and resume " (shown.info.workflow) }
                    p class="quiet" { a href={ "/runs/" (shown.id) } { code class="id" { (shown.id) } } " on " b { (shown.info.target) } }
                }
                form id="sheet" class="card sheet wide" method="post" action={ "/runs/" (shown.id) "/edit" } {
                    label class="check" {
                        input type="checkbox" name="files" value="1" checked[takes_files] disabled[self.now.is_err()];
                        span {
                            "Use the current files of the workflow "
                            span class="quiet" { (self.files_note()) }
                        }
                    }
                    @if let Err(problem) = &self.now { (problem_text(problem)) }
                    (self.params())
                    (self.choices())
                    div class="answers" {
                        button name="do" value="plan" { "Show the plan" }
                        @if self.is_allowed.ok {
                            @if let Some(digest) = digest {
                                input type="hidden" name="digest" value=(digest);
                                button class="main" name="do" value="resume" { "Resume with this plan" }
                            }
                        } @else {
                            p class="hint" { "This run can't be resumed now: " (self.is_allowed.why.as_deref().unwrap_or_default()) "." }
                        }
                        a class="button" href={ "/runs/" (shown.id) } { "Back" }
                    }
                }
                div id="plan" { (below) }
            },
        )
    }

    fn files_note(&self) -> String {
        match &self.now {
            Err(_) => "They can't be used.".into(),
            Ok(now) => match file_changes(&self.shown.program, now).len() {
                0 => "They have not changed.".into(),
                1 => "One has changed.".into(),
                n => format!("{n} have changed."),
            },
        }
    }

    fn params(&self) -> Markup {
        let workflow = &self.program().workflow;
        html! {
            @if !workflow.params.is_empty() {
                details open[self.given.0.iter().any(|(name, _)| name.starts_with("p."))] {
                    summary { "Params " span class="quiet" { "change only with the current files; an empty field keeps the run's value" } }
                    div class="fields" {
                        @for (name, param) in &workflow.params {
                            @let given = entered(&self.given, name);
                            (input(name, param, &given.unwrap_or_else(|| self.now_of(name, param)), false, None))
                        }
                    }
                }
            }
        }
    }

    /// Returns the checkboxes to run steps again.
    fn choices(&self) -> Markup {
        let redo = &self.redo;
        let steps = self.shown.program.workflow.steps();
        let ids = steps.map(|(_, step)| InstanceId::step(None, step.name.as_str()));
        let ran: Vec<_> = ids
            .filter(|id| self.shown.state.instance(id).is_some())
            .take(STEPS)
            .collect();
        html! {
            @if !ran.is_empty() {
                details open[!redo.is_empty()] {
                    summary { "Run steps again " span class="quiet" { "from the start, with all steps that depend on them" } }
                    div class="checks" {
                        @for id in &ran {
                            label class="check" {
                                input type="checkbox" name="redo" value=(id) checked[redo.contains(id)];
                                code { (id) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns what a resume does with each instance; those that change come first.
fn plan(revision: &Revision) -> Markup {
    let json = report::plan_json(&revision.plan);
    let all: Vec<_> = json.as_array().into_iter().flatten().collect();
    let is_kept = |fate: &serde_json::Value| fate["fate"] == "kept";
    let kept = all.iter().filter(|fate| is_kept(fate)).count();
    let (changed, same): (Vec<_>, Vec<_>) = all.into_iter().partition(|fate| !is_kept(fate));
    let rows = |fates: &[&serde_json::Value]| {
        html! {
            table class="list plan" {
                (heads(&["Step", "What happens", "Why"]))
                tbody { @for fate in fates.iter().take(ROWS) { (fate_row(fate)) } }
            }
            @if fates.len() > ROWS { p class="hint" { "and " (fates.len() - ROWS) " more" } }
        }
    };
    html! {
        section class="card" aria-labelledby="plan-title" {
            h2 id="plan-title" { "Plan" }
            @for found in &revision.notes { p class="hint" { (found) } }
            p class="quiet" { (changed.len()) " instances run or change, " (kept) " are kept" }
            @if !changed.is_empty() { (rows(&changed)) }
            @if !same.is_empty() {
                details id="kept" {
                    summary { (kept) " kept as they are" }
                    (rows(&same))
                }
            }
            @if !revision.files.is_empty() {
                h3 { "Changes in the files" }
                @for file in &revision.files { (difference(file)) }
            }
        }
    }
}

fn fate_row(fate: &serde_json::Value) -> Markup {
    let (word, class, mark) = fate_word(fate["fate"].as_str().unwrap_or_default());
    let repeats = fate["repeats"].as_array().into_iter().flatten();
    let repeats: Vec<_> = repeats.filter_map(|call| call.as_str()).collect();
    html! {
        tr {
            td class="workflow" { code { (fate["step"].as_str().unwrap_or_default()) } }
            td data-label="What" { span class={ "status " (class) } { span aria-hidden="true" { (mark) } (word) } }
            td data-label="Why" { div {
                (visible(fate["reason"].as_str().unwrap_or_default()))
                @if !repeats.is_empty() {
                    p class="error" { "Its earlier changes stay until an undo. It makes these calls again: " (repeats.join(", ")) }
                }
            } }
        }
    }
}

/// Returns the words, colour and mark for what a resume does with an instance.
fn fate_word(fate: &str) -> (&str, &'static str, &'static str) {
    match fate {
        "kept" => ("kept", "idle", "="),
        "continues" => ("continues", "busy", "▶"),
        "replayed" => ("runs again, replaying its recorded calls", "warn", "~"),
        "looks again" => ("reads again", "busy", "?"),
        "again" => ("runs again from the start", "bad", "!"),
        "new" => ("runs from its start", "good", "+"),
        "skipped" => ("is skipped", "warn", "−"),
        "removed" => ("no longer in the workflow", "bad", "−"),
        other => (other, "idle", "·"),
    }
}

/// Returns the card of a call in doubt, with buttons to answer.
pub fn doubt_card(shown: &Shown, doubt: &Doubt, allowed: &api::Allowed) -> Markup {
    let call = doubt.call.as_ref();
    let call = call.map(|call| {
        format!(
            "{} {} {}",
            call.function,
            call.at.as_millis(),
            call.arguments
        )
    });
    let id = card_id(&[
        doubt.step.as_str().as_bytes(),
        call.unwrap_or_default().as_bytes(),
    ]);
    let title = format!("{id}-title");
    html! {
        section id=(id) class="card ask" aria-labelledby=(title) {
            h2 id=(title) { span aria-hidden="true" { "! " } "Was this call done?" }
            p class="quiet" {
                "step " code { (doubt.step) }
                @if let Some(call) = &doubt.call { " · " code { (call.function) } " · " (moment(call.at, shown.at)) }
            }
            p {
                @match &doubt.call {
                    Some(_) => "The process ended, or the connection was lost, after the call was sent and before its answer arrived. Check on the other side whether it was done. Your answer decides whether the call is repeated.",
                    None => "An attempt was lost together with the record of its calls. If it made calls, undo these by hand first; the step then makes its calls again.",
                }
            }
            @if let Some(call) = &doubt.call {
                @if let Some(text) = value(&call.arguments) { pre tabindex="0" { (text) } }
            }
            @if allowed.ok {
                form method="post" action={ "/runs/" (shown.id) "/doubt" } {
                    input type="hidden" name="step" value=(doubt.step);
                    input type="hidden" name="events" value=(shown.state.events);
                    (no_enter())
                    @if doubt.call.is_some() {
                        label { span { "The result of the call, if the script needs it (YAML)" } input name="value" autocomplete="off" spellcheck="false"; }
                    }
                    div class="answers" {
                        @if doubt.call.is_some() { button class="main" name="answer" value="done" { "It was done" } }
                        button class="danger" name="answer" value="again" { "It was not done: repeat it" }
                    }
                }
            } @else {
                p class="hint" { "You can't answer this: " (allowed.why.as_deref().unwrap_or_default()) "." }
            }
        }
    }
}
