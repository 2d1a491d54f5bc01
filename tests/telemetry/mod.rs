//! What servers log, and the traces of runs.

pub mod collector;
mod log;
mod traces;
