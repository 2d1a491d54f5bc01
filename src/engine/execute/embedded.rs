//! The embedded substrate: the journal in SQLite, and threads of this process.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{Attempt, Finished, Task},
    circle::Waiting,
    driver::{DriveError, Settings},
    runners::Runners,
    stage::Stage,
    stops::Stops,
    substrate::{Entry, Happened, Ledger, Made, Making, Substrate, Wait},
};
use crate::decide;
use windlass_compile::{Frozen, compile};
use windlass_ground::Timestamp;
use windlass_journal::{
    Claim, Event, InstanceId, JournalError, Message, RunId, RunJournal, RunStanding, State,
};
use windlass_script::{Call, Class, Limits, Stop};

/// How often messages of other processes, and locks that they release, are looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long an event may wait until people see it: too short to be noticed, and long enough to save most of
/// the disk's syncs.
const SETTLE_WITHIN: Duration = Duration::from_millis(100);

/// Asks a run to stop: running scripts end at their next operation, `finally` steps run, and the
/// run can be resumed.
#[derive(Clone, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Cancel {
    pub fn cancel(&self) {
        self.flag.store(true, std::sync::atomic::Ordering::Relaxed);
        self.token.cancel();
    }

    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits for the cancel.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}

/// Appends to the journal, and runs attempts on threads of this process.
pub(super) struct Embedded {
    run: Arc<RunJournal>,
    settings: Settings,
    runners: Runners,
    sender: mpsc::UnboundedSender<Result<Finished, DriveError>>,
    receiver: mpsc::UnboundedReceiver<Result<Finished, DriveError>>,
    /// How many attempts have been started and have not ended.
    running: usize,
    /// Whether the driver has seen a request that this process stop.
    is_cancel_known: bool,
    /// The number of the last message that was read.
    last_message: i64,
    looked_at: Option<Instant>,
    /// The time since which events wait to become durable.
    unsettled_since: Option<Instant>,
}

impl Embedded {
    pub fn new(run: RunJournal, settings: Settings) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            run: Arc::new(run),
            settings,
            runners: Runners::new(),
            sender,
            receiver,
            running: 0,
            is_cancel_known: false,
            last_message: 0,
            looked_at: None,
            unsettled_since: None,
        }
    }

    fn read_messages(&mut self) -> Result<Vec<(Message, Timestamp)>, JournalError> {
        self.looked_at = Some(Instant::now());
        let mut messages = Vec::new();
        for (number, at, message) in self.run.messages(self.last_message)? {
            self.last_message = number;
            // A cancel applies to the process that drove the run when it was sent.
            let is_late = matches!(message, Message::Cancel { .. });
            if !(is_late && self.run.is_for_another(number)) {
                messages.push((message, at));
            }
        }
        Ok(messages)
    }
}

impl Substrate for Embedded {
    fn run_id(&self) -> &RunId {
        self.run.id()
    }

    fn now(&mut self) -> Timestamp {
        (self.settings.clock)()
    }

    async fn catch_up(&mut self) -> Result<(), DriveError> {
        Ok(())
    }

    fn jitter(&mut self) -> f64 {
        (self.settings.jitter)()
    }

    async fn append(&mut self, batch: Vec<(Event, Timestamp)>) -> Result<(), DriveError> {
        self.unsettled_since.get_or_insert_with(Instant::now);
        Ok(self.run.append_lazily(batch)?)
    }

    async fn settle(&mut self) -> Result<(), DriveError> {
        self.unsettled_since = None;
        Ok(self.run.settle()?)
    }

    fn is_overdue(&self) -> bool {
        let since = self.unsettled_since;
        since.is_some_and(|since| since.elapsed() >= SETTLE_WITHIN)
    }

