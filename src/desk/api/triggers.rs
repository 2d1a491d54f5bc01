use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::act::{NoBody, Queried};
use crate::{access::Access, answer::Problem, server::Desk};
use windlass_notify::{Delivered, ReceiverQueue};
use windlass_runs::now;
use windlass_triggers::{TriggerKey, TriggerStanding};

/// The largest number of notifications in an answer, and the number without `limit`.
const MOST: usize = 500;
const USUAL: usize = 100;

#[derive(Serialize, ToSchema)]
pub struct TriggersAnswer {
    pub triggers: Vec<TriggerStanding>,
    /// Why some triggers are missing here, or why nothing is started.
    pub problems: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub struct NotificationsPage {
    /// The queue of each receiver.
    pub queues: Vec<ReceiverQueue>,
    /// The notifications, the newest first.
    pub notifications: Vec<Delivered>,
    /// The value of `before` that returns older notifications.
    pub next: Option<i64>,
}

/// The query of `GET /api/v1/notifications`: which notifications to list.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationsQuery {
    state: Option<String>,
    before: Option<i64>,
    limit: Option<usize>,
}

pub async fn triggers(State(desk): State<Desk>) -> Result<Json<TriggersAnswer>, Problem> {
    let triggers = desk.triggers.clone();
    let asked = desk.ask(move |_| {
        Ok(TriggersAnswer {
            triggers: triggers.standings(now())?,
            problems: triggers.problems(),
        })
    });
    Ok(Json(asked.await?))
}

pub async fn pause_trigger(
    desk: State<Desk>,
    access: Access,
    key: Path<(String, String)>,
    _: NoBody,
) -> Accepted {
    set_paused(desk, key, Some(access.person.name)).await
}

pub async fn resume_trigger(desk: State<Desk>, key: Path<(String, String)>, _: NoBody) -> Accepted {
    set_paused(desk, key, None).await
}

type Accepted = Result<StatusCode, Problem>;

async fn set_paused(
    State(desk): State<Desk>,
    Path((workflow, trigger)): Path<(String, String)>,
    by: Option<String>,
) -> Accepted {
    pause(&desk, TriggerKey { workflow, trigger }, by).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Pauses a trigger in the name of `by`, or resumes it if that is `None`.
pub async fn pause(desk: &Desk, key: TriggerKey, by: Option<String>) -> Result<(), Problem> {
    let triggers = desk.triggers.clone();
    desk.ask(move |_| triggers.set_paused(&key, by.as_deref(), now()))
        .await
}

pub async fn notifications(
    State(desk): State<Desk>,
    Queried(query): Queried<NotificationsQuery>,
) -> Result<Json<NotificationsPage>, Problem> {
    let known = |state: &String| ["queued", "sent", "given_up"].contains(&state.as_str());
    if query.state.as_ref().is_some_and(|state| !known(state)) {
        return Err(Problem::bad("`state` must be queued, sent or given_up"));
    }
    let limit = query.limit.unwrap_or(USUAL).clamp(1, MOST);
    let outbox = desk.outbox.clone();
    let asked = desk.ask(move |_| {
        let listed = outbox.list(query.state.as_deref(), query.before, limit)?;
        Ok((outbox.queues()?, listed))
    });
    let (queues, notifications) = asked.await?;
    let notices: BTreeSet<_> = notifications.iter().map(|one| one.id).collect();
    let is_full = notices.len() == limit;
    Ok(Json(NotificationsPage {
        queues,
        next: notices.first().copied().filter(|_| is_full),
        notifications,
    }))
}
