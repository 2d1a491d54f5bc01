//! Logs and traces of a command.

use std::env;

use clap::ValueEnum;

use super::{args::Logging, failure::Failure};
use crate::telemetry::{self, LogFormat};

/// Starts the log of a server, and the traces of its runs. `level` is the default level.
pub fn start(logging: &Logging, level: &str) -> Result<(), Failure> {
    let filter = logging.log_level.as_deref().unwrap_or(level);
    telemetry::start_log(logging.log_format, filter).map_err(wrong)?;
    start_traces();
    Ok(())
}

/// Starts the log of a command that has no options for it: nothing is logged unless WINDLASS_LOG is set.
pub fn start_if_asked() -> Result<(), Failure> {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let format = match set("WINDLASS_LOG_FORMAT") {
        Some(format) => LogFormat::from_str(&format, true)
            .map_err(|_| wrong(format!("WINDLASS_LOG_FORMAT: `{format}` is not a format")))?,
        None => LogFormat::default(),
    };
    let Some(filter) = set("WINDLASS_LOG") else {
        return Ok(());
    };
    telemetry::start_log(format, &filter).map_err(|why| wrong(format!("WINDLASS_LOG: {why}")))
}

/// Starts to send traces if the environment names a collector. A run does not fail if its traces can't be sent.
pub fn start_traces() {
    if let Err(why) = telemetry::start() {
        say!("warning: traces are not sent: {why}");
    }
}

fn wrong(why: String) -> Failure {
    Failure::new("log-filter", why).hint("for example `info`, or `warn,windlass=debug`")
}