    async fn start(&mut self, task: Task) -> Result<(), DriveError> {
        // A cancel ends all attempts except those under `finally`.
        let cancel = if task.is_finally {
            Cancel::default()
        } else {
            self.settings.cancel.clone()
        };
        let timeout = task.timeout;
        let limits = Limits {
            cancelled: cancel.flag.clone(),
            timeout,
        };
        let (run, settings) = (self.run.clone(), self.settings.clone());
        let (runners, runtime) = (self.runners.clone(), Handle::current());
        self.running += 1;
        let sender = self.sender.clone();
        self.runners.start(move || {
            let expired = CancellationToken::new();
            if let Some(stage) = &settings.stage {
                stage.begins(&task.instance, timeout, expired.clone());
            }
            let ledger = Pages {
                step: task.instance.clone(),
                run,
                runtime,
                runners,
                clock: settings.clock,
                stage: settings.stage.clone(),
                stops: Stops {
                    cancelled: cancel.flag,
                    cancellation: cancel.token,
                    // It begins when the attempt does.
                    deadline: timeout.map(|timeout| (Instant::now() + timeout, timeout)),
                    expired,
                },
            };
            let attempt = Attempt {
                run: ledger.run.id().clone(),
                task,
                ledger: Arc::new(ledger),
                clients: settings.clients,
                limits,
                observer: settings.observer,
                stage: settings.stage,
            };
            let step = attempt.task.instance.clone();
            // The events of an attempt that panics are in the journal, but not in its result: only a resume can
            // continue from them.
            let finished = catch_unwind(AssertUnwindSafe(|| attempt.run()));
            let finished = finished.map_err(|_| DriveError::Panicked { step });
            // The driver is gone only when the run is no longer driven.
            let _ = sender.send(finished);
        });
        Ok(())
    }

    fn has_recorded(&self) -> bool {
        true
    }

    async fn cancel_attempts(&mut self) -> Result<(), DriveError> {
        self.is_cancel_known = true;
        self.settings.cancel.cancel();
        Ok(())
    }

    async fn wait(&mut self, wait: Wait) -> Result<Vec<Happened>, DriveError> {
        let cancel = self.settings.cancel.token.clone();
        // Nothing can happen during this wait, so a test skips it.
        if let (Some(stage), Some(at), 0) = (&self.settings.stage, wait.wake_at, self.running) {
            stage.passes(None, at.since((self.settings.clock)()));
        }
        let mut messages = Vec::new();
        let finished = loop {
            let pause = wait.wake_at.map_or(LOOK_AGAIN, |at| {
                LOOK_AGAIN.min(at.since((self.settings.clock)()))
            });
            let unsettled = self.unsettled_since.map(|since| since.elapsed());
            let left = unsettled.map(|elapsed| SETTLE_WITHIN.saturating_sub(elapsed));
            let pause = left.map_or(pause, |left| pause.min(left));
            tokio::select! {
                finished = self.receiver.recv() => break finished,
                () = cancel.cancelled(), if !self.is_cancel_known => break None,
                () = tokio::time::sleep(pause) => {
                    // Makes the records of running attempts durable.
                    self.run.settle()?;
                    messages = self.read_messages()?;
                    let is_due = wait.wake_at.is_some_and(|at| at <= (self.settings.clock)());
                    if is_due || wait.wants_locks || self.is_overdue() || !messages.is_empty() {
                        break None;
                    }
                }
            }
        };
        let mut happened = Vec::new();
        // The cancel comes before the attempts that it ended, or they would be started again.
        if cancel.is_cancelled() && !self.is_cancel_known {
            happened.push(Happened::Cancelled);
        }
        let messages = messages.into_iter();
        happened.extend(messages.map(|(message, at)| Happened::Message(message, at)));
        // Other attempts that have ended share the next sync of the disk.
        let mut next = finished;
        while let Some(finished) = next {
            self.running -= 1;
            happened.push(Happened::Finished(finished?));
            next = self.receiver.try_recv().ok();
        }
        Ok(happened)
    }

    async fn claim(&mut self, lock: &str, step: Option<&InstanceId>) -> Result<Claim, DriveError> {
        let now = self.now();
        Ok(self.run.claim(lock, step.map(InstanceId::as_str), now)?)
    }

