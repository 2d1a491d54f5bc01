//! What a server logs.

use clap::Args as ClapArgs;

use crate::telemetry::{LogFormat, parse_filter};

#[derive(ClapArgs)]
pub struct Logging {
    /// The format of the log on stderr
    #[arg(
        long,
        env = "WINDLASS_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,

    /// What to log: a level (error, warn, info, debug, trace, off), or levels for parts of the program, such as
    /// `info,windlass::requests=off`
    #[arg(long, env = "WINDLASS_LOG", value_parser = parse_filter, value_name = "FILTER")]
    pub log_level: Option<String>,
}
