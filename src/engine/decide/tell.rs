//! Tells the fate of each instance in a resume plan, with the calls that it makes again or that stay done.

use std::collections::BTreeMap;

use super::{
    fate::{Fate, FateKind},
    planner::{Planner, Unit},
    reason::lost_doubt,
    shape::whole,
};
use windlass_journal::{EffectState, Event, InstanceId};
use windlass_script::Class;

impl Planner<'_> {
    /// Tells that an instance does not run any more, and which of its changes stay.
    pub(super) fn leaves(&mut self, id: &InstanceId, kind: FateKind, reason: &str) -> FateKind {
        let rounds = whole(self.change.state, id).flat_map(|(_, instance)| instance.rounds());
        let effects = rounds.flat_map(|round| round.effects);
        let is_done = |effect: &&EffectState| effect.is_open() || effect.result().is_some();
        let done = in_words(counts(effects.filter(is_done)));
        let reason = match done.as_slice() {
            [] => reason.to_owned(),
            done => format!("{reason}; what it did stays done: {}", done.join(", ")),
        };
        self.tell(id, kind, &reason)
    }

    /// Tells that an instance runs for the first time, and makes calls that what it replaces has made already.
    pub(super) fn renamed(&mut self, unit: &Unit, former: &InstanceId) -> FateKind {
        let reason = match unit.old {
            Some(_) => format!(
                "a new item, with the value of `{former}`, which is removed: if only its key has changed, keep the key"
            ),
            None => format!(
                "new in the workflow, and does what `{former}` did, which is removed: if only its name has changed, keep the name"
            ),
        };
        let repeats = self.repeats(former);
        self.repeating(&unit.id, FateKind::New, reason, repeats)
    }

    pub(super) fn tell(&mut self, id: &InstanceId, kind: FateKind, reason: &str) -> FateKind {
        self.repeating(id, kind, reason.into(), Vec::new())
    }

    pub(super) fn repeating(
        &mut self,
        id: &InstanceId,
        kind: FateKind,
        reason: String,
        repeats: Vec<String>,
    ) -> FateKind {
        let step = id.clone();
        self.plan.fates.push(Fate {
            step,
            kind,
            reason,
            repeats,
        });
        kind
    }

    /// Corrects the fates of steps under `finally` that were reset, with what is inside of them.
    pub(super) fn runs_again_at_the_end(&mut self, reset: &[InstanceId]) {
        for id in reset {
            let repeats = self.repeats(id);
            let fates = &mut self.plan.fates;
            if let Some(fate) = fates.iter_mut().find(|fate| fate.step == *id) {
                fate.kind = FateKind::Again;
                fate.reason = "it is under `finally`, and steps before it run".to_owned();
                fate.repeats = repeats;
            }
        }
    }

    /// Counts the calls of an instance, and of everything inside of it, that change something: of each function, the most that
    /// one round has made, for the newest may have ended early or not begun.
    pub(super) fn repeats(&self, id: &InstanceId) -> Vec<String> {
        let mut most = BTreeMap::new();
        for (_, instance) in whole(self.change.state, id) {
            let mut of_instance: BTreeMap<&str, usize> = BTreeMap::new();
            for round in instance.rounds() {
                for (function, n) in counts(round.effects) {
                    let most = of_instance.entry(function).or_default();
                    *most = n.max(*most);
                }
            }
            for (function, n) in of_instance {
                *most.entry(function).or_default() += n;
            }
        }
        in_words(most)
    }

    /// Resets an instance and everything inside of it.
    pub(super) fn reset_whole(&mut self, id: &InstanceId) {
        let all = whole(self.change.state, id);
        let resets = all.map(|(id, _)| Event::StepReset { step: id.clone() });
        self.plan.events.extend(resets);
    }

    /// Tells that an instance starts over, with everything inside of it.
    pub(super) fn again(&mut self, id: &InstanceId, mut reason: String) -> FateKind {
        let doubts = whole(self.change.state, id).filter_map(|(_, instance)| lost_doubt(instance));
        for doubt in doubts {
            reason = format!("{reason}; {doubt}");
        }
        self.reset_whole(id);
        let repeats = self.repeats(id);
        self.repeating(id, FateKind::Again, reason, repeats)
    }
}

/// Counts the calls that change something, by function.
fn counts<'e>(effects: impl IntoIterator<Item = &'e EffectState>) -> BTreeMap<&'e str, usize> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let changes = |effect: &&EffectState| effect.call.class != Class::Read;
    for effect in effects.into_iter().filter(changes) {
        *counts.entry(&effect.call.function).or_default() += 1;
    }
    counts
}

/// Lists functions with how often they are called: `http::put ×1`.
fn in_words(counts: BTreeMap<&str, usize>) -> Vec<String> {
    let counts = counts.into_iter();
    counts
        .map(|(function, n)| format!("{function} ×{n}"))
        .collect()
}
