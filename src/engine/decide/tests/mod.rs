//! Tests of decisions, one rule each, without a journal, a thread or a clock.
//!
//! A [`Story`] is a run that a test plays: it compiles a workflow from text, applies what happens as the driver does, and
//! asks for a decision after each event. It also compares each decision of its agenda with one that looks at everything.
//!
//! - `beginning` is the start of a run, `story` the run, `world` what its steps do, `people` what people do with it;
//! - `graph`, `items`, `conditions`, `failures`, `retries`, `nested`, `locks`, `approvals`, `answers`: what begins, and when;
//! - `cancelled`, `chosen`, `resumed`, `planned`, `planned_items`, `redone`, `undone`,
//!   `undo_order`: runs that do not simply go on;
//! - `foreseen`: what is known before a run;
//! - `invariants`: what holds for every graph, and every order in which steps end; `random` draws them.

mod answers;
mod approvals;
mod beginning;
mod cancelled;
mod chosen;
mod conditions;
mod failures;
mod foreseen;
mod graph;
mod invariants;
mod items;
mod locks;
mod nested;
mod people;
mod planned;
mod planned_items;
mod random;
mod redone;
mod resumed;
mod retries;
mod story;
mod undo_order;
mod undone;
mod world;

use beginning::{Beginning, REQUESTER, program, yaml};
use story::{Story, id};
