//! The document of the API, made from the table of routes and the types.

use axum::{Json, extract::State};
use serde_json::{Map, Value as Json_, json};
use utoipa::OpenApi;

use super::{KEY, answers, compare, log, prune, revise, triggers, types, waiting};
use crate::{
    answer::Problem,
    route::{About, Answer, Needs, Route},
    server::Desk,
};

/// The types of the API, as schemas.
#[derive(OpenApi)]
#[openapi(components(schemas(
    Problem,
    types::Any,
    types::WhoAmI,
    types::GrantItem,
    types::LoginItem,
    types::StartFiles,
    types::FrozenPlan,
    types::Files,
    types::Links,
    types::TargetNames,
    types::Sessions,
    types::SessionItem,
    types::Workflows,
    types::WorkflowItem,
    types::ParamItem,
    types::StartBody,
    types::StartRun,
    types::StartedRun,
    types::PlanAnswer,
    types::RunsPage,
    types::RunItem,
    types::AskItem,
    types::Allowed,
    types::RunDetail,
    types::StepItem,
    types::ErrorItem,
    types::Effects,
    types::EffectItem,
    types::EventsPage,
    types::EventItem,
    types::AnswerBody,
    types::AnswersBody,
    types::AnsweredStep,
    types::UndoPlan,
    waiting::WaitingAnswer,
    waiting::WaitingQuestion,
    waiting::LockItem,
    waiting::TimerItem,
    log::LogPage,
    log::LogItem,
    compare::ComparisonAnswer,
    compare::ValueDifference,
    compare::StepDifference,
    compare::SideItem,
    revise::ChangesBody,
    revise::RevisionAnswer,
    answers::DoubtBody,
    answers::DoubtsBody,
    answers::UndoBody,
    prune::PruneBody,
    prune::PruneAnswer,
    prune::PrunableRun,
    prune::LeftRun,
    prune::PrunedAnswer,
    prune::PrunedRun,
    triggers::TriggersAnswer,
    triggers::NotificationsPage,
    windlass_triggers::TriggerStanding,
    windlass_triggers::LastStart,
    windlass_triggers::Waits,
    windlass_notify::ReceiverQueue,
    windlass_notify::Delivered,
)))]
struct Schemas;

pub async fn document(State(desk): State<Desk>) -> Json<Json_> {
    Json(made(&desk.routes))
}

/// Builds the document for some routes.
fn made(routes: &[Route]) -> Json_ {
    let components = serde_json::to_value(Schemas::openapi().components).unwrap_or_default();
    let mut paths: Map<String, Json_> = Map::new();
    for route in routes {
        let Some(about) = route.about else {
            continue;
        };
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        let method = route.method.as_str().to_ascii_lowercase();
        path[method] = operation(route, about);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "windlass",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Runs of workflows. Times are milliseconds since 1970; secrets are masked.",
        },
        "paths": paths,
        "components": components,
        "security": [{ "token": [] }],
    });
    document["components"]["securitySchemes"] = json!({
        "token": { "type": "http", "scheme": "bearer" },
    });
    document
}

fn operation(route: &Route, about: About) -> Json_ {
    let in_path = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        )
    });
    let in_query = about.query.iter().map(|(name, meaning)| {
        let schema = match *name {
            "status" => json!({ "type": "string", "enum": windlass_runs::STATUSES }),
            "state" => json!({ "type": "string", "enum": ["queued", "sent", "given_up"] }),
            "limit" | "after" | "edition" => json!({ "type": "integer", "minimum": 0 }),
            "look" => json!({ "type": "boolean" }),
            _ => json!({ "type": "string" }),
        };
        json!({
            "name": name, "in": "query", "description": meaning, "required": *name == "step",
            "schema": schema,
        })
    });
    let mut parameters: Vec<_> = in_path.chain(in_query).collect();
    let is_start = matches!(about.answer, Answer::Json("StartedRun"));
    if is_start {
        parameters.push(json!({
            "name": KEY, "in": "header", "schema": { "type": "string", "maxLength": 255 },
            "description": "A repeated request with the same key returns the same run",
        }));
    }
    let mut responses = json!({
        "default": {
            "description": "Why the request failed",
            "content": { "application/problem+json": { "schema": reference("Problem") } },
        },
    });
    match about.answer {
        Answer::Accepted => {
            responses["202"] = json!({ "description": "The request has been recorded" })
        }
        Answer::Events => {
            responses["200"] = json!({
                "description": "Server-sent events",
                "content": { "text/event-stream": { "schema": { "type": "string" } } },
            });
        }
        Answer::Json(name) => {
            let content = json!({
                "description": "The answer",
                "content": { "application/json": { "schema": reference(name) } },
            });
            if is_start {
                responses["201"] = content.clone();
            }
            responses["200"] = content;
        }
    }
    let mut operation = json!({
        "summary": about.summary,
        "operationId": operation_id(route),
        "parameters": parameters,
        "responses": responses,
    });
    if let Needs::Role(role) | Needs::Somewhere(role) = route.needs {
        operation["description"] = json!(format!("Needs the role `{role}`."));
    }
    if let Some(body) = about.body {
        operation["requestBody"] = json!({
            "required": body != "UndoBody",
            "content": { "application/json": { "schema": reference(body) } },
        });
    }
    operation
}

/// Returns the id of an operation: `post_runs_run_approve`.
fn operation_id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/v1");
    let words = path.split(['/', '.']).filter(|part| !part.is_empty());
    let words: Vec<_> = words.map(|part| part.trim_matches(['{', '}'])).collect();
    let method = route.method.as_str().to_ascii_lowercase();
    format!("{method}_{}", words.join("_"))
}

fn reference(name: &str) -> Json_ {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::route::table;

    #[test]
    fn every_route_of_the_api_is_in_its_document_and_every_reference_leads_somewhere() {
        let routes = table();
        let document = made(&routes);
        let mut ids = BTreeSet::new();
        for route in &routes {
            let is_api = route.path.starts_with("/api/");
            assert_eq!(route.about.is_some(), is_api, "{}", route.path);
            if !is_api {
                continue;
            }
            let method = route.method.as_str().to_ascii_lowercase();
            let operation = &document["paths"][route.path][&method];
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
        }
        let text = document.to_string();
        let mut references = 0;
        for (at, mark) in text.match_indices("#/components/schemas/") {
            let name = text[at + mark.len()..].split('"').next().expect("a name");
            let schema = &document["components"]["schemas"][name];
            assert!(schema.is_object() || schema.is_boolean(), "{name}");
            references += 1;
        }
        assert!(references > 40, "{references}");
    }
}
