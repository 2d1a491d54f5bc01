use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, State},
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    KEY,
    look::{run_id, workflow_for, workflow_name},
    types::{AnswerBody, AnswersBody, PlanAnswer, StartBody, StartRun, StartedRun},
};
use crate::{access::Access, answer::Problem, server::Desk};
use windlass_engine::decide;
use windlass_journal::{RunId, Verdict};
use windlass_report as report;
use windlass_runs::{Answers, Person, PlanDepth, Runs, RunsError, StartWanted, Started};
use windlass_targets::Role;
use windlass_world::value::{Digest, Value};

/// The largest body of a request, in bytes: the same as the limit on a script's value.
const USUAL: usize = 1 << 20;
/// Stands in a plan for the id of the future run.
const RUN: &str = "RUN";

/// Reads a body of JSON.
///
/// `MOST` is the largest body, in bytes.
pub struct Body<T, const MOST: usize = USUAL>(pub T);

impl<T: DeserializeOwned, const MOST: usize> FromRequest<Desk> for Body<T, MOST> {
    type Rejection = Problem;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "bad-request", "the body must be JSON")
                .hint("send it with Content-Type: application/json"));
        }
        let text = desk.body(request, MOST).await?;
        // `serde` would also take the fields of an object as a list.
        if text
            .trim_ascii_start()
            .first()
            .is_some_and(|first| *first == b'[')
        {
            return Err(Problem::bad("the body must be a JSON object, not a list"));
        }
        let json = std::str::from_utf8(&text);
        let json = json.map_err(|_| Problem::bad("the body is not UTF-8 text"))?;
        refuse_large_integers(json)?;
        Value::refuse_key_twice(json)
            .map_err(|why| Problem::bad(format!("the body can't be read: {why}")))?;
        let body = serde_json::from_slice(&text);
        let body = body.map_err(|e| Problem::bad(format!("the body can't be read: {e}")))?;
        Ok(Self(body))
    }
}

/// Holds that a request has no body, or an empty object: what is in it would be ignored.
pub struct NoBody;

impl FromRequest<Desk> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Problem> {
        let text = desk.body(request, USUAL).await?;
        let is_empty_object = || {
            serde_json::from_slice::<serde_json::Value>(&text)
                .is_ok_and(|body| body.as_object().is_some_and(|fields| fields.is_empty()))
        };
        if text.trim_ascii().is_empty() || is_empty_object() {
            Ok(Self)
        } else {
            Err(Problem::bad("this request takes no body")
                .hint("send it without one; a run is resumed with other files, params or steps by POST /api/v1/runs/{run}/revise"))
        }
    }
}

/// Refuses a body with an integer that does not fit 64 bits: the parser would make a float of it, which has other digits.
fn refuse_large_integers(text: &str) -> Result<(), Problem> {
    match Value::large_integer(text) {
        None => Ok(()),
        Some(number) => Err(
            Problem::bad(format!("the integer {number} does not fit 64 bits"))
                .hint(format!("put it into quotes: \"{number}\"")),
        ),
    }
}

/// Reads the query of a request.
pub struct Queried<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Desk> for Queried<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Desk) -> Result<Self, Problem> {
        let query = Query::try_from_uri(&parts.uri);
        let Query(query) = query.map_err(|why| Problem::bad(why.body_text()))?;
        Ok(Self(query))
    }
}

/// The query parameter of a plan, with its description.
pub const PLAN_LOOKS: (&str, &str) = (
    "look",
    "Whether to read from the target and to try changes as dry runs: true (the default) or false",
);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanQuery {
    #[serde(default = "yes")]
    look: bool,
}

fn yes() -> bool {
    true
}

impl PlanQuery {
    pub fn depth(&self) -> PlanDepth {
        if self.look {
            PlanDepth::Looks
        } else {
            PlanDepth::Checks
        }
    }
}

pub async fn plan(
    State(desk): State<Desk>,
    access: Access,
    Path(name): Path<String>,
    Queried(query): Queried<PlanQuery>,
    Body(body): Body<StartBody>,
) -> Result<Json<PlanAnswer>, Problem> {
    let wanted = StartWanted::from_json(workflow_name(&name)?, body.target, body.params);
    may_start(&desk, &access, &wanted).await?;
    let planned = desk.ask(move |runs| runs.plan(&wanted, query.depth(), &access.person));
    let planned = planned.await?;
    let workflow = &planned.program.workflow;
    let steps = decide::preview(workflow, &planned.state, RUN);
    let phases = report::replacing(workflow, &planned.state, RUN)
        .map_err(|why| Problem::from(RunsError::wrong("wrong-type", why)))?;
    Ok(Json(PlanAnswer {
        steps: report::preview_json(&steps, &planned.obstacles),
        phases: report::replaced_json(&phases),
        notes: planned.notes.iter().map(ToString::to_string).collect(),
        digest: planned.digest().to_string(),
    }))
}

