//! Answers to the questions of a run: those that are given together count together, or none of them does.

use super::{
    error::RunsError,
    service::{Person, Shown},
};
use windlass_compile::Workflow;
use windlass_engine::{decide, execute::DriveError};
use windlass_ground::Timestamp;
use windlass_journal::{Decision, Event, InstanceId, RunId, State, Verdict};
use windlass_world::value::Digest;

/// The largest comment, in characters: it is on every page of its run.
const MAX_COMMENT: usize = 4_000;

/// A person's answer to one or more questions of a run.
#[derive(Clone, Debug)]
pub struct Answers {
    pub verdict: Verdict,
    /// The steps that ask, each with the digest of what was shown to the person: an answer to something else does not count.
    pub steps: Vec<(InstanceId, Option<Digest>)>,
    pub comment: Option<String>,
}

impl Answers {
    /// Returns the decisions, as the journal records them. Without the digest of what was shown, an answer is bound to what the run
    /// asks now.
    ///
    /// # Errors
    /// No step, a step that is named twice, or a comment that is too long.
    pub(crate) fn decisions(
        &self,
        shown: &Shown,
        who: &Person,
    ) -> Result<Vec<Decision>, RunsError> {
        if self.steps.is_empty() {
            return Err(RunsError::wrong("bad-request", "the answer names no step"));
        }
        let comment = self.comment.as_deref().unwrap_or_default();
        if comment.chars().count() > MAX_COMMENT {
            let message = format!("a comment has at most {MAX_COMMENT} characters");
            return Err(RunsError::wrong("bad-request", message));
        }
        for (at, (step, _)) in self.steps.iter().enumerate() {
            if self.steps[..at].iter().any(|(known, _)| known == step) {
                let message = format!("`{step}` is named twice");
                return Err(RunsError::conflict("not-waiting", message).hint("name each step once"));
            }
        }
        let steps = self.steps.iter();
        Ok(steps
            .map(|(step, digest)| self.decision(shown, step, *digest, who))
            .collect())
    }

    fn decision(
        &self,
        shown: &Shown,
        step: &InstanceId,
        digest: Option<Digest>,
        who: &Person,
    ) -> Decision {
        let asked = shown.state.instance(step).and_then(|i| i.approval.as_ref());
        Decision {
            step: step.clone(),
            verdict: self.verdict,
            approver: who.name.clone(),
            via: who.via.clone(),
            comment: self.comment.clone(),
            digest: digest
                .or(asked.map(|asked| asked.digest))
                .unwrap_or(Digest::ZERO),
        }
    }
}

/// Returns the events of answers; each applies to the state after the one before it.
///
/// # Errors
/// The first answer that does not count: then none of them does.
pub(crate) fn events_of(
    decisions: &[Decision],
    workflow: &Workflow,
    state: &State,
    run: &RunId,
    at: Timestamp,
) -> Result<Vec<Event>, RunsError> {
    if let [decision] = decisions {
        return Ok(vec![decide::on_answer(
            workflow,
            state,
            run.as_str(),
            decision,
            at,
        )?]);
    }
    let (mut state, mut events) = (state.clone(), Vec::new());
    for decision in decisions {
        let event = decide::on_answer(workflow, &state, run.as_str(), decision, at)?;
        state.apply(&event, at).map_err(DriveError::from)?;
        events.push(event);
    }
    Ok(events)
}
