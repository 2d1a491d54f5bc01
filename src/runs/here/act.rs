//! What people do with runs.

use super::Here;
use crate::{
    answers::{Answers, events_of},
    clock::now,
    doubt::DoubtAnswers,
    error::RunsError,
    events::{add_cancel, after_undo_start, resume_events, undo_events},
    later::refuse_undo_before_newer,
    reception::Reception,
    rules,
    service::{Person, Runs, UndoPlan, Undoing},
};
use windlass_engine::execute::{Sight, undo_plan};
use windlass_journal::{Message, RunId, State};

impl Here {
    /// Gives a person's answers to the process that drives a run, or records them and drives it.
    pub(super) fn answer_questions(
        &self,
        id: &RunId,
        answers: &Answers,
        who: &Person,
    ) -> Result<(), RunsError> {
        let run = self.run(id)?;
        let decisions = answers.decisions(&run, who)?;
        let at = now();
        events_of(&decisions, &run.program.workflow, &run.state, id, at)?;
        if self.journal.is_owned(id)? {
            for decision in &decisions {
                self.journal
                    .post(id, &Message::Decide(decision.clone()), at)?;
            }
            let received = Reception::wait(
                &decisions,
                || self.reader.state_of(id),
                || self.journal.is_owned(id),
            )?;
            if received.refuse()? == Reception::Counts || self.journal.is_owned(id)? {
                return Ok(());
            }
        }
        // No process drives the run (any more), so the answers are written to its journal at once, and the run continues.
        let held = self.take(id)?;
        let workflow = &held.program.workflow;
        let answered = events_of(&decisions, workflow, &held.state, id, at)?;
        let mut events = resume_events(workflow, &held.state, who);
        events.extend(answered);
        self.go_in(held, events, None)
    }

    /// Cancels a run, in the process that drives it or here.
    pub(super) fn cancel_run(&self, id: &RunId, who: &Person) -> Result<(), RunsError> {
        let run = self.run(id)?;
        rules::refuse_cancel(id, &run.state)?;
        if self.journal.is_owned(id)? {
            let message = Message::Cancel {
                requester: who.name.clone(),
                via: who.via.clone(),
            };
            return Ok(self.journal.post(id, &message, now())?);
        }
        let held = self.take(id)?;
        let mut events = resume_events(&held.program.workflow, &held.state, who);
        add_cancel(&mut events, who);
        self.go_in(held, events, None)
    }

    pub(super) fn resume_run(&self, id: &RunId, who: &Person) -> Result<(), RunsError> {
        let held = self.take_idle(id, "it is running: there is nothing to resume")?;
        rules::refuse_resume(id, &held.program.workflow, &held.state, false)?;
        let events = resume_events(&held.program.workflow, &held.state, who);
        self.go(held, events)
    }

    pub(super) fn plan_undo(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
    ) -> Result<UndoPlan, RunsError> {
        let run = self.run(id)?;
        rules::refuse_undo(id, &run.state)?;
        let state = after_undo_start(&run.state, answers)?;
        let items = self.drivers.handle().block_on(async {
            let open = self.drivers.open(&run.info).await?;
            let workflow = &run.program.workflow;
            Ok::<_, RunsError>(undo_plan(workflow, &state, &open.clients, Sight::Whole).await)
        })?;
        let refused = self.refuse_undo_before_newer(id, &run.state).err();
        Ok(UndoPlan::of(&run.state, items, refused))
    }

    pub(super) fn undo_run(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
        how: Undoing,
        who: &Person,
    ) -> Result<(), RunsError> {
        let held = self.take_idle(id, "it is running: cancel it first")?;
        how.refuse(id, &held.state, || {
            self.refuse_undo_before_newer(id, &held.state)
        })?;
        let events = undo_events(&held.state, answers, who)?;
        self.go(held, events)
    }

    fn refuse_undo_before_newer(&self, id: &RunId, state: &State) -> Result<(), RunsError> {
        let read = |run: &RunId| Ok::<_, RunsError>(self.reader.state_of(run)?);
        refuse_undo_before_newer(id, state, self.reader.runs()?, read)
    }
}
