//! Watches a run that Restate drives.

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    args::Driving,
    failure::Failure,
    process::{OnHangUp, now, requester, runtime, watch_for_interrupts},
    remote::waits_for_people,
};
use crate::{
    execute::{Cancel, DriveError, Ended, Observer},
    journal::{Event, Logged, Record, RunId, State, Status},
    restate::{GaveUp, Remote, RemoteError, TakenUp},
};

/// How often a run is checked.
const PAUSE: Duration = Duration::from_millis(200);
/// The largest share of the time for requests to Restate, which has other work.
const SHARE: u32 = 10;
/// How long Restate may be unreachable: servers restart, and nodes take over from each other.
const PATIENCE: Duration = Duration::from_secs(300);
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
        let farewell = format!("Restate drives run {} now", self.run);
        threads.block_on(async { watch_for_interrupts(cancel.clone(), farewell, OnHangUp::Leave) });
        let mut following = self.remote.follow(self.run);
        let (mut state, mut has_asked) = (State::default(), false);
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
                    thread::sleep(PAUSE);
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
            if cancel.is_cancelled() && !has_asked {
                self.remote.cancel(self.run, requester(), None, now())?;
                has_asked = true;
            }
            thread::sleep(PAUSE.max(asking.elapsed() * SHARE));
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
            return Ok(DriveError::Locked { lock, run }.into());
        }
        let message = format!("Restate no longer drives run {}", self.run);
        let hint = format!("to continue: `windlass resume {}`", self.run);
        Ok(Failure::new("engine", message).hint(hint).of_a_run())
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
        let look =
            || Ok::<_, RemoteError>((self.remote.waits(self.run)?, self.remote.stuck(self.run)?));
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
        let paused = stuck.iter().filter(|stuck| stuck.is_paused).count();
        for stuck in stuck {
            notices.held_up(stuck.to_string());
        }
        paused
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
