//! The pure core: a workflow and where its run stands → what may happen next.
//!
//! No clock, no I/O, no async: [`next`] is a function of its arguments, so the embedded driver
//! and any other substrate decide the same. It is called again after each batch of events; what
//! it returns is appended to the journal first and done afterwards.

mod next;
mod resume;
mod scope;
mod step;

pub use next::{Moment, Next, Start, next};
pub use resume::on_resume;
pub use step::step_of;
