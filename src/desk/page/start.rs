use std::collections::BTreeMap;

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;
use maud::{Markup, html};

use super::{
    act::Form,
    detail::values,
    fields::{entered, input, is_as_shown, meaning_of_empty, typed},
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
use windlass_compile::{Param, Program, Workflow, parse_argument};
use windlass_engine::{decide, execute::Obstacle};
use windlass_journal::State as RunState;
use windlass_report as report;
use windlass_runs::{PlanDepth, Planned, RunsError, StartWanted, WorkflowName};
use windlass_targets::{LOCAL, Role};
use windlass_world::value::{Digest, Type};

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
                                @if let Some(text) = &program.workflow.description { p { (visible(text)) } }
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
    Ok(sheet.page(&access, html! {}, None))
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
    if sheet.given.field("do") == Some("start") {
        // The form has the digest of the plan that was shown, because no other plan must be carried out.
        let shown = sheet.given.field("digest");
        let shown = shown.ok_or_else(|| Problem::bad("the form has no digest"))?;
        let wanted = StartWanted {
            plan: Some(api::digest(shown)?),
            ..wanted
        };
        let key = sheet.given.field("key").map(str::to_owned);
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
        Ok(planned) => sheet.page(&access, plan(&planned), Some(planned.digest())),
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

    /// Parses the form. An empty field counts as not given, except for a string param with a default, where it is the empty string; so
    /// does a field that still shows the default.
    fn wanted(&self) -> Result<StartWanted, RunsError> {
        let workflow = &self.program.workflow;
        let (mut params, mut errors) = (BTreeMap::new(), Vec::new());
        for (name, param) in &workflow.params {
            let Some(text) = entered(&self.given, name) else {
                continue;
            };
            let is_text = matches!(param.ty, Type::String);
            let is_empty = text.is_empty() && !(is_text && param.default.is_some());
            if is_empty || is_as_shown(&text, &default(param)) && param.default.is_some() {
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
            return Err(windlass_compile::ParamErrors(errors).into());
        }
        Ok(StartWanted {
            workflow: self.name.clone(),
            target: self.given.field("target").unwrap_or(LOCAL).to_owned(),
            params,
            plan: None,
        })
    }

    fn refused(&self, access: &Access, problem: Problem) -> Response {
        let shown =
            html! { section class="card failed" { h2 { "Not started" } (problem_text(&problem)) } };
        let mut response = self.page(access, shown, None);
        let status = StatusCode::from_u16(problem.status);
        *response.status_mut() = status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        response
    }

    /// Returns the page, with `below` the form: the plan, whose digest binds the start, or why there is none.
    fn page(&self, access: &Access, below: Markup, shown: Option<Digest>) -> Response {
        let workflow = &self.program.workflow;
        let target = self.given.field("target").unwrap_or(LOCAL);
        let title = format!("Start {}", self.name);
        page(
            &frame(&title, access),
            html! {
                h1 { "Start " (self.name) }
                @if let Some(text) = &workflow.description { p { (visible(text)) } }
                form id="sheet" class="card sheet" method="post" action={ "/start/" (self.name) } {
                    label class="field" for="target" {
                        span class="name" { "Target" }
                        select id="target" name="target" {
                            @for name in &self.targets { option selected[name == target] { (name) } }
                        }
                    }
                    @for (name, param) in &workflow.params { (self.input(name, param)) }
                    div class="answers" {
                        button class=[shown.is_none().then_some("main")] name="do" value="plan" {
                            @if shown.is_some() { "Plan again" } @else { "Show the plan" }
                        }
                        @if let Some(digest) = shown {
                            // Each plan has a key of its own, so that pressing the button twice starts one run, and another plan starts another.
                            input type="hidden" name="key" value=[random_token()];
                            input type="hidden" name="digest" value=(digest);
                            button class="main" name="do" value="start" { "Start" }
                        }
                    }
                }
                div id="plan" { (below) }
            },
        )
    }

    fn input(&self, name: &str, param: &Param) -> Markup {
        let now = entered(&self.given, name).unwrap_or_else(|| default(param));
        let if_empty = meaning_of_empty(param);
        input(name, param, &now, param.is_required(), if_empty.as_deref())
    }
}

/// Returns the text that a field shows at first.
fn default(param: &Param) -> String {
    let default = param.default.as_ref();
    default.map_or_else(String::new, |default| typed(&param.ty, default))
}

fn frame<'a>(title: &'a str, access: &'a Access) -> Frame<'a> {
    Frame::still(title, "Start", Some(access))
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
            @if let Some(info) = &planned.state.run { (values("Params", &info.params)) }
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
    let verdict = if found.is_sure {
        "will fail: "
    } else {
        "may fail: "
    };
    html! {
        p class="trouble" role="alert" {
            code { (found.step) } " " (verdict) (visible(&found.error.to_string()))
            @if let Some(hint) = &found.error.hint { " (" (visible(hint)) ")" }
        }
    }
}
