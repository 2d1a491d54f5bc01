use std::collections::BTreeMap;

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;
use maud::{Markup, html};

use super::{
    act::Form,
    format::visible,
    layout::{Frame, heads, page, problem_text, see_other},
    phases::replaced,
};
use crate::{
    access::{Access, random_token},
    answer::Problem,
    api,
    server::Desk,
};
use windlass_engine::{
    compile::{Param, Program, Workflow, parse_argument},
    decide,
    execute::Obstacle,
    journal::State as RunState,
};
use windlass_report as report;
use windlass_runs::{PlanDepth, Planned, RunsError, StartWanted, WorkflowName};
use windlass_targets::{LOCAL, Role};
use windlass_world::value::{Type, Value};

/// Stands in a plan for the id of the future run.
const RUN: &str = "RUN";

/// `GET /start`: lists the workflows that can be started.
pub async fn workflows(State(desk): State<Desk>, access: Access) -> Result<Response, Problem> {
    let mut listed = desk.ask(|runs| runs.workflows()).await?;
    listed.retain(|one| access.sees_listed(one));
    Ok(page(
        &frame("Start", &access),
        html! {
            h1 { "Start a run" }
            @if listed.is_empty() {
                section class="card empty" {
                    p { "There are no workflows in this server's folders (" code { "--workflows" } ")." }
                }
            }
            ul class="workflows" {
                @for workflow in &listed {
                    li class="card" {
                        @match &workflow.program {
                            Ok(program) => {
                                h2 { a href={ "/start/" (workflow.name) } { (workflow.name) } }
                                @if let Some(text) = &program.workflow.description { p { (text) } }
                                @let params = program.workflow.params.len();
                                p class="quiet" {
                                    (report::counted(program.workflow.steps().count(), "step"))
                                    @if params > 0 { " · " (report::counted(params, "param")) }
                                }
                            }
                            Err(error) => {
                                h2 { (workflow.name) }
                                p class="trouble" { (error.message) }
                                @for mistake in error.mistakes.iter().flat_map(|all| &all.0).take(3) {
                                    pre class="excerpt" tabindex="0" { (report::render(mistake)) }
                                }
                            }
                        }
                    }
                }
            }
        },
    ))
}

/// `GET /start/WORKFLOW`: shows the form.
pub async fn form(
    State(desk): State<Desk>,
    access: Access,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let sheet = Sheet::read(&desk, &access, &name, Form(Vec::new())).await?;
    Ok(sheet.page(&access, html! {}, false))
}

/// `POST /start/WORKFLOW`: shows the plan for the form, or starts the run. A page never contains secrets, so without the script they have to
/// be entered again for the start.
pub async fn start(
    State(desk): State<Desk>,
    access: Access,
    Path(name): Path<String>,
    given: Form,
) -> Result<Response, Problem> {
    let sheet = Sheet::read(&desk, &access, &name, given).await?;
    let wanted = match sheet.wanted() {
        Ok(wanted) => wanted,
        Err(error) => return Ok(sheet.refused(&access, error.into())),
    };
    let (workflow, target) = (&sheet.program.workflow.name, wanted.target.clone());
    if let Err(problem) = access.need(Role::Operator, workflow, &target) {
        return Ok(sheet.refused(&access, problem));
    }
    let who = access.person.clone();
    let key = sheet.given.field("key").map(str::to_owned);
    if sheet.given.field("do") == Some("start") {
        let started = desk.ask(move |runs| runs.start(&wanted, key.as_deref(), &who));
        return Ok(match started.await {
            Ok(started) => see_other(&format!("/runs/{}", started.run), None),
            Err(problem) => sheet.refused(&access, problem),
        });
    }
    let planned = desk
        .ask(move |runs| runs.plan(&wanted, PlanDepth::Looks, &who))
        .await;
    Ok(match planned {
        Ok(planned) => sheet.page(&access, plan(&planned), true),
        Err(problem) => sheet.refused(&access, problem),
    })
}

/// The form: a workflow, its targets, and what the person entered.
struct Sheet {
    name: WorkflowName,
    program: Program,
    targets: Vec<String>,
    given: Form,
}

