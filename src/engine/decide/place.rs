//! Where an instance stands in the order in which a run is undone.
//!
//! A step begins after the steps that it depends on have ended, so the order in which instances began to change something is enough for a
//! run that was never edited. After an edit it is not: a step may have run again while an instance that depends on it has not,
//! because its item was left out, or the run failed before. That instance is undone before the step all the same.

use std::collections::HashMap;

use windlass_compile::{Action, Workflow};
use windlass_journal::InstanceId;

/// A higher place is undone earlier.
///
/// The event with which the instance began to change something, or one of the instances that it depends on, whichever is later; and how
/// many dependencies lie between the two.
pub(super) type Place = (u64, usize);

/// Returns the ranks of the steps on the path of an instance: sorted by them, an instance comes after those that it depends on.
pub(super) fn ranks_of(workflow: &Workflow, id: &InstanceId) -> Vec<usize> {
    levels(workflow, id).map(|level| level.rank).collect()
}

/// The places of the instances so far, which have to be asked for in the order of [`ranks_of`].
#[derive(Debug, Default)]
pub(super) struct Places<'i> {
    /// By the workflow's run that contains the steps: the id of the instance around it, or nothing.
    scopes: HashMap<&'i str, Scope>,
}

/// The highest place of an instance of each step, or of what it depends on.
#[derive(Debug, Default)]
struct Scope {
    highest: Vec<Place>,
    /// How many of them, by rank, are complete.
    complete: usize,
}

impl<'i> Places<'i> {
    /// Returns the place of an instance that began with this event.
    pub fn place(&mut self, workflow: &Workflow, id: &'i InstanceId, began: u64) -> Place {
        let levels: Vec<_> = levels(workflow, id).collect();
        let mut place = (began, 0);
        for level in &levels {
            let scope = self.scopes.entry(level.scope).or_default();
            place = place.max(scope.above(level.workflow, level.rank));
        }
        for level in &levels {
            let scope = self.scopes.entry(level.scope).or_default();
            scope.highest[level.rank] = scope.highest[level.rank].max(place);
        }
        place
    }
}

impl Scope {
    /// Returns the lowest place that is above all that a step depends on.
    fn above(&mut self, workflow: &Workflow, rank: usize) -> Place {
        self.highest.resize(workflow.steps().len(), (0, 0));
        while self.complete < rank {
            let also = self.above_those_before(workflow, self.complete);
            let highest = &mut self.highest[self.complete];
            *highest = also.max(*highest);
            self.complete += 1;
        }
        self.above_those_before(workflow, rank)
    }

    fn above_those_before(&self, workflow: &Workflow, rank: usize) -> Place {
        // Steps under `finally` wait for all others.
        let others = if workflow.ranked(rank).is_finally {
            0..rank
        } else {
            0..0
        };
        let others = others.filter(|other| !workflow.ranked(*other).is_finally);
        let before = workflow.ranks_of_dependencies(rank).chain(others);
        let highest = before.map(|before| self.highest[before]);
        highest
            .max()
            .map_or((0, 0), |(began, between)| (began, between + 1))
    }
}

/// One step on the path of an instance.
struct Level<'w, 'i> {
    /// The instance that the step's workflow runs in, or nothing.
    scope: &'i str,
    workflow: &'w Workflow,
    rank: usize,
}

/// Lists the steps on the path of an instance, as far as the workflow has them: an edit may have removed some.
fn levels<'w, 'i>(
    workflow: &'w Workflow,
    id: &'i InstanceId,
) -> impl Iterator<Item = Level<'w, 'i>> {
    let mut within = Some((workflow, ""));
    id.segments().map_while(move |segment| {
        let (workflow, scope) = within?;
        let rank = workflow.rank_named(segment.name)?;
        within = match &workflow.ranked(rank).action {
            Action::Workflow(inner) => Some((&**inner, segment.item.unwrap_or(segment.step))),
            Action::Script(_) | Action::Approval(_) => None,
        };
        Some(Level {
            scope,
            workflow,
            rank,
        })
    })
}
