use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use super::{
    event::{Event, Outcome},
    id::InstanceId,
    instance::{ATTEMPT_KILLED, Approval, Instance, Status},
    payload::{
        ApprovalDecided, AttemptAnswered, EffectAnswered, EffectEnded, EffectIntended,
        EffectSettled, LockReleased, LockTaken, RunEdited, RunEnded, RunResumed, RunStarted,
        StepFailed, StepSkipped, StepStarted, StepSucceeded,
    },
};
use windlass_ground::Timestamp;
use windlass_world::value::{Digest, StepError, Value};

/// The state of a run: the fold over its events.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub run: Option<RunInfo>,
    pub steps: BTreeMap<InstanceId, Instance>,
    /// `None` as long as the run has not ended; a resume removes it.
    pub outcome: Option<Outcome>,
    pub outputs: Value,
    /// The reason why the run failed, if no step has it.
    pub error: Option<StepError>,
    pub is_cancelled: bool,
    /// Whether an undo has begun; then no step runs forward any more.
    pub is_undoing: bool,
    /// The locks that it holds: the name, and the step that holds it unless the run does.
    pub locks: BTreeMap<String, Option<InstanceId>>,
    /// The number of applied events.
    pub events: u64,
    /// All people who started the run or later changed what it does: by an edit, a redo, or an answer about a call in
    /// doubt.
    pub requesters: BTreeSet<String>,
    /// The time in which a step was at work, in milliseconds, without waits for people and without the time in which no
    /// process drove the run.
    pub worked: i64,
    /// When it was started, resumed or undone for the last time.
    pub begun_at: Timestamp,
    /// How many steps are at work, and when the last event happened.
    at_work: usize,
    last_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// How often it has ended: a resume or an undo may continue it.
    pub ends: u32,
    /// When it was continued after its last end.
    pub continued_at: Option<Timestamp>,
}

/// The start of a run.
#[derive(Clone, Debug)]
pub struct RunInfo {
    pub workflow: String,
    pub file: String,
    /// The folder that `file` is relative to; empty if that was not recorded.
    pub folder: String,
    pub main: String,
    pub program: Digest,
    /// The edition of the frozen files that the run uses now.
    pub edition: u32,
    pub target: String,
    /// The Kubernetes clusters that it uses, by their roles in the target.
    pub kube: BTreeSet<String>,
    /// The steps to which it is limited; empty for all.
    pub chosen: BTreeSet<String>,
    pub out: String,
    pub params: Value,
    /// A keyed digest of the secrets among the params.
    pub secrets: Option<Digest>,
    pub requester: String,
    pub started_at: Timestamp,
}

impl RunInfo {
    fn of(started: &RunStarted, at: Timestamp) -> Self {
        Self {
            workflow: started.workflow.clone(),
            file: started.file.clone(),
            folder: started.folder.clone(),
            main: started.main.clone(),
            program: started.program,
            edition: 0,
            target: started.target.clone(),
            kube: started.kube.clone(),
            chosen: started.chosen.clone(),
            out: started.out.clone(),
            params: started.params.clone(),
            secrets: started.secrets,
            requester: started.requester.clone(),
            started_at: at,
        }
    }

    fn edit(&mut self, edited: &RunEdited) {
        self.program = edited.program;
        self.main.clone_from(&edited.main);
        self.edition = edited.edition;
        self.kube.clone_from(&edited.kube);
        self.params = edited.params.clone();
        self.secrets = edited.secrets;
    }
}

/// An event that can't follow the ones before it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct IllegalTransition(String);

impl State {
    /// Folds events into a state.
    ///
    /// # Errors
    /// The first event that can't follow, with its number from 0.
    pub fn fold<'a>(
        events: impl IntoIterator<Item = (&'a Event, Timestamp)>,
    ) -> Result<Self, (usize, IllegalTransition)> {
        let mut state = Self::default();
        for (i, (event, at)) in events.into_iter().enumerate() {
            state.apply(event, at).map_err(|e| (i, e))?;
        }
        Ok(state)
    }

