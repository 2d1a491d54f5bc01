//! Implements what people do with runs, as orders to Restate.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{OnRestate, sight_of};
use crate::{
    answers::{Answers, events_of},
    clock::now,
    doubt::DoubtAnswers,
    error::{Kind, RunsError},
    events::{add_cancel, after_undo_start, answer_events, resume_events, undo_events},
    later::refuse_undo_before_newer,
    reception::Reception,
    revise::{Changes, Reviser, Revision},
    rules,
    service::{DOUBT_CHANGED, Person, UndoPlan, Undoing, refuse_changed},
};
use windlass_compile::Program;
use windlass_engine::execute::undo_plan;
use windlass_journal::{Event, Message, RunId, State};
use windlass_restate::{Hastened, Order, TakenUp};
use windlass_world::value::{Digest, Value};

/// How long an order waits for a worker; a worker that starts later still carries it out.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// A run that no process drove when it was checked.
struct IdleRun {
    id: RunId,
    program: Arc<Program>,
    state: Arc<State>,
    /// The last message to it.
    after_letter: u64,
}

impl OnRestate {
    pub(super) fn answer_questions(
        &self,
        id: &RunId,
        answers: &Answers,
        who: &Person,
    ) -> Result<(), RunsError> {
        let run = self.shown(id)?;
        let decisions = answers.decisions(&run, who)?;
        let (at, workflow) = (now(), &run.program.workflow);
        let answered = events_of(&decisions, workflow, &run.state, id, at)?;
        if run.is_driven {
            for decision in &decisions {
                self.remote
                    .post(id, &Message::Decide(decision.clone()), at)?;
            }
            let received = Reception::wait(
                &decisions,
                || self.remote.state_of(id),
                || Ok(self.remote.driver(id)?.is_some()),
            )?;
            return received.refuse().map(drop);
        }
        let idle = self.idle(id, "it is running")?;
        let mut events = resume_events(&idle.program.workflow, &idle.state, who);
        events.extend(answered);
        self.go(&idle, events, None)
    }

    pub(super) fn cancel_run(&self, id: &RunId, who: &Person) -> Result<(), RunsError> {
        if self.has_not_begun(id)? {
            return Ok(self.remote.withdraw(id)?);
        }
        let run = self.shown(id)?;
        rules::refuse_cancel(id, &run.state)?;
        if run.is_driven {
            let (name, via) = (who.name.clone(), who.via.clone());
            return Ok(self.remote.cancel(id, name, via, now())?);
        }
        let idle = self.idle(id, "it is running")?;
        let mut events = resume_events(&idle.program.workflow, &idle.state, who);
        add_cancel(&mut events, who);
        self.go(&idle, events, None)
    }

    pub(super) fn resume_run(&self, id: &RunId, who: &Person) -> Result<(), RunsError> {
        if self.has_not_begun(id)? {
            self.remote.hasten(id)?;
            return Ok(());
        }
        // If Restate has paused invocations of the run, or would try them again later, they continue unchanged.
        if self.remote.driver(id)?.is_some() && self.remote.hasten(id)? != Hastened::default() {
            return Ok(());
        }
        let idle = self.idle(id, "it is running: there is nothing to resume")?;
        let workflow = &idle.program.workflow;
        rules::refuse_resume(id, workflow, &idle.state, false)?;
        self.go(&idle, resume_events(workflow, &idle.state, who), None)
    }

    /// Says whether a run was sent to Restate, and has no events yet.
    fn has_not_begun(&self, id: &RunId) -> Result<bool, RunsError> {
        Ok(self.remote.is_sent(id)? && !self.remote.has_begun(id)?)
    }

    /// Returns the error for a run without events: it may have been sent, and not begun.
    pub(super) fn unbegun(&self, id: &RunId, error: RunsError) -> RunsError {
        if error.code != "no-such-run" || !self.has_not_begun(id).unwrap_or(false) {
            return error;
        }
        let Ok((why, _)) = self.remote.why_not_begun(id) else {
            return error;
        };
        RunsError::new(Kind::Busy, "engine", why).hint(format!(
            "when this is fixed: `windlass resume {id}`; to withdraw it: `windlass cancel {id}`"
        ))
    }

