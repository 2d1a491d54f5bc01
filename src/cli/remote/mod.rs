//! Commands that change something on a server. Like their counterparts on this machine, they show events until the run ends.

mod act;
mod plan;
mod run;
mod watch;

pub use act::{answer, cancel, resume, undo};
pub use plan::plan;
pub use run::run;
#[cfg(feature = "restate")]
pub use watch::waits_for_people;
