//! Remembers which steps have to be looked at, so that the cost of a decision is proportional to what changed.
//!
//! An [`Agenda`] is only a cache: the standing of each step when it was last looked at, and which steps an event has touched
//! since then. A new agenda has to look at everything and decides the same: that is [`super::next`]. The result of a look also
//! depends on these, beyond the events of its own step:
//! - the steps before it: each step counts how many of these are open ([`Before`]), and is looked at when none is, or when one has failed;
//! - the clock: [`Looks::due`];
//! - a free slot for another attempt: [`Looks::hungry`];
//! - a missing lock: a step that lacks one is looked at every time, because the request must be repeated every time;
//! - an event that touches many steps (a resume, an edit, a cancel, an undo), or a clock that was set back: then the agenda
//!   is cleared.

use std::collections::{BTreeSet, HashMap};

use super::{
    decision::{Decision, Moment, Next, Seen},
    next,
    scope::Standing,
    undo::undo_order,
};
use windlass_compile::{Action, Workflow};
use windlass_ground::Timestamp;
use windlass_journal::{
    ApprovalAsked, ApprovalDecided, Event, InstanceId, Items, State, Status, StepFailed,
    StepSkipped, StepStarted, StepSucceeded,
};

/// Remembers between decisions about one run which steps need not be looked at again.
///
/// Every event that is applied to the state must be passed to [`Agenda::note`], too.
#[derive(Debug, Default)]
pub struct Agenda {
    /// `None` if everything has to be looked at.
    pub(super) root: Option<Box<ScopeAgenda>>,
    /// The instances that an undo visits, and the position that it has reached.
    pub(super) undo: Option<(Vec<InstanceId>, usize)>,
    /// Whether a step has ended, or was cancelled, that may hold a lock.
    pub(super) may_release: bool,
    /// The time of the last decision.
    last: Timestamp,
}

impl Agenda {
    /// Returns the instances that an undo visits, and the position that it has reached. The events of an undo never add to this list.
    pub(super) fn undo_order(
        &mut self,
        workflow: &Workflow,
        state: &State,
    ) -> &mut (Vec<InstanceId>, usize) {
        let order = || (undo_order(workflow, state), 0);
        self.undo.get_or_insert_with(order)
    }

    /// Notes an event; `state` is the run with it.
    pub fn note(&mut self, workflow: &Workflow, event: &Event, state: &State) {
        match event {
            Event::RunStarted(_)
            | Event::RunResumed(_)
            | Event::RunEdited(_)
            | Event::RunCancelled(_)
            | Event::UndoStarted(_)
            | Event::RunEnded(_)
            | Event::StepReset { .. }
            | Event::StepReopened { .. }
            | Event::EffectAnswered(_)
            | Event::AttemptAnswered(_) => *self = Self::default(),
            Event::StepStarted(StepStarted { step, .. })
            | Event::StepSucceeded(StepSucceeded { step, .. })
            | Event::StepFailed(StepFailed { step, .. })
            | Event::StepSkipped(StepSkipped { step, .. })
            | Event::StepInterrupted { step }
            | Event::ApprovalAsked(ApprovalAsked { step, .. })
            | Event::ApprovalDecided(ApprovalDecided { step, .. }) => {
                // A `for_each` may begin again with other items.
                let has_items = matches!(
                    event,
                    Event::StepStarted(StepStarted { items: Some(_), .. })
                );
                self.may_release |=
                    state.status(step).is_settled() || state.is_cancelled || has_items;
                self.mark(workflow, step, state);
            }
            Event::RunSuspended
            | Event::AnswerRefused(_)
            | Event::LockTaken(_)
            | Event::LockReleased(_)
            | Event::EffectIntended(_)
            | Event::EffectEnded(_)
            | Event::EffectSettled(_)
            | Event::Logged(_) => {}
        }
    }

    /// Decides what may happen next; the result is that of [`super::next`].
    pub fn next<'w>(&mut self, workflow: &'w Workflow, state: &State, moment: Moment) -> Next<'w> {
        if moment.now < self.last {
            *self = Self::default();
        }
        self.last = moment.now;
        next::decide(self, workflow, state, moment)
    }

    /// Marks an instance, and all instances that contain it, to be looked at.
    fn mark(&mut self, workflow: &Workflow, id: &InstanceId, state: &State) {
        // An undo has its own list.
        if id.undone().is_some() {
            return;
        }
        let Some(mut scope) = self.root.as_deref_mut() else {
            return;
        };
        let mut workflow = workflow;
        let mut segments = id.segments().peekable();
        while let Some(segment) = segments.next() {
            // No longer in the workflow.
            let Some(rank) = workflow.rank_named(segment.name) else {
                return;
            };
            let step = workflow.ranked(rank);
            scope.looks[usize::from(step.is_finally)].mark(rank);
            let is_last = segments.peek().is_none();
            let inner = match segment.item {
                None if is_last => {
                    scope.parts.remove(&rank);
                    return;
                }
                None => match scope.parts.get_mut(&rank) {
                    Some(Part::Scope(inner)) => inner,
                    _ => return,
                },
                Some(item) => {
                    let Some(Part::Items(items)) = scope.parts.get_mut(&rank) else {
                        return;
                    };
                    let known = state.steps.get(segment.step);
                    let position = known.and_then(|i| i.item_instances.position(item));
                    let Some(position) = position else {
                        return;
                    };
                    items.looks.mark(position);
                    if is_last {
                        items.parts.remove(&position);
                        return;
                    }
                    match items.parts.get_mut(&position) {
                        Some(inner) => inner,
                        None => return,
                    }
                }
            };
            let Action::Workflow(within) = &step.action else {
                return;
            };
            (scope, workflow) = (inner, within);
        }
    }
}

