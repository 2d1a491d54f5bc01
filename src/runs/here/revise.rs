//! Resumes with other files, other params, or steps that run again.

use super::Here;
use crate::{
    doubt::DoubtAnswers,
    error::RunsError,
    events::answer_events,
    revise::{Changes, Reviser, Revision},
    service::{DOUBT_CHANGED, Person, info, refuse_changed},
};
use windlass_journal::RunId;
use windlass_world::value::{Digest, Value};

impl Here {
    /// Returns what a resume with changes would do.
    pub(super) fn revision_of(&self, id: &RunId, changes: &Changes) -> Result<Revision, RunsError> {
        let state = self.folds.state_of(&self.reader, id)?;
        let program = self.program(id, info(&state)?)?;
        let digest = |params: &Value| self.digest(params);
        Ok(self
            .reviser(&digest)?
            .revised(id, &program, &state, changes)?
            .revision)
    }

    /// Resumes a run with changes, if their effect is still the one that was shown.
    pub(super) fn resume_revised(
        &self,
        id: &RunId,
        changes: &Changes,
        shown: Option<Digest>,
        who: &Person,
    ) -> Result<(), RunsError> {
        let mut held = self.take_idle(id, "it is running: cancel it first")?;
        let digest = |params: &Value| self.digest(params);
        let reviser = self.reviser(&digest)?;
        let run = (&*held.program, &held.state);
        let (events, new) = reviser.resumption(id, run, changes, shown, who)?;
        if let Some((edition, program)) = new {
            held.run.freeze(edition, &program.files)?;
            held.program = program;
        }
        self.go(held, events)
    }

    /// Records the answers about calls in doubt, and resumes the run.
    pub(super) fn resume_answered(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
        shown: Option<u64>,
        who: &Person,
    ) -> Result<(), RunsError> {
        let held = self.take_idle(id, "it is running: nothing is in doubt")?;
        refuse_changed(shown, &held.state, DOUBT_CHANGED)?;
        let events = answer_events(&held.program.workflow, (id, &held.state), answers, who)?;
        self.go(held, events)
    }

    fn reviser<'a>(
        &'a self,
        digest_secrets: &'a dyn Fn(&Value) -> Result<Option<Digest>, RunsError>,
    ) -> Result<Reviser<'a>, RunsError> {
        Ok(Reviser {
            library: &self.options.library,
            targets: self.load_targets()?,
            digest_secrets,
        })
    }

    fn digest(&self, params: &Value) -> Result<Option<Digest>, RunsError> {
        Ok(self.journal.digest_secrets(params)?)
    }
}
