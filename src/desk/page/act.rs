use axum::{
    extract::{FromRequest, Path, Request, State},
    response::Response,
};
use maud::{Markup, html};

use super::{
    format::visible,
    layout::{Frame, page, see_other},
};
use crate::{access::Access, answer::Problem, api, server::Desk};
use windlass_engine::execute::{UndoItem, UndoKind};
use windlass_journal::{RunId, Verdict};
use windlass_runs::{Answers, Person, Runs, RunsError, Undoing};

/// The largest form, in bytes.
const MOST: usize = 1 << 20;

/// The fields of a form, in their order.
pub struct Form(pub Vec<(String, String)>);

impl Form {
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl FromRequest<Desk> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Problem> {
        let body = desk.body(request, MOST).await?;
        Ok(Self(form_urlencoded::parse(&body).into_owned().collect()))
    }
}

/// Reads the id of a run in an address.
pub fn run_id(text: &str) -> Result<RunId, Problem> {
    api::run_id(text)
}

pub async fn approve(desk: State<Desk>, access: Access, run: Path<String>, form: Form) -> Done {
    answer(desk, access, run, form, Verdict::Approved).await
}

pub async fn reject(desk: State<Desk>, access: Access, run: Path<String>, form: Form) -> Done {
    answer(desk, access, run, form, Verdict::Rejected).await
}

type Done = Result<Response, Problem>;

async fn answer(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    form: Form,
    verdict: Verdict,
) -> Done {
    let run = run_id(&run)?;
    let back = format!("/runs/{run}");
    // The form has the digest of the question that was shown, because an answer must not count for another one.
    let shown = form
        .field("digest")
        .ok_or_else(|| Problem::bad("the form has no digest"))?;
    let shown = Some(api::digest(shown)?);
    let step = form
        .field("step")
        .ok_or_else(|| Problem::bad("the form has no step"))?;
    let step = api::instance_id(step)?;
    let comment = form
        .field("comment")
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let answers = Answers {
        verdict,
        steps: vec![(step, shown)],
        comment: comment.map(str::to_owned),
    };
    desk.ask(move |runs| runs.answer(&run, &answers, &access.person))
        .await?;
    Ok(see_other(&back, None))
}

pub async fn cancel(desk: State<Desk>, access: Access, run: Path<String>) -> Done {
    act(desk, access, run, |runs, run, who| runs.cancel(run, who)).await
}

pub async fn resume(desk: State<Desk>, access: Access, run: Path<String>) -> Done {
    act(desk, access, run, |runs, run, who| runs.resume(run, who)).await
}

/// `POST /runs/RUN/undo`: undoes a run as its plan said.
pub async fn undo(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    form: Form,
) -> Done {
    let run = run_id(&run)?;
    let back = format!("/runs/{run}");
    // The form has the number of events of the run whose plan was shown, because no other plan must be carried out.
    let events = form.field("events").and_then(|events| events.parse().ok());
    let how = Undoing {
        events: Some(events.ok_or_else(|| Problem::bad("the form has no number of events"))?),
        force: false,
    };
    desk.ask(move |runs| runs.undo(&run, &[], how, &access.person))
        .await?;
    Ok(see_other(&back, None))
}

async fn act(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    act: fn(&dyn Runs, &RunId, &Person) -> Result<(), RunsError>,
) -> Done {
    let run = run_id(&run)?;
    let back = format!("/runs/{run}");
    desk.ask(move |runs| act(runs, &run, &access.person))
        .await?;
    Ok(see_other(&back, None))
}

/// `GET /runs/RUN/undo`: shows what an undo would do, and the button.
pub async fn undo_plan(State(desk): State<Desk>, access: Access, Path(run): Path<String>) -> Done {
    let run = run_id(&run)?;
    let asked = run.clone();
    let (shown, plan) = desk
        .ask(move |runs| Ok((runs.run(&asked)?, runs.undo_plan(&asked, &[])?)))
        .await?;
    let allowed = api::allowed(&shown, false, &access).remove("undo");
    let is_allowed = allowed.as_ref().is_some_and(|allowed| allowed.ok);
    let frame = Frame::still("Undo", "Runs", Some(&access));
    Ok(page(
        &frame,
        html! {
            section class="card" {
                h1 { "Undo " (shown.info.workflow) }
                p class="quiet" { code class="id" { (run) } " on " b { (shown.info.target) } }
                @if plan.items.is_empty() { p { "There is nothing to undo." } }
                ol class="plan" { @for item in &plan.items { (line(item)) } }
                @if let Some(refused) = &plan.refused {
                    p class="hint" { (refused.message) "." }
                    @if let Some(hint) = &refused.hint { p class="hint" { (hint) } }
                } @else if is_allowed {
                    form method="post" action={ "/runs/" (run) "/undo" } {
                        input type="hidden" name="events" value=[plan.events];
                        div class="answers" {
                            button class="danger" { "Undo this run" }
                            a class="button" href={ "/runs/" (run) } { "Back" }
                        }
                    }
                } @else {
                    p class="hint" { "This run can't be undone now: " (allowed.and_then(|allowed| allowed.why).unwrap_or_default()) "." }
                }
            }
        },
    ))
}

fn line(item: &UndoItem) -> Markup {
    let (word, class, why) = match &item.kind {
        UndoKind::Reversed => ("is reversed", "busy", None),
        UndoKind::Already(why) => ("nothing to reverse", "idle", Some(why)),
        UndoKind::Left(why) => ("is left as it is", "warn", Some(why)),
        UndoKind::Unknown => ("is looked up first", "warn", None),
        UndoKind::Unseen(why) => ("could not be read", "warn", Some(why)),
        UndoKind::Stays => ("can't be reversed", "bad", None),
    };
    html! {
        li {
            span class={ "status " (class) } { (word) } " " b { (item.step) } ": " (visible(&item.what))
            @if let Some(why) = why { " (" (visible(why)) ")" }
        }
    }
}
