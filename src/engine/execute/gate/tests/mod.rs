//! Tests of the gate, with a ledger in memory and a clock that stands still.
//!
//! - `bench` is an attempt and the outside;
//! - `records`: what is announced and recorded, and how it is replayed;
//! - `doubt`: calls that may have been made already;
//! - `refusals`: calls that are not made, and results that are too large;
//! - `sleeps`: waits and messages.

mod bench;
mod doubt;
mod records;
mod refusals;
mod sleeps;

use bench::{Bench, NOW};
