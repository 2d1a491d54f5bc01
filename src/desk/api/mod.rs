//! The API for programs: JSON under `/api/v1`, described by the OpenAPI document at `/api/v1/openapi.json`.
//!
//! Times are milliseconds since 1970; secrets are masked.

mod act;
mod answers;
mod compare;
mod evidence;
mod files;
mod log;
mod look;
mod openapi;
mod prune;
mod revise;
mod run;
mod sessions;
mod stream;
mod triggers;
mod types;
mod waiting;

use axum::routing::{MethodRouter, get, post};
use http::Method;

pub use act::digest;
pub use compare::comparison_json;
pub use evidence::bundle as evidence_bundle;
pub use look::{
    healthz, instance_id, readyz, refuse_unknown_status, run_id, workflow_for, workflow_name,
};
pub use prune::keep as keep_duration;
pub use run::{allowed, effect_item as effect, may_answer, may_say, not_allowed, waits_for};
pub use triggers::pause;
pub use types::{Allowed, LoginItem};

use super::{
    route::{About, Answer, Needs, Route},
    server::Desk,
};
use windlass_targets::Role;

/// The request header with which a repeated start returns the same run.
pub const KEY: &str = "Idempotency-Key";

/// Returns the routes of the API.
pub fn routes() -> Vec<Route> {
    use Role::{Admin, Approver, Operator};
    let act = |path, role, summary, body, answer, handler| {
        route(
            Method::POST,
            path,
            role,
            handler,
            summary,
            &[],
            body,
            answer,
        )
    };
    let json = Answer::Json;
    let mut routes = vec![
        look(
            "/api/v1/openapi.json",
            "This document",
            &[],
            json("Any"),
            get(openapi::document),
        ),
        look(
            "/api/v1/whoami",
            "The name, groups and roles of the client",
            &[],
            json("WhoAmI"),
            get(look::whoami),
        ),
        look(
            "/api/v1/workflows",
            "The workflows that may be started",
            &[],
            json("Workflows"),
            get(look::workflows),
        ),
        look(
            "/api/v1/workflows/{workflow}",
            "A workflow, with its params",
            &[],
            json("WorkflowItem"),
            get(look::workflow),
        ),
        route(
            Method::POST,
            "/api/v1/workflows/{workflow}/plan",
            Operator,
            post(act::plan),
            "What a start would do; changes nothing",
            &[act::PLAN_LOOKS],
            Some("StartBody"),
            json("PlanAnswer"),
        ),
        look(
            "/api/v1/runs",
            "Runs, the newest first",
            LIST,
            json("RunsPage"),
            get(look::runs),
        ),
        act(
            "/api/v1/runs",
            Operator,
            "Starts a run; a repeated request with the same Idempotency-Key returns the same run",
            Some("StartRun"),
            json("StartedRun"),
            post(act::start),
        ),
        look(
            "/api/v1/runs/{run}",
            "A run: its steps, questions and errors",
            &[],
            json("RunDetail"),
            get(run::detail),
        ),
        look(
            "/api/v1/runs/{run}/effects",
            "The calls that a step made to the outside",
            &[(
                "step",
                "The step instance, as `relay_client[cluster-1]/sign`",
            )],
            json("Effects"),
            get(run::effects),
        ),
        look(
            "/api/v1/runs/{run}/events",
            "The events of a run, in their order",
            &[
                ("after", "Only those with a higher `seq`"),
                ("limit", "How many, at most 1000"),
            ],
            json("EventsPage"),
            get(run::events),
        ),
        look(
            "/api/v1/runs/{run}/stream",
            "The events of a run as they happen. The `id` of each is its `seq`, so a client that sends Last-Event-ID misses none. The event `reset` means that this position is not known; the stream then begins with the first event",
            &[(
                "after",
                "Begin after this `seq` if the request has no Last-Event-ID",
            )],
            Answer::Events,
            get(stream::run),
        ),
        look(
            "/api/v1/stream",
            "Sends `changed` when any run has new events",
            &[],
            Answer::Events,
            get(stream::changes),
        ),
        look(
            "/api/v1/runs/{run}/outputs",
            "The outputs of a run that has succeeded",
            &[],
            json("Any"),
            get(run::outputs),
        ),
        act(
            "/api/v1/runs/{run}/approve",
            Approver,
            "Approves a step that waits",
            Some("AnswerBody"),
            Answer::Accepted,
            post(act::approve),
        ),
        act(
            "/api/v1/runs/{run}/reject",
            Approver,
            "Rejects a step that waits",
            Some("AnswerBody"),
            Answer::Accepted,
            post(act::reject),
        ),
        act(
            "/api/v1/runs/{run}/answers",
            Approver,
            "Approves or rejects several steps that wait: all of them, or none if one of the answers does not count",
            Some("AnswersBody"),
            Answer::Accepted,
            post(act::answer_all),
        ),
        act(
            "/api/v1/runs/{run}/cancel",
            Operator,
            "Stops a run; it can be resumed",
            None,
            Answer::Accepted,
            post(act::cancel),
        ),
        act(
            "/api/v1/runs/{run}/resume",
            Operator,
            "Resumes a run that failed, was cancelled or was interrupted",
            None,
            Answer::Accepted,
            post(act::resume),
        ),
        route(
            Method::GET,
            "/api/v1/runs/{run}/undo",
            Admin,
            get(run::undo_plan),
            "What an undo would do; changes nothing",
            &[],
            None,
            json("UndoPlan"),
        ),
        act(
            "/api/v1/runs/{run}/undo",
            Admin,
            "Reverses what a run did, after recording the answers to calls in doubt",
            Some("UndoBody"),
            Answer::Accepted,
            post(answers::undo),
        ),
        look(
            "/api/v1/triggers",
            "The triggers, and when each starts its workflow next",
            &[],
            json("TriggersAnswer"),
            get(triggers::triggers),
        ),
        act(
            "/api/v1/triggers/{workflow}/{trigger}/pause",
            Operator,
            "Stops a trigger from starting anything",
            None,
            Answer::Accepted,
            post(triggers::pause_trigger),
        ),
        act(
            "/api/v1/triggers/{workflow}/{trigger}/resume",
            Operator,
            "Lets a trigger start runs again; starts that were due while it was paused are skipped",
            None,
            Answer::Accepted,
            post(triggers::resume_trigger),
        ),
        look(
            "/api/v1/notifications",
            "Notifications that were sent or are queued, the newest first",
            &[
                ("state", "`queued`, `sent` or `given_up`"),
                ("before", "Only older ones: `next` of the previous page"),
                ("limit", "How many, at most 500"),
            ],
            json("NotificationsPage"),
            get(triggers::notifications),
        ),
        look(
            "/api/v1/certificates",
            "The certificates that runs issued, delivered and found",
            &[],
            json("Any"),
            get(look::certificates),
        ),
        look(
            "/api/v1/mesh",
            "Which workloads on the rehearsal clusters of a target can connect to each other, tried now",
            &[("target", "by default `local`")],
            json("Any"),
            get(look::mesh),
        ),
        look(
            "/api/v1/sightings",
            "The certificates that each run saw, from which a client can build the inventory",
            &[],
            json("Any"),
            get(look::sightings),
        ),
    ];
    // The handlers of these routes check the roles themselves.
    for route in &mut routes {
        if let (true, Needs::Role(role)) = (SOMEWHERE.contains(&route.path), route.needs) {
            route.needs = Needs::Somewhere(role);
        }
    }
    routes.extend(files::routes());
    routes.extend(answers::routes());
    routes.extend(waiting::routes());
    routes.extend(log::routes());
    routes.extend(compare::routes());
    routes.extend(evidence::routes());
    routes.extend(revise::routes());
    routes.extend(prune::routes());
    routes.extend(sessions::routes());
    routes
}

