//! The inventory of certificates that runs issued, delivered and found: where each is now, and what superseded it.
//!
//! - `facts` has the data of a certificate, `place` where a certificate can be;
//! - `read` finds certificates in files, values and Kubernetes objects;
//! - `sighting` reads what the events of a run say about certificates;
//! - `fold` combines what all runs saw, in chronological order; [`Inventory`] is the result;
//! - `collect` does this for all runs of a state folder, `cache` stores what was read, so that only runs that have changed are read again;
//! - [`scan`] reads certificates from files, servers, clusters and CAs, without runs.
//!
//! Everything is computed from the journal, so the cache can be deleted.

mod cache;
mod collect;
mod entry;
mod facts;
mod fold;
mod place;
mod read;
pub mod scan;
mod sighting;

pub use collect::{Gathered, RunStamp, Sealed, forget, gather, kept_of};
pub use entry::{Condition, Entry, Inventory, Origin, Problem, Supersession};
pub use facts::Facts;
pub use place::Place;
