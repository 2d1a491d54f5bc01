//! Everything that waits: questions, locks and retries.

use axum::{Json, extract::State, routing::get};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    look,
    run::may_answer,
    types::{AskItem, RunItem},
};
use crate::{
    access::Access,
    answer::Problem,
    route::{Answer, Route},
    server::Desk,
    waiting::Waiting,
};
use windlass_ground::Timestamp;

pub fn routes() -> Vec<Route> {
    vec![look(
        "/api/v1/waiting",
        "Everything that waits: questions for people, locks with the runs that wait for them, and steps that will be retried",
        &[],
        Answer::Json("WaitingAnswer"),
        get(waiting),
    )]
}

#[derive(Serialize, ToSchema)]
pub struct WaitingAnswer {
    pub questions: Vec<WaitingQuestion>,
    pub locks: Vec<LockItem>,
    pub timers: Vec<TimerItem>,
}

/// A question that waits for an answer, with its run.
#[derive(Serialize, ToSchema)]
pub struct WaitingQuestion {
    pub run: String,
    pub workflow: String,
    pub ask: AskItem,
}

/// A lock that a run holds.
#[derive(Serialize, ToSchema)]
pub struct LockItem {
    pub lock: String,
    pub run: String,
    #[schema(value_type = i64)]
    pub since: Timestamp,
    /// The runs that wait for the lock, in the order in which they started.
    pub waiting: Vec<RunItem>,
}

/// A step that will be retried at a certain time.
#[derive(Serialize, ToSchema)]
pub struct TimerItem {
    pub run: String,
    pub step: String,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    pub attempt: u32,
}

async fn waiting(State(desk): State<Desk>, access: Access) -> Result<Json<WaitingAnswer>, Problem> {
    let who = access.clone();
    let found = desk.ask(move |runs| Waiting::look(runs, &who)).await?;
    let questions = found.questions.iter().map(|question| WaitingQuestion {
        run: question.shown.id.to_string(),
        workflow: question.shown.info.workflow.clone(),
        ask: AskItem {
            may_answer: Some(may_answer(&question.shown, &question.ask, &access)),
            ..AskItem::of(&question.ask.listed())
        },
    });
    let locks = found.locks.iter().map(|lock| LockItem {
        lock: lock.name.clone(),
        run: lock.holder.to_string(),
        since: lock.since,
        waiting: lock.waiting.iter().map(RunItem::of).collect(),
    });
    let timers = found.timers.iter().map(|timer| TimerItem {
        run: timer.run.run.id.to_string(),
        step: timer.step.to_string(),
        at: timer.at,
        attempt: timer.attempt,
    });
    Ok(Json(WaitingAnswer {
        questions: questions.collect(),
        locks: locks.collect(),
        timers: timers.collect(),
    }))
}
