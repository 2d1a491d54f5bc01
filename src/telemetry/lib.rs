//! What a process tells of its work: events for a log, and spans of runs for a collector of traces.
//!
//! # Layout
//!
//! - `log` writes the events of `tracing` to stderr, as text or as JSON;
//! - `export` sends spans by OTLP, as the standard variables of OpenTelemetry say; without them nothing is sent;
//! - `spans` makes the spans of a run from what its driver and its attempts report, `attributes` says what is in those of
//!   calls, and `ids` which ids they have.

mod attributes;
mod export;
mod ids;
mod log;
mod spans;

pub use export::{flush, start};
pub use log::{LogFormat, parse_filter, start_log};
pub use spans::observing;