impl Sheet {
    async fn read(desk: &Desk, access: &Access, name: &str, given: Form) -> Result<Self, Problem> {
        let name = api::workflow_name(name)?;
        let program = api::workflow_for(desk, access, Role::Operator, &name).await?;
        let mut targets = desk.ask(|runs| runs.targets()).await?;
        targets.retain(|target| access.has_on(Role::Operator, &program.workflow.name, target));
        Ok(Self {
            name,
            program,
            targets,
            given,
        })
    }

    /// Parses the form. An empty field counts as not given, except for a string param with a default, where it is the empty string.
    fn wanted(&self) -> Result<StartWanted, RunsError> {
        let workflow = &self.program.workflow;
        let (mut params, mut errors) = (BTreeMap::new(), Vec::new());
        for (name, param) in &workflow.params {
            let Some(text) = self.given.field(&field(name)) else {
                continue;
            };
            let is_text = matches!(param.ty, Type::String);
            if text.is_empty() && !(is_text && param.default.is_some()) {
                continue;
            }
            match parse_argument(workflow, &format!("{name}={text}")) {
                Ok((name, value)) => {
                    params.insert(name, value);
                }
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(windlass_engine::compile::ParamErrors(errors).into());
        }
        Ok(StartWanted {
            workflow: self.name.clone(),
            target: self.given.field("target").unwrap_or(LOCAL).to_owned(),
            params,
        })
    }

    fn refused(&self, access: &Access, problem: Problem) -> Response {
        let shown =
            html! { section class="card failed" { h2 { "Not started" } (problem_text(&problem)) } };
        let mut response = self.page(access, shown, false);
        let status = StatusCode::from_u16(problem.status);
        *response.status_mut() = status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        response
    }

    fn page(&self, access: &Access, below: Markup, is_planned: bool) -> Response {
        let workflow = &self.program.workflow;
        // The key is part of the form, so that pressing the button twice starts one run.
        let key = self
            .given
            .field("key")
            .map(str::to_owned)
            .or_else(random_token);
        let target = self.given.field("target").unwrap_or(LOCAL);
        let title = format!("Start {}", self.name);
        page(
            &frame(&title, access),
            html! {
                h1 { "Start " (self.name) }
                @if let Some(text) = &workflow.description { p { (text) } }
                form id="sheet" class="card sheet" method="post" action={ "/start/" (self.name) } {
                    input type="hidden" name="key" value=[key];
                    label class="field" for="target" {
                        span class="name" { "Target" }
                        select id="target" name="target" {
                            @for name in &self.targets { option selected[name == target] { (name) } }
                        }
                    }
                    @for (name, param) in &workflow.params { (self.input(name, param)) }
                    div class="answers" {
                        button class=[(!is_planned).then_some("main")] name="do" value="plan" { @if is_planned { "Plan again" } @else { "Show the plan" } }
                        @if is_planned { button class="main" name="do" value="start" { "Start" } }
                    }
                }
                div id="plan" { (below) }
            },
        )
    }

    fn input(&self, name: &str, param: &Param) -> Markup {
        let default = param.default.as_ref().map(text);
        let given = self.given.field(&field(name)).map(str::to_owned);
        let now = given.or(default).unwrap_or_default();
        input(name, param, &now, param.is_required())
    }
}

/// Returns the field of a param, with its current text.
pub fn input(name: &str, param: &Param, now: &str, is_required: bool) -> Markup {
    let id = field(name);
    let note = format!("{id}-note");
    let inner = match &param.ty {
        Type::Optional(inner) => inner,
        ty => ty,
    };
    let limits = &param.limits;
    let number = |limit: &Option<Value>| limit.as_ref().map(text);
    html! {
        div class="field" {
            label for=(id) { span class="name" { (name) @if is_required { span class="required" { " required" } } } }
            @match inner {
                _ if !limits.one_of.is_empty() && !matches!(inner, Type::List(_) | Type::Map(_)) => {
                    select id=(id) name=(id) aria-describedby=(note) required[is_required] {
                        @if param.default.is_none() { option value="" { "" } }
                        @for choice in &limits.one_of {
                            @let choice = text(choice);
                            option selected[choice == now] { (choice) }
                        }
                    }
                }
                Type::Bool => {
                    select id=(id) name=(id) aria-describedby=(note) required[is_required] {
                        @if param.default.is_none() { option value="" { "" } }
                        @for choice in ["true", "false"] { option selected[choice == now] { (choice) } }
                    }
                }
                Type::Int | Type::Float => {
                    input id=(id) name=(id) type="number" value=(now) step=[matches!(inner, Type::Float).then_some("any")]
                        min=[number(&limits.min)] max=[number(&limits.max)] aria-describedby=(note) required[is_required];
                }
                Type::Secret => {
                    input id=(id) name=(id) type="password" autocomplete="off" aria-describedby=(note) required[is_required];
                }
                Type::String | Type::Duration => {
                    input id=(id) name=(id) type="text" value=(now) autocomplete="off" aria-describedby=(note) required[is_required];
                }
                _ => textarea id=(id) name=(id) rows="3" spellcheck="false" aria-describedby=(note) required[is_required] { (now) },
            }
            p id=(note) class="note" {
                @if let Some(text) = &param.description { (text) " " }
                span class="type" { (param.ty) @if matches!(inner, Type::List(_) | Type::Map(_) | Type::Any) { ", in YAML" } }
                @if let Some(least) = &limits.min { " · at least " (text(least)) }
                @if let Some(most) = &limits.max { " · at most " (text(most)) }
            }
        }
    }
}

fn frame<'a>(title: &'a str, access: &'a Access) -> Frame<'a> {
    Frame::still(title, "Start", Some(access))
}

/// Returns the name of a param's field.
pub fn field(name: &str) -> String {
    format!("p.{name}")
}

/// Returns a value as a person would type it: a string without quotes, anything else as JSON (which is valid YAML).
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_json().to_string(),
    }
}

