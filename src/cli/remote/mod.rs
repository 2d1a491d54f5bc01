//! Commands that change something on a server. Like their counterparts on this machine, they show what happens until the run ends.

mod act;
mod run;
mod watch;

pub use act::{answer, cancel, resume, undo};
pub use run::run;
#[cfg(feature = "restate")]
pub use watch::waits_for_people;
