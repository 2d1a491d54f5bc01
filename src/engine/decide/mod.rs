//! The pure core: a workflow and where its run stands → what may happen next.
//!
//! No clock, no I/O, no async: [`next`] is a function of its arguments, so the embedded driver
//! and any other substrate decide the same. It is called again after each batch of events; what
//! it returns is appended to the journal first and done afterwards. An [`Agenda`] remembers between two
//! calls what need not be looked at again, and decides the same.
//!
//! - `scope` holds the rules of the graph, `unit` those of one execution, `evaluate` what its expressions see;
//! - `approval`, `lock` and `undo` are what their names say;
//! - `resume` says what continues when a run is resumed, `plan` what an edit or a
//!   `--redo` changes, by the rules of `planner` and in the words of `reason`; `preview` what a run would do before it begins,
//!   `beforehand` what of it would fail, `trials` what of it can be tried.

mod agenda;
mod approval;
mod beforehand;
mod chosen;
mod decision;
mod evaluate;
mod fate;
mod lock;
mod next;
mod plan;
mod planner;
mod preview;
mod reason;
mod resume;
mod scope;
mod step;
mod trials;
mod undo;
mod unit;

pub use agenda::Agenda;
pub use approval::{Refusal, on_answer};
pub use beforehand::{Trouble, troubles};
pub use chosen::{approval_left_out, reads_of, steps_until};
pub use decision::{Moment, Next, Start, Want};
pub use fate::{Change, Fate, FateKind, Plan};
pub use next::next;
pub use plan::{Unplannable, plan};
pub use preview::{Does, Foreseen, Preview, preview, replaced};
pub use resume::{ended_by_rejection, on_resume, resumed, wanted_locks};
pub use step::step_of;
pub use trials::{Trial, trials};
pub use undo::undo_order;
