//! What others ask of this run, and what they hold that it needs.

use super::{
    driver::{DriveError, Driver},
    substrate::Substrate,
};
use crate::{
    decide::{self, Want},
    journal::{Claim, Event, Message},
};

impl<S: Substrate> Driver<'_, S> {
    /// Does what somebody asks. What came too late, or does not count, is passed over: whoever sent it
    /// was told.
    pub(super) async fn hear(&mut self, message: Message) -> Result<(), DriveError> {
        match message {
            Message::Cancel { requester } => self.cancel(requester).await,
            Message::Decide(answer) => {
                let (workflow, run) = (&self.program.workflow, self.substrate.run_id());
                match decide::on_answer(workflow, &self.state, run.as_str(), &answer) {
                    Ok(event) => self.happens(vec![event]),
                    Err(_) => Ok(()),
                }
            }
        }
    }

    pub(super) async fn cancel(&mut self, requester: String) -> Result<(), DriveError> {
        self.substrate.cancel_attempts().await?;
        match self.state.is_cancelled {
            true => Ok(()),
            false => self.happens(vec![Event::RunCancelled { requester }]),
        }
    }

    /// Tries to get each lock that is missing; says whether one was got.
    pub(super) async fn claim(&mut self, wants: &[Want]) -> Result<bool, DriveError> {
        let mut has_got = false;
        for want in wants {
            let mut holder = None;
            for lock in &want.any_of {
                // Within a batch two steps may want the same.
                if self.state.locks.contains_key(lock) {
                    continue;
                }
                match self.substrate.claim(lock, want.step.as_ref()).await? {
                    Claim::Taken => {
                        has_got = true;
                        self.happens(vec![Event::LockTaken {
                            lock: lock.clone(),
                            step: want.step.clone(),
                        }])?;
                        holder = None;
                        break;
                    }
                    Claim::Held { run, step } => holder = Some((lock, run, step)),
                }
            }
            if let Some((lock, run, step)) = holder
                && self.named.insert(lock.clone())
            {
                let status = self.substrate.status_of(&run)?;
                let step = step.map_or(String::new(), |step| format!(", step {step}"));
                let text = format!("run {run} ({status}){step}");
                self.conduct.observer.waits_for(lock, &text);
            }
        }
        Ok(has_got)
    }
}
