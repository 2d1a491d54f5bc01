//! The log of a process, and the traces of its runs.
//!
//! # Layout
//!
//! - `log` writes the events of `tracing` to stderr, as text or as JSON;
//! - `export` sends spans over OTLP to the collector in OpenTelemetry's standard variables; without these, nothing is sent;
//! - `spans` creates the spans of a run from what its driver and attempts report; `attributes` has the attributes of calls, and `ids` the
//!   ids of spans.

mod attributes;
mod export;
mod ids;
mod log;
mod spans;

pub use export::{flush, start};
pub use log::{LogFormat, parse_filter, start_log};
pub use spans::observing;
