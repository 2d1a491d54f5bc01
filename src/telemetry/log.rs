use std::io;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// The format of log events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    #[default]
    Text,
    /// A JSON object on a line
    Json,
}

/// Starts to write events to stderr. `filter` has the syntax of `tracing_subscriber::EnvFilter`. A second call has no effect.
///
/// # Errors
/// Returns why the filter is not valid.
pub fn start_log(format: LogFormat, filter: &str) -> Result<(), String> {
    let filter = filter_of(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        // Errors of writing to stderr can't be reported anywhere.
        .log_internal_errors(false);
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// Checks a filter, for the command line.
///
/// # Errors
/// Returns why the filter is not valid.
pub fn parse_filter(text: &str) -> Result<String, String> {
    filter_of(text).map(|_| text.to_owned())
}

fn filter_of(text: &str) -> Result<EnvFilter, String> {
    // `EnvFilter` would accept a misspelled level as the name of a target, and hide all other events.
    let is_level = |word: &str| {
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        levels.contains(&word.to_ascii_lowercase().as_str())
    };
    let words = text.split(',').map(str::trim);
    let unknown = words
        .filter(|word| !word.is_empty() && !word.contains(['=', '[', ':', '_']))
        .find(|word| !is_level(word));
    if let Some(word) = unknown {
        return Err(format!(
            "`{word}` is not a level; expected off, error, warn, info, debug or trace, or TARGET=LEVEL"
        ));
    }
    EnvFilter::try_new(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_or_refused() {
        for good in [
            "info",
            "WARN",
            "off",
            "warn,windlass=debug",
            "windlass::requests=off",
            "info,windlass[span]=trace",
        ] {
            assert_eq!(parse_filter(good).as_deref(), Ok(good));
        }
        for wrong in ["verbose", "windlass=loud", "info,chatty", "a=b=c"] {
            assert!(parse_filter(wrong).is_err(), "{wrong}");
        }
    }
}
