//! Shows the state of runs to people and programs: texts, tables, JSON and drawings.
//!
//! # Layout
//!
//! - A run: `progress` while it runs; `summary`, `tally` and `event` afterwards; `next_steps` are the
//!   commands to type next; `certificates` are those that it wrote, `audit` what it proves
//!   (`history` is who did what with it).
//! - Plans: `preview`, `forecast`, `price` and `replaced` before a run; `plan` of a resume, `undo` of an undo.
//! - Workflows: `graph` (`lanes` for a terminal), `iam` and `rbac` (the permissions of their calls).
//! - The inventory of certificates: `certificate_tree` for people; JSON, metrics and what is due in `inventory`.
//! - For programs: `json`.
//! - Documentation: `reference`, `explain`, `language`, `definitions`, `schema` and `codes`, as a `page` where people read it.
//! - Parts of texts: `table`, `style`, `clock`, `object` (a call in a line), `commands`, `plain` (nothing that controls a
//!   terminal), `say` (on stderr), and `problem`, an error drawn with its source.

mod audit;
mod certificate_tree;
mod certificates;
mod clock;
mod codes;
mod commands;
mod definitions;
mod event;
mod explain;
mod forecast;
mod graph;
mod history;
mod iam;
mod inventory;
mod json;
mod lanes;
mod language;
mod next_steps;
mod object;
mod page;
mod plain;
mod plan;
mod preview;
mod price;
mod problem;
mod progress;
mod rbac;
mod reference;
mod replaced;
mod safe;
mod say;
mod schema;
mod style;
mod summary;
mod table;
mod tally;
mod undo;

pub use audit::{Proof, audit, audit_json};
pub use certificate_tree::inventory_tree;
pub use certificates::{WrittenCertificate, certificates};
pub use clock::{
    column_time, heading, local_day, local_time, log_time, start_of_day, use_local_zone,
};
pub use codes::{code_markdown, codes};
pub use commands::{command, completed, repeat};
pub use definitions::definitions;
pub use event::{EventLines, event_json};
pub use explain::{explain, topics, topics_page};
pub use forecast::{forecast, forecast_json};
pub use graph::{GraphFormat, Standings, draw};
pub use iam::{OpenCalls, iam_policy};
pub use inventory::{Pick, days, due_lines, inventory_json, inventory_metrics, label, nothing_due};
pub use json::{JsonView, errors, hint, json_line, json_text, run_json, runs_json};
pub use next_steps::{approvals, next_steps, steps_when_held_up};
pub use object::call_line;
pub use page::Page;
pub use plain::{cut, line, lines, visible};
pub use plan::{fate_named, plan_json, resume_plan};
pub use preview::{obstacles, preview, preview_json};
pub use problem::{render, render_error};
pub use progress::{Bars, Lines, waiting};
pub use rbac::cluster_role;
pub use reference::reference;
pub use replaced::{
    Fate, Replaced, ReplacedObject, Replacing, replaced_json, replaced_objects, replacing,
};
pub use say::{for_people, say, use_ascii};
pub use schema::{test_schema, workflow_schema};
pub use style::{ago, counted, describe_status, took, utc_time};
pub use summary::{Detail, View, headline, summary};
pub use table::{Room, Table};
pub use undo::{undo_json, undo_plan};
pub use windlass_journal::RunStanding;
