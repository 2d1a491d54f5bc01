use axum::routing::{MethodRouter, get, post};
use http::Method;

use super::{audit, compare, edit, log, mesh, prune, waiting};
use crate::{api, server::Desk};
use windlass_targets::Role;

/// Returns the routes of further pages, with the role that each needs.
pub fn more() -> Vec<(Method, &'static str, Role, MethodRouter<Desk>)> {
    use Role::{Admin, Operator, Viewer};
    let look = |path, handler| (Method::GET, path, Viewer, handler);
    vec![
        look("/waiting", get(waiting::waiting)),
        (Method::GET, "/prune", Admin, get(prune::prune_form)),
        (Method::POST, "/prune", Admin, post(prune::prune)),
        look("/mesh", get(mesh::mesh)),
        look("/runs/{run}/log", get(log::log)),
        look("/runs/{run}/log.txt", get(log::raw)),
        look("/runs/{run}/compare", get(compare::compare)),
        look("/runs/{run}/audit", get(audit::audit)),
        look("/runs/{run}/evidence", get(api::evidence_bundle)),
        (Method::GET, "/runs/{run}/edit", Operator, get(edit::edit)),
        (
            Method::POST,
            "/runs/{run}/edit",
            Operator,
            post(edit::revise),
        ),
        (Method::POST, "/runs/{run}/doubt", Admin, post(edit::doubt)),
    ]
}