/// What is known of a running step.
#[derive(Debug)]
pub(super) enum Part {
    Items(Box<ItemsAgenda>),
    Scope(Box<ScopeAgenda>),
}

/// What is known of one workflow within a run. Steps are identified by their ranks.
#[derive(Debug)]
pub(super) struct ScopeAgenda {
    standings: Vec<Standing>,
    before: Vec<Before>,
    /// How many steps are open, and how many prevent the success of the workflow: its own steps, and those under `finally`.
    open: [usize; 2],
    failed: [usize; 2],
    /// The looks at its own steps, and at those under `finally`.
    pub looks: [Looks; 2],
    pub parts: HashMap<usize, Part>,
}

/// The steps of the same kind (under `finally` or not) that a step waits for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    all: u32,
    open: u32,
    stopped: u32,
    skipped: u32,
}

impl Before {
    /// Says whether one of them failed, or never runs.
    pub fn has_stopped(self) -> bool {
        self.stopped > 0
    }

    pub fn is_open(self) -> bool {
        self.open > 0
    }

    pub fn are_all_skipped(self) -> bool {
        self.all > 0 && self.skipped == self.all
    }

    fn count(&mut self, standing: Standing) -> Option<&mut u32> {
        match standing {
            Standing::Open => Some(&mut self.open),
            Standing::Failed | Standing::Blocked => Some(&mut self.stopped),
            Standing::Skipped => Some(&mut self.skipped),
            Standing::Succeeded | Standing::Tolerated => None,
        }
    }
}

impl ScopeAgenda {
    pub fn new(workflow: &Workflow) -> Self {
        let mut new = Self {
            standings: Vec::new(),
            before: Vec::new(),
            open: [0; 2],
            failed: [0; 2],
            looks: Default::default(),
            parts: HashMap::new(),
        };
        for (rank, (index, step)) in workflow.steps().enumerate() {
            let waits_for = workflow.dependency_indices(index);
            let all = waits_for
                .filter(|other| workflow.step(*other).is_finally == step.is_finally)
                .count() as u32;
            new.standings.push(Standing::Open);
            new.before.push(Before {
                all,
                open: all,
                ..Before::default()
            });
            let kind = usize::from(step.is_finally);
            new.open[kind] += 1;
            new.looks[kind].mark(rank);
        }
        new
    }

    pub fn before(&self, rank: usize) -> Before {
        self.before[rank]
    }

    pub fn is_open(&self, is_finally: bool) -> bool {
        self.open[usize::from(is_finally)] > 0
    }

    /// Says whether a step failed, or never runs because of a failed one: among the workflow's own steps, or those under `finally`.
    pub fn has_failed(&self, is_finally: bool) -> bool {
        self.failed[usize::from(is_finally)] > 0
    }

    /// Lists the ranks of the steps that failed.
    pub fn failed(&self) -> impl Iterator<Item = usize> {
        let standings = self.standings.iter().enumerate();
        standings
            .filter(|(_, standing)| **standing == Standing::Failed)
            .map(|(rank, _)| rank)
    }

    /// Records the standing of a step; marks the steps that wait for it if they can begin now, or never will.
    pub fn stand(&mut self, workflow: &Workflow, rank: usize, now: Standing) {
        let was = std::mem::replace(&mut self.standings[rank], now);
        if was == now {
            return;
        }
        let is_finally = workflow.ranked(rank).is_finally;
        let kind = usize::from(is_finally);
        let stops = |standing| matches!(standing, Standing::Failed | Standing::Blocked);
        self.open[kind] -= usize::from(was == Standing::Open);
        self.open[kind] += usize::from(now == Standing::Open);
        self.failed[kind] -= usize::from(stops(was));
        self.failed[kind] += usize::from(stops(now));
        for other in workflow.ranks_of_dependents(rank) {
            if workflow.ranked(other).is_finally != is_finally {
                continue;
            }
            let before = &mut self.before[other];
            if let Some(count) = before.count(was) {
                *count -= 1;
            }
            if let Some(count) = before.count(now) {
                *count += 1;
            }
            if before.open == 0 || before.stopped > 0 || was != Standing::Open {
                self.looks[kind].mark(other);
            }
        }
    }
}

