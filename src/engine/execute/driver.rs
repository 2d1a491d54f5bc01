use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    attempt::{Finished, Task, Trouble, Work, how_to_answer},
    embedded::{Cancel, Embedded},
    observer::Observer,
    retry::is_worth_it,
    stage::Stage,
    substrate::{Happened, Substrate, Wait},
    undo,
};
use crate::decide::{self, Agenda, Moment, Next, Start};
use windlass_compile::{Action, Program, Retry};
use windlass_ground::{Timestamp, boxed};
use windlass_journal::{
    EffectState, Event, IllegalTransition, InstanceId, JournalError, Outcome, RoundRef, RunId,
    RunJournal, State, StepFailed, StepStarted, StepSucceeded,
};
use windlass_script::{Class, InUse, Rules};
use windlass_world::{
    outside::{Clients, backoff},
    value::{Command, FailureClass, Redactor, StepError},
};

/// The settings with which this process drives a run.
#[derive(Clone)]
pub struct Settings {
    pub clients: Clients,
    /// How many step attempts may run at once.
    pub max_parallel: usize,
    pub observer: Arc<dyn Observer>,
    pub cancel: Cancel,
    /// Whether to keep waiting for an answer from a person; otherwise the run is suspended.
    pub waits_for_people: bool,
    /// How long to wait for a lock while nothing else can be done; `None` for no limit.
    pub lock_timeout: Option<Duration>,
    pub clock: fn() -> Timestamp,
    /// A number from 0 to 1 that spreads retries.
    pub jitter: fn() -> f64,
    /// A test's replacement for the outside.
    pub stage: Option<Arc<dyn Stage>>,
}

/// The number of attempts of an undo, which is throttled like any other step.
const UNDO_ATTEMPTS: u32 = 5;
/// The hint of a step that a `retry` would try again, if that could not do its last call twice.
const NOT_RETRIED: &str = "it is not retried, because its last call may have been done; `idempotency: true` of a request and `idempotent: true` of a program say that a call may be made again";

/// How a drive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Over(Outcome),
    /// Suspended until an approver answers.
    Waiting,
}

/// What the holder of a lock needs before it can release the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderStands {
    /// Nothing: it is being driven.
    Driven,
    /// An answer of a person.
    Asking,
    /// A process that drives it.
    Stopped,
}

impl HolderStands {
    /// Returns how a run with this status stands.
    pub fn of(status: &str) -> Self {
        match status {
            "interrupted" | "approved" | "rejected" | "expired" => Self::Stopped,
            "waiting" => Self::Asking,
            _ => Self::Driven,
        }
    }
}

/// The reason why a run could not be driven to its end. It can be resumed after the problem is fixed.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    #[error("the run can't continue without its journal")]
    Journal(#[from] JournalError),
    #[error("the run can't continue without its journal: {0}")]
    Gate(String),
    #[error("the run can't continue without Restate: {0}")]
    Substrate(String),
    #[error("the lock `{lock}` is still held by run {run}")]
    Locked {
        lock: String,
        run: RunId,
        holder: HolderStands,
    },
    #[error(
        "the scheduler has nothing to wait for, but the run has not ended; this is a bug in windlass"
    )]
    Stalled,
    #[error(
        "an attempt of step `{step}` panicked; this is a bug in windlass. What was done is recorded, and the run can be resumed"
    )]
    Panicked { step: InstanceId },
    #[error("the scheduler made an impossible decision; this is a bug in windlass")]
    Illegal(#[from] IllegalTransition),
}

/// Drives a run to its end.
///
/// `events` are applied first: none for a new run, and those from `decide` for a resumed one.
///
/// # Errors
/// Only problems of the driver itself; a failed run is an [`Outcome`].
#[boxed]
pub async fn drive(
    run: RunJournal,
    program: &Program,
    state: State,
    events: Vec<Event>,
    settings: Settings,
) -> Result<(Ended, State), DriveError> {
    let conduct = Conduct {
        max_parallel: settings.max_parallel,
        waits_for_people: settings.waits_for_people,
        lock_timeout: settings.lock_timeout,
        observer: settings.observer.clone(),
    };
    let substrate = Embedded::new(run, settings);
    Driver::new(substrate, program, state, conduct)
        .go(events)
        .await
}

/// How a run is driven, on any substrate.
pub struct Conduct {
    /// As [`Settings::max_parallel`].
    pub max_parallel: usize,
    pub waits_for_people: bool,
    /// As [`Settings::lock_timeout`].
    pub lock_timeout: Option<Duration>,
    pub observer: Arc<dyn Observer>,
}

