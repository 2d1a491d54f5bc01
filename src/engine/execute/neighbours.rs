//! Handles what others request of this run, and the locks that they hold.

use super::{
    circle::{Waiting, circle},
    driver::{DriveError, Driver, HolderStands},
    substrate::Substrate,
};
use crate::decide::{self, Want};
use windlass_ground::Timestamp;
use windlass_journal::{
    AnswerRefused, Claim, Event, InstanceId, LockTaken, Message, RunCancelled, RunId, Via,
};

impl<S: Substrate> Driver<'_, S> {
    /// Handles a request that was made at `at`. An answer that does not count is recorded as refused, because its sender has
    /// not been informed; an answer from before this drive is not, because an earlier driver may have handled it.
    pub(super) async fn hear(&mut self, message: Message, at: Timestamp) -> Result<(), DriveError> {
        match message {
            Message::Cancel { requester, via } => self.cancel(requester, via).await,
            Message::Decide(answer) => {
                let (workflow, run) = (&self.program.workflow, self.substrate.run_id());
                let heard = decide::on_answer(workflow, &self.state, run.as_str(), &answer, at);
                match heard {
                    Ok(event) => self.happens(vec![event]),
                    Err(_) if at < self.began => Ok(()),
                    Err(refusal) => self.happens(vec![Event::AnswerRefused(AnswerRefused {
                        step: answer.step,
                        verdict: answer.verdict,
                        approver: answer.approver,
                        via: answer.via,
                        comment: answer.comment,
                        why: refusal.to_string(),
                    })]),
                }
            }
        }
    }

    pub(super) async fn cancel(
        &mut self,
        requester: String,
        via: Option<Via>,
    ) -> Result<(), DriveError> {
        self.substrate.cancel_attempts().await?;
        if self.state.is_cancelled {
            Ok(())
        } else {
            self.happens(vec![Event::RunCancelled(RunCancelled { requester, via })])
        }
    }

    /// Tries to get each missing lock; returns whether it got one.
    pub(super) async fn claim(&mut self, wants: &[Want]) -> Result<bool, DriveError> {
        let (mut has_got, mut held, mut own) = (false, None, None);
        for want in wants {
            let mut holder = None;
            for lock in &want.any_of {
                // Another step of this run holds it; two steps of a batch may want the same lock.
                if let Some(step) = self.state.locks.get(lock) {
                    own = Some((want, lock, step.clone()));
                    continue;
                }
                match self.substrate.claim(lock, want.step.as_ref()).await? {
                    Claim::Taken => {
                        has_got = true;
                        self.happens(vec![Event::LockTaken(LockTaken {
                            lock: lock.clone(),
                            step: want.step.clone(),
                        })])?;
                        holder = None;
                        break;
                    }
                    Claim::Held { run, step } => holder = Some((lock, run, step)),
                }
            }
            let Some((lock, run, step)) = holder else {
                continue;
            };
            if self.named.insert(lock.clone()) {
                let status = self.substrate.status_of(&run)?;
                let held_by = step.as_deref().map(|step| InstanceId::step(None, step));
                let step = step.map_or(String::new(), |step| format!(", step {step}"));
                let advice = match status.as_str() {
                    status if HolderStands::of(status) == HolderStands::Stopped => format!(
                        "; to continue that run: `windlass resume {run}`; to cancel it: `windlass cancel {run}`"
                    ),
                    _ => match self.circle(want, lock, &run, held_by)? {
                        Some(way) => format!(", {way}"),
                        None => String::new(),
                    },
                };
                let text = format!("run {run} ({status}){step}{advice}");
                self.conduct.observer.waits_for(lock, &text);
            }
            held = Some((lock.clone(), run));
        }
        if let (Some((want, lock, step)), false, 0) = (own, has_got, self.running) {
            self.tell_own_circle(want, lock, step)?;
        }
        self.refuse_to_wait_longer(held.filter(|_| !has_got))?;
        Ok(has_got)
    }

    /// Tells that steps of this run, which does nothing else, wait for each other.
    fn tell_own_circle(
        &mut self,
        want: &Want,
        lock: &str,
        step: Option<InstanceId>,
    ) -> Result<(), DriveError> {
        let run = self.substrate.run_id().clone();
        if !self.named.contains(lock)
            && let Some(way) = self.circle(want, lock, &run, step.clone())?
        {
            self.named.insert(lock.to_owned());
            let step = step.map_or(String::new(), |step| format!(", step {step}"));
            let text = format!("this run{step}, {way}");
            self.conduct.observer.waits_for(lock, &text);
        }
        Ok(())
    }

    /// Describes how the holder of a lock waits, directly or not, for what this run keeps until it gets that lock.
    fn circle(
        &mut self,
        want: &Want,
        lock: &str,
        holder: &RunId,
        holding_step: Option<InstanceId>,
    ) -> Result<Option<String>, DriveError> {
        let first = Waiting {
            lock: lock.to_owned(),
            step: want.step.clone(),
            holder: holder.clone(),
            holding_step,
        };
        let run = self.substrate.run_id().clone();
        let now = self.substrate.now();
        circle(&run, &first, |of| {
            if *of == run {
                Ok(self.own_waits(now))
            } else {
                self.substrate.waits_of(of)
            }
        })
    }

    /// Returns the locks for which steps of this run wait, and which other steps of it hold.
    fn own_waits(&self, now: Timestamp) -> Vec<Waiting> {
        let run = self.substrate.run_id();
        let wants = decide::waits(&self.program.workflow, &self.state, run.as_str(), now);
        let own = wants.into_iter().filter_map(|(lock, step)| {
            let holding_step = self.state.locks.get(&lock)?.clone();
            let holder = run.clone();
            Some(Waiting {
                lock,
                step,
                holder,
                holding_step,
            })
        });
        own.collect()
    }

    /// Returns when it stops waiting for a lock.
    pub(super) fn lock_deadline(&self) -> Option<Timestamp> {
        let most = self.conduct.lock_timeout?;
        self.waits_since.map(|since| since + most)
    }

    /// Ends a drive that has waited too long for a lock while it had nothing else to do.
    fn refuse_to_wait_longer(&mut self, held: Option<(String, RunId)>) -> Result<(), DriveError> {
        let (Some((lock, run)), Some(most), 0) = (held, self.conduct.lock_timeout, self.running)
        else {
            self.waits_since = None;
            return Ok(());
        };
        let now = self.substrate.now();
        let since = *self.waits_since.get_or_insert(now);
        if now.since(since) >= most {
            let status = self.substrate.status_of(&run)?;
            Err(DriveError::Locked {
                lock,
                run,
                holder: HolderStands::of(&status),
            })
        } else {
            Ok(())
        }
    }
}
