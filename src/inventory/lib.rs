//! The inventory of certificates that runs issued, delivered and found: where each is now, and what superseded it.
//!
//! # Layout
//!
//! - `facts` is what is known of a certificate, `place` is where one can be;
//! - `sighting` is what the events of one run say about certificates;
//! - `fold` puts what all runs saw in the order of time; [`Inventory`] (`entry`) is the result;
//! - `collect` gathers that for all runs of a state folder; `cache` keeps what was read of each run, so that the next
//!   look reads only runs that have changed;
//! - [`scan`] reads what Windlass did not make.
//!
//! Everything is computed from the journal, so the cache can be deleted.

mod cache;
mod collect;
mod entry;
mod facts;
mod fold;
mod place;
pub mod scan;
mod sighting;

pub use collect::{Gathered, RunStamp, Sealed, forget, gather, kept_of};
pub use entry::{Condition, Entry, Inventory, Origin, Problem, Supersession};
pub use facts::Facts;
pub use place::Place;
