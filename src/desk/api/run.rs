use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde::Deserialize;

use super::{
    act::Queried,
    look::run_id,
    types::{
        Allowed, AskItem, EffectItem, Effects, ErrorItem, EventItem, EventsPage, RunDetail,
        StepItem, UndoPlan,
    },
};
use crate::{access::Access, answer::Problem, server::Desk};
use windlass_ground::Timestamp;
use windlass_journal::{
    EffectOutcome, EffectState, Instance, InstanceId, Outcome, Record, RunId, State as RunState,
    Status,
};
use windlass_report as report;
use windlass_runs::{self as runs, Cursor, Runs, RunsError, Shown};
use windlass_targets::Role;
use windlass_world::value::{StepError, Value};

/// The largest number of events in an answer.
const MOST: usize = 1000;

pub async fn detail(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
) -> Result<Json<RunDetail>, Problem> {
    let run = run_id(&run)?;
    let asked = desk.ask(move |runs| {
        let shown = runs.run(&run)?;
        let trouble = runs.trouble(&run);
        let is_paused = trouble.is_some() && runs.is_paused(&shown);
        Ok((shown, is_paused, trouble, waits_for(runs, &run)))
    });
    let (shown, is_paused, trouble, waits_for) = asked.await?;
    let state = &shown.state;
    let errors = report::errors(state).into_iter();
    let asks = shown.asks().into_iter().map(|ask| AskItem {
        may_answer: Some(may_answer(&shown, &ask, &access)),
        ..AskItem::of(&ask)
    });
    Ok(Json(RunDetail {
        run: shown.id.to_string(),
        workflow: shown.info.workflow.clone(),
        file: shown.info.file.clone(),
        target: shown.info.target.clone(),
        kube: shown.info.kube.iter().cloned().collect(),
        status: shown.status().into(),
        is_driven: shown.is_driven,
        is_paused,
        trouble,
        waits_for,
        requester: shown.info.requester.clone(),
        started_at: shown.info.started_at,
        ended_at: state.ended_at,
        worked_ms: state.worked,
        params: shown.info.params.to_json(),
        outputs: state.outputs.to_json(),
        errors: errors
            .map(|(step, error)| error_item(state, step, error))
            .collect(),
        asks: asks.collect(),
        steps: steps(state, shown.at),
        allowed: allowed(&shown, is_paused, &access),
        events: state.events,
    }))
}

/// Returns the lock that a run waits for and the run that holds it, in words.
pub fn waits_for(runs: &dyn Runs, run: &RunId) -> Option<String> {
    let (lock, holder) = runs.waits_for(run)?;
    Some(format!("the lock `{lock}`, held by {holder}"))
}

/// Returns the instances of a run, in the order of their ids.
pub fn steps(state: &RunState, at: Timestamp) -> Vec<StepItem> {
    let steps = state.steps.iter();
    steps
        .map(|(id, instance)| step_item(id, instance, at))
        .collect()
}

fn step_item(id: &InstanceId, instance: &Instance, at: Timestamp) -> StepItem {
    StepItem {
        step: id.to_string(),
        status: if instance.has_expired(at) {
            "expired".into()
        } else {
            instance.status.as_str().into()
        },
        attempt: instance.attempt,
        started_at: instance.started_at,
        ended_at: instance.ended_at,
        worked_ms: instance.worked,
        retry_at: match instance.status {
            Status::Retrying { at } => Some(at),
            _ => None,
        },
        inputs: instance.inputs.to_json(),
        outputs: instance.outputs.to_json(),
        error: instance.error.as_ref().map(|error| error.headline()),
        skip_reason: instance.skip_reason.clone(),
        effects: instance.effects.len(),
    }
}

fn error_item(state: &RunState, step: Option<&InstanceId>, error: &StepError) -> ErrorItem {
    let place = error.place.as_ref();
    let failure = error.failure.as_ref();
    ErrorItem {
        step: step.map(ToString::to_string),
        code: error.code.clone(),
        message: error.message.clone(),
        file: place.map(|place| place.file.clone()),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        hint: report::hint(state, step, error).map(str::to_owned),
        request_id: failure.and_then(|failure| failure.request_id.clone()),
    }
}

/// Returns whether the client may answer a question now.
pub fn may_answer(shown: &Shown, ask: &runs::Ask, access: &Access) -> Allowed {
    if !has_on(access, Role::Approver, shown) {
        return lacks_role(access, Role::Approver, shown);
    }
    let may = shown.may_answer(ask, &access.person);
    may.map_or_else(
        |refusal| Allowed {
            ok: false,
            why: Some(refusal.to_string()),
            needs: None,
        },
        |()| allowed_now(),
    )
}

/// Returns what the client may do with a run now, so that a page offers nothing that would be refused. A run that is paused can be
/// resumed as it is, although it is driven.
pub fn allowed(shown: &Shown, is_paused: bool, access: &Access) -> BTreeMap<String, Allowed> {
    let (id, state) = (&shown.id, &*shown.state);
    let workflow = &shown.program.workflow;
    let idle = |then: Result<(), RunsError>| {
        if shown.is_driven {
            Err(RunsError::conflict("run-owned", "it is running"))
        } else {
            then
        }
    };
    let resume = if is_paused {
        Ok(())
    } else {
        idle(runs::refuse_resume(id, workflow, state, false))
    };
    let all = [
        ("cancel", Role::Operator, runs::refuse_cancel(id, state)),
        ("resume", Role::Operator, resume),
        (
            "edit",
            Role::Operator,
            idle(runs::refuse_resume(id, workflow, state, true)),
        ),
        ("undo", Role::Admin, idle(runs::refuse_undo(id, state))),
    ];
    let checked = all.into_iter().map(|(name, role, rule)| {
        let allowed = match rule {
            _ if !has_on(access, role, shown) => lacks_role(access, role, shown),
            Ok(()) => allowed_now(),
            Err(error) => Allowed {
                ok: false,
                why: Some(error.message),
                needs: None,
            },
        };
        (name.to_owned(), allowed)
    });
    checked.collect()
}

