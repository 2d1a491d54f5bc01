//! The rules of a resume plan: each step's fate follows from its own changes and those of the steps before it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    approval,
    decision::View,
    doubt::is_tolerated,
    evaluate::is_position,
    fate::{Change, FateKind, Plan},
    plan::Unplannable,
    reason::{gives_the_same, going_on, other_shape, script_change, sources},
    scope::Scope,
    shape::{Shape, has_begun, whole},
};
use windlass_compile::{Action, Edge, OnError, Step, Workflow, bind_params};
use windlass_journal::{Event, Instance, InstanceId, Status};
use windlass_script::Script;
use windlass_world::value::Value;

pub(super) struct Planner<'a> {
    pub change: &'a Change<'a>,
    pub plan: Plan,
    /// The reason why there is no plan, as soon as one is found.
    pub unplannable: Option<Unplannable>,
}

/// What is known about an instance (of a step, or of one item) before its fate is decided.
pub(super) struct Unit<'u> {
    pub id: InstanceId,
    step: &'u Step,
    pub old: Option<&'u Step>,
    item: Value,
    /// Whether the run continued without what failed of the step.
    is_tolerated: bool,
    /// What it depends on that runs; the one of the worst fate.
    before: Option<Before>,
    /// What is removed and did the same: this may be the same under another name or key.
    former: Option<InstanceId>,
}

/// A step that runs in this resume: what depends on it runs after it, too.
#[derive(Clone)]
pub(super) struct Before {
    name: String,
    kind: FateKind,
}

impl Before {
    /// Whether what depends on it starts over, too.
    fn starts_over(&self) -> bool {
        self.kind == FateKind::Again
    }

    fn reason(&self) -> String {
        let does = match self.kind {
            FateKind::GoesOn | FateKind::New => "runs",
            FateKind::Skipped => "is skipped now",
            _ => "runs again",
        };
        format!("`{}` before it {does}", self.name)
    }
}

