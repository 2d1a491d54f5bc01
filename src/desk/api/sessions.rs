//! The sessions of browsers: listing and ending them.

use axum::{
    Json,
    extract::{Path, State},
    routing::{get, post},
};
use http::{HeaderMap, Method, StatusCode};

use super::{
    act::NoBody,
    route,
    types::{SessionItem, Sessions},
};
use crate::{
    access::Access,
    answer::Problem,
    cookie::Purpose,
    route::{Answer, Route, login_only},
    server::Desk,
};
use windlass_runs::now;
use windlass_targets::Role;

pub fn routes() -> Vec<Route> {
    vec![
        login_only(route(
            Method::GET,
            "/api/v1/sessions",
            Role::Viewer,
            get(list),
            "The sessions of browsers: your own, or all with the role `admin`",
            &[],
            None,
            Answer::Json("Sessions"),
        )),
        login_only(route(
            Method::POST,
            "/api/v1/sessions/{session}/end",
            Role::Viewer,
            post(end),
            "Ends a session: your own, or any with the role `admin`",
            &[],
            None,
            Answer::Accepted,
        )),
    ]
}

async fn list(
    State(desk): State<Desk>,
    access: Access,
    headers: HeaderMap,
) -> Result<Json<Sessions>, Problem> {
    let this = desk.cookie(Purpose::Session, &headers);
    let known = desk.in_sessions(|all| all.list(now())).await?.into_iter();
    let shown = known.filter(|session| is_for(&access, &session.name));
    Ok(Json(Sessions {
        sessions: shown
            .map(|session| SessionItem {
                is_this: this.as_deref().is_some_and(|this| session.is_of(this)),
                id: session.id,
                name: session.name,
                how: session.how,
                from: session.from,
                began_at: session.began,
                used_at: session.used,
            })
            .collect(),
    }))
}

async fn end(
    State(desk): State<Desk>,
    access: Access,
    Path(id): Path<String>,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    let known = desk.in_sessions(|all| all.list(now())).await?.into_iter();
    let mut known = known.filter(|session| is_for(&access, &session.name));
    let Some(session) = known.find(|session| session.id == id) else {
        let detail = "no such session";
        return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", detail));
    };
    desk.in_sessions(move |all| all.end_id(&session.id)).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Returns whether the client may see and end the sessions of `name`.
fn is_for(access: &Access, name: &str) -> bool {
    access.has_everywhere(Role::Admin) || access.person.name == name
}
