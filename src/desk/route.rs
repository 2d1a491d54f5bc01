//! The table of routes. Each route states what a request needs to be admitted; other paths are not found.

use axum::routing::{MethodRouter, get, post};
use http::{Method, StatusCode};

use super::{answer::Problem, api, hooks, metrics, oidc, page, server::Desk};
use windlass_targets::Role;

/// What a request needs to be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: there is nothing to protect, or the user is about to log in.
    Nothing,
    /// A login or a token, of any user.
    Login,
    /// A role: for the run in the path, or without a run in the path, for all workflows and targets.
    Role(Role),
    /// A role for at least one workflow and target. The handler checks which ones.
    Somewhere(Role),
}

/// A method and path that the server answers.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub needs: Needs,
    /// For routes of the API: its description in the OpenAPI document.
    pub about: Option<About>,
    pub handler: MethodRouter<Desk>,
}

/// The description of a route in the OpenAPI document.
#[derive(Clone, Copy)]
pub struct About {
    pub summary: &'static str,
    /// The query parameters, each with its description.
    pub query: &'static [(&'static str, &'static str)],
    /// The schema of the request's body.
    pub body: Option<&'static str>,
    pub answer: Answer,
}

/// What a route of the API answers with.
#[derive(Clone, Copy)]
pub enum Answer {
    /// JSON with this schema.
    Json(&'static str),
    /// Server-sent events.
    Events,
    /// Only a status: the request has been accepted.
    Accepted,
}

/// Returns the routes, with what each needs.
pub fn routes() -> impl Iterator<Item = (Method, &'static str, Needs)> {
    let table = table().into_iter();
    table.map(|route| (route.method, route.path, route.needs))
}

/// Answers requests that match no route.
pub async fn fallback() -> Problem {
    not_found()
}

pub fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "no such page")
}

/// Returns all routes.
pub fn table() -> Vec<Route> {
    use Role::{Admin, Approver, Operator, Viewer};
    let mut routes = vec![
        open(Method::GET, "/healthz", get(api::healthz)),
        open(Method::GET, "/readyz", get(api::readyz)),
        open(Method::GET, "/assets/{name}", get(page::asset)),
        open(Method::GET, "/login", get(page::login_form)),
        open(Method::POST, "/login", post(page::log_in)),
        // The request is authenticated by its signature.
        open(Method::POST, "/hooks/{hook}", post(hooks::hook)),
        login_only(page("/logout", Viewer, post(page::log_out), Method::POST)),
        somewhere(page("/", Viewer, get(page::runs), Method::GET)),
        somewhere(page("/views", Viewer, post(page::save_view), Method::POST)),
        somewhere(page("/runs/bulk", Operator, post(page::bulk), Method::POST)),
        page("/runs/{run}", Viewer, get(page::run), Method::GET),
        somewhere(page("/start", Operator, get(page::workflows), Method::GET)),
        somewhere(page(
            "/start/{workflow}",
            Operator,
            get(page::form),
            Method::GET,
        )),
        somewhere(page(
            "/start/{workflow}",
            Operator,
            post(page::start),
            Method::POST,
        )),
        page(
            "/certificates",
            Viewer,
            get(page::certificates),
            Method::GET,
        ),
        page(
            "/runs/{run}/approve",
            Approver,
            post(page::approve),
            Method::POST,
        ),
        page(
            "/runs/{run}/reject",
            Approver,
            post(page::reject),
            Method::POST,
        ),
        page(
            "/runs/{run}/cancel",
            Operator,
            post(page::cancel),
            Method::POST,
        ),
        page(
            "/runs/{run}/resume",
            Operator,
            post(page::resume),
            Method::POST,
        ),
        page("/runs/{run}/undo", Admin, get(page::undo_plan), Method::GET),
        page("/runs/{run}/undo", Admin, post(page::undo), Method::POST),
        page("/triggers", Viewer, get(page::triggers), Method::GET),
        page(
            "/triggers/{workflow}/{trigger}/pause",
            Operator,
            post(page::pause_trigger),
            Method::POST,
        ),
        page(
            "/triggers/{workflow}/{trigger}/resume",
            Operator,
            post(page::resume_trigger),
            Method::POST,
        ),
        page(
            "/notifications",
            Viewer,
            get(page::notifications),
            Method::GET,
        ),
        page("/metrics", Viewer, get(metrics::metrics), Method::GET),
    ];
    for (method, path, role, handler) in page::more() {
        routes.push(page(path, role, handler, method));
    }
    routes.extend(api::routes());
    routes.extend(oidc::routes());
    routes
}

/// Changes a route so that its handler checks for which workflows and targets the role is needed.
pub fn somewhere(route: Route) -> Route {
    let needs = match route.needs {
        Needs::Role(role) => Needs::Somewhere(role),
        needs => needs,
    };
    Route { needs, ..route }
}

/// Changes a route so that it needs a login, but no role.
pub fn login_only(route: Route) -> Route {
    Route {
        needs: Needs::Login,
        ..route
    }
}

fn open(method: Method, path: &'static str, handler: MethodRouter<Desk>) -> Route {
    Route {
        method,
        path,
        needs: Needs::Nothing,
        about: None,
        handler,
    }
}

fn page(path: &'static str, role: Role, handler: MethodRouter<Desk>, method: Method) -> Route {
    Route {
        method,
        path,
        needs: Needs::Role(role),
        about: None,
        handler,
    }
}