impl Planner<'_> {
    /// Says whether this is a resume with the same files and params that starts nothing over.
    fn continues_as_it_is(&self) -> bool {
        !self.change.is_edited && self.change.redo.is_empty()
    }

    fn view(&self) -> View<'_> {
        View {
            state: self.change.state,
            run_id: self.change.run_id,
        }
    }

    /// Returns how a step under `finally` sees the run if nothing before it runs: if something does, it starts over anyway.
    /// `None` for other steps.
    fn run_status(&self, scope: &Scope, step: &Step) -> Option<&'static str> {
        let will_fail = step.is_finally && scope.outputs_will_fail(self.view());
        let status = if will_fail { "failed" } else { "succeeded" };
        step.is_finally.then_some(status)
    }

    /// Decides about every step of a scope; returns the worst fate in it.
    ///
    /// `outside` is what runs before the whole scope.
    pub fn scope(
        &mut self,
        scope: &Scope,
        old: Option<&Workflow>,
        outside: Option<&Before>,
    ) -> FateKind {
        let mut kinds = BTreeMap::new();
        let mut ends_skipped: BTreeSet<&str> = BTreeSet::new();
        let mut worst = FateKind::Kept;
        for (rank, (index, step)) in scope.workflow.steps().enumerate() {
            let id = InstanceId::step(scope.inside, step.name.as_str());
            // A question that is not asked stops no step.
            let can_stop = !matches!(step.action, Action::Approval(_));
            let names = scope.names_before(rank);
            let are_all_skipped =
                !names.is_empty() && names.iter().all(|name| ends_skipped.contains(name));
            if are_all_skipped
                && !step.is_finally
                && !scope.comes_after_left_out(self.change.state, rank)
            {
                let kind = self.skipped_with(&id, &names);
                ends_skipped.extend(can_stop.then_some(step.name.as_str()));
                kinds.insert(step.name.to_string(), kind);
                worst = worst.max(kind);
                continue;
            }
            let dependencies = scope.workflow.dependencies(index);
            let before = dependencies
                .filter_map(|(other, edge)| {
                    let kind = *kinds.get(other.name.as_str())?;
                    let other_id = InstanceId::step(scope.inside, other.name.as_str());
                    let kind = match (kind, edge) {
                        (FateKind::Kept, _) => return None,
                        // The step does not read its outputs, and it changed nothing that the step may depend on.
                        (FateKind::Again, Edge::Order) if !self.changed_something(&other_id) => {
                            FateKind::Replayed
                        }
                        (kind, _) => kind,
                    };
                    let name = other.name.to_string();
                    Some(Before { name, kind })
                })
                .max_by_key(|before| before.kind)
                .or_else(|| outside.cloned());
            let step_id = id.clone();
            let unit = Unit {
                step,
                old: old.and_then(|old| old.step_named(step.name.as_str())),
                former: old.and_then(|old| self.former_step(scope, old, step)),
                item: Value::Null,
                is_tolerated: is_tolerated(self.change.state, &id, step),
                id,
                before,
            };
            let kind = self.step(scope, unit);
            let is_skipped = kind == FateKind::Skipped
                || kind == FateKind::Kept && self.change.state.status(&step_id) == Status::Skipped;
            ends_skipped.extend((is_skipped && can_stop).then_some(step.name.as_str()));
            kinds.insert(step.name.to_string(), kind);
            worst = worst.max(kind);
        }
        self.removed(scope);
        worst
    }

    fn step(&mut self, scope: &Scope, unit: Unit) -> FateKind {
        let (id, step) = (unit.id.clone(), unit.step);
        if self.will_be_skipped(scope, &unit) {
            let step = id.clone();
            self.plan.events.push(Event::StepReopened { step });
            return self.leaves(&id, FateKind::Skipped, "its condition is false now");
        }
        let shape = Shape::of(self.change.state, &id);
        if let Some(reason) = other_shape(step, &shape) {
            return self.again(&id, reason.into());
        }
        let (Some(template), Shape::Each(items)) = (&step.for_each, shape) else {
            return self.unit(scope, &unit);
        };
        if self.change.redo.contains(&id) {
            return self.again(&id, "asked for with --redo".into());
        }
        if let Some(before) = unit.before.as_ref().filter(|before| before.starts_over()) {
            return self.again(&id, before.reason());
        }
        // What its items did before it was skipped is replayed.
        let mut worst = FateKind::Kept;
        if self.change.state.status(&id) == Status::Skipped {
            worst = self.skipped(scope, &unit);
            if worst != FateKind::Replayed {
                return worst;
            }
        }
        let is_reopened = worst == FateKind::Replayed;
        let status = self.run_status(scope, step);
        let items_now = scope.items(self.view(), step, template, status);
        let Ok(now) = items_now.inspect_err(|error| {
            let begins = scope.condition(self.view(), step, status) == Ok(true);
            // What it reads stays as it is.
            if unit.before.is_none() && begins && step.on_error == OnError::Fail {
                self.unplannable.get_or_insert(Unplannable::WouldFail {
                    step: id.to_string(),
                    error: error.clone(),
                });
            }
        }) else {
            if unit.is_tolerated && unit.before.is_none() {
                let reason = "it failed, and the run continued without it";
                return self.tell(&id, FateKind::Kept, reason);
            }
            let kind = if self.change.state.status(&id).is_settled() {
                FateKind::Replayed
            } else {
                FateKind::GoesOn
            };
            if is_reopened {
                return worst;
            }
            if self.change.state.status(&id) != Status::Pending {
                let step = id.clone();
                self.plan.events.push(Event::StepReopened { step });
            }
            return self.tell(&id, kind, "its items are not known before it runs");
        };
        // Not known of a step that was to run again and has not.
        let were = self
            .change
            .state
            .instance(&id)
            .and_then(|instance| instance.items.as_ref());
        let mut pairs = were.into_iter().flatten().zip(&now).enumerate();
        if let Some((position, _)) =
            pairs.find(|(i, (was, is))| was != is && step.key.is_none() && is_position(was, *i))
        {
            self.unplannable.get_or_insert(Unplannable::Unnamed {
                step: id.to_string(),
                position,
            });
        }
        let has_changed = were != Some(&now);
        let unit_before = unit.before.is_some();
        for (key, item) in &now {
            let former = renamed(were.map_or(&[], |were| were), &now, (key, item));
            let former = former.map(|former| id.item(former));
            let unit = Unit {
                id: id.item(key),
                item: item.clone(),
                before: unit.before.clone(),
                former: former.filter(|former| self.changed_something(former)),
                ..unit
            };
            worst = worst.max(self.unit(scope, &unit));
        }
        let still: BTreeSet<_> = now.iter().map(|(key, _)| id.item(key)).collect();
        for item in items.iter().filter(|item| !still.contains(*item)) {
            self.leaves(item, FateKind::Removed, "no longer an item");
        }
        // Its inputs may change, so it waits for them and evaluates its items again.
        if !is_reopened && (worst > FateKind::GoesOn || has_changed || unit_before) {
            self.plan.events.push(Event::StepReopened { step: id });
            worst = worst.max(FateKind::Replayed);
        }
        worst
    }

    /// Decides about one instance.
    fn unit(&mut self, scope: &Scope, unit: &Unit) -> FateKind {
        let id = &unit.id;
        let instance = self.change.state.instance(id);
        let Some(instance) = instance.filter(|_| has_begun(self.change.state, id)) else {
            if scope.leaves_out(self.change.state, unit.step) {
                return self.tell(id, FateKind::Kept, "was not selected");
            }
            // It was to run again, and has not begun since.
            let repeats = self.repeats(id);
            let reason = match unit.old {
                Some(_) if repeats.is_empty() => "has not run yet",
                Some(_) => "has not run again yet",
                None => "new in the workflow",
            };
            return match &unit.former {
                Some(former) => self.renamed(unit, former),
                None => self.repeating(id, FateKind::New, reason.into(), repeats),
            };
        };
        if self.change.redo.contains(id) {
            return self.again(id, "asked for with --redo".into());
        }
        if instance.status == Status::Skipped && scope.leaves_out(self.change.state, unit.step) {
            return self.tell(id, FateKind::Kept, "was not selected");
        }
        if let Some(before) = unit.before.as_ref().filter(|before| before.starts_over()) {
            return self.again(id, before.reason());
        }
        if instance
            .error
            .as_ref()
            .is_some_and(|e| e.code == "diverged")
            && !is_over(instance)
        {
            let reason = "its script no longer makes the recorded calls";
            if self.continues_as_it_is() {
                let reason = format!("{reason}, and stops there again: --redo starts it over");
                return self.tell(id, FateKind::GoesOn, &reason);
            }
            return self.again(id, reason.into());
        }
        if instance.status == Status::Skipped {
            return self.skipped(scope, unit);
        }
        match &unit.step.action {
            Action::Approval(_) => self.approval(scope, unit, instance),
            Action::Script(script) => self.script(scope, unit, instance, script),
            Action::Workflow(inner) => self.nested(scope, unit, instance, inner),
        }
    }

    /// Decides about a step whose steps before it are all skipped, so that it is, too.
    fn skipped_with(&mut self, id: &InstanceId, names: &[&str]) -> FateKind {
        let state = self.change.state;
        if state.status(id) == Status::Skipped {
            return self.tell(id, FateKind::Kept, "stays skipped");
        }
        let (are, marked) = match names {
            [one] => ("is", format!("`{one}`")),
            several => ("are", format!("`{}`", several.join("`, `"))),
        };
        if !has_begun(state, id) {
            let reason = format!("will be skipped, as {marked} {are}");
            return self.tell(id, FateKind::Kept, &reason);
        }
        let step = id.clone();
        self.plan.events.push(Event::StepReopened { step });
        let reason = format!("{marked} before it {are} skipped now");
        self.leaves(id, FateKind::Skipped, &reason)
    }

    /// Says whether the condition of a step holds now; `None` if that is known only when the steps before it have run.
    fn holds(&self, scope: &Scope, unit: &Unit) -> Option<bool> {
        let step = unit.step;
        let knows = |when| scope.knows(self.view(), when, &Value::Null);
        let is_known = unit.before.is_none() || step.when.as_ref().is_none_or(knows);
        let holds = scope.condition(self.view(), step, self.run_status(scope, step));
        holds.ok().filter(|_| is_known)
    }

    /// Says whether a step that has begun would not begin now: its condition has become false.
    fn will_be_skipped(&self, scope: &Scope, unit: &Unit) -> bool {
        let (state, step) = (self.change.state, unit.step);
        let has_begun = has_begun(state, &unit.id) && state.status(&unit.id) != Status::Skipped;
        // Those under `finally` may ask how the run ended, which it has not.
        step.when.is_some()
            && !scope.is_under_finally(step)
            && has_begun
            && self.holds(scope, unit) == Some(false)
    }

    fn skipped(&mut self, scope: &Scope, unit: &Unit) -> FateKind {
        let holds = self.holds(scope, unit);
        let has_condition = |step: &Step| step.when.is_some();
        let was_condition = has_condition(unit.step) || unit.old.is_some_and(has_condition);
        // The steps before it are not all skipped: `scope` checks that first, but not under `finally`.
        let is_free = was_condition || !scope.is_under_finally(unit.step);
        let may_run = unit.before.is_some() || (is_free && holds == Some(true));
        if holds == Some(false) || !may_run {
            return self.tell(&unit.id, FateKind::Kept, "stays skipped");
        }
        let reason = if was_condition {
            "was skipped; its condition is evaluated again"
        } else {
            "was skipped with the steps before it, which are not skipped now"
        };
        // It may have run before its condition became false.
        let is_first = whole(self.change.state, &unit.id).all(|(_, i)| i.effects.is_empty());
        if is_first {
            // What is inside of it has made no call either, but has outputs of other inputs.
            self.reset_whole(&unit.id);
            let repeats = self.repeats(&unit.id);
            return self.repeating(&unit.id, FateKind::New, reason.into(), repeats);
        }
        let step = unit.id.clone();
        self.plan.events.push(Event::StepReopened { step });
        self.tell(&unit.id, FateKind::Replayed, reason)
    }

    fn approval(&mut self, scope: &Scope, unit: &Unit, instance: &Instance) -> FateKind {
        let (Some(asked), Action::Approval(approval)) = (&instance.approval, &unit.step.action)
        else {
            return self.again(&unit.id, "the step is now an approval".into());
        };
        let words = scope.text(self.view(), &approval.question, &unit.item, "approval");
        // Earlier versions did not cut it.
        let is_same =
            |words: String| words == asked.message || approval::shown(words) == asked.message;
        let holds = words.is_ok_and(is_same)
            && unit.before.is_none()
            && approval::still_holds(self.change.state, &unit.id, instance);
        match (holds, instance.status) {
            (false, _) => self.again(&unit.id, "the subject of the approval has changed".into()),
            (true, Status::Succeeded) => self.tell(&unit.id, FateKind::Kept, "approved"),
            (true, Status::Failed) if instance.is_rejected() => {
                self.tell(&unit.id, FateKind::Kept, "rejected; only --redo asks again")
            }
            (true, Status::Waiting) => self.tell(&unit.id, FateKind::GoesOn, "still waits"),
            (true, _) => self.tell(&unit.id, FateKind::GoesOn, "asks again"),
        }
    }

    fn script(
        &mut self,
        scope: &Scope,
        unit: &Unit,
        instance: &Instance,
        script: &Script,
    ) -> FateKind {
        let id = &unit.id;
        let changed = match unit.old.map(|old| &old.action) {
            Some(Action::Script(old)) => script_change(old, script),
            Some(_) => return self.again(id, "its action has changed".into()),
            None => Some("it was not in the workflow".into()),
        };
        if let Some(reason) = self.changed_input(scope, unit, instance) {
            return if instance.effects.is_empty() && !is_over(instance) {
                self.tell(id, FateKind::New, &reason)
            } else {
                self.again(id, reason)
            };
        }
        let before = unit.before.as_ref().map(Before::reason);
        let is_tolerated = unit.is_tolerated && instance.status == Status::Failed;
        if unit.step.is_fresh {
            return self.fresh(id, instance, is_tolerated, changed.or(before));
        }
        match (is_over(instance) || is_tolerated, changed.or(before)) {
            (true, None) if is_tolerated => self.tell(
                id,
                FateKind::Kept,
                "it failed, and the run continued without it",
            ),
            (true, None) => self.tell(id, FateKind::Kept, "unchanged"),
            (true, Some(reason)) => {
                self.plan
                    .events
                    .push(Event::StepReopened { step: id.clone() });
                self.tell(id, FateKind::Replayed, &reason)
            }
            (false, changed) => {
                let mut reason = going_on(instance);
                if let Some(changed) = changed {
                    reason = format!("{changed}; {reason}");
                }
                self.tell(id, FateKind::GoesOn, &reason)
            }
        }
    }

    /// Decides about a `fresh` step, which reads again whenever it runs again.
    fn fresh(
        &mut self,
        id: &InstanceId,
        instance: &Instance,
        is_tolerated: bool,
        reason: Option<String>,
    ) -> FateKind {
        let is_over = is_over(instance) || is_tolerated;
        match (is_over, reason) {
            (true, None) => self.tell(id, FateKind::Kept, "no step before it runs again"),
            (true, Some(reason)) => {
                let step = id.clone();
                self.plan.events.push(Event::StepReopened { step });
                self.tell(id, FateKind::LooksAgain, &reason)
            }
            (false, reason) => {
                let reason = reason.unwrap_or_else(|| "it had not finished".into());
                self.tell(id, FateKind::LooksAgain, &reason)
            }
        }
    }

    fn nested(
        &mut self,
        scope: &Scope,
        unit: &Unit,
        instance: &Instance,
        inner: &Workflow,
    ) -> FateKind {
        let id = &unit.id;
        let is_scope = matches!(Shape::of(self.change.state, id), Shape::Scope);
        let old = match unit.old.map(|old| &old.action) {
            Some(Action::Workflow(old)) if is_scope => Some(&**old),
            _ => return self.again(id, "its action has changed".into()),
        };
        let status = self.run_status(scope, unit.step);
        let params = scope
            .inputs(self.view(), unit.step, &unit.item, status)
            .ok()
            .and_then(|inputs| bind_params(inner, inputs).ok())
            .map_or_else(|| instance.inputs.clone(), Value::Map);
        let inside = Scope {
            workflow: inner,
            inside: Some(id),
            params: &params,
            is_finally: scope.is_under_finally(unit.step),
        };
        let is_tolerated = unit.is_tolerated && instance.status == Status::Failed;
        let is_as_before = unit.before.is_none()
            && params == instance.inputs
            && old.is_some_and(|old| old.digest == inner.digest);
        if is_tolerated && is_as_before && !self.is_asked_for_inside(id) {
            return self.tell(
                id,
                FateKind::Kept,
                "it failed, and the run continued without it",
            );
        }
        let gives_other = old.is_some_and(|old| !gives_the_same(old, inner));
        if gives_other && is_over(instance) {
            self.tell(
                id,
                FateKind::Replayed,
                "the outputs of its workflow have changed",
            );
        }
        let worst = self.scope(&inside, old, unit.before.as_ref());
        let has_changed = params != instance.inputs || unit.before.is_some();
        let must_look_again = gives_other || worst > FateKind::GoesOn;
        if has_changed || (must_look_again && (is_over(instance) || is_tolerated)) {
            self.plan
                .events
                .push(Event::StepReopened { step: id.clone() });
            return worst.max(FateKind::Replayed);
        }
        worst
    }

    /// Returns which input has changed, and why, if that can be told beforehand.
    fn changed_input(&self, scope: &Scope, unit: &Unit, instance: &Instance) -> Option<String> {
        // Steps before it that are replayed are assumed to have the same outputs again.
        let status = self.run_status(scope, unit.step);
        let now = scope
            .inputs(self.view(), unit.step, &unit.item, status)
            .ok()?;
        let Value::Map(were) = &instance.inputs else {
            return None;
        };
        let names: BTreeSet<_> = now.keys().chain(were.keys()).collect();
        // Digests can't be compared here, because they represent all secrets in the same way.
        let name = names
            .into_iter()
            .find(|name| now.get(*name) != were.get(*name))?;
        let from = unit.step.with.get(name).map_or_else(Vec::new, sources);
        Some(if from.is_empty() {
            format!("its input `{name}` has changed")
        } else {
            format!("its input `{name}` has changed ({})", from.join(", "))
        })
    }

    fn removed(&mut self, scope: &Scope) {
        let known = |id: &InstanceId| scope.workflow.step_named(last_name(id)).is_some();
        let here = self.change.state.steps_of(scope.inside);
        for id in here.filter(|id| id.undone().is_none() && !known(id)) {
            self.leaves(id, FateKind::Removed, "no longer in the workflow");
        }
    }

    /// Returns the step that is removed and did what a new step does, if it changed something outside.
    fn former_step(&self, scope: &Scope, old: &Workflow, step: &Step) -> Option<InstanceId> {
        if old.step_named(step.name.as_str()).is_some() {
            return None;
        }
        let mut removed = old.steps().map(|(_, other)| other).filter(|other| {
            let is_removed = scope.workflow.step_named(other.name.as_str()).is_none();
            is_removed && does_the_same(&other.action, &step.action)
        });
        removed.find_map(|other| {
            let id = InstanceId::step(scope.inside, other.name.as_str());
            self.changed_something(&id).then_some(id)
        })
    }

    /// Whether an execution, or what is inside of it, changed something outside: a check, a survey or an approval did not.
    fn changed_something(&self, id: &InstanceId) -> bool {
        whole(self.change.state, id)
            .any(|(_, instance)| instance.is_suspect || instance.has_changed_something())
    }

    /// Whether a step inside of an execution is to run again.
    fn is_asked_for_inside(&self, id: &InstanceId) -> bool {
        whole(self.change.state, id).any(|(other, _)| self.change.redo.contains(other))
    }
}

/// Returns the key that an item had whose value is still in the list, under a new key.
fn renamed<'k>(
    were: &'k [(String, Value)],
    now: &[(String, Value)],
    (key, item): (&str, &Value),
) -> Option<&'k str> {
    let has = |items: &[(String, Value)], wanted: &str| items.iter().any(|(key, _)| key == wanted);
    if has(were, key) {
        return None;
    }
    let mut removed = were.iter().filter(|(was, _)| !has(now, was));
    removed.find_map(|(was, value)| (value == item).then_some(was.as_str()))
}

/// Says whether two steps of two editions do the same, so that one may be the other under another name.
fn does_the_same(old: &Action, new: &Action) -> bool {
    match (old, new) {
        (Action::Script(old), Action::Script(new)) => old.digest == new.digest,
        (Action::Workflow(old), Action::Workflow(new)) => old.digest == new.digest,
        _ => false,
    }
}

fn is_over(instance: &Instance) -> bool {
    matches!(instance.status, Status::Succeeded | Status::Skipped)
}

/// Returns the step's own name: for `a[x]/b`, that is `b`.
fn last_name(id: &InstanceId) -> &str {
    let part = id.as_str().rsplit('/').next().unwrap_or_default();
    part.split('[').next().unwrap_or_default()
}
