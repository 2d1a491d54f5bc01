use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{Attempt, Finished, Trouble, Work},
    observer::Observer,
    retry::{backoff, is_worth_it},
};
use crate::{
    compile::{Action, Program, Retry},
    decide::{self, Moment, Next, Start, Want},
    journal::{
        Event, IllegalTransition, Instance, InstanceId, JournalError, Outcome, RunJournal, State,
        Status,
    },
    outside::Clients,
    script::Class,
    value::{FailureClass, StepError},
};

/// How a run is driven.
#[derive(Clone)]
pub struct Settings {
    pub clients: Clients,
    /// How many step attempts may run at once.
    pub max_parallel: usize,
    pub observer: Arc<dyn Observer>,
    pub cancel: Cancel,
    /// Whether to stay while only people can let the run go on; else it is suspended.
    pub waits_for_people: bool,
    /// Milliseconds since 1970.
    pub clock: fn() -> i64,
    /// A number from 0 to 1 that spreads retries.
    pub jitter: fn() -> f64,
}

/// Asks a run to stop: running scripts end at their next operation, `finally` steps run, and the
/// run can be resumed.
#[derive(Clone, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Cancel {
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.token.cancel();
    }
}

/// How long it takes until a message of another process, or a lock that it gave up, is seen.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// An undo meets the same throttling as anything else.
const UNDO_ATTEMPTS: u32 = 5;

/// How a drive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Over(Outcome),
    /// Suspended until somebody approves or rejects.
    Waiting,
}

/// Why a run could not be driven to its end. It can be resumed once that is mended.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    #[error("the run can't go on without its journal")]
    Journal(#[from] JournalError),
    #[error("the run can't go on without its journal: {0}")]
    Gate(String),
    #[error(
        "the scheduler has nothing to wait for, and the run has not ended; this is a bug of ours"
    )]
    Stalled,
    #[error("the scheduler decided something impossible; this is a bug of ours")]
    Illegal(#[from] IllegalTransition),
}

/// Drives a run to its end.
///
/// `events` are applied first: nothing for a new run, what `decide` says for a resumed one.
///
/// # Errors
/// Only what stops the driver itself; a failed run is an [`Outcome`].
pub async fn drive(
    run: RunJournal,
    program: &Program,
    state: State,
    events: Vec<Event>,
    settings: Settings,
) -> Result<(Ended, State), DriveError> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut driver = Driver {
        run: Arc::new(run),
        program,
        state,
        settings,
        sender,
        receiver,
        batch: Vec::new(),
        running: 0,
        last_message: 0,
        looked_at: None,
        named: BTreeSet::new(),
    };
    driver.happens(events)?;
    driver.go().await
}

pub(super) struct Driver<'p> {
    pub(super) run: Arc<RunJournal>,
    pub(super) program: &'p Program,
    pub(super) state: State,
    pub(super) settings: Settings,
    sender: mpsc::UnboundedSender<Finished>,
    receiver: mpsc::UnboundedReceiver<Finished>,
    /// Applied, and not yet durable.
    batch: Vec<(Event, i64)>,
    running: usize,
    /// The number of the last message that was read.
    pub(super) last_message: i64,
    /// When messages were last looked for.
    pub(super) looked_at: Option<Instant>,
    /// The locks whose holders have been named.
    pub(super) named: BTreeSet<String>,
}

