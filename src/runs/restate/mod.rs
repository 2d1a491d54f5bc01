//! The runs that a Restate server drives: [`OnRestate`] (`service`).
//!
//! - `reads` has what is known of them, `pieces` the events that were read lately, `pulse` sees what happens, `rows`
//!   lists them;
//! - `start` starts one, `act` is what people do with one, `prune` deletes old ones, `peers` is what the servers over one
//!   Restate tell each other.
//!
//! Any number of processes may serve the same runs: Restate decides between them.

mod act;
mod peers;
mod pieces;
mod prune;
mod pulse;
mod reads;
mod rows;
mod service;
mod start;

pub use prune::{prunable_on, prune_on};
pub use service::{OnRestate, OnRestateOptions, sight_of};
