//! The runs in the state folder of this machine: [`Here`] (`service`).
//!
//! - `rows` lists them, `evidence` and `log` are for readers, `mesh` tries the handshakes of a target;
//! - `start` starts them, `take` takes over one that no process drives, `act` is what people do with one, `revise` is a
//!   resume with changes, `prune` deletes old ones.

mod act;
mod evidence;
mod log;
mod mesh;
mod prune;
mod revise;
mod rows;
mod service;
mod start;
mod take;

pub use service::{Here, HereOptions};