pub struct Driver<'p, S> {
    pub(super) substrate: S,
    pub(super) program: &'p Program,
    pub(super) state: State,
    pub(super) conduct: Conduct,
    /// What an undo of this run left as it is uses these.
    in_use: InUse,
    /// The parts of the state that have to be looked at.
    agenda: Agenda,
    /// Events that have been applied, and not handed over yet.
    batch: Vec<(Event, Timestamp)>,
    /// Events that have been handed over, and not shown yet.
    unshown: Vec<Event>,
    /// The times of these events.
    unshown_at: Vec<Timestamp>,
    /// Whether a deadline may be about to overtake an answer: then no message may wait for a later read.
    is_urgent: bool,
    /// When the last decision wanted to be made again.
    wake_at: Option<Timestamp>,
    pub(super) running: usize,
    /// When the drive began.
    pub(super) began: Timestamp,
    /// The time since which it has been waiting for a lock with nothing else to do.
    pub(super) waits_since: Option<Timestamp>,
    /// Knows every secret of the run, and is shared with the attempts in this process.
    redactor: Arc<Redactor>,
    /// The locks whose holders have been shown.
    pub(super) named: BTreeSet<String>,
}

/// Says whether an event may be shown a moment later. Trouble and questions are shown at once.
fn can_wait(event: &Event) -> bool {
    matches!(
        event,
        Event::StepStarted(_) | Event::StepSucceeded(_) | Event::StepSkipped(_)
    )
}

fn starts_attempt(event: &Event) -> bool {
    matches!(
        event,
        Event::StepStarted(StepStarted {
            items: None,
            is_scope: false,
            ..
        })
    )
}

impl<'p, S: Substrate> Driver<'p, S> {
    pub fn new(substrate: S, program: &'p Program, state: State, conduct: Conduct) -> Self {
        let redactor = Arc::<Redactor>::default();
        state.teach(&redactor);
        Self {
            redactor,
            in_use: undo::in_use(&state),
            substrate,
            program,
            state,
            conduct,
            agenda: Agenda::default(),
            batch: Vec::new(),
            unshown: Vec::new(),
            unshown_at: Vec::new(),
            is_urgent: true,
            wake_at: None,
            running: 0,
            began: Timestamp::EPOCH,
            waits_since: None,
            named: BTreeSet::new(),
        }
    }

    /// Drives the run to its end; `events` are applied first.
    pub async fn go(mut self, events: Vec<Event>) -> Result<(Ended, State), DriveError> {
        self.began = self.substrate.now();
        self.happens(events)?;
        self.substrate.catch_up().await?;
        loop {
            // An answer that came in time must not lose against a deadline that passes meanwhile.
            let is_due = self.wake_at.is_some_and(|at| at <= self.substrate.now());
            for (message, at) in self.substrate.messages(self.is_urgent || is_due)? {
                self.hear(message, at).await?;
            }
            let next = self.decide()?;
            self.wake_at = next.wake_at;
            self.hand_over().await?;
            for start in next.starts {
                self.start(start).await?;
            }
            // The next actions are visible outside: the end of the run is reported, or a lock that this run released is granted to another one.
            if self.state.outcome.is_some() || !next.wants.is_empty() || self.running == 0 {
                self.settle().await?;
            }
            if let Some(outcome) = self.state.outcome {
                return Ok((Ended::Over(outcome), self.state));
            }
            if self.claim(&next.wants).await? {
                self.is_urgent = true;
                continue;
            }
            let is_idle = self.running == 0 && next.wants.is_empty() && next.retries == 0;
            if is_idle && next.asks > 0 && !self.conduct.waits_for_people {
                self.happens(vec![Event::RunSuspended])?;
                self.hand_over().await?;
                self.settle().await?;
                return Ok((Ended::Waiting, self.state));
            }
            let has_nothing = next.wants.is_empty() && next.wake_at.is_none() && next.asks == 0;
            if self.running == 0 && has_nothing {
                return Err(DriveError::Stalled);
            }
            let wait = Wait {
                // Restate has no clock that could be checked meanwhile.
                wake_at: next.wake_at.into_iter().chain(self.lock_deadline()).min(),
                wants_locks: !next.wants.is_empty(),
            };
            let all = self.substrate.wait(wait).await?;
            let now = self.substrate.now();
            self.is_urgent = next.wake_at.is_some_and(|at| at <= now);
            for happened in all {
                match happened {
                    Happened::Finished(finished) => self.finish(finished)?,
                    Happened::Message(message, at) => self.hear(message, at).await?,
                    Happened::Cancelled => {
                        let requester = self.state.driven_for.clone();
                        self.cancel(requester, None).await?;
                    }
                }
            }
        }
    }