fn plan(planned: &Planned) -> Markup {
    let workflow = &planned.program.workflow;
    let steps = decide::preview(workflow, &planned.state, RUN);
    let json = report::preview_json(&steps, &[]);
    let text = |step: &serde_json::Value, key: &str| step[key].as_str().map(str::to_owned);
    html! {
        section class="card" aria-labelledby="plan-title" {
            h2 id="plan-title" { "Plan" }
            @for found in &planned.notes { p class="hint" { (found) } }
            @if let Some(account) = &planned.account { p class="hint" { (account) } }
            @for found in &planned.obstacles { (obstacle(found)) }
            (foreseen(workflow, &planned.state))
            @if !workflow.phases.is_empty() { h3 { "Steps" } }
            table class="list plan" {
                (heads(&["Step", "Action", "Changes"]))
                tbody {
                    @for (step, preview) in json.as_array().into_iter().flatten().zip(&steps) {
                        @let depth = preview.step.depth().min(4);
                        tr class=[(step["runs"] == false).then_some("skipped")] {
                            td class={ "depth-" (depth) } { (preview.step.last_part()) }
                            td data-label="Action" { div {
                                @if let Some(question) = step.get("approval") {
                                    "asks: " (question.as_str().unwrap_or("…"))
                                } @else {
                                    (text(step, "script").or_else(|| text(step, "workflow")).unwrap_or_default())
                                }
                                @if step["for_each"] == true {
                                    " × " @match step["items"].as_u64() { Some(n) => (n), None => "number of items not known yet" }
                                }
                                @if step["runs"] == false { " (skipped)" }
                                @if step["runs"].is_null() { ", if its " code { "when" } " is true" }
                            } }
                            td data-label="Changes" { div {
                                @for change in step["changes"].as_array().into_iter().flatten() {
                                    code { (change.as_str().unwrap_or_default()) } " "
                                }
                            } }
                        }
                    }
                }
            }
        }
    }
}

/// Shows what each phase will replace, as far as this is known from the state.
fn foreseen(workflow: &Workflow, state: &RunState) -> Markup {
    match report::replacing(workflow, state, RUN) {
        Ok(phases) => replaced(&phases, usize::MAX),
        Err(why) => html! { p class="trouble" role="alert" { (visible(&why)) } },
    }
}

/// Shows a change that a dry run refused.
fn obstacle(found: &Obstacle) -> Markup {
    let verdict = match found.is_sure {
        true => "will fail: ",
        false => "may fail: ",
    };
    html! {
        p class="trouble" role="alert" {
            code { (found.step) } " " (verdict) (visible(&found.error.to_string()))
            @if let Some(hint) = &found.error.hint { " (" (visible(hint)) ")" }
        }
    }
}