pub async fn start(
    State(desk): State<Desk>,
    access: Access,
    headers: HeaderMap,
    Body(body): Body<StartRun>,
) -> Result<(StatusCode, Json<StartedRun>), Problem> {
    let key = key(&headers)?;
    let plan = body.plan.as_deref().map(digest).transpose()?;
    let wanted = StartWanted {
        plan,
        ..StartWanted::from_json(workflow_name(&body.workflow)?, body.target, body.params)
    };
    may_start(&desk, &access, &wanted).await?;
    let started = desk
        .ask(move |runs| runs.start(&wanted, key.as_deref(), &access.person))
        .await?;
    Ok(begun(&started))
}

/// Reads the Idempotency-Key, with which a repeated start returns the same run.
pub fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    match headers.get(KEY).map(|key| key.to_str()) {
        None => Ok(None),
        Some(Ok(key)) => Ok(Some(key.to_owned())),
        Some(Err(_)) => Err(Problem::bad("the Idempotency-Key is not ASCII")),
    }
}

/// Builds the answer to a start.
pub fn begun(started: &Started) -> (StatusCode, Json<StartedRun>) {
    let status = if started.is_repeated {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let started = StartedRun::of(&started.run, started.is_repeated);
    (status, Json(started))
}

/// Checks that the client may start a run. Roles apply to the `name` in the workflow's file, so the file is read.
async fn may_start(desk: &Desk, access: &Access, wanted: &StartWanted) -> Result<(), Problem> {
    if access.has_everywhere(Role::Operator) {
        return Ok(());
    }
    // A client that may not see the workflow learns only that it was not found.
    let program = workflow_for(desk, access, Role::Viewer, &wanted.workflow).await?;
    access.need(Role::Operator, &program.workflow.name, &wanted.target)
}

pub async fn approve(
    desk: State<Desk>,
    access: Access,
    run: Path<String>,
    body: Body<AnswerBody>,
) -> Result<StatusCode, Problem> {
    answer(desk, access, run, body, Verdict::Approved).await
}

pub async fn reject(
    desk: State<Desk>,
    access: Access,
    run: Path<String>,
    body: Body<AnswerBody>,
) -> Result<StatusCode, Problem> {
    answer(desk, access, run, body, Verdict::Rejected).await
}

async fn answer(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Body(body): Body<AnswerBody>,
    verdict: Verdict,
) -> Result<StatusCode, Problem> {
    let run = run_id(&run)?;
    let shown = body.digest.as_deref().map(digest).transpose()?;
    let answers = Answers {
        verdict,
        steps: vec![(body.step, shown)],
        comment: body.comment,
    };
    desk.ask(move |runs| runs.answer(&run, &answers, &access.person))
        .await?;
    Ok(StatusCode::ACCEPTED)
}

pub async fn answer_all(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Body(body): Body<AnswersBody>,
) -> Result<StatusCode, Problem> {
    let run = run_id(&run)?;
    let steps = body.answers.into_iter().map(|one| {
        let shown = one.digest.as_deref().map(digest).transpose()?;
        Ok((one.step, shown))
    });
    let answers = Answers {
        verdict: body.verdict,
        steps: steps.collect::<Result<_, Problem>>()?,
        comment: body.comment,
    };
    desk.ask(move |runs| runs.answer(&run, &answers, &access.person))
        .await?;
    Ok(StatusCode::ACCEPTED)
}

/// Reads the digest of the question or plan that the person saw.
pub fn digest(text: &str) -> Result<Digest, Problem> {
    serde_json::from_value(text.into()).map_err(|_| Problem::bad("a digest has 64 hex digits"))
}

pub async fn cancel(desk: State<Desk>, access: Access, run: Path<String>, _: NoBody) -> Accepted {
    act(desk, access, run, |runs, run, who| runs.cancel(run, who)).await
}

pub async fn resume(desk: State<Desk>, access: Access, run: Path<String>, _: NoBody) -> Accepted {
    act(desk, access, run, |runs, run, who| runs.resume(run, who)).await
}

pub type Accepted = Result<StatusCode, Problem>;

async fn act(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    act: fn(&dyn Runs, &RunId, &Person) -> Result<(), RunsError>,
) -> Accepted {
    let run = run_id(&run)?;
    desk.ask(move |runs| act(runs, &run, &access.person))
        .await?;
    Ok(StatusCode::ACCEPTED)
}