/// What is known of a `for_each` step. Items are identified by their positions.
#[derive(Debug)]
pub(super) struct ItemsAgenda {
    statuses: Vec<Known>,
    /// The items that have not begun.
    pub pending: BTreeSet<usize>,
    pub active: usize,
    pub failed: usize,
    pub looks: Looks,
    /// The nested workflows of the items of a `workflow:` step.
    pub parts: HashMap<usize, Box<ScopeAgenda>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Pending,
    Active,
    Failed,
    Done,
}

impl Known {
    fn of(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Running | Status::Waiting | Status::Retrying { .. } => Self::Active,
            Status::Failed => Self::Failed,
            Status::Succeeded | Status::Skipped => Self::Done,
        }
    }
}

impl ItemsAgenda {
    pub fn new(items: &Items, state: &State) -> Self {
        let mut new = Self {
            statuses: vec![Known::Pending; items.ids().len()],
            pending: (0..items.ids().len()).collect(),
            active: 0,
            failed: 0,
            looks: Looks::default(),
            parts: HashMap::new(),
        };
        for (position, status) in items.statuses(&state.steps).into_iter().enumerate() {
            new.stand(position, Known::of(status));
        }
        new
    }

    /// Updates the statuses of the items that events touched; only active items have to be looked at.
    pub fn refresh(&mut self, items: &Items, state: &State) {
        for position in self.looks.marked() {
            let known = Known::of(state.status(&items.ids()[position]));
            self.stand(position, known);
            if known != Known::Active {
                self.looks.seen(position, Seen::default());
            }
        }
    }

    pub fn is_failed(&self, position: usize) -> bool {
        self.statuses[position] == Known::Failed
    }

    fn stand(&mut self, position: usize, now: Known) {
        let was = std::mem::replace(&mut self.statuses[position], now);
        if now == Known::Active {
            self.looks.mark(position);
        }
        if was == now {
            return;
        }
        self.active -= usize::from(was == Known::Active);
        self.active += usize::from(now == Known::Active);
        self.failed -= usize::from(was == Known::Failed);
        self.failed += usize::from(now == Known::Failed);
        match now {
            Known::Pending => self.pending.insert(position),
            _ => self.pending.remove(&position),
        };
    }
}

/// Which parts have to be looked at, and the last results for the others.
#[derive(Debug, Default)]
pub(super) struct Looks {
    marked: BTreeSet<usize>,
    /// The instances that only lack a free slot.
    hungry: BTreeSet<usize>,
    /// The instances that wait for a person or a time.
    open: HashMap<usize, Seen>,
    /// When to look at them again.
    due: BTreeSet<(Timestamp, usize)>,
    asks: usize,
    retries: usize,
}

impl Looks {
    pub fn mark(&mut self, part: usize) {
        self.marked.insert(part);
    }

    fn marked(&self) -> Vec<usize> {
        self.marked.iter().copied().collect()
    }

    /// Marks the parts that are due at this time.
    pub fn wake(&mut self, now: Timestamp) {
        let due = self.due.range(..=(now, usize::MAX));
        self.marked.extend(due.map(|(_, part)| *part));
    }

    /// Returns the first part, from `from` on, that has to be looked at.
    pub fn next(&self, from: usize, has_room: bool) -> Option<usize> {
        let marked = self.marked.range(from..).next();
        let hungry = self.hungry.range(from..).next().filter(|_| has_room);
        marked.into_iter().chain(hungry).min().copied()
    }

    /// Stores the result of a look.
    pub fn seen(&mut self, part: usize, seen: Seen) {
        if seen.wants {
            self.marked.insert(part)
        } else {
            self.marked.remove(&part)
        };
        if seen.lacks_room {
            self.hungry.insert(part)
        } else {
            self.hungry.remove(&part)
        };
        let was = if seen.is_open() {
            self.open.insert(part, seen)
        } else {
            self.open.remove(&part)
        };
        let was = was.unwrap_or_default();
        self.asks = self.asks + seen.asks - was.asks;
        self.retries = self.retries + seen.retries - was.retries;
        if let Some(at) = was.wake_at {
            self.due.remove(&(at, part));
        }
        if let Some(at) = seen.wake_at {
            self.due.insert((at, part));
        }
    }

    /// Adds what all parts wait for to the decision.
    pub fn tell(&self, decision: &mut Decision) {
        decision.seen.asks += self.asks;
        decision.seen.retries += self.retries;
        decision.seen.lacks_room |= !self.hungry.is_empty();
        if let Some((at, _)) = self.due.first() {
            decision.wake_at(*at);
        }
    }
}
