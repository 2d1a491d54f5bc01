use axum::{extract::State, response::Response};
use maud::{Markup, html};

use super::{
    act::{Form, run_id},
    format::visible,
    layout::{Frame, page},
};
use crate::{access::Access, answer::Problem, server::Desk};
use windlass_journal::RunId;
use windlass_runs::{Runs, RunsError};
use windlass_targets::Role;

/// The largest number of runs in a request. A page of the list has fewer.
const MOST: usize = 200;

/// What to do with the selected runs.
#[derive(Clone, Copy)]
enum Verb {
    Cancel,
    Resume,
}

/// A selected run, and whether the request was accepted.
struct Done {
    run: RunId,
    result: Result<(), Problem>,
}

/// `POST /runs/bulk`: cancels or resumes the selected runs. The role is checked for each run, and a run that is refused does not stop the
/// others.
pub async fn bulk(
    State(desk): State<Desk>,
    access: Access,
    form: Form,
) -> Result<Response, Problem> {
    let verb = match form.field("do") {
        Some("cancel") => Verb::Cancel,
        Some("resume") => Verb::Resume,
        _ => return Err(Problem::bad("the form does not say what to do")),
    };
    let chosen = form.0.iter().filter(|(name, _)| name == "run");
    let mut chosen: Vec<RunId> = chosen.map(|(_, id)| run_id(id)).collect::<Result<_, _>>()?;
    chosen.dedup();
    if chosen.len() > MOST {
        let detail = format!("at most {MOST} runs can be selected at once");
        return Err(Problem::bad(detail));
    }
    let mut done = Vec::with_capacity(chosen.len());
    for run in chosen {
        let result = act(&desk, &access, run.clone(), verb).await;
        done.push(Done { run, result });
    }
    Ok(shown(&access, verb, &done))
}

async fn act(desk: &Desk, access: &Access, run: RunId, verb: Verb) -> Result<(), Problem> {
    let looked = run.clone();
    let shown = desk.ask(move |runs| runs.run(&looked)).await?;
    // `admit` has only checked that the client has the role for some runs.
    access.need_of(Role::Operator, &shown)?;
    let who = access.person.clone();
    let act = move |runs: &dyn Runs| -> Result<(), RunsError> {
        match verb {
            Verb::Cancel => runs.cancel(&run, &who),
            Verb::Resume => runs.resume(&run, &who),
        }
    };
    desk.ask(act).await
}

fn shown(access: &Access, verb: Verb, done: &[Done]) -> Response {
    let (title, past) = match verb {
        Verb::Cancel => ("Cancel runs", "will stop"),
        Verb::Resume => ("Resume runs", "resumed"),
    };
    let good = done.iter().filter(|one| one.result.is_ok()).count();
    let frame = Frame {
        summary: format!("{good} of {} runs {past}", done.len()),
        ..Frame::still(title, "Runs", Some(access))
    };
    page(
        &frame,
        html! {
            section class="card" {
                h1 { (title) }
                @if done.is_empty() {
                    p { "No run was selected." }
                } @else {
                    p role="status" { (good) " of " (done.len()) " runs " (past) "." }
                    ul class="plan" { @for one in done { (row(one, past)) } }
                }
                p { a class="button" href="/" { "Back to the runs" } }
            }
        },
    )
}

fn row(one: &Done, past: &str) -> Markup {
    html! {
        li {
            @match &one.result {
                Ok(()) => span class="status good" { "✓ " (past) },
                Err(_) => span class="status bad" { "✗ not changed" },
            }
            " " a href={ "/runs/" (one.run) } { code class="id" { (one.run) } }
            @if let Err(problem) = &one.result { ": " (visible(&problem.detail)) }
        }
    }
}

/// Returns the buttons for the selected runs. They submit the form `bulk`, to which the checkboxes of the list belong.
pub(super) fn buttons() -> Markup {
    html! {
        form id="bulk" class="bulk" method="post" action="/runs/bulk" aria-label="With the selected runs" {
            span class="quiet" { "With the selected runs: " }
            button name="do" value="resume" { "Resume" }
            button class="danger" name="do" value="cancel" { "Cancel" }
        }
    }
}
