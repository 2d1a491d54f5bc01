//! What became of a person's answer to a question, once the driver of the run has taken it up.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::error::RunsError;
use windlass_journal::{Decision, State};

/// How long a driver may take before the person is told that it has not taken up the answer: it looks for messages five times a second.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reception {
    Counts,
    /// Another answer came first; the text says whose.
    TooLate(String),
    /// The driver has not taken it up, and may be gone.
    NotYet,
}

impl Reception {
    /// Looks up an answer in the state of its run.
    fn of(state: &State, answer: &Decision) -> Self {
        let asked = state
            .instance(&answer.step)
            .and_then(|instance| instance.approval.as_deref())
            .filter(|asked| asked.digest == answer.digest);
        let step = &answer.step;
        match asked.map(|asked| &asked.answer) {
            None => Self::TooLate(format!("`{step}` no longer asks this question")),
            Some(None) if state.outcome.is_some() => {
                Self::TooLate(format!("the run ended before `{step}` was answered"))
            }
            Some(None) => Self::NotYet,
            Some(Some(given)) => {
                let is_own = given.approver == answer.approver && given.verdict == answer.verdict;
                if is_own {
                    Self::Counts
                } else {
                    Self::TooLate(format!(
                        "`{step}` was {} by {} before this answer",
                        given.verdict.as_str(),
                        given.approver
                    ))
                }
            }
        }
    }

    /// Waits until a driver has taken up all of these answers, which were sent to it. `state` reads the state of the run, and `is_driven`
    /// says whether it still has a driver.
    ///
    /// # Errors
    /// Those of `state` and `is_driven`.
    pub fn wait<E>(
        answers: &[Decision],
        mut state: impl FnMut() -> Result<State, E>,
        mut is_driven: impl FnMut() -> Result<bool, E>,
    ) -> Result<Self, E> {
        let until = Instant::now() + PATIENCE;
        loop {
            let was_driven = is_driven()?;
            let now = state()?;
            let all = answers.iter().map(|answer| Self::of(&now, answer));
            let first = all.into_iter().find(|one| *one != Self::Counts);
            match first {
                Some(Self::NotYet) if was_driven && Instant::now() < until => thread::sleep(PAUSE),
                other => return Ok(other.unwrap_or(Self::Counts)),
            }
        }
    }

    /// Returns an error for an answer that came too late.
    ///
    /// # Errors
    /// `not-waiting`.
    pub fn refuse(self) -> Result<Self, RunsError> {
        match self {
            Self::TooLate(why) => Err(RunsError::conflict("not-waiting", why)),
            other => Ok(other),
        }
    }
}