    fn messages(&mut self, is_urgent: bool) -> Result<Vec<(Message, Timestamp)>, DriveError> {
        // Attempts that end all the time must not keep a message waiting.
        let is_due = self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_AGAIN);
        if is_urgent || is_due {
            Ok(self.read_messages()?)
        } else {
            Ok(Vec::new())
        }
    }

    fn status_of(&mut self, run: &RunId) -> Result<String, DriveError> {
        let journal = self.run.journal();
        let status = journal.status_of(run)?;
        if status != "waiting" {
            return Ok(status);
        }
        // Its question may have been answered, or have expired, since it was suspended.
        let standing = |state: State| RunStanding::of(&state, false, (self.settings.clock)());
        let found = journal.state_of(run).map(standing);
        Ok(found.map_or(status, |standing| standing.as_str().to_owned()))
    }

    fn waits_of(&mut self, run: &RunId) -> Result<Vec<Waiting>, DriveError> {
        let now = self.now();
        let journal = self.run.journal();
        // A run that is damaged, or that another version of windlass began, may not be readable here.
        let Ok(state) = journal.state_of(run) else {
            return Ok(Vec::new());
        };
        let info = state.run.as_ref();
        let files = info.and_then(|info| Some((info, journal.files(run, info.edition).ok()?)));
        let program = files.and_then(|(info, files)| compile(&info.main, &mut Frozen(files)).ok());
        let Some(program) = program else {
            return Ok(Vec::new());
        };
        let wants = decide::waits(&program.workflow, &state, run.as_str(), now);
        let mut waits = Vec::new();
        for (lock, step) in wants {
            if let Some((holder, holding_step)) = journal.holder_of(&lock)? {
                waits.push(Waiting {
                    lock,
                    step,
                    holder,
                    holding_step,
                });
            }
        }
        Ok(waits)
    }
}

/// Writes the entries of an attempt to the run's journal. An attempt has only one life here: the next attempt gets
/// its entries as records.
struct Pages {
    run: Arc<RunJournal>,
    runtime: Handle,
    runners: Runners,
    clock: fn() -> Timestamp,
    stage: Option<Arc<dyn Stage>>,
    stops: Stops,
    step: InstanceId,
}

impl Pages {
    /// Does the work of an entry. Work that ends at once, such as reading the clock, does not let another attempt run
    /// in the meantime: that would cost more.
    fn make(&self, mut making: Making) -> Made {
        let polled = {
            let _inside = self.runtime.enter();
            let mut context = Context::from_waker(Waker::noop());
            making.as_mut().poll(&mut context)
        };
        match polled {
            Poll::Ready(made) => made,
            Poll::Pending => self.runners.waiting(|| self.runtime.block_on(making)),
        }
    }
}

impl Ledger for Pages {
    fn enter(&self, _: &str, making: Making) -> Result<Entry, Stop> {
        let made = self.make(making);
        let at = (self.clock)();
        let events: Vec<_> = made.events.into_iter().map(|event| (event, at)).collect();
        if !events.is_empty() {
            let events = events.clone();
            let kept = if made.is_urgent {
                self.runners.waiting(|| self.run.append(events))
            } else {
                self.run.append_lazily(events)
            };
            kept.map_err(broken)?;
        }
        Ok(Entry {
            events,
            stop: made.stop,
            is_old: false,
        })
    }

    fn wait(&self, duration: Duration) -> Result<(), Stop> {
        if self
            .stage
            .as_ref()
            .is_some_and(|stage| stage.passes(Some(&self.step), duration))
        {
            return self.stops.check();
        }
        self.runners
            .waiting(|| self.runtime.block_on(self.stops.wait(duration)))
    }

    fn announces(&self, call: &Call) -> bool {
        // A read changes nothing, so its intent need not be recorded.
        call.class != Class::Read
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn clock(&self) -> fn() -> Timestamp {
        self.clock
    }

    fn stops(&self) -> Stops {
        self.stops.clone()
    }

    fn settle(&self) -> Result<(), Stop> {
        if self.run.is_settled() {
            return Ok(());
        }
        self.runners
            .waiting(|| self.run.settle_weighty())
            .map_err(broken)
    }

    fn waits<'a>(&self, wait: Box<dyn FnOnce() + 'a>) {
        self.runners.waiting(wait);
    }

    fn note(&self, event: Event) -> (Event, Timestamp) {
        let noted = (event, (self.clock)());
        // If the journal is broken, the next effect reports it.
        let _ = self.run.append_lazily(vec![noted.clone()]);
        noted
    }
}

fn broken(error: JournalError) -> Stop {
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(&error) {
        text = format!("{text}: {source}");
    }
    Stop::Journal(text)
}
