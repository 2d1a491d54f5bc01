//! `windlass serve`: an API and web pages for a team, over the service [`Runs`](windlass_runs::Runs), which has all the rules.
//!
//! - [`Server`] listens; `route` is the type of the routes, each with the role that it needs;
//! - `guard` refuses requests that another web page sent, and `admit` requests without the role, before a handler is called;
//! - `access` checks tokens and roles, `session` keeps the sessions of browsers, `oidc` logs people in with an OpenID Connect provider,
//!   `machine` reads certificates of clients;
//! - `hooks` receives signed requests that start runs;
//! - `api` answers programs with JSON and server-sent events, `page` answers people with HTML, `metrics` answers Prometheus.

mod access;
mod admit;
mod answer;
mod api;
mod compare;
mod cookie;
mod guard;
mod hooks;
mod machine;
mod metrics;
mod oidc;
mod options;
mod page;
mod route;
mod server;
mod session;
mod tls;
mod views;
mod waiting;

pub use access::{Access, random_token};
pub use api::comparison_json;
pub use compare::{Comparison, StepChange, StepSide, ValueChange};
pub use options::{DeskOptions, Refused, Secured};
pub use page::picture;
pub use route::{Needs, routes};
pub use server::Server;
