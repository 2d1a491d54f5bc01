//! Uses the process: threads, signals, the clock, randomness, the user.

use std::{
    env, io,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use nix::unistd::{Uid, User};
use tokio::signal::unix::{Signal, SignalKind, signal};

use windlass_ground::private::{check_state_folder, create_state_folder};

use super::{exit, failure::Failure};
use crate::{
    execute::Cancel, journal::RunId, outside, report, runs::Person, script::STACK_BYTES,
    value::Command,
};

pub use crate::{outside::jitter, runs::now};

/// Worker threads only do I/O; scripts have their own threads.
const WORKERS: usize = 2;
/// Each script holds a thread, and may need one more for work such as a key or a file, and one for the embedded server; with
/// fewer threads, scripts could wait for threads that other scripts hold.
const THREADS_PER_SCRIPT: usize = 3;
const SPARE_THREADS: usize = 64;

/// Returns the threads that a run needs.
pub fn runtime(max_parallel: u16) -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(usize::from(max_parallel) * THREADS_PER_SCRIPT + SPARE_THREADS)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(no_threads)
}

/// Creates the state folder, for this user only; refuses one in which other users may write.
pub fn create_state(state: &Path) -> Result<(), Failure> {
    create_state_folder(state)
        .map_err(|e| Failure::new("journal", format!("can't create {}: {e}", state.display())))?;
    check_state_folder(state).map_err(|e| Failure::new("journal", e.to_string()).hint(e.hint()))
}

pub fn no_threads(error: io::Error) -> Failure {
    Failure::new("system", format!("can't start threads: {error}"))
}

/// Returns the message for a second Ctrl-C, where another process drives the run and was asked to cancel it.
pub fn farewell(run: &RunId) -> String {
    let show = report::command(Command::new("show").arg(run));
    format!(
        "run {run} is cancelled where it is driven, if the request has arrived; to see how it ends: {show}"
    )
}

/// The first Ctrl-C (or SIGTERM, or SIGHUP according to `on_hang_up`) cancels; a second one ends the process and its programs at once, which
/// does no harm, because the run can be resumed: `farewell` says how.
pub fn watch_for_interrupts(cancel: Cancel, farewell: String, on_hang_up: OnHangUp) {
    let mut signals = Signals::listen(on_hang_up);
    tokio::spawn(async move {
        signals.any().await;
        say!("\ncancelling; once more to stop at once (the run can be resumed either way)");
        cancel.cancel();
        // A terminal that is closed often sends SIGHUP twice, so a second one does not count.
        signals.asked().await;
        outside::kill_programs();
        say!("\n{farewell}");
        std::process::exit(exit::CANCELLED.into());
    });
}

/// Returns a future that waits for a signal to end this process: Ctrl-C, SIGTERM, or SIGHUP, which the process receives when its
/// terminal is closed. SIGHUP is not handled if it is ignored, as under `nohup`.
pub fn interrupted() -> impl Future<Output = ()> {
    let mut signals = Signals::listen(OnHangUp::Cancel);
    async move { signals.any().await }
}

/// What a run does when the terminal is closed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OnHangUp {
    Cancel,
    /// This process ends; the run is driven elsewhere and continues.
    Leave,
}

struct Signals {
    /// Each is `None` if it is not possible to listen for it.
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
}

impl Signals {
    fn listen(on_hang_up: OnHangUp) -> Self {
        // Listening replaces the former disposition, so this reads it first.
        let hears = on_hang_up == OnHangUp::Cancel && !*IGNORES_HANG_UP;
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
            hang_up: hears
                .then(SignalKind::hangup)
                .and_then(|kind| signal(kind).ok()),
        }
    }

    async fn any(&mut self) {
        tokio::select! {
            () = next(&mut self.interrupt) => {}
            () = next(&mut self.terminate) => {}
            () = next(&mut self.hang_up) => {}
        }
    }

    /// Waits for a signal other than that of a closed terminal.
    async fn asked(&mut self) {
        tokio::select! {
            () = next(&mut self.interrupt) => {}
            () = next(&mut self.terminate) => {}
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether this process was started with SIGHUP ignored. If the system does not show this (there is no `/proc`), it counts as
/// ignored, so that the signal keeps its effect.
static IGNORES_HANG_UP: LazyLock<bool> = LazyLock::new(|| {
    let status = std::fs::read_to_string("/proc/self/status");
    status.map_or(true, |status| ignores(&status, SignalKind::hangup()))
});

/// Reads `SigIgn` of proc_pid_status(5): a bit for each signal, the lowest for signal 1.
fn ignores(status: &str, kind: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}

/// Returns the absolute path, which stays valid if the current folder changes.
pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|e| Failure::new("system", format!("can't use {}: {e}", path.display())))
}

/// Returns the user of this process, whom no server has authenticated.
pub fn person() -> Person {
    Person {
        name: requester(),
        via: None,
    }
}

/// Returns the requester for the record: `USER`, `LOGNAME`, or else the system's name of the user of this process.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d3_what_is_ignored_is_read_from_the_system() {
        let status =
            "Name:\twindlass\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001003\nSigCgt:\t0\n";
        assert!(ignores(status, SignalKind::hangup()));
        assert!(ignores(status, SignalKind::interrupt()));
        assert!(!ignores(status, SignalKind::terminate()));
        assert!(ignores("", SignalKind::hangup()), "it does not tell");
    }
}
