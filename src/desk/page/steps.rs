//! The steps of a run for the graph, the list and the timeline: one node for each step, with counts of the instances inside of it.

use std::collections::BTreeMap;

use windlass_compile::{Action, Step, Workflow};
use windlass_ground::Timestamp;
use windlass_journal::{Instance, InstanceId, State, Status};

/// A step at the top level of a workflow, with counts of the instances inside of it.
pub struct Node {
    pub id: InstanceId,
    pub name: String,
    /// Its action: the name of its script or workflow, or `approval`.
    pub does: String,
    /// Its own status, or the most urgent status inside of it.
    pub status: String,
    /// The number of instances inside of it by status, the worst first. Items that have not started count as `pending`.
    pub tally: Vec<(&'static str, usize)>,
    /// The number of instances inside of it.
    pub count: usize,
    pub is_many: bool,
    is_nested: bool,
    /// The first instance inside of it that failed, and the number of failed ones.
    pub failing: Option<(String, usize)>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// For an approval: when it asked, and when it was answered.
    pub waited: Option<(Timestamp, Option<Timestamp>)>,
    pub attempt: u32,
    pub worked: i64,
    /// The same with the attempt that is running; `None` if none is.
    pub working: Option<i64>,
}

/// The statuses in the order in which they need attention.
pub const ORDER: [&str; 9] = [
    "failed",
    "expired",
    "waiting",
    "retrying",
    "running",
    "interrupted",
    "pending",
    "skipped",
    "succeeded",
];

/// Returns the steps of a workflow. Each comes after those on which it depends.
pub fn nodes(workflow: &Workflow, state: &State, at: Timestamp) -> Vec<Node> {
    let steps = workflow.steps();
    steps.map(|(_, step)| node(step, state, at)).collect()
}

fn node(step: &Step, state: &State, at: Timestamp) -> Node {
    let id = InstanceId::step(None, step.name.as_str());
    let instance = state.instance(&id);
    let is_nested = matches!(step.action, Action::Workflow(_));
    let mut tally: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut failing: Option<(String, usize)> = None;
    for (inner, instance) in parts(state, &id) {
        let status = status(state, instance, at);
        *tally.entry(status).or_default() += 1;
        if status == "failed" {
            let found = failing.get_or_insert_with(|| (inner.to_string(), 0));
            found.1 += 1;
        }
    }
    // Items that have not started have no instance.
    let items = instance.and_then(|i| i.items.as_ref());
    let begun = items.map_or(0, |items| {
        let begun = items
            .iter()
            .filter(|(key, _)| state.instance(&id.item(key)).is_some());
        items.len() - begun.count()
    });
    if begun > 0 {
        *tally.entry("pending").or_default() += begun;
    }
    let order = |status: &str| ORDER.iter().position(|known| *known == status);
    let mut tally: Vec<_> = tally.into_iter().collect();
    tally.sort_by_key(|(status, _)| order(status));
    let own = instance.map_or("pending", |i| status(state, i, at));
    let worst = tally.first().map(|(status, _)| *status);
    let is_urgent =
        |status: &&str| matches!(*status, "failed" | "expired" | "waiting" | "retrying");
    let shown = match own {
        "running" => worst.filter(is_urgent).unwrap_or(own),
        own => own,
    };
    let asked = instance.and_then(|i| i.approval.as_deref());
    Node {
        name: step.name.to_string(),
        does: does(step),
        status: shown.to_owned(),
        count: tally.iter().map(|(_, count)| count).sum(),
        tally,
        is_many: step.for_each.is_some(),
        is_nested,
        failing,
        started_at: instance.and_then(|i| i.started_at),
        ended_at: instance.and_then(|i| i.ended_at),
        waited: asked.map(|asked| {
            (
                asked.asked_at,
                asked.answer.as_ref().map(|answer| answer.at),
            )
        }),
        attempt: instance.map_or(0, |i| i.attempt),
        worked: instance.map_or(0, |i| i.worked),
        working: instance.and_then(|i| i.working(at)),
        id,
    }
}

/// Returns the instances inside of a step, without loops and nested workflows themselves, and without undos.
pub fn parts<'a>(
    state: &'a State,
    id: &InstanceId,
) -> impl Iterator<Item = (&'a InstanceId, &'a Instance)> + use<'a> {
    let inside = state.inside(id);
    let inside: Vec<_> = inside.collect();
    inside
        .into_iter()
        .filter(|(inner, instance)| !instance.is_composite() && inner.undone().is_none())
}

/// Returns the status of an instance in one word.
pub fn status(state: &State, instance: &Instance, at: Timestamp) -> &'static str {
    match instance.status {
        Status::Pending if instance.attempt > 0 && state.outcome.is_some() => "interrupted",
        _ if instance.has_expired(at) => "expired",
        status => status.as_str(),
    }
}

fn does(step: &Step) -> String {
    match &step.action {
        Action::Script(script) => match script.path.rsplit('/').next() {
            Some(file) if file.ends_with(".rhai") => file.to_owned(),
            _ => "script".into(),
        },
        Action::Workflow(inner) => inner.name.clone(),
        Action::Approval(_) => "approval".into(),
    }
}

impl Node {
    /// Returns whether it has instances inside of it.
    pub fn is_composite(&self) -> bool {
        self.is_many || self.is_nested
    }

    /// Returns how long it worked, or for an approval, how long it has waited for its answer, in milliseconds.
    pub fn took(&self, now: Timestamp) -> i64 {
        match self.waited {
            Some((asked, answered)) => {
                let ended = answered.or(self.ended_at).unwrap_or(now);
                ended.millis_since(asked)
            }
            None => self.working.unwrap_or(self.worked),
        }
    }

    /// Returns how many of its instances have succeeded or were skipped: `3/7`.
    pub fn progress(&self) -> String {
        let is_over = |status: &str| matches!(status, "succeeded" | "skipped");
        let over = self.tally.iter().filter(|(status, _)| is_over(status));
        let over: usize = over.map(|(_, count)| count).sum();
        match self.count {
            0 if self.status == "skipped" => String::new(),
            0 => "…".into(),
            count => format!("{over}/{count}"),
        }
    }

    /// Describes the node in words, for screen readers.
    pub fn label(&self) -> String {
        let mut text = format!("{}: {}", self.name, self.status);
        if self.is_composite() && self.count > 0 {
            let parts: Vec<_> = self
                .tally
                .iter()
                .map(|(status, count)| format!("{count} {status}"))
                .collect();
            text.push_str(&format!(" ({})", parts.join(", ")));
        }
        text
    }
}
