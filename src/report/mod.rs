//! State → people and machines: progress, the summary, tables, JSON, graphs.

mod audit;
mod certificates;
mod event;
mod graph;
mod iam;
mod json;
mod next_steps;
mod plan;
mod preview;
mod problem;
mod progress;
mod rbac;
mod style;
mod summary;
mod table;
mod tally;
mod undo;

pub use audit::{audit, audit_json};
pub use certificates::{WrittenCertificate, certificates};
pub use event::{event_json, event_line};
pub use graph::{GraphFormat, draw};
pub use iam::iam_policy;
pub use json::{run_json, runs_json};
pub use next_steps::{approvals, next_steps};
pub use plan::{plan_json, resume_plan};
pub use preview::{preview, preview_json};
pub use problem::{render, render_error};
pub use progress::{Bars, Lines};
pub use rbac::cluster_role;
pub use style::{describe_status, utc_time};
pub use summary::{Detail, headline, summary};
pub use table::Table;
pub use undo::{undo_json, undo_plan};
