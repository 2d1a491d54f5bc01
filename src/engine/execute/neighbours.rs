//! Handles what others request of this run, and the locks that they hold.

use super::{
    driver::{DriveError, Driver},
    substrate::Substrate,
};
use crate::{
    decide::{self, Want},
    journal::{AnswerRefused, Claim, Event, LockTaken, Message, RunCancelled, RunId, Via},
};
use windlass_ground::Timestamp;

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
        match self.state.is_cancelled {
            true => Ok(()),
            false => self.happens(vec![Event::RunCancelled(RunCancelled { requester, via })]),
        }
    }

    /// Tries to get each missing lock; returns whether it got one.
    pub(super) async fn claim(&mut self, wants: &[Want]) -> Result<bool, DriveError> {
        let (mut has_got, mut held) = (false, None);
        for want in wants {
            let mut holder = None;
            for lock in &want.any_of {
                // Two steps of a batch may want the same lock.
                if self.state.locks.contains_key(lock) {
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
                let step = step.map_or(String::new(), |step| format!(", step {step}"));
                // No process drives the holder, so it does not release the lock without help.
                let advice = match status.as_str() {
                    "interrupted" | "approved" | "rejected" | "expired" => format!(
                        "; to continue that run: windlass resume {run}; to cancel it: windlass cancel {run}"
                    ),
                    _ => String::new(),
                };
                let text = format!("run {run} ({status}){step}{advice}");
                self.conduct.observer.waits_for(lock, &text);
            }
            held = Some((lock.clone(), run));
        }
        self.refuse_to_wait_longer(held.filter(|_| !has_got))?;
        Ok(has_got)
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
        match now.since(since) >= most {
            true => Err(DriveError::Locked { lock, run }),
            false => Ok(()),
        }
    }
}
