//! What people do with a run.

use super::{REQUESTER, Story, id, yaml};
use crate::decide::{
    Agenda, Change, Plan, Refusal, Unplannable, on_answer, on_resume, plan, resumed,
};
use windlass_compile::{Program, bind_params};
use windlass_journal::{
    Decision, Event, InstanceId, RunCancelled, RunEdited, RunInfo, State, UndoStarted, Verdict, Via,
};
use windlass_world::value::{Digest, Value};

/// The changes with which a run is resumed.
pub struct Edit<'a> {
    pub program: &'a Program,
    /// The params, as YAML; empty for those of the run.
    pub params: &'a str,
    pub redo: &'a [&'a str],
}

impl<'a> Edit<'a> {
    /// The run continues with other files.
    pub fn of(program: &'a Program) -> Self {
        Self {
            program,
            params: "",
            redo: &[],
        }
    }
}

impl Story {
    /// Someone answers a question; the answer counts, or is refused.
    pub fn answer(&mut self, step: &str, who: &str, verdict: Verdict) -> Result<(), Refusal> {
        self.answer_in_groups(step, who, &[], verdict)
    }

    /// Someone of these groups answers a question that they have just been shown.
    pub fn answer_in_groups(
        &mut self,
        step: &str,
        who: &str,
        groups: &[&str],
        verdict: Verdict,
    ) -> Result<(), Refusal> {
        let decision = self.decision(step, who, groups, verdict);
        self.send(&decision)
    }

    /// Returns an answer to the question as it is now.
    pub fn decision(&self, step: &str, who: &str, groups: &[&str], verdict: Verdict) -> Decision {
        let asked = self.state.instance(&id(step));
        let asked = asked.and_then(|instance| instance.approval.as_ref());
        Decision {
            step: id(step),
            verdict,
            approver: who.into(),
            via: Some(Via {
                groups: groups.iter().map(|group| (*group).to_owned()).collect(),
                ..Via::default()
            }),
            comment: None,
            digest: asked.map_or(Digest::ZERO, |asked| asked.digest),
        }
    }

    /// An answer arrives.
    pub fn send(&mut self, decision: &Decision) -> Result<(), Refusal> {
        let workflow = &self.program.workflow;
        let event = on_answer(workflow, &self.state, "run-1", decision, self.now)?;
        self.happen(event);
        Ok(())
    }

    /// Someone cancels the run.
    #[track_caller]
    pub fn is_cancelled(&mut self) {
        self.happen(Event::RunCancelled(RunCancelled {
            requester: REQUESTER.into(),
            via: None,
        }));
    }

    /// The process dies; another one reads the events.
    #[track_caller]
    pub fn dies(&mut self) {
        let events = self.history.iter().map(|(event, at)| (event, *at));
        let state = State::fold(events).expect("legal events");
        assert_eq!(format!("{state:?}"), format!("{:?}", self.state));
        (self.state, self.agenda) = (state, Agenda::default());
        self.take_started();
    }

    /// Someone resumes the run.
    #[track_caller]
    pub fn resumes(&mut self) {
        let events = on_resume(&self.program.workflow, &self.state, REQUESTER);
        events.into_iter().for_each(|event| self.apply(event));
        self.decide();
    }

    /// Plans a resume with changes.
    pub fn plan(&self, edit: &Edit) -> Result<Plan, Unplannable> {
        let mut state = self.state.clone();
        if let Some(run) = &mut state.run {
            let edited = edited(run, edit);
            run.edit(&edited);
        }
        plan(&Change {
            old: &self.program.workflow,
            new: &edit.program.workflow,
            state: &state,
            run_id: "run-1",
            redo: &redo(edit),
            is_edited: edit.program.digest != self.program.digest || !edit.params.is_empty(),
        })
    }

    /// Someone resumes the run with changes, as planned.
    #[track_caller]
    pub fn resumes_with(&mut self, edit: &Edit) {
        let plan = self.plan(edit).expect("a plan");
        let run = self.state.run.as_ref().expect("a run");
        let edited = Event::RunEdited(edited(run, edit));
        let new = edit.program.clone();
        self.apply(resumed(&new.workflow, &self.state, REQUESTER, &redo(edit)));
        self.program = new;
        self.apply(edited);
        plan.events.into_iter().for_each(|event| self.apply(event));
        self.decide();
    }

    /// Someone undoes the run.
    #[track_caller]
    pub fn is_undone(&mut self) {
        self.happen(Event::UndoStarted(UndoStarted {
            requester: REQUESTER.into(),
            via: None,
            error: None,
        }));
    }
}

fn redo(edit: &Edit) -> Vec<InstanceId> {
    edit.redo.iter().map(|step| id(step)).collect()
}

fn edited(run: &RunInfo, edit: &Edit) -> RunEdited {
    let mut params = run.params.as_map().cloned().unwrap_or_default();
    params.retain(|name, _| edit.program.workflow.params.contains_key(name));
    if !edit.params.is_empty() {
        params.extend(yaml(edit.params).as_map().cloned().unwrap_or_default());
    }
    let params = bind_params(&edit.program.workflow, params).expect("valid params");
    RunEdited {
        requester: REQUESTER.into(),
        program: edit.program.digest,
        main: "test.yaml".into(),
        edition: run.edition + 1,
        kube: run.kube.clone(),
        params: Value::Map(params),
        secrets: None,
        is_strict: true,
    }
}
