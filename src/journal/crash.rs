//! Kills the process at a chosen point, for the tests that compare a resumed run with an uninterrupted one at every
//! point.

use std::{
    env,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The number of the point at which to die, from 1.
static AT: LazyLock<Option<u64>> =
    LazyLock::new(|| env::var("WINDLASS_CRASH_AT").ok()?.parse().ok());
static PASSED: AtomicU64 = AtomicU64::new(0);

/// Marks a point at which a crash must do no harm: before and after every commit of the journal, and before and after every
/// outside call.
///
/// With `WINDLASS_CRASH_AT=n` in the environment, the process aborts at the n-th point, without running a destructor or
/// writing a byte; otherwise this does nothing.
pub fn crash_point() {
    if let Some(at) = *AT
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == at
    {
        std::process::abort();
    }
}

/// Returns how many points there were so far, in a process that was given one to die at.
pub fn crash_points() -> u64 {
    PASSED.load(Ordering::Relaxed)
}
