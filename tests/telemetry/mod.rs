//! What servers log, and the traces of runs.

mod collector;
mod log;
mod traces;
