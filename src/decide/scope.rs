//! One workflow within a run: the root, or a nested one. The rules of the graph are here; those of one
//! execution are in `unit`.

use std::collections::HashMap;

use super::decision::Decision;
use crate::{
    compile::{Action, OnError, Step, StepIndex, Template, Workflow},
    journal::{Event, InstanceId, State, Status},
    value::{StepError, Value},
};

pub(super) struct Scope<'a, 'w> {
    pub workflow: &'w Workflow,
    /// The instance of the `workflow:` step that this is the inside of.
    pub inside: Option<&'a InstanceId>,
    pub params: &'a Value,
    /// Whether the `workflow:` step, or one that it is inside of, stands under `finally`.
    pub is_finally: bool,
}

impl<'a, 'w> Scope<'a, 'w> {
    /// That of a whole run.
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
    /// It ended before anything in it ran.
    fn nothing(error: Option<StepError>) -> Self {
        Self::Failed {
            steps: Vec::new(),
            error,
        }
    }
}

/// Where a step stands, as far as its dependents care.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It may still do something.
    Open,
    Succeeded,
    Skipped,
    /// Failed, and `on_error: continue`.
    Tolerated,
    Failed,
    /// It never runs, because something before it failed.
    Blocked,
}

impl<'w> Scope<'_, 'w> {
    /// Decides about every step; says how the scope ended, once it has.
    pub fn visit(&self, decision: &mut Decision<'_, 'w>) -> Option<Settled> {
        let gives_up = decision.state.is_cancelled && !self.is_finally;
        match self.has_locks(decision) {
            Ok(true) => {}
            // What stands under `finally` needs the lock as much as anything.
            Ok(false) if !gives_up => return None,
            Ok(false) => return Some(Settled::nothing(None)),
            Err(error) => return Some(Settled::nothing(Some(error))),
        }
        let mut standings = HashMap::new();
        self.visit_steps(decision, &mut standings, false);
        let is_open = |standings: &HashMap<_, _>| standings.values().any(|s| *s == Standing::Open);
        if is_open(&standings) {
            return None;
        }
        self.visit_steps(decision, &mut standings, true);
        if is_open(&standings) {
            return None;
        }
        if self.has_failed(&standings) || gives_up {
            return Some(Settled::Failed {
                steps: self.failed(&standings),
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
        standings: &mut HashMap<StepIndex, Standing>,
        is_finally: bool,
    ) {
        let status =
            is_finally.then(
                || match (decision.state.is_cancelled, self.has_failed(standings)) {
                    (true, _) => "cancelled",
                    (false, false) => "succeeded",
                    (false, true) => "failed",
                },
            );
        for (index, step) in self
            .workflow
            .steps()
            .filter(|(_, s)| s.is_finally == is_finally)
        {
            let standing = self.visit_step(decision, standings, index, step, status);
            standings.insert(index, standing);
        }
    }

    fn has_failed(&self, standings: &HashMap<StepIndex, Standing>) -> bool {
        let stopped =
            |standing: &Standing| matches!(standing, Standing::Failed | Standing::Blocked);
        standings.values().any(stopped)
    }

    /// The steps that ran and failed; those that never began because of them are not named.
    fn failed(&self, standings: &HashMap<StepIndex, Standing>) -> Vec<String> {
        self.workflow
            .steps()
            .filter(|(index, _)| standings.get(index) == Some(&Standing::Failed))
            .map(|(_, step)| step.name.to_string())
            .collect()
    }

    fn visit_step(
        &self,
        decision: &mut Decision<'_, 'w>,
        standings: &HashMap<StepIndex, Standing>,
        index: StepIndex,
        step: &'w Step,
        run_status: Option<&str>,
    ) -> Standing {
        let id = InstanceId::step(self.inside, step.name.as_str());
        match decision.state.status(&id) {
            Status::Succeeded => return Standing::Succeeded,
            // A question that was not asked stops nobody.
            Status::Skipped if matches!(step.action, Action::Approval(_)) => {
                return Standing::Succeeded;
            }
            Status::Skipped => return Standing::Skipped,
            Status::Failed if step.on_error == OnError::Continue => return Standing::Tolerated,
            Status::Failed => return Standing::Failed,
            Status::Running | Status::Waiting | Status::Retrying { .. } => {
                self.go_on(decision, &id, step, run_status);
                return Standing::Open;
            }
            Status::Pending => {}
        }
        // What stands under `finally` runs however the others ended; only each other it awaits.
        let waits_for: Vec<Standing> = self
            .workflow
            .dependency_indices(index)
            .filter(|other| self.workflow.step(*other).is_finally == step.is_finally)
            .map(|other| standings.get(&other).copied().unwrap_or(Standing::Open))
            .collect();
        if waits_for
            .iter()
            .any(|s| matches!(s, Standing::Failed | Standing::Blocked))
        {
            return Standing::Blocked;
        }
        if waits_for.contains(&Standing::Open) {
            return Standing::Open;
        }
        if !self.may_begin(decision, step) {
            return Standing::Blocked;
        }
        if !waits_for.is_empty() && waits_for.iter().all(|s| *s == Standing::Skipped) {
            let mut names: Vec<_> = self
                .workflow
                .dependencies(index)
                .map(|(s, _)| s.name.as_str())
                .collect();
            names.sort_unstable();
            let reason = match names.as_slice() {
                [one] => format!("{one} was skipped"),
                several => format!("{} were skipped", several.join(", ")),
            };
            self.skip(decision, &id, reason);
            return Standing::Open;
        }
        match self.condition(decision.view(), step, run_status) {
            Err(error) => decision.fail(&id, error),
            Ok(false) => {
                let text = step.when.as_ref().map(describe).unwrap_or_default();
                self.skip(decision, &id, format!("{text} is false"));
            }
            Ok(true) => match &step.for_each {
                Some(items) => self.expand(decision, &id, step, items, run_status),
                None => self.begin(decision, &id, step, &Value::Null, run_status),
            },
        }
        Standing::Open
    }

    /// After a cancel only what stands under `finally` begins.
    pub fn may_begin(&self, decision: &Decision, step: &Step) -> bool {
        !decision.state.is_cancelled || self.is_under_finally(step)
    }

    pub fn is_under_finally(&self, step: &Step) -> bool {
        self.is_finally || step.is_finally
    }

    fn skip(&self, decision: &mut Decision<'_, 'w>, id: &InstanceId, reason: String) {
        decision.next.events.push(Event::StepSkipped {
            step: id.clone(),
            reason,
        });
    }
}

fn describe(template: &Template) -> String {
    match template.expressions().as_slice() {
        [placed] => format!("`{}`", placed.expression.text()),
        _ => "`when`".into(),
    }
}
