use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{Attempt, Finished, Trouble},
    observer::Observer,
};
use crate::{
    compile::{Action, Program, Retry},
    decide::{self, Moment, Start},
    journal::{Event, IllegalTransition, InstanceId, JournalError, Outcome, RunJournal, State},
    outside::Clients,
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
) -> Result<(Outcome, State), DriveError> {
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
    };
    driver.happens(events)?;
    driver.go().await
}

struct Driver<'p> {
    run: Arc<RunJournal>,
    program: &'p Program,
    state: State,
    settings: Settings,
    sender: mpsc::UnboundedSender<Finished>,
    receiver: mpsc::UnboundedReceiver<Finished>,
    /// Applied, and not yet durable.
    batch: Vec<(Event, i64)>,
    running: usize,
}

impl<'p> Driver<'p> {
    async fn go(mut self) -> Result<(Outcome, State), DriveError> {
        loop {
            let (starts, wake_at) = self.decide()?;
            self.make_durable()?;
            for start in starts {
                self.start(start);
            }
            if let Some(outcome) = self.state.outcome {
                return Ok((outcome, self.state));
            }
            if self.running == 0 && wake_at.is_none() {
                return Err(DriveError::Stalled);
            }
            self.wait(wake_at).await?;
        }
    }

    /// Asks what may happen until nothing more follows by itself.
    fn decide(&mut self) -> Result<(Vec<Start<'p>>, Option<i64>), DriveError> {
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
                return Ok((starts, next.wake_at));
            }
            self.happens(next.events)?;
        }
    }

    fn happens(&mut self, events: Vec<Event>) -> Result<(), DriveError> {
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
        let Action::Script(script) = &start.step.action else {
            return;
        };
        let instance = self.state.instance(&start.instance);
        // A cancel has ended everything but what stands under `finally`.
        let cancel = match start.step.is_finally {
            true => Cancel::default(),
            false => self.settings.cancel.clone(),
        };
        let attempt = Attempt {
            run: self.run.clone(),
            script: script.clone(),
            inputs: start.inputs,
            round: instance.map_or(0, |i| i.round),
            recorded: instance.map_or_else(Vec::new, |i| i.effects.clone()),
            timeout: start.step.timeout,
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
            let _ = sender.send(attempt.run(runtime));
        });
    }

    /// Waits until something happened: attempts ended, a retry is due, somebody cancelled.
    async fn wait(&mut self, wake_at: Option<i64>) -> Result<(), DriveError> {
        let pause = wake_at.map(|at| {
            Duration::from_millis(at.saturating_sub((self.settings.clock)()).max(0) as u64)
        });
        let cancel = self.settings.cancel.token.clone();
        let finished = tokio::select! {
            finished = self.receiver.recv() => finished,
            () = sleep_or_forever(pause) => None,
            () = cancel.cancelled(), if !self.state.is_cancelled => None,
        };
        // Before anything that the cancel has ended, or it would be started again.
        if cancel.is_cancelled() && !self.state.is_cancelled {
            let run = self.state.run.as_ref();
            let requester = run.map_or_else(String::new, |run| run.requester.clone());
            self.happens(vec![Event::RunCancelled { requester }])?;
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
        let retry_at = retry
            .filter(|retry| is_worth_it(retry, tries, class))
            .map(|retry| {
                let pause = backoff(retry, tries, (self.settings.jitter)());
                (self.settings.clock)() + pause.as_millis() as i64
            });
        Event::StepFailed {
            step: instance,
            error,
            retry_at,
        }
    }

    /// The `retry` of the step that an instance executes.
    fn retry_of(&self, instance: &InstanceId) -> Option<&Retry> {
        decide::step_of(&self.program.workflow, instance).map(|step| &step.retry)
    }
}

async fn sleep_or_forever(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// A refused call would be refused again, unless `on` names its class.
fn is_worth_it(retry: &Retry, tries: u32, class: Option<FailureClass>) -> bool {
    let is_wanted = match class {
        Some(class) if !retry.on.is_empty() => retry.on.contains(&class),
        Some(class) => !matches!(class, FailureClass::Rejected | FailureClass::Denied),
        None => retry.on.is_empty(),
    };
    is_wanted && tries < retry.attempts
}

/// Doubles from the shortest pause to the longest, and takes a random half off, so that steps
/// which failed together do not come back together.
fn backoff(retry: &Retry, tries: u32, jitter: f64) -> Duration {
    let doubled = retry.shortest.saturating_mul(
        1_u32
            .checked_shl(tries.saturating_sub(1))
            .unwrap_or(u32::MAX),
    );
    doubled
        .min(retry.longest)
        .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_the_longest() {
        let retry = Retry {
            attempts: 9,
            ..Retry::default()
        };
        let seconds = |tries| backoff(&retry, tries, 1.0).as_secs();
        assert_eq!([1, 2, 3, 5, 6, 40].map(seconds), [1, 2, 4, 16, 30, 30]);
        assert_eq!(backoff(&retry, 1, 0.0), Duration::from_millis(500));
    }

    #[test]
    fn what_is_refused_is_not_tried_again() {
        let retry = Retry {
            attempts: 3,
            ..Retry::default()
        };
        assert!(is_worth_it(&retry, 1, Some(FailureClass::Throttled)));
        assert!(is_worth_it(&retry, 2, None));
        assert!(!is_worth_it(&retry, 3, None));
        assert!(!is_worth_it(&retry, 1, Some(FailureClass::Denied)));
        let only = Retry {
            on: vec![FailureClass::Conflict],
            ..retry
        };
        assert!(!is_worth_it(&only, 1, Some(FailureClass::Throttled)));
        assert!(!is_worth_it(&only, 1, None));
    }
}
