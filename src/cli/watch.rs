//! Watches a run that Restate drives.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    args::Driving,
    failure::Failure,
    process::{OnHangUp, farewell, now, person, runtime, watch_for_interrupts},
    remote::waits_for_people,
};
use crate::{
    execute::{Cancel, DriveError, Ended, HolderStands, Observer},
    journal::{Event, Logged, Record, RunId, State, Status},
    restate::{GaveUp, Remote, RemoteError, Stuck, TakenUp},
    runs::Person,
};

/// How often a run is checked.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest time between two checks: news should not take longer, however slow Restate is.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// The largest share of the time for requests to Restate, which has other work.
const SHARE: u32 = 10;
/// How long Restate may be unreachable: servers restart, and nodes take over from each other.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a cancel is sent again while Restate can't be reached.
const CANCELLING: Duration = Duration::from_secs(20);
/// How long without news before Restate is asked whether something is stuck, and how often.
const SILENCE: Duration = Duration::from_secs(2);

/// A run, and the invocation that drives it.
pub struct Watched<'r> {
    pub remote: &'r Remote,
    pub run: &'r RunId,
    pub invocation: String,
    /// How many of its events the observer has received.
    pub known: u64,
    /// Whether the invocation has recorded something already.
    pub has_begun: bool,
}