/// Returns whether the client may answer for a call in doubt.
pub fn may_say(access: &Access, shown: &Shown) -> Allowed {
    if has_on(access, Role::Admin, shown) {
        allowed_now()
    } else {
        lacks_role(access, Role::Admin, shown)
    }
}

/// Returns the answer "not allowed", without a reason.
pub fn not_allowed() -> Allowed {
    Allowed {
        ok: false,
        why: None,
        needs: None,
    }
}

fn allowed_now() -> Allowed {
    Allowed {
        ok: true,
        why: None,
        needs: None,
    }
}

fn has_on(access: &Access, role: Role, shown: &Shown) -> bool {
    access.has_on(role, &shown.info.workflow, &shown.info.target)
}

fn lacks_role(access: &Access, role: Role, shown: &Shown) -> Allowed {
    let info = &shown.info;
    Allowed {
        ok: false,
        why: Some(Problem::denied_on(access, role, &info.workflow, &info.target).detail),
        needs: Some(role),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepQuery {
    step: InstanceId,
}

pub async fn effects(
    State(desk): State<Desk>,
    Path(run): Path<String>,
    Queried(query): Queried<StepQuery>,
) -> Result<Json<Effects>, Problem> {
    let run = run_id(&run)?;
    let shown = desk.ask(move |runs| runs.run(&run)).await?;
    let step = query.step;
    let instance = shown.state.instance(&step).ok_or_else(|| {
        let detail = format!("the run has no step `{step}`, or it has not started");
        Problem::new(StatusCode::NOT_FOUND, "unknown-step", detail)
    })?;
    Ok(Json(Effects {
        effects: instance.effects.iter().map(effect_item).collect(),
        step: step.to_string(),
    }))
}

/// Converts a call to the API's type.
pub fn effect_item(effect: &EffectState) -> EffectItem {
    let (status, result) = match effect.settled.as_ref().or(effect.outcome.as_ref()) {
        None => ("in_doubt", serde_json::Value::Null),
        Some(EffectOutcome::Done(value)) => ("done", value.to_json()),
        Some(EffectOutcome::Failed(failure)) => {
            ("failed", serde_json::to_value(failure).unwrap_or_default())
        }
        Some(EffectOutcome::NotDone) => ("not_done", serde_json::Value::Null),
    };
    EffectItem {
        function: effect.call.function.clone(),
        arguments: effect.call.arguments.clone(),
        class: serde_json::to_value(effect.call.class).unwrap_or_default(),
        at: effect.at,
        status: status.into(),
        result,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    after: Option<u64>,
    limit: Option<usize>,
}

pub async fn events(
    State(desk): State<Desk>,
    Path(run): Path<String>,
    Queried(query): Queried<EventsQuery>,
) -> Result<Json<EventsPage>, Problem> {
    let run = run_id(&run)?;
    let limit = query.limit.unwrap_or(MOST).clamp(1, MOST);
    let page = desk.ask(move |runs| {
        let mut events = Vec::new();
        let mut cursor = match query.after {
            // A database holds no larger number.
            Some(after) => runs.cursor(&run, after.saturating_add(1).min(i64::MAX as u64))?,
            None => Cursor::default(),
        };
        let mut has_more = true;
        // A cursor may begin before `after`.
        while has_more && events.len() < limit {
            let most = limit - events.len();
            has_more = runs.some_events(&run, &mut cursor, most, &mut |record| {
                if query.after.is_none_or(|after| record.seq > after) {
                    events.push(event_item(&record));
                }
            })?;
        }
        match cursor.next {
            0 => Err(RunsError::no_run(&run)),
            _ => Ok(EventsPage { events, has_more }),
        }
    });
    Ok(Json(page.await?))
}

/// Converts an event to the API's type. Secrets are masked.
pub fn event_item(record: &Record) -> EventItem {
    EventItem {
        seq: record.seq,
        at: record.at,
        digest: record.digest.to_string(),
        event: serde_json::to_value(&record.event).unwrap_or_default(),
    }
}

pub async fn outputs(
    State(desk): State<Desk>,
    Path(run): Path<String>,
) -> Result<Json<serde_json::Value>, Problem> {
    let run = run_id(&run)?;
    let shown = desk.ask(move |runs| runs.run(&run)).await?;
    if shown.state.outcome != Some(Outcome::Succeeded) {
        let detail = format!("run {} has not succeeded", shown.id);
        return Err(Problem::new(StatusCode::CONFLICT, "no-outputs", detail));
    }
    Ok(Json(match &shown.state.outputs {
        Value::Null => serde_json::json!({}),
        outputs => outputs.to_json(),
    }))
}

pub async fn undo_plan(
    State(desk): State<Desk>,
    Path(run): Path<String>,
) -> Result<Json<UndoPlan>, Problem> {
    let run = run_id(&run)?;
    let plan = desk.ask(move |runs| runs.undo_plan(&run, &[])).await?;
    Ok(Json(UndoPlan::of(plan)))
}