    pub(super) fn plan_undo(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
    ) -> Result<UndoPlan, RunsError> {
        let run = self.shown(id)?;
        rules::refuse_undo(id, &run.state)?;
        let state = after_undo_start(&run.state, answers)?;
        let items = self.block_on(async {
            let open = self.open_target(&run.info).await?;
            let sight = sight_of(&run.info.target);
            Ok::<_, RunsError>(undo_plan(&run.program.workflow, &state, &open.clients, sight).await)
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
        let idle = self.idle(id, "it is running: cancel it first")?;
        how.refuse(id, &idle.state, || {
            self.refuse_undo_before_newer(id, &idle.state)
        })?;
        let events = undo_events(&idle.state, answers, who)?;
        self.go(&idle, events, None)
    }

    pub(super) fn revision_of(&self, id: &RunId, changes: &Changes) -> Result<Revision, RunsError> {
        let run = self.shown(id)?;
        let digest = |params: &Value| self.digest(params);
        let reviser = self.reviser(&digest)?;
        Ok(reviser
            .revised(id, &run.program, &run.state, changes)?
            .revision)
    }

    pub(super) fn resume_revised(
        &self,
        id: &RunId,
        changes: &Changes,
        shown: Option<Digest>,
        who: &Person,
    ) -> Result<(), RunsError> {
        let idle = self.idle(id, "it is running: cancel it first")?;
        let digest = |params: &Value| self.digest(params);
        let reviser = self.reviser(&digest)?;
        let run = (&*idle.program, &*idle.state);
        let (events, new) = reviser.resumption(id, run, changes, shown, who)?;
        self.go(&idle, events, new)
    }

    pub(super) fn resume_answered(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
        shown: Option<u64>,
        who: &Person,
    ) -> Result<(), RunsError> {
        let idle = self.idle(id, "it is running: nothing is in doubt")?;
        refuse_changed(shown, &idle.state, DOUBT_CHANGED)?;
        let events = answer_events(&idle.program.workflow, (id, &idle.state), answers, who)?;
        self.go(&idle, events, None)
    }

    fn refuse_undo_before_newer(&self, id: &RunId, state: &State) -> Result<(), RunsError> {
        let read = |run: &RunId| self.reads.look(run, |read| State::clone(&read.state));
        refuse_undo_before_newer(id, state, self.remote.runs()?, read)
    }

    fn digest(&self, params: &Value) -> Result<Option<Digest>, RunsError> {
        Ok(self.remote.digest_secrets(params)?)
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

    /// Returns a run that no process drives; `why` is the error if one does.
    fn idle(&self, id: &RunId, why: &str) -> Result<IdleRun, RunsError> {
        let after_letter = self.remote.last_letter(id)?;
        let run = self.shown(id)?;
        if run.is_driven {
            return Err(RunsError::conflict("run-owned", format!("run {id}: {why}")));
        }
        Ok(IdleRun {
            id: run.id,
            program: run.program,
            state: run.state,
            after_letter,
        })
    }

    /// Lets Restate continue to drive a run with these events, after freezing these files. If another order came first, this one does
    /// nothing, which is an error.
    fn go(
        &self,
        idle: &IdleRun,
        events: Vec<Event>,
        new: Option<(u32, Arc<Program>)>,
    ) -> Result<(), RunsError> {
        let IdleRun { id, state, .. } = idle;
        let files = new.map(|(edition, program)| {
            let files = program.files.iter();
            let files = files.map(|(path, text)| (path.clone(), text.to_string()));
            (edition, files.collect::<BTreeMap<_, _>>())
        });
        let order = Order {
            files,
            ..self.order(events, state.events, idle.after_letter)?
        };
        let invocation = self.remote.send(id, &order)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match self.remote.taken_up(id, &invocation)? {
                TakenUp::Yes => return Ok(()),
                TakenUp::TooLate => {
                    let message = format!("another command has resumed run {id}");
                    return Err(
                        RunsError::conflict("run-owned", message).hint("read the run again")
                    );
                }
                TakenUp::NotYet if Instant::now() > until => return Ok(()),
                TakenUp::NotYet => thread::sleep(PAUSE),
            }
        }
    }
}