    pub fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.steps.get(id)
    }

    /// Discards what the reads of an instance gave, which only a replay of it would use again. Their number stays.
    pub fn forget_reads(&mut self, id: &InstanceId) {
        if let Some(instance) = self.steps.get_mut(id) {
            instance.forget_reads();
        }
    }

    /// Lists the instances inside of another one, with their undos, ordered by id.
    pub fn inside(&self, outer: &InstanceId) -> impl Iterator<Item = (&InstanceId, &Instance)> {
        let below = |mark: char| {
            let prefix = format!("{outer}{mark}");
            let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
            let found = self.steps.range::<str, _>(from);
            found.take_while(move |(id, _)| id.as_str().starts_with(&prefix))
        };
        below('/').chain(below('['))
    }

    /// Lists the steps of one workflow that have an instance: the run's own workflow (`None`), or the one inside of an instance.
    /// Skips what is inside of each step, which may be much.
    pub fn steps_of(&self, inside: Option<&InstanceId>) -> impl Iterator<Item = &InstanceId> {
        let prefix = inside.map(|id| format!("{id}/")).unwrap_or_default();
        let mut from = prefix.clone();
        std::iter::from_fn(move || {
            loop {
                let range = (Bound::Included(from.as_str()), Bound::Unbounded);
                let (id, _) = self.steps.range::<str, _>(range).next()?;
                let rest = id.as_str().strip_prefix(&prefix)?;
                let Some(at) = rest.find(['/', '[']) else {
                    from = format!("{id}\0");
                    return Some(id);
                };
                let behind = char::from(rest.as_bytes()[at] + 1);
                from = format!("{prefix}{}{behind}", &rest[..at]);
            }
        })
    }

    pub fn status(&self, id: &InstanceId) -> Status {
        self.steps
            .get(id)
            .map_or(Status::Pending, |instance| instance.status)
    }

    /// Applies one event that happened at `at`.
    ///
    /// # Errors
    /// An event that can't follow; then the state is unchanged.
    pub fn apply(&mut self, event: &Event, at: Timestamp) -> Result<(), IllegalTransition> {
        if let Some(why) = self.refusal(event) {
            return Err(IllegalTransition(why));
        }
        if let Event::RunStarted(_) | Event::RunResumed(_) | Event::UndoStarted(_) = event {
            self.begun_at = at;
        }
        self.count_work(event, at);
        self.change(event, at);
        // These events change many steps at once.
        if let Event::RunResumed(_) | Event::UndoStarted(_) = event {
            self.at_work = self.steps.values().filter(|i| i.is_at_work()).count();
        }
        Ok(())
    }

    /// Returns how many attempts of steps are running.
    pub fn at_work(&self) -> usize {
        self.at_work
    }

    /// Returns the reason why an event can't follow; `None` if it can.
    fn refusal(&self, event: &Event) -> Option<String> {
        let goes_on = matches!(event, Event::RunResumed(_) | Event::UndoStarted(_));
        let why = match event {
            Event::RunStarted(_) if self.run.is_some() => "the run has started already",
            Event::RunStarted(_) => return None,
            _ if self.run.is_none() => "the run has not started",
            _ if self.outcome.is_some() && !goes_on => "the run has ended",
            Event::RunResumed(_) if self.is_undoing => "the run is being undone",
            Event::UndoStarted(_) if self.outcome == Some(Outcome::Undone) => {
                "the run has been undone"
            }
            Event::LockTaken(LockTaken { lock, .. }) if self.locks.contains_key(lock) => {
                return Some(format!("the lock `{lock}` is held already"));
            }
            Event::LockReleased(LockReleased { lock, step })
                if self.locks.get(lock) != Some(step) =>
            {
                return Some(format!("the lock `{lock}` is not held"));
            }
            event => {
                let step = event.step()?;
                return Instance::refusal(self.instance(step), step, event);
            }
        };
        Some(why.to_owned())
    }

    /// Applies an event to the run and its steps; the event must be allowed to follow.
    fn change(&mut self, event: &Event, at: Timestamp) {
        self.events += 1;
        match event {
            Event::RunStarted(started) => {
                self.requesters.insert(started.requester.clone());
                self.run = Some(RunInfo::of(started, at));
            }
            Event::RunResumed(RunResumed {
                requester,
                keeps,
                redo,
                ..
            }) => {
                self.go_on(at);
                if !redo.is_empty() {
                    self.requesters.insert(requester.clone());
                }
                let keeps: BTreeSet<&InstanceId> = keeps.iter().collect();
                for (id, instance) in &mut self.steps {
                    let stays = [Status::Succeeded, Status::Skipped, Status::Waiting];
                    if !stays.contains(&instance.status) && !keeps.contains(id) {
                        instance.revive();
                    }
                }
            }
            Event::RunEdited(edited) => {
                self.requesters.insert(edited.requester.clone());
                if let Some(run) = &mut self.run {
                    run.edit(edited);
                }
            }
            Event::UndoStarted(_) => {
                self.go_on(at);
                self.is_undoing = true;
                let undos = self
                    .steps
                    .iter_mut()
                    .filter(|(id, _)| id.undone().is_some());
                for (_, instance) in undos {
                    if instance.status != Status::Succeeded {
                        instance.revive();
                    }
                }
            }
            Event::RunSuspended => {}
            Event::RunCancelled(_) => self.is_cancelled = true,
            Event::RunEnded(RunEnded {
                outcome,
                outputs,
                error,
            }) => {
                self.outcome = Some(*outcome);
                self.outputs = outputs.clone();
                self.error = error.clone();
                self.ended_at = Some(at);
                self.ends += 1;
                self.locks.clear();
            }
            Event::LockTaken(LockTaken { lock, step }) => {
                self.locks.insert(lock.clone(), step.clone());
            }
            Event::LockReleased(LockReleased { lock, .. }) => {
                self.locks.remove(lock);
            }
            Event::EffectAnswered(EffectAnswered { requester, .. })
            | Event::AttemptAnswered(AttemptAnswered { requester, .. }) => {
                self.requesters.insert(requester.clone());
                self.change_instance(event, at);
            }
            event => self.change_instance(event, at),
        }
    }

    /// Applies an event to its instance.
    fn change_instance(&mut self, event: &Event, at: Timestamp) {
        let (order, now) = (self.events, (at, self.worked));
        let says_something = matches!(event, Event::AnswerRefused(_) | Event::Logged(_));
        let Some(step) = event.step().filter(|_| !says_something) else {
            return;
        };
        // Looks the id up before inserting it: an id is copied only once, and with 100,000 instances each lookup counts.
        let may_be_first = matches!(
            event,
            Event::StepStarted(_)
                | Event::StepFailed(_)
                | Event::StepSkipped(_)
                | Event::ApprovalAsked(_)
        );
        if may_be_first && !self.steps.contains_key(step) {
            self.steps.insert(step.clone(), Instance::default());
        }
        let Some(instance) = self.steps.get_mut(step) else {
            return;
        };
        let was_at_work = instance.is_at_work();
        match event {
            Event::StepStarted(StepStarted {
                attempt,
                inputs,
                items,
                is_scope,
                is_fresh,
                ..
            }) => {
                instance.start(*attempt, *is_fresh, now);
                instance.order = order;
                instance.is_scope = *is_scope;
                if let Some(inputs) = inputs {
                    instance.inputs = inputs.clone();
                }
                if let Some(items) = items {
                    instance.hold(step, items);
                }
            }
            Event::StepSucceeded(StepSucceeded { outputs, .. }) => instance.succeed(outputs, now),
            Event::StepFailed(StepFailed {
                error, retry_at, ..
            }) => instance.fail(error, *retry_at, now),
            Event::StepSkipped(StepSkipped { reason, .. }) => instance.skip(reason),
            Event::StepInterrupted { .. } => instance.interrupt(now),
            Event::StepReset { .. } => instance.reset(),
            Event::StepReopened { .. } => instance.reopen(),
            Event::ApprovalAsked(asked) => {
                instance.order = order;
                instance.ask(asked.attempt, Approval::of(asked, at));
            }
            Event::ApprovalDecided(ApprovalDecided {
                verdict,
                approver,
                comment,
                ..
            }) => instance.decide(step, *verdict, approver, comment.as_deref(), at),
            Event::EffectIntended(EffectIntended { call, before, .. }) => {
                instance.add_effect(call, before.as_ref(), None, at);
            }
            Event::EffectEnded(EffectEnded {
                call: Some(call),
                outcome,
                ..
            }) => instance.add_effect(call, None, Some(outcome), at),
            Event::EffectEnded(EffectEnded {
                position, outcome, ..
            }) => instance.end_effect(*position, outcome),
            Event::EffectSettled(EffectSettled {
                round,
                position,
                outcome,
                ..
            }) => instance.settle_effect(*round, *position, outcome),
            Event::EffectAnswered(EffectAnswered { done, .. }) => {
                instance.answer_effect(done.as_ref())
            }
            Event::AttemptAnswered(_) => instance.is_suspect = false,
            _ => {}
        }
        self.at_work += usize::from(instance.is_at_work());
        self.at_work -= usize::from(was_at_work);
    }

    /// Adds the time since the last event, if a step was at work. The time before a resume does not count: the process had
    /// died, or the run had ended.
    fn count_work(&mut self, event: &Event, at: Timestamp) {
        let is_gap = match event {
            Event::RunResumed(_) | Event::UndoStarted(_) => self.outcome.is_none(),
            Event::StepFailed(StepFailed { error, .. }) => error.code == ATTEMPT_KILLED,
            _ => false,
        };
        if self.at_work > 0 && !is_gap {
            self.worked += at.millis_since(self.last_at).max(0);
        }
        self.last_at = at;
    }

    /// Makes the run continue after its end.
    fn go_on(&mut self, at: Timestamp) {
        if self.outcome.is_some() {
            self.continued_at = Some(at);
        }
        self.outcome = None;
        self.error = None;
        self.is_cancelled = false;
        self.ended_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            event::{CallRecord, EffectOutcome},
            id::Position,
            message::Verdict,
            payload::{ApprovalAsked, RunCancelled, UndoStarted},
        },
        *,
    };
    use windlass_script::Class;

    const HOUR: i64 = 3_600_000;
    const BEGIN: Timestamp = Timestamp::EPOCH;

    fn started() -> State {
        let mut state = State::default();
        let event = Event::RunStarted(RunStarted {
            workflow: "w".into(),
            folder: String::new(),
            file: "w.yaml".into(),
            main: "w.yaml".into(),
            program: Digest::ZERO,
            target: "t".into(),
            kube: BTreeSet::new(),
            chosen: BTreeSet::new(),
            out: "out".into(),
            params: Value::Null,
            secrets: None,
            requester: "tester".into(),
            via: None,
            version: "0".into(),
        });
        state.apply(&event, BEGIN).expect("legal");
        state
    }

    fn begins(step: &InstanceId, attempt: u32, is_scope: bool) -> Event {
        Event::StepStarted(StepStarted {
            step: step.clone(),
            attempt,
            inputs: None,
            items: None,
            is_scope,
            is_fresh: false,
        })
    }

    #[test]
    fn e2_times_leave_out_the_time_without_a_driver() {
        let (outer, asks) = (
            InstanceId::step(None, "outer"),
            InstanceId::step(None, "go"),
        );
        let inner = InstanceId::step(Some(&outer), "inner");
        let resumed = || {
            Event::RunResumed(RunResumed {
                requester: "tester".into(),
                via: None,
                keeps: Vec::new(),
                redo: Vec::new(),
            })
        };
        let done = |step: &InstanceId| {
            Event::StepSucceeded(StepSucceeded {
                step: step.clone(),
                outputs: Value::Null,
            })
        };
        let asked = Event::ApprovalAsked(ApprovalAsked {
            step: asks.clone(),
            attempt: 1,
            message: "Go?".into(),
            digest: Digest::ZERO,
            deadline: None,
        });
        let mut state = started();
        let story = [
            (begins(&outer, 1, true), 0),
            (begins(&inner, 1, false), 0),
            // The process dies one second later, and a day passes.
            (resumed(), 24 * HOUR),
            (begins(&inner, 2, false), 24 * HOUR),
            (done(&inner), 24 * HOUR + 2000),
            (asked, 24 * HOUR + 2000),
            // Another day until a resume.
            (Event::RunSuspended, 24 * HOUR + 2000),
            (resumed(), 48 * HOUR),
            (done(&outer), 48 * HOUR),
        ];
        for (event, at) in story {
            state
                .apply(&event, Timestamp::from_millis(at))
                .expect("legal");
        }
        assert_eq!(state.worked, 2000);
        for step in [&outer, &inner] {
            assert_eq!(state.instance(step).map(|i| i.worked), Some(2000), "{step}");
        }
    }

    /// Returns every kind of event, about one instance and about a run.
    fn all_kinds(step: &InstanceId) -> Vec<Event> {
        let step = || step.clone();
        let call = || CallRecord {
            function: "x::y".into(),
            arguments: serde_json::Value::Null,
            digest: Digest::ZERO,
            class: Class::Keyed,
        };
        let outcome = || EffectOutcome::Done(Value::Null);
        let position = Position(0);
        let requester = || "tester".to_owned();
        let ended = |call| {
            Event::EffectEnded(EffectEnded {
                step: step(),
                position,
                call,
                outcome: outcome(),
            })
        };
        let failed = |retry_at| {
            Event::StepFailed(StepFailed {
                step: step(),
                error: StepError::new("script-error", "x"),
                retry_at,
            })
        };
        let lock = || "lock".to_owned();
        vec![
            begins(&step(), 1, false),
            begins(&step(), 2, false),
            Event::StepSucceeded(StepSucceeded {
                step: step(),
                outputs: Value::Null,
            }),
            failed(None),
            failed(Some(BEGIN)),
            Event::StepSkipped(StepSkipped {
                step: step(),
                reason: "no".into(),
            }),
            Event::StepInterrupted { step: step() },
            Event::StepReset { step: step() },
            Event::StepReopened { step: step() },
            Event::ApprovalAsked(ApprovalAsked {
                step: step(),
                attempt: 1,
                message: "Go?".into(),
                digest: Digest::ZERO,
                deadline: None,
            }),
            Event::ApprovalDecided(ApprovalDecided {
                step: step(),
                verdict: Verdict::Approved,
                approver: requester(),
                via: None,
                comment: None,
                digest: Digest::ZERO,
            }),
            Event::EffectIntended(EffectIntended {
                step: step(),
                position,
                call: call(),
                before: None,
            }),
            ended(Some(call())),
            ended(None),
            Event::EffectSettled(EffectSettled {
                step: step(),
                round: 0,
                position,
                outcome: outcome(),
            }),
            Event::EffectAnswered(EffectAnswered {
                step: step(),
                position,
                requester: "somebody else".into(),
                done: None,
            }),
            Event::AttemptAnswered(AttemptAnswered {
                step: step(),
                requester: "somebody else".into(),
            }),
            Event::LockTaken(LockTaken {
                lock: lock(),
                step: None,
            }),
            Event::LockReleased(LockReleased {
                lock: lock(),
                step: None,
            }),
            Event::RunCancelled(RunCancelled {
                requester: requester(),
                via: None,
            }),
            Event::UndoStarted(UndoStarted {
                requester: requester(),
                via: None,
            }),
            Event::RunResumed(RunResumed {
                requester: requester(),
                via: None,
                keeps: Vec::new(),
                redo: Vec::new(),
            }),
            Event::RunEnded(RunEnded {
                outcome: Outcome::Undone,
                outputs: Value::Null,
                error: None,
            }),
        ]
    }

    #[test]
    fn an_illegal_event_changes_nothing() {
        let step = InstanceId::step(None, "a");
        let kinds = all_kinds(&step);
        // Applies up to three events in every combination, and then each event to every state that results.
        let (mut states, mut refused) = (vec![started()], 0);
        for depth in 0..4 {
            let mut reached = Vec::new();
            for state in &states {
                for event in &kinds {
                    let (mut after, before) = (state.clone(), format!("{state:?}"));
                    if let Err(why) = after.apply(event, BEGIN) {
                        refused += 1;
                        assert_eq!(format!("{after:?}"), before, "{why}: {event:?}");
                    } else if depth < 3 {
                        reached.push(after);
                    }
                }
            }
            states = reached;
        }
        assert!(refused > 1_000, "{refused}");
        let mut nothing = State::default();
        assert!(nothing.apply(&kinds[0], BEGIN).is_err());
        assert_eq!(format!("{nothing:?}"), format!("{:?}", State::default()));
    }

    #[test]
    fn reads_that_are_forgotten_still_count_and_what_changed_something_stays() {
        let step = InstanceId::step(None, "a");
        let ended = |position, class| {
            Event::EffectEnded(EffectEnded {
                step: step.clone(),
                position: Position(position),
                call: Some(CallRecord {
                    function: "x::y".into(),
                    arguments: "asked".into(),
                    digest: Digest::ZERO,
                    class,
                }),
                outcome: EffectOutcome::Done("given".into()),
            })
        };
        let mut state = started();
        for event in [
            begins(&step, 1, false),
            ended(0, Class::Read),
            ended(1, Class::Keyed),
        ] {
            state.apply(&event, BEGIN).expect("legal");
        }
        state.forget_reads(&step);
        let effects = &state.instance(&step).expect("it began").effects;
        let of = |n: usize| {
            (
                effects[n].call.arguments.clone(),
                effects[n].result().cloned(),
            )
        };
        assert_eq!(of(0), (serde_json::Value::Null, Some(Value::Null)));
        assert_eq!(of(1), ("asked".into(), Some("given".into())));
    }

    #[test]
    fn the_steps_of_a_workflow_leave_out_what_is_inside_of_them() {
        let mut state = State::default();
        for id in [
            "a", "a!undo", "a/x", "a/x/y", "a/x[1]", "a0", "a[1]", "a[1]/x", "a_b", "b/x", "c",
        ] {
            let id: InstanceId = id.parse().expect("an id");
            state.steps.insert(id, Instance::default());
        }
        let of = |inside: Option<&str>| -> Vec<String> {
            let inside = inside.map(|id| id.parse().expect("an id"));
            let ids = state.steps_of(inside.as_ref());
            ids.map(InstanceId::to_string).collect()
        };
        assert_eq!(of(None), ["a", "a!undo", "a0", "a_b", "c"]);
        assert_eq!(of(Some("a")), ["a/x"]);
        assert_eq!(of(Some("a[1]")), ["a[1]/x"]);
        assert!(of(Some("c")).is_empty());
    }
}
