//! The runs of this machine for a team: an API and a page over [`Runs`](windlass_runs::Runs), with no rules of their own.
//!
//! - [`Server`] listens; `route` is the table of all that it answers, each with the role that it needs;
//! - `guard` refuses requests that another web page sent, `admit` those without the role, before any handler is called;
//! - `access` knows tokens and roles, `session` cookies, `oidc` the provider that people log in with, `machine` certificates of clients;
//! - `hooks` takes signed requests that start runs;
//! - `api` answers programs with JSON and server-sent events, `page` people with HTML; `metrics` is for Prometheus.

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
