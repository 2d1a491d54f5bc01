//! Answers to calls in doubt, for a resume or an undo.

use axum::{
    Json,
    extract::{FromRequest, Path, Request, State},
    routing::post,
};
use http::{Method, StatusCode, header};
use serde::Deserialize;
use serde_json::Value as AnyJson;
use utoipa::ToSchema;

use super::{
    act::{Accepted, Body},
    look::run_id,
    route,
    types::UndoPlan,
};
use crate::{
    access::Access,
    answer::Problem,
    route::{Answer, Route},
    server::Desk,
};
use windlass_journal::InstanceId;
use windlass_runs::{DoubtAnswer, Undoing};
use windlass_targets::Role;
use windlass_world::value::Value;

pub fn routes() -> Vec<Route> {
    use Role::Admin;
    vec![
        route(
            Method::POST,
            "/api/v1/runs/{run}/doubt",
            Admin,
            post(doubt),
            "Records whether a call in doubt was done, and resumes the run",
            &[],
            Some("DoubtBody"),
            Answer::Accepted,
        ),
        route(
            Method::POST,
            "/api/v1/runs/{run}/doubts",
            Admin,
            post(doubts),
            "Records whether several calls in doubt were done, and resumes the run",
            &[],
            Some("DoubtsBody"),
            Answer::Accepted,
        ),
        route(
            Method::POST,
            "/api/v1/runs/{run}/undo-plan",
            Admin,
            post(undo_plan),
            "What an undo would do after these answers to calls in doubt; changes nothing",
            &[],
            Some("UndoBody"),
            Answer::Json("UndoPlan"),
        ),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DoubtBody {
    #[schema(value_type = String)]
    pub step: InstanceId,
    /// Whether the call was done. If not, it is made again.
    pub done: bool,
    /// The result of the call, if it was done.
    #[serde(default)]
    pub value: AnyJson,
    /// In an undo: whether what the step did stays as it is. Then `done` does not count.
    #[serde(default)]
    pub leave: bool,
    /// The number of events that the run had when the call was shown to be in doubt. If it has more by now, the answer does not count. Not
    /// for one of several answers.
    #[serde(default)]
    pub events: Option<u64>,
}

impl DoubtBody {
    pub fn answer(self) -> (InstanceId, DoubtAnswer) {
        let answer = match (self.leave, self.done) {
            (true, _) => DoubtAnswer::Leave,
            (false, true) => DoubtAnswer::Done(Value::from_json(self.value)),
            (false, false) => DoubtAnswer::Again,
        };
        (self.step, answer)
    }
}

async fn doubt(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Body(body): Body<DoubtBody>,
) -> Result<StatusCode, Problem> {
    let run = run_id(&run)?;
    let shown = body.events;
    let answers = [body.answer()];
    desk.ask(move |runs| runs.answer_doubts(&run, &answers, shown, &access.person))
        .await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DoubtsBody {
    /// The answers, which are applied in this order: an answer may refer to a call that is in doubt only after the one before.
    pub answers: Vec<DoubtBody>,
    /// The number of events that the run had when the calls were shown to be in doubt. If it has more by now, the answers do not count.
    #[serde(default)]
    pub events: Option<u64>,
}

/// The options of an undo. A request may leave the body out.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoBody {
    /// Whether calls in doubt were done. The answers are applied in this order.
    #[serde(default)]
    pub answers: Vec<DoubtBody>,
    /// Whether to undo the run although a newer run changed the same things.
    #[serde(default)]
    pub force: bool,
    /// The number of events that the run had when its plan was shown. If it has more by now, nothing is undone.
    #[serde(default)]
    pub events: Option<u64>,
}

/// Converts the answers to the types of the service of runs.
pub fn read(answers: Vec<DoubtBody>) -> Vec<(InstanceId, DoubtAnswer)> {
    answers.into_iter().map(DoubtBody::answer).collect()
}

async fn doubts(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Body(body): Body<DoubtsBody>,
) -> Accepted {
    let run = run_id(&run)?;
    let (answers, shown) = (read(body.answers), body.events);
    if answers.is_empty() {
        return Err(
            Problem::bad("`answers` is empty").hint("to resume without answers: POST …/resume")
        );
    }
    desk.ask(move |runs| runs.answer_doubts(&run, &answers, shown, &access.person))
        .await?;
    Ok(StatusCode::ACCEPTED)
}

async fn undo_plan(
    State(desk): State<Desk>,
    Path(run): Path<String>,
    Body(body): Body<UndoBody>,
) -> Result<Json<UndoPlan>, Problem> {
    let run = run_id(&run)?;
    let answers = read(body.answers);
    let plan = desk.ask(move |runs| runs.undo_plan(&run, &answers)).await?;
    Ok(Json(UndoPlan::of(plan)))
}

pub async fn undo(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Optional(body): Optional,
) -> Accepted {
    let run = run_id(&run)?;
    let answers = read(body.answers);
    let how = Undoing {
        force: body.force,
        events: body.events,
    };
    desk.ask(move |runs| runs.undo(&run, &answers, how, &access.person))
        .await?;
    Ok(StatusCode::ACCEPTED)
}

/// Reads the body of an undo; a request without a body has the default options.
pub struct Optional(UndoBody);

impl FromRequest<Desk> for Optional {
    type Rejection = Problem;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Problem> {
        let headers = request.headers();
        let length = headers.get(header::CONTENT_LENGTH);
        let is_empty = length.is_none_or(|length| length.as_bytes() == b"0")
            && !headers.contains_key(header::TRANSFER_ENCODING);
        if is_empty {
            return Ok(Self(UndoBody::default()));
        }
        let Body::<UndoBody>(body) = Body::from_request(request, desk).await?;
        Ok(Self(body))
    }
}
