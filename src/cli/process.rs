//! What commands have of their process: threads, signals, the clock, chance, the user.

use std::env;

use nix::unistd::{Uid, User};
use time::OffsetDateTime;

use super::{exit, failure::Failure};
use crate::{execute::Cancel, journal::milliseconds, script::STACK_BYTES};

/// Worker threads do I/O only; scripts have threads of their own.
const WORKERS: usize = 2;
/// Each script holds a thread, and may wait for one more (a key, a file) and for one of the
/// embedded server; with fewer, scripts could wait for threads that only scripts hold.
const THREADS_PER_SCRIPT: usize = 3;
const SPARE_THREADS: usize = 64;

/// The threads that a run needs.
pub fn runtime(max_parallel: u16) -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(usize::from(max_parallel) * THREADS_PER_SCRIPT + SPARE_THREADS)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|e| Failure::new("system", format!("can't start threads: {e}")))
}

/// The first Ctrl-C (or SIGTERM) cancels; after a second one the process is gone at once, which
/// costs nothing but the time to resume: `farewell` says how.
pub fn watch_for_interrupts(cancel: Cancel, farewell: String) {
    tokio::spawn(async move {
        interrupted().await;
        say!("\ncancelling; once more to stop at once (the run can be resumed either way)");
        cancel.cancel();
        interrupted().await;
        say!("\n{farewell}");
        std::process::exit(exit::CANCELLED.into());
    });
}

pub async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

/// The one clock of the program.
pub fn now() -> i64 {
    milliseconds(OffsetDateTime::now_utc())
}

/// A number from 0 to 1 that spreads retries.
pub fn jitter() -> f64 {
    let mut bytes = [0; 4];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// Who asks, for the record: `USER`, `LOGNAME`, or else what the system calls the user of this process.
pub fn requester() -> String {
    let said = |name: &&str| env::var(name).ok().filter(|user| !user.is_empty());
    let named = ["USER", "LOGNAME"].iter().find_map(said);
    named.unwrap_or_else(|| {
        let uid = Uid::current();
        match User::from_uid(uid) {
            Ok(Some(user)) => user.name,
            _ => format!("uid {uid}"),
        }
    })
}
