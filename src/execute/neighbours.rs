//! What other processes ask of this run, and what they hold that it needs.

use std::time::Instant;

use super::driver::{DriveError, Driver};
use crate::{
    decide::{self, Want},
    journal::{Claim, Event, Message},
};

impl Driver<'_> {
    /// Does what other processes ask. What came too late, or does not count, is passed over:
    /// whoever sent it was told.
    pub(super) fn read_messages(&mut self) -> Result<bool, DriveError> {
        self.looked_at = Some(Instant::now());
        let messages = self.run.messages(self.last_message)?;
        let has_some = !messages.is_empty();
        for (number, message) in messages {
            self.last_message = number;
            match message {
                Message::Cancel { requester } if !self.run.is_for_another(number) => {
                    self.cancel(requester)?;
                }
                Message::Cancel { .. } => {}
                Message::Decide(answer) => {
                    let (workflow, run) = (&self.program.workflow, self.run.id().as_str());
                    let event = decide::on_answer(workflow, &self.state, run, &answer);
                    if let Ok(event) = event {
                        self.happens(vec![event])?;
                    }
                }
            }
        }
        Ok(has_some)
    }

    pub(super) fn cancel(&mut self, requester: String) -> Result<(), DriveError> {
        self.settings.cancel.cancel();
        match self.state.is_cancelled {
            true => Ok(()),
            false => self.happens(vec![Event::RunCancelled { requester }]),
        }
    }

    /// Tries to get each lock that is missing; says whether one was got.
    pub(super) fn claim(&mut self, wants: &[Want]) -> Result<bool, DriveError> {
        let now = (self.settings.clock)();
        let mut has_got = false;
        for want in wants {
            let step = want.step.as_ref().map(|step| step.as_str());
            let mut holder = None;
            for lock in &want.any_of {
                // Within a batch two steps may want the same.
                if self.state.locks.contains_key(lock) {
                    continue;
                }
                match self.run.claim(lock, step, now)? {
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
                let status = self.run.journal().status_of(&run)?;
                let step = step.map_or(String::new(), |step| format!(", step {step}"));
                let text = format!("run {run} ({status}){step}");
                self.settings.observer.waits_for(lock, &text);
            }
        }
        Ok(has_got)
    }
}
