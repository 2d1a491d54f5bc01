//! Decides, from a workflow and the state of its run, what may happen next.
//!
//! There is no clock, no I/O and no async here: [`next`] is a function of its arguments, so all substrates decide the same.
//! It is called again after each batch of events; its result is first appended to the journal and then done. An [`Agenda`]
//! remembers between two calls what need not be looked at again, without changing the decision.
//!
//! - `scope` holds the rules of the graph, `unit` those of one instance, `evaluate` evaluates its expressions;
//! - `approval`, `lock` and `undo` decide about approvals, locks and undos (`place`: in which order);
//! - `doubt` says which failures stop a run whatever its workflow says of failures;
//! - `resume` decides what continues when a run is resumed, `plan` what an edit or a `--redo` changes: a `fate` for each
//!   step, by the rules of `planner`, what a step was by `shape`, and with the reasons of `reason`;
//! - `preview` shows what a run would do before it begins, `beforehand` what in it would fail, `trials` what in it can be
//!   tried; `chosen` are the steps of `--only` and `--until`.

mod agenda;
mod approval;
mod beforehand;
mod chosen;
mod decision;
mod doubt;
mod evaluate;
mod fate;
mod lock;
mod next;
mod place;
mod plan;
mod planner;
mod preview;
mod reason;
mod resume;
mod scope;
mod shape;
mod step;
mod tell;
mod trials;
mod undo;
mod unit;

pub use agenda::Agenda;
pub use approval::{Refusal, not_asked, on_answer};
pub use beforehand::{Trouble, troubles};
pub use chosen::{approval_left_out, reads_of, steps_until};
pub use decision::{Moment, Next, Start, Want};
pub use fate::{Change, Fate, FateKind, Plan};
pub use next::next;
pub use plan::{Unplannable, plan};
pub use preview::{Does, Foreseen, Preview, preview, replaced};
pub use resume::{
    ended_by_rejection, on_resume, reset_outdated_finally, resumed, waits, wanted_locks,
};
pub use step::step_of;
pub use trials::{Trial, trials};
pub use undo::{own_undos, undo_order};

#[cfg(test)]
mod tests;