    /// Decides repeatedly until nothing more can happen.
    fn decide(&mut self) -> Result<Next<'p>, DriveError> {
        let mut starts = Vec::new();
        loop {
            let moment = Moment {
                now: self.substrate.now(),
                run_id: self.substrate.run_id().as_str(),
                max_parallel: self.conduct.max_parallel,
            };
            let workflow = &self.program.workflow;
            let mut next = self.agenda.next(workflow, &self.state, moment);
            starts.append(&mut next.starts);
            let events = std::mem::take(&mut next.events);
            // The start of an attempt does not enable anything else, so another decision would be useless.
            let is_last = events.iter().all(starts_attempt);
            self.happens(events)?;
            if is_last {
                return Ok(Next { starts, ..next });
            }
        }
    }

    pub(super) fn happens(&mut self, events: Vec<Event>) -> Result<(), DriveError> {
        let now = self.substrate.now();
        for event in events {
            event.teach("", &self.redactor);
            let event = event.redacted(&self.redactor);
            self.apply(&event, now)?;
            self.batch.push((event, now));
        }
        Ok(())
    }

    fn apply(&mut self, event: &Event, at: Timestamp) -> Result<(), IllegalTransition> {
        self.state.apply(event, at)?;
        undo::note_uses(event, &mut self.in_use);
        self.agenda.note(&self.program.workflow, event, &self.state);
        Ok(())
    }

    /// Hands over the events so far. They become durable before anything depends on them: the next sync, which the first changing
    /// call of an attempt makes, includes them, and so does everything that is shown to people.
    async fn hand_over(&mut self) -> Result<(), DriveError> {
        if !self.batch.is_empty() {
            let batch = std::mem::take(&mut self.batch);
            self.unshown
                .extend(batch.iter().map(|(event, _)| event.clone()));
            self.unshown_at.extend(batch.iter().map(|(_, at)| *at));
            self.substrate.append(batch).await?;
        }
        let is_news = !self.unshown.iter().all(can_wait);
        if is_news || self.substrate.is_overdue() {
            self.settle().await?;
        }
        Ok(())
    }

    /// Makes everything that was handed over durable, and shows it.
    async fn settle(&mut self) -> Result<(), DriveError> {
        self.substrate.settle().await?;
        if !self.unshown.is_empty() {
            let events = std::mem::take(&mut self.unshown);
            let moments = std::mem::take(&mut self.unshown_at);
            let observer = &self.conduct.observer;
            observer.happened_at(&events, &moments, &self.state);
        }
        Ok(())
    }

    async fn start(&mut self, start: Start<'p>) -> Result<(), DriveError> {
        let script = match start.step.map(|step| &step.action) {
            Some(Action::Script(script)) => Some(script.clone()),
            _ => None,
        };
        let (work, timeout) = match start.instance.undone() {
            Some(of) => {
                let undone = self.state.instance(&of);
                let own = undone.into_iter().flat_map(|undone| {
                    decide::own_undos(&self.program.workflow, &of, undone)
                        .map(|(round, script)| (round.number, script.clone()))
                });
                let work = Work::Undo {
                    own: own.collect(),
                    rounds: undone
                        .map_or_else(Vec::new, |i| i.rounds().map(RoundRef::to_round).collect()),
                    is_suspect: undone.is_some_and(|i| i.is_suspect),
                    in_use: self.in_use.clone(),
                    of,
                };
                (work, None)
            }
            None if script.is_none() => return Ok(()),
            None => {
                let inputs = start.inputs;
                let timeout = start.step.and_then(|step| step.timeout);
                (Work::Run { inputs }, timeout)
            }
        };
        let instance = self.state.instance(&start.instance);
        let is_strict = self.state.run.as_ref().is_some_and(|run| run.is_strict);
        let task = Task {
            work,
            script,
            round: instance.map_or(0, |i| i.round),
            attempt: instance.map_or(0, |i| i.attempt),
            recorded: instance.map_or_else(Vec::new, |i| i.effects.clone()),
            timeout,
            is_suspect: instance.is_some_and(|i| i.is_suspect),
            is_fresh: start.step.is_some_and(|step| step.is_fresh)
                && start.instance.undone().is_none(),
            rules: Rules {
                widens: is_strict,
                is_read: is_strict && start.step.is_some_and(|step| step.is_read),
            },
            is_finally: start.is_finally,
            redactor: self.redactor.clone(),
            instance: start.instance,
        };
        self.running += 1;
        self.substrate.start(task).await
    }

    fn finish(&mut self, finished: Finished) -> Result<(), DriveError> {
        self.running -= 1;
        let Finished {
            instance,
            recorded,
            result,
        } = finished;
        for (event, at) in &recorded {
            self.apply(event, *at)?;
        }
        if let Some(done) = self.state.instance(&instance) {
            done.effects
                .iter()
                .for_each(|effect| effect.teach(&self.redactor));
        }
        if !self.substrate.has_recorded() {
            self.batch.extend(recorded);
        }
        let event = match result {
            Ok(outputs) => Event::StepSucceeded(StepSucceeded {
                step: instance.clone(),
                outputs: windlass_world::value::Value::Map(outputs),
            }),
            Err(Trouble::Cancelled) => Event::StepInterrupted {
                step: instance.clone(),
            },
            Err(Trouble::Journal(why)) => return Err(DriveError::Gate(why)),
            Err(Trouble::Failed { error, class }) => self.failed(instance.clone(), error, class),
        };
        let is_over = matches!(event, Event::StepSucceeded(_));
        self.happens(vec![event])?;
        // A fresh step reads again whenever it runs again, so its reads are not kept in memory: with many clusters, the
        // proofs of a rotation read a gigabyte. The journal has them.
        let is_fresh =
            || decide::step_of(&self.program.workflow, &instance).is_some_and(|step| step.is_fresh);
        if is_over && instance.undone().is_none() && is_fresh() {
            self.state.forget_reads(&instance);
        }
        Ok(())
    }

    fn failed(
        &mut self,
        instance: InstanceId,
        mut error: StepError,
        class: Option<FailureClass>,
    ) -> Event {
        let tries = self.state.instance(&instance).map_or(1, |i| i.tries);
        let retry = self.retry_of(&instance);
        let is_undo = instance.undone().is_some();
        // If a call can't be looked up, it is not known whether it was made: an operator must decide.
        let is_in_doubt = self.state.instance(&instance).is_some_and(|instance| {
            let last = instance.effects.last();
            let is_it = |e: &EffectState| {
                if is_undo {
                    e.may_be_done() && e.result().is_none()
                } else {
                    e.may_be_done()
                }
            };
            last.is_some_and(|e| e.call.class == Class::Unsure && is_it(e))
        });
        if error.code == "diverged"
            && let Some(hint) = self.changed_since(&instance)
        {
            error.hint = Some(hint);
        }
        // Of a step, the run's end says so.
        if is_in_doubt && is_undo {
            error.hint = Some(how_to_answer(self.substrate.run_id(), &instance));
        }
        let would_help = retry
            .as_ref()
            .is_some_and(|retry| is_worth_it(retry, tries, class));
        if is_in_doubt && !is_undo && would_help && error.hint.is_none() {
            error.hint = Some(NOT_RETRIED.into());
        }
        let retry_at = retry
            .filter(|retry| !is_in_doubt && is_worth_it(retry, tries, class))
            .map(|retry| {
                let pauses = retry.shortest..=retry.longest;
                let pause = backoff(pauses, tries, self.substrate.jitter());
                let pause = pause.max(error.asked_pause().unwrap_or_default());
                self.substrate.now() + pause
            });
        Event::StepFailed(StepFailed {
            step: instance,
            error,
            retry_at,
        })
    }

    /// Returns the hint for an instance that makes other calls because an edit gave it other inputs.
    fn changed_since(&self, instance: &InstanceId) -> Option<String> {
        let changed = self.state.instance(instance)?.changed_inputs();
        let (last, rest) = changed.split_last()?;
        let what = match rest {
            [] => format!("its input `{last}` has"),
            rest => format!("its inputs `{}` and `{last}` have", rest.join("`, `")),
        };
        let again = Command::new("resume")
            .arg(self.substrate.run_id())
            .option("--redo", instance);
        Some(format!(
            "{what} changed since it made these calls. To run the step again from its start: `{again}`"
        ))
    }

    /// Returns the `retry` of an instance's step.
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
