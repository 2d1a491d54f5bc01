//! The process group of a program: everything that it started, unless a process left the group on purpose.

use std::{
    collections::BTreeSet,
    io,
    pin::Pin,
    process::ExitStatus,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::{process::Child, runtime::Handle};

use windlass_ground::lock;

/// How often a group that was signalled to end is polled.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The running groups, for when this process ends without unwinding.
static LIVE: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A group that is killed when this is dropped, unless [`Group::let_go`] was called.
pub(super) struct Group(Option<Pid>);

/// A started program, which is waited for even when this is dropped: a program that has ended stays in the process table until its
/// parent has read its exit status.
///
/// Tokio adds a dropped `Child` that has not ended to its queue of orphans, which is only checked after the runtime's next event
/// (`reap_orphans` in `runtime/process.rs`). A worker that has lost its engine has no next event.
pub(super) struct Started(Option<Child>);

/// The communication between a program and this process, until it is over.
pub(super) struct Talk<'a, F> {
    future: Pin<&'a mut F>,
    is_over: bool,
}

impl Started {
    pub fn new(child: Child) -> Self {
        Self(Some(child))
    }

    pub fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("only a drop takes it")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else {
            return;
        };
        // Without an id, it has been waited for.
        if let (Some(_), Ok(runtime)) = (child.id(), Handle::try_current()) {
            runtime.spawn(async move {
                // It may have ended already.
                let _ = child.start_kill();
                let _ = child.wait().await;
            });
        }
    }
}

impl Group {
    pub fn of(child: &Child) -> Self {
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            live().insert(pid.as_raw_nonzero().get());
        }
        Self(pid)
    }

    /// Leaves the running processes alone.
    pub fn let_go(&mut self) {
        if let Some(pid) = self.0.take() {
            live().remove(&pid.as_raw_nonzero().get());
        }
    }

    /// Sends SIGTERM, and SIGKILL to the remaining processes after the grace period. Returns whether there were any processes.
    pub async fn end(
        &self,
        child: &mut Child,
        talk: &mut Talk<'_, impl Future>,
        grace: Duration,
    ) -> bool {
        self.signal(Signal::TERM);
        // A stopped process does not receive the signal.
        self.signal(Signal::CONT);
        let ends = async {
            let _ = talk.until_ended(child).await;
            while self
                .0
                .is_some_and(|pid| test_kill_process_group(pid).is_ok())
            {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if tokio::time::timeout(grace, ends).await.is_ok() {
            return false;
        }
        self.signal(Signal::KILL);
        let _ = child.wait().await;
        true
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            // The group may have ended already.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.let_go();
    }
}

impl<'a, F: Future> Talk<'a, F> {
    pub fn new(future: Pin<&'a mut F>) -> Self {
        Self {
            future,
            is_over: false,
        }
    }

    /// Waits for the end, which is when all pipes are closed. It can be cancelled without loss.
    pub async fn finish(&mut self) {
        if !self.is_over {
            self.future.as_mut().await;
            self.is_over = true;
        }
    }

    /// Waits until the program has ended, even if its children keep pipes open.
    pub async fn until_ended(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
        tokio::select! {
            status = child.wait() => return status,
            () = self.finish() => {}
        }
        child.wait().await
    }
}

/// Kills every running program, for a process that ends at once.
pub fn kill_programs() {
    for group in live().iter().filter_map(|pid| Pid::from_raw(*pid)) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Ends every running program: SIGTERM, and SIGKILL to the remaining ones after the grace period. Blocks.
pub fn end_programs(grace: Duration) {
    let groups: Vec<_> = live()
        .iter()
        .filter_map(|pid| Pid::from_raw(*pid))
        .collect();
    for &group in &groups {
        let _ = kill_process_group(group, Signal::TERM);
        let _ = kill_process_group(group, Signal::CONT);
    }
    let deadline = Instant::now() + grace;
    let is_alive = |group: &Pid| test_kill_process_group(*group).is_ok();
    while Instant::now() < deadline && groups.iter().any(is_alive) {
        std::thread::sleep(LOOK_AGAIN);
    }
    for group in groups.into_iter().filter(is_alive) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn live() -> MutexGuard<'static, BTreeSet<i32>> {
    lock(&LIVE)
}