impl<'p> Driver<'p> {
    async fn go(mut self) -> Result<(Ended, State), DriveError> {
        loop {
            // Attempts that end all the time must not keep a message waiting.
            if self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
                self.read_messages()?;
            }
            let next = self.decide()?;
            self.make_durable()?;
            for start in next.starts {
                self.start(start);
            }
            if let Some(outcome) = self.state.outcome {
                return Ok((Ended::Over(outcome), self.state));
            }
            if self.claim(&next.wants)? {
                continue;
            }
            if self.is_idle(&next.wants) && next.asks > 0 && !self.settings.waits_for_people {
                self.happens(vec![Event::RunSuspended])?;
                self.make_durable()?;
                return Ok((Ended::Waiting, self.state));
            }
            let has_nothing = next.wants.is_empty() && next.wake_at.is_none() && next.asks == 0;
            if self.running == 0 && has_nothing {
                return Err(DriveError::Stalled);
            }
            self.wait(next.wake_at, !next.wants.is_empty()).await?;
        }
    }

    /// Whether nothing happens before somebody answers.
    fn is_idle(&self, wants: &[Want]) -> bool {
        let is_retrying = |i: &Instance| matches!(i.status, Status::Retrying { .. });
        self.running == 0 && wants.is_empty() && !self.state.steps.values().any(is_retrying)
    }

    /// Asks what may happen until nothing more follows by itself.
    fn decide(&mut self) -> Result<Next<'p>, DriveError> {
        let mut starts = Vec::new();
        loop {
            let moment = Moment {
                run_id: self.run.id().as_str(),
                now: (self.settings.clock)(),
                max_parallel: self.settings.max_parallel,
            };
            let next = decide::next(&self.program.workflow, &self.state, moment);
            starts.extend(next.starts);
            if next.events.is_empty() {
                return Ok(Next { starts, ..next });
            }
            self.happens(next.events)?;
        }
    }

    pub(super) fn happens(&mut self, events: Vec<Event>) -> Result<(), DriveError> {
        let now = (self.settings.clock)();
        for event in &events {
            self.state.apply(event, now)?;
        }
        self.batch
            .extend(events.into_iter().map(|event| (event, now)));
        Ok(())
    }

    fn make_durable(&mut self) -> Result<(), DriveError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let events: Vec<Event> = batch.iter().map(|(event, _)| event.clone()).collect();
        self.run.append(batch)?;
        self.settings.observer.happened(&events, &self.state);
        Ok(())
    }

    fn start(&mut self, start: Start) {
        let script = match start.step.map(|step| &step.action) {
            Some(Action::Script(script)) => Some(script.clone()),
            _ => None,
        };
        let work = match (start.instance.undone(), script) {
            (Some(of), script) => Work::Undo {
                rounds: self
                    .state
                    .instance(&of)
                    .map_or_else(Vec::new, |instance| instance.rounds().collect()),
                of,
                script,
            },
            (None, Some(script)) => Work::Run {
                script,
                inputs: start.inputs,
            },
            (None, None) => return,
        };
        // A cancel has ended everything but what stands under `finally`.
        let cancel = match start.step.is_some_and(|step| step.is_finally) {
            true => Cancel::default(),
            false => self.settings.cancel.clone(),
        };
        let timeout = match &work {
            Work::Run { .. } => start.step.and_then(|step| step.timeout),
            Work::Undo { .. } => None,
        };
        let instance = self.state.instance(&start.instance);
        let attempt = Attempt {
            run: self.run.clone(),
            work,
            round: instance.map_or(0, |i| i.round),
            recorded: instance.map_or_else(Vec::new, |i| i.effects.clone()),
            timeout,
            clients: self.settings.clients.clone(),
            cancelled: cancel.flag,
            cancellation: cancel.token,
            observer: self.settings.observer.clone(),
            clock: self.settings.clock,
            instance: start.instance,
        };
        let sender = self.sender.clone();
        let runtime = Handle::current();
        self.running += 1;
        tokio::task::spawn_blocking(move || {
            // The driver is gone only when the run has been given up.
            let _ = sender.send(attempt.run(&runtime));
        });
    }

    /// Waits until something happened: attempts ended, a retry is due, somebody cancelled or sent
    /// a message, a lock may be free.
    async fn wait(&mut self, wake_at: Option<i64>, wants_locks: bool) -> Result<(), DriveError> {
        let cancel = self.settings.cancel.token.clone();
        let finished = loop {
            let pause = wake_at.map_or(LOOK_AGAIN, |at| {
                let left = at.saturating_sub((self.settings.clock)()).max(0);
                LOOK_AGAIN.min(Duration::from_millis(left as u64))
            });
            tokio::select! {
                finished = self.receiver.recv() => break finished,
                () = cancel.cancelled(), if !self.state.is_cancelled => break None,
                () = tokio::time::sleep(pause) => {
                    let is_due = wake_at.is_some_and(|at| at <= (self.settings.clock)());
                    if is_due || wants_locks || self.read_messages()? {
                        break None;
                    }
                }
            }
        };
        // Before anything that the cancel has ended, or it would be started again.
        if cancel.is_cancelled() && !self.state.is_cancelled {
            let run = self.state.run.as_ref();
            let requester = run.map_or_else(String::new, |run| run.requester.clone());
            self.cancel(requester)?;
        }
        // Whatever else has ended meanwhile shares the next sync of the disk.
        let mut next = finished;
        while let Some(finished) = next {
            self.finish(finished)?;
            next = self.receiver.try_recv().ok();
        }
        Ok(())
    }

    fn finish(&mut self, finished: Finished) -> Result<(), DriveError> {
        self.running -= 1;
        let Finished {
            instance,
            recorded,
            result,
        } = finished;
        for (event, at) in &recorded {
            self.state.apply(event, *at)?;
        }
        let event = match result {
            Ok(outputs) => Event::StepSucceeded {
                step: instance,
                outputs: crate::value::Value::Map(outputs),
            },
            Err(Trouble::Cancelled) => Event::StepInterrupted { step: instance },
            Err(Trouble::Journal(why)) => return Err(DriveError::Gate(why)),
            Err(Trouble::Failed { error, class }) => self.failed(instance, error, class),
        };
        self.happens(vec![event])
    }

    fn failed(&self, instance: InstanceId, error: StepError, class: Option<FailureClass>) -> Event {
        let tries = self.state.instance(&instance).map_or(1, |i| i.tries);
        let retry = self.retry_of(&instance);
        // Nobody knows whether a call was done that can't be looked up: that is for a person.
        let is_in_doubt = self.state.instance(&instance).is_some_and(|instance| {
            let last = instance.effects.last();
            last.is_some_and(|e| e.call.class == Class::Unsure && e.is_unknown())
        });
        let retry_at = retry
            .filter(|retry| !is_in_doubt && is_worth_it(retry, tries, class))
            .map(|retry| {
                let pause = backoff(&retry, tries, (self.settings.jitter)());
                (self.settings.clock)() + pause.as_millis() as i64
            });
        Event::StepFailed {
            step: instance,
            error,
            retry_at,
        }
    }

    /// The `retry` of the step that an instance executes.
    fn retry_of(&self, instance: &InstanceId) -> Option<Retry> {
        if instance.undone().is_some() {
            return Some(Retry {
                attempts: UNDO_ATTEMPTS,
                ..Retry::default()
            });
        }
        let step = decide::step_of(&self.program.workflow, instance);
        step.map(|step| step.retry.clone())
    }
}
