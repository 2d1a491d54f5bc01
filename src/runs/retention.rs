use std::{io, sync::Arc, thread, time::Duration};

use super::{
    clock::now,
    error::RunsError,
    prune::{Pruning, Retention},
    service::{Person, Runs},
};
use windlass_ground::Timestamp;
use windlass_targets::RetentionConfig;

/// How often old runs are looked for.
const DAILY: Duration = Duration::from_secs(86_400);

impl Retention {
    /// Returns what a configuration asks for, at a given time.
    pub fn of(config: &RetentionConfig, at: Timestamp) -> Self {
        Self {
            keep: config.keep,
            keep_last: config.keep_last,
            workflow: None,
            failed: config.failed,
            at,
        }
    }
}

/// Deletes runs according to a configuration, now and once a day until the process ends; `told` receives the results.
///
/// # Errors
/// The thread can't be started.
pub fn keep_retention(
    runs: Arc<dyn Runs>,
    config: RetentionConfig,
    told: impl Fn(Result<Pruning, RunsError>) + Send + 'static,
) -> io::Result<()> {
    let who = Person {
        name: "windlass serve".into(),
        via: None,
    };
    let thread = thread::Builder::new().name("retention".into());
    thread.spawn(move || {
        loop {
            told(runs.prune(&Retention::of(&config, now()), &who));
            thread::sleep(DAILY);
        }
    })?;
    Ok(())
}
