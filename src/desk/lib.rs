//! The server for a team: an API and a page over [`Runs`](windlass_runs::Runs), with no rules of their own.
//!
//! # Layout
//!
//! - [`Server`] listens (`server`, `tls`, `options`); `route` is the table of all that it answers, each with the role
//!   that it needs;
//! - `guard` refuses requests that another web page sent, `admit` those without the role, before any handler is called;
//! - `access` knows tokens and roles, `session` and `cookie` who is logged in, `oidc` the provider that people log in
//!   with, `machine` the certificates of clients;
//! - `api` answers programs with JSON and server-sent events, `page` people with HTML;
//! - `waiting` and `compare` work out what both show; `views` keeps the filters that people saved;
//! - `answer` is an error as an answer, `metrics` is for Prometheus, `hooks` takes signed requests that start runs.

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