impl Watched<'_> {
    /// Reports events to the observer until the run has ended or waits for a person.
    pub fn follow(
        self,
        driving: &Driving,
        observer: &Arc<dyn Observer>,
    ) -> Result<(Ended, State), Failure> {
        let threads = runtime(driving.max_parallel)?;
        let cancel = Cancel::default();
        threads.block_on(async {
            watch_for_interrupts(cancel.clone(), farewell(self.run), OnHangUp::Leave)
        });
        let mut following = self.remote.follow(self.run);
        let mut state = State::default();
        let mut cancelling = Cancelling::default();
        let (mut reached, mut news) = (Instant::now(), Instant::now());
        let mut notices = Notices::new(observer);
        loop {
            let asking = Instant::now();
            let looked = self.remote.is_alive(&self.invocation);
            let looked = looked.and_then(|is_alive| Ok((is_alive, following.read()?)));
            let (is_alive, records) = match looked {
                Ok(looked) => looked,
                Err(error) if error.passes() && reached.elapsed() < PATIENCE => {
                    notices.held_up(error.to_string());
                    // Restate itself may answer: without workers, it pauses what it has tried for long.
                    if news.elapsed() > SILENCE {
                        news = Instant::now();
                        let stuck = self.remote.stuck(self.run).unwrap_or_default();
                        let paused = tell_stuck(stuck, &mut notices);
                        if paused > 0 && paused >= running(&state) && !driving.wait {
                            return Ok((Ended::Waiting, state));
                        }
                    }
                    if cancel.is_cancelled() {
                        cancelling.go_on(&self, false, &mut notices)?;
                    }
                    threads.block_on(pause(PAUSE, &cancel));
                    continue;
                }
                Err(error) => return Err(self.lost(error)),
            };
            reached = Instant::now();
            if !records.is_empty() {
                news = reached;
                self.tell(records, &mut state, observer)?;
            }
            let has_begun = self.has_begun || state.events > self.known;
            match state.outcome {
                Some(outcome) if has_begun && self.is_carried_out()? => {
                    return Ok((Ended::Over(outcome), state));
                }
                None if has_begun
                    && !driving.wait
                    && waits_for_people(&state)
                    && self.is_carried_out()? =>
                {
                    return Ok((Ended::Waiting, state));
                }
                None if !is_alive && has_begun => return Err(self.left()?),
                _ if !is_alive => return Err(too_late(self.run)),
                _ => {}
            }
            if news.elapsed() > SILENCE {
                news = Instant::now();
                let paused = self.tell_what_is_stuck(&mut notices);
                if paused > 0 && paused >= running(&state) && !driving.wait {
                    return Ok((Ended::Waiting, state));
                }
            }
            if cancel.is_cancelled() {
                cancelling.go_on(&self, true, &mut notices)?;
            }
            let share = asking.elapsed() * SHARE;
            threads.block_on(pause(share.clamp(PAUSE, LONGEST_PAUSE), &cancel));
        }
    }

    /// Says whether the events of the run are those of this order: another command may have been first, and then this one does nothing.
    fn is_carried_out(&self) -> Result<bool, Failure> {
        if self.has_begun {
            return Ok(true);
        }
        match self.remote.taken_up(self.run, &self.invocation) {
            Ok(TakenUp::Yes) => Ok(true),
            Ok(TakenUp::TooLate) => Err(too_late(self.run)),
            // The next look asks again, and gives up when Restate is away for too long.
            Ok(TakenUp::NotYet) => Ok(false),
            Err(error) if error.passes() => Ok(false),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// Reports that the invocation that drove the run waited too long for a lock, or was killed.
    fn left(&self) -> Result<Failure, RemoteError> {
        if let Some(GaveUp { lock, run }) = self.remote.gave_up(self.run)? {
            let holder = match self.remote.driver(&run)? {
                Some(_) => HolderStands::Driven,
                None => HolderStands::Stopped,
            };
            return Ok(DriveError::Locked { lock, run, holder }.into());
        }
        let message = format!("Restate no longer drives run {}", self.run);
        let hint = format!("to continue: `windlass resume {}`", self.run);
        Ok(Failure::new("engine", message).hint(hint).of_a_run())
    }

    /// Asks the run to stop. If no worker answers, Restate passes the request on later, and an order that no worker has taken up is
    /// withdrawn; returns whether it was.
    fn stop(&self, is_answered: bool) -> Result<bool, RemoteError> {
        let Person { name, via } = person();
        if is_answered {
            self.remote.cancel(self.run, name, via, now())?;
        } else if self.remote.has_begun(self.run)? {
            self.remote.cancel_later(self.run, name, via, now())?;
        } else {
            self.remote.withdraw(self.run)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Stops watching; the run continues.
    fn lost(&self, error: RemoteError) -> Failure {
        let message = format!("run {} can't be watched any longer: {error}", self.run);
        let hint = "Restate drives it, and continues as soon as it can";
        Failure::new("engine", message).hint(hint).of_a_run()
    }

    fn tell(
        &self,
        records: Vec<Record>,
        state: &mut State,
        observer: &Arc<dyn Observer>,
    ) -> Result<(), Failure> {
        let mut events = Vec::with_capacity(records.len());
        for record in records {
            let applied = state.apply(&record.event, record.at);
            applied.map_err(DriveError::from)?;
            if record.seq >= self.known {
                events.push(record.event);
            }
        }
        for event in &events {
            if let Event::Logged(Logged { step, message, .. }) = event {
                observer.said(step, message);
            }
        }
        if !events.is_empty() {
            observer.happened(&events, state);
        }
        Ok(())
    }

    /// Reports what blocks the run; returns how many parts of it are paused.
    fn tell_what_is_stuck(&self, notices: &mut Notices) -> usize {
        let look = || {
            Ok::<_, RemoteError>((
                self.remote.waits(self.run, now())?,
                self.remote.stuck(self.run)?,
            ))
        };
        let (waits, stuck) = match look() {
            Ok(found) => found,
            Err(error) => {
                notices.held_up(format!("can't check what the run waits for: {error}"));
                return 0;
            }
        };
        for (lock, holder) in waits {
            notices.waits_for(lock, holder);
        }
        tell_stuck(stuck, notices)
    }
}

/// Reports what workers have failed to do; returns how many parts of it are paused.
fn tell_stuck(stuck: Vec<Stuck>, notices: &mut Notices) -> usize {
    let paused = stuck.iter().filter(|stuck| stuck.is_paused).count();
    for stuck in stuck {
        notices.held_up(stuck.to_string());
    }
    paused
}

/// Waits, but not longer than until a cancel that was not there before.
async fn pause(time: Duration, cancel: &Cancel) {
    if cancel.is_cancelled() {
        tokio::time::sleep(time).await;
    } else {
        // Either may come first.
        let _ = tokio::time::timeout(time, cancel.cancelled()).await;
    }
}

/// How far the cancel of a run has come.
#[derive(Default)]
struct Cancelling {
    since: Option<Instant>,
    is_sent: bool,
}

impl Cancelling {
    /// Sends the cancel, unless Restate has it already; `is_answered` says whether a worker has just answered. If Restate can't be
    /// reached, the next call sends it again.
    ///
    /// # Errors
    /// The run is withdrawn, so there is nothing more to watch; or the cancel can't be sent.
    fn go_on(
        &mut self,
        watched: &Watched,
        is_answered: bool,
        notices: &mut Notices,
    ) -> Result<(), Failure> {
        if self.is_sent {
            return Ok(());
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let run = watched.run;
        match watched.stop(is_answered) {
            Ok(true) => {
                let message = format!("run {run} is withdrawn: no worker had taken it up");
                return Err(Failure::new("engine", message).of_a_signal());
            }
            Ok(false) if !is_answered => {
                let why = "the run is cancelled when a worker answers";
                notices.held_up(why.to_owned());
            }
            Ok(false) => {}
            Err(error) if error.passes() && since.elapsed() < CANCELLING => {
                notices.held_up(format!("the run can't be cancelled yet: {error}"));
                return Ok(());
            }
            Err(error) => {
                let message = format!("run {run} is not cancelled: {error}");
                let hint = format!("to cancel it: `windlass cancel {run}`");
                return Err(Failure::new("engine", message).hint(hint).of_a_run());
            }
        }
        self.is_sent = true;
        Ok(())
    }
}

/// Reports each problem once.
struct Notices<'o> {
    observer: &'o Arc<dyn Observer>,
    told: BTreeSet<(String, String)>,
}

impl<'o> Notices<'o> {
    fn new(observer: &'o Arc<dyn Observer>) -> Self {
        Self {
            observer,
            told: BTreeSet::new(),
        }
    }

    fn held_up(&mut self, why: String) {
        if self.told.insert((why.clone(), String::new())) {
            self.observer.held_up(&why);
        }
    }

    fn waits_for(&mut self, lock: String, holder: String) {
        if self.told.insert((lock.clone(), holder.clone())) {
            self.observer.waits_for(&lock, &holder);
        }
    }
}

/// Returns how many steps are running, as far as the run's events show.
fn running(state: &State) -> usize {
    let steps = state.steps.values().filter(|i| !i.is_composite());
    steps.filter(|i| i.status == Status::Running).count()
}

/// Reports that an order was made for an older state of the run.
pub fn too_late(id: &RunId) -> Failure {
    Failure::new("run-owned", format!("another command has resumed run {id}"))
        .hint(format!("`windlass show {id}` shows its state"))
}