const SOMEWHERE: [&str; 8] = [
    "/api/v1/openapi.json",
    "/api/v1/whoami",
    "/api/v1/workflows",
    "/api/v1/workflows/{workflow}",
    "/api/v1/workflows/{workflow}/plan",
    "/api/v1/runs",
    "/api/v1/sightings",
    "/api/v1/stream",
];

const LIST: &[(&str, &str)] = &[
    (
        "status",
        "running, waiting, succeeded, failed, cancelled, interrupted, undone, …",
    ),
    ("workflow", "The workflow's name"),
    ("target", "The target's name"),
    ("requester", "Who started it"),
    (
        "text",
        "A part of the id, of the workflow's name or of the target's name",
    ),
    (
        "before",
        "Only runs that started before this one: `next` of the previous page",
    ),
    ("limit", "How many, at most 200"),
];

/// Describes a route that only reads.
fn look(
    path: &'static str,
    summary: &'static str,
    query: &'static [(&'static str, &'static str)],
    answer: Answer,
    handler: MethodRouter<Desk>,
) -> Route {
    route(
        Method::GET,
        path,
        Role::Viewer,
        handler,
        summary,
        query,
        None,
        answer,
    )
}

#[expect(
    clippy::too_many_arguments,
    reason = "a row of a table; `look` above and the closures name the usual ones"
)]
fn route(
    method: Method,
    path: &'static str,
    role: Role,
    handler: MethodRouter<Desk>,
    summary: &'static str,
    query: &'static [(&'static str, &'static str)],
    body: Option<&'static str>,
    answer: Answer,
) -> Route {
    Route {
        method,
        path,
        needs: Needs::Role(role),
        about: Some(About {
            summary,
            query,
            body,
            answer,
        }),
        handler,
    }
}
