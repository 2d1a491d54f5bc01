//! One workflow within a run: the root, or a nested one. The rules of the graph are here; those of one instance are in
//! `unit`.

use super::{agenda::ScopeAgenda, decision::Decision, doubt::is_tolerated};
use windlass_compile::{Action, Step, Template, Workflow};
use windlass_journal::{Event, InstanceId, State, Status, StepSkipped};
use windlass_world::value::{StepError, Value};

pub(super) struct Scope<'a, 'w> {
    pub workflow: &'w Workflow,
    /// The instance of the `workflow:` step that contains this scope.
    pub inside: Option<&'a InstanceId>,
    pub params: &'a Value,
    /// Whether the `workflow:` step, or one that contains it, is under `finally`.
    pub is_finally: bool,
}

impl<'a, 'w> Scope<'a, 'w> {
    /// Returns the scope of a whole run.
    pub fn whole(workflow: &'w Workflow, state: &'a State) -> Self {
        Self {
            workflow,
            inside: None,
            params: state.run.as_ref().map_or(&Value::Null, |run| &run.params),
            is_finally: false,
        }
    }
}

/// How a scope ended.
pub(super) enum Settled {
    Succeeded(Value),
    Failed {
        steps: Vec<String>,
        error: Option<StepError>,
    },
}

impl Settled {
    /// Returns the end of a scope in which nothing ran.
    fn nothing(error: Option<StepError>) -> Self {
        Self::Failed {
            steps: Vec::new(),
            error,
        }
    }
}

/// The standing of a step, as its dependents see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may still do something.
    Open,
    Succeeded,
    Skipped,
    /// It failed, and the run continues without it.
    Tolerated,
    Failed,
    /// It never runs, because a step before it failed.
    Blocked,
}

impl<'w> Scope<'_, 'w> {
    /// Decides about every step that has to be looked at; returns how the scope ended, if it has.
    pub fn visit(
        &self,
        decision: &mut Decision<'_, 'w>,
        agenda: &mut ScopeAgenda,
    ) -> Option<Settled> {
        let gives_up = decision.state.is_cancelled && !self.is_finally;
        match self.has_locks(decision) {
            Ok(true) => {}
            // Steps under `finally` need the lock as well.
            Ok(false) if !gives_up => return None,
            Ok(false) => return Some(Settled::nothing(None)),
            Err(error) => return Some(Settled::nothing(Some(error))),
        }
        for is_finally in [false, true] {
            self.visit_steps(decision, agenda, is_finally);
            agenda.looks[usize::from(is_finally)].tell(decision);
            if agenda.is_open(is_finally) {
                return None;
            }
        }
        if agenda.has_failed(false) || agenda.has_failed(true) || gives_up {
            let failed = agenda.failed();
            return Some(Settled::Failed {
                steps: failed
                    .map(|rank| self.workflow.ranked(rank).name.to_string())
                    .collect(),
                error: None,
            });
        }
        Some(match self.outputs(decision.view()) {
            Ok(outputs) => Settled::Succeeded(outputs),
            Err(error) => Settled::Failed {
                steps: Vec::new(),
                error: Some(error),
            },
        })
    }

    fn visit_steps(
        &self,
        decision: &mut Decision<'_, 'w>,
        agenda: &mut ScopeAgenda,
        is_finally: bool,
    ) {
        let has_failed =
            agenda.has_failed(false) || (is_finally && self.outputs_will_fail(decision.view()));
        let status = is_finally.then_some(match (decision.state.is_cancelled, has_failed) {
            (true, _) => "cancelled",
            (false, false) => "succeeded",
            (false, true) => "failed",
        });
        let kind = usize::from(is_finally);
        agenda.looks[kind].wake(decision.moment.now);
        let mut from = 0;
        while let Some(rank) = agenda.looks[kind].next(from, decision.has_room()) {
            let mut standing = Standing::Open;
            let seen = decision.look(|decision| {
                standing = self.visit_step(decision, agenda, rank, status);
            });
            agenda.looks[kind].seen(rank, seen);
            agenda.stand(self.workflow, rank, standing);
            from = rank + 1;
        }
    }

    fn visit_step(
        &self,
        decision: &mut Decision<'_, 'w>,
        agenda: &mut ScopeAgenda,
        rank: usize,
        run_status: Option<&str>,
    ) -> Standing {
        let step = self.workflow.ranked(rank);
        let id = InstanceId::step(self.inside, step.name.as_str());
        match decision.state.status(&id) {
            Status::Succeeded => return Standing::Succeeded,
            // A question that was not asked does not stop the steps after it.
            Status::Skipped if matches!(step.action, Action::Approval(_)) => {
                return Standing::Succeeded;
            }
            Status::Skipped => return Standing::Skipped,
            Status::Failed if is_tolerated(decision.state, &id, step) => {
                return Standing::Tolerated;
            }
            Status::Failed => return Standing::Failed,
            Status::Running | Status::Waiting | Status::Retrying { .. } => {
                let mut part = agenda.parts.remove(&rank);
                self.continue_step(decision, &id, step, &mut part, run_status);
                agenda.parts.extend(part.map(|part| (rank, part)));
                return Standing::Open;
            }
            Status::Pending => {}
        }
        // Steps under `finally` run regardless of how the others ended; they only wait for each other.
        let before = agenda.before(rank);
        if before.has_stopped() {
            return Standing::Blocked;
        }
        if before.is_open() {
            return Standing::Open;
        }
        if !self.may_begin(decision, step) {
            return Standing::Blocked;
        }
        let was_stopped = !self.comes_after_left_out(decision.state, rank);
        if before.are_all_skipped() && was_stopped {
            let reason = match self.names_before(rank).as_slice() {
                [one] => format!("{one} was skipped"),
                several => format!("{} were skipped", several.join(", ")),
            };
            self.skip(decision, &id, reason);
            return Standing::Open;
        }
        match self.condition(decision.view(), step, run_status) {
            Err(error) => decision.fail(&id, error),
            Ok(false) => {
                let reason = if self.leaves_out(decision.state, step) {
                    "it was not selected".to_owned()
                } else {
                    let text = step.when.as_ref().map(describe).unwrap_or_default();
                    format!("{text} is false")
                };
                self.skip(decision, &id, reason);
            }
            Ok(true) => match &step.for_each {
                Some(items) => self.expand(decision, &id, step, items, run_status),
                None => self.begin(decision, &id, step, &Value::Null, run_status),
            },
        }
        Standing::Open
    }

    /// Returns the names of the steps that a step depends on, sorted.
    pub(super) fn names_before(&self, rank: usize) -> Vec<&'w str> {
        let before = self.workflow.dependencies(self.workflow.index(rank));
        let mut names: Vec<_> = before.map(|(step, _)| step.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// After a cancel, only steps under `finally` begin.
    pub fn may_begin(&self, decision: &Decision, step: &Step) -> bool {
        !decision.state.is_cancelled || self.is_under_finally(step)
    }

    pub fn is_under_finally(&self, step: &Step) -> bool {
        self.is_finally || step.is_finally
    }

    fn skip(&self, decision: &mut Decision<'_, 'w>, id: &InstanceId, reason: String) {
        decision.next.events.push(Event::StepSkipped(StepSkipped {
            step: id.clone(),
            reason,
        }));
    }
}

fn describe(template: &Template) -> String {
    match template.expressions().as_slice() {
        [placed] => format!("`{}`", placed.expression.text()),
        _ => "`when`".into(),
    }
}
