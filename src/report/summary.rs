use std::{collections::BTreeMap, path::Path, time::Duration};

use console::style;

use super::{
    certificates::certificates,
    plain::line,
    style::{counted, describe_status},
    table::{Room, Table},
    undo,
};
use windlass_compile::{Action, Step, Workflow};
use windlass_engine::execute::{self, Undone};
use windlass_ground::Timestamp;
use windlass_journal::{Instance, InstanceId, Outcome, RunId, RunStanding, State, Status, Verdict};
use windlass_world::value::format_duration;

/// Formats how the run ended, in one line; if it has not, the line depends on whether it is being driven.
pub fn headline(run: &RunId, state: &State, is_driven: bool, now: Timestamp) -> String {
    let workflow = state.run.as_ref().map_or("", |info| info.workflow.as_str());
    let took = began(state).and_then(|at| Some(state.ended_at?.millis_since(at)));
    let took = took.map_or(String::new(), |ms| {
        // For an undo, only its own time is shown.
        let worked = if state.is_undoing { ms } else { state.worked };
        format!(" in {}", times(worked, ms))
    });
    let outcome = match state.outcome {
        Some(Outcome::Succeeded) => style("succeeded").green(),
        Some(Outcome::Failed) => style("failed").red(),
        Some(Outcome::Cancelled) => style("was cancelled").yellow(),
        Some(Outcome::Undone) => style("was undone").yellow(),
        Some(Outcome::UndoFailed) => style("was undone in part").red(),
        None => style(match RunStanding::of(state, is_driven, now) {
            RunStanding::Waiting => "waits for an approval",
            RunStanding::Expired => "waits for an approval that has expired",
            RunStanding::Running => "has not ended",
            RunStanding::Interrupted => "was interrupted",
            RunStanding::Answered(Verdict::Approved) => "was approved, and has not continued",
            RunStanding::Answered(Verdict::Rejected) => "was rejected, and has not continued",
        })
        .yellow(),
    };
    format!(
        "{} {outcome}{took}   {}",
        style(line(workflow)).bold(),
        style(run).dim()
    )
}

/// Formats how long something worked and, if it had to wait or was idle, how long it took in total.
fn times(worked: i64, took: i64) -> String {
    /// A shorter time lies between two events, and is not a wait.
    const LEAST: i64 = 1000;
    if took - worked < LEAST {
        time(took)
    } else {
        format!("{} ({} with waits)", time(worked), time(took))
    }
}

fn time(ms: i64) -> String {
    format_duration(Duration::from_millis(ms.max(0) as u64))
}

/// Returns when the run, or its undo, began.
fn began(state: &State) -> Option<Timestamp> {
    if !state.is_undoing {
        return Some(state.run.as_ref()?.started_at);
    }
    let undos = state.steps.iter().filter(|(id, _)| id.undone().is_some());
    undos.filter_map(|(_, undo)| undo.started_at).min()
}

/// The context in which a run is shown.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The folder of the reader.
    pub folder: &'a Path,
    pub detail: Detail,
    pub room: Room,
    /// Whether the run is being driven.
    pub is_driven: bool,
    pub now: Timestamp,
}

/// How much of a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The workflow's own steps, and of those inside them only the ones with problems.
    Brief,
    /// Every execution of every step.
    Full,
}

/// How many things that an undo has not reversed are listed when it ends; `windlass show` lists all.
const MOST_LEFT: usize = 12;

/// Formats what a run did: each step with its time, each certificate with its file.
pub fn summary(workflow: &Workflow, state: &State, view: View) -> String {
    let mut text = steps_table(workflow, state, view);
    if state.is_undoing {
        let most = match view.detail {
            Detail::Brief => MOST_LEFT,
            Detail::Full => usize::MAX,
        };
        let left = undo::describe_not_reversed(workflow, state, most);
        if !left.is_empty() {
            text.push('\n');
            text.push_str(left.trim_end());
            text.push('\n');
        }
    }
    let mut made = certificates(state);
    // After an undo, there are no certificates.
    if made.is_empty() || state.outcome == Some(Outcome::Undone) {
        return text;
    }
    let order: Vec<&str> = workflow
        .steps()
        .map(|(_, step)| step.name.as_str())
        .collect();
    made.sort_by_key(|certificate| {
        let first = certificate
            .step
            .as_str()
            .split(['[', '/'])
            .next()
            .unwrap_or_default();
        (
            order.iter().position(|name| *name == first),
            certificate.file.clone(),
        )
    });
    let mut table = Table::new(&["CERTIFICATE", "ISSUER", "EXPIRES", "FILE"])
        .keeping(2)
        .naming(&[0, 1, 3]);
    for certificate in made {
        table.row([
            line(&shorten(&certificate.subject)).into_owned(),
            line(&shorten(&certificate.issuer)).into_owned(),
            certificate.not_after.chars().take(10).collect(),
            line(&relative(&certificate.file, view.folder)).into_owned(),
        ]);
    }
    text.push('\n');
    text.push_str(&table.render("  ", view.room));
    text
}

/// Shortens a long distinguished name to its common name.
pub(super) fn shorten(name: &str) -> String {
    const MOST: usize = 40;
    let common_name = name.split(',').find(|part| part.starts_with("CN="));
    match common_name {
        Some(common_name) if name.chars().count() > MOST => format!("{common_name}, …"),
        _ => name.into(),
    }
}

/// Returns a path as a person in `folder` would write it.
pub(super) fn relative(path: &str, folder: &Path) -> String {
    let path = Path::new(path);
    path.strip_prefix(folder)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn steps_table(workflow: &Workflow, state: &State, view: View) -> String {
    let undone = if state.is_undoing {
        with_outer(execute::undone(workflow, state), state)
    } else {
        BTreeMap::new()
    };
    let mut rows = Rows {
        table: Table::new(&["STEP", "STATUS", "TIME"]).naming(&[0]),
        state,
        view,
        undone,
        has_failed: state
            .steps
            .iter()
            .any(|(id, instance)| id.undone().is_none() && instance.status == Status::Failed),
    };
    for (_, step) in workflow.steps() {
        rows.add(step, &InstanceId::step(None, step.name.as_str()), false);
    }
    rows.table.render("  ", view.room)
}

/// Adds to the steps the combined result of everything inside of them.
fn with_outer(undone: BTreeMap<InstanceId, Undone>, state: &State) -> BTreeMap<InstanceId, Undone> {
    let mut all: BTreeMap<InstanceId, Undone> = BTreeMap::new();
    for (id, reached) in undone {
        for outer in std::iter::successors(Some(id), InstanceId::parent) {
            let known = all.get(&outer).map_or(reached, |known| known.and(reached));
            all.insert(outer, known);
        }
    }
    // What contains something whose undo failed is undone in part.
    let steps = state.steps.iter();
    let failed = steps.filter(|(_, instance)| instance.status == Status::Failed);
    for undone in failed.filter_map(|(id, _)| id.undone()) {
        for outer in std::iter::successors(undone.parent(), InstanceId::parent) {
            if let Some(known) = all.get_mut(&outer) {
                *known = known.and(Undone::Nothing);
            }
        }
    }
    all
}

struct Rows<'a> {
    table: Table,
    state: &'a State,
    view: View<'a>,
    /// How much an undo has reversed, by step.
    undone: BTreeMap<InstanceId, Undone>,
    /// Whether any step has failed.
    has_failed: bool,
}

impl Rows<'_> {
    /// Adds an instance and, below it, the instances inside of it, in the workflow's order.
    fn add(&mut self, step: &Step, id: &InstanceId, is_item: bool) {
        let instance = self.state.instance(id);
        self.row(id, instance);
        let is_brief = self.view.detail == Detail::Brief;
        if is_brief && is_well(instance) {
            return;
        }
        if let Some(instance) = instance.filter(|i| i.items.is_some() && !is_item) {
            for id in instance.item_instances.ids() {
                if !is_brief || !is_well(self.state.instance(id)) {
                    self.add(step, id, true);
                }
            }
        } else if let (Action::Workflow(inner), true) =
            (&step.action, instance.is_some_and(|i| i.is_scope))
        {
            for (_, step) in inner.steps() {
                let inside = InstanceId::step(Some(id), step.name.as_str());
                self.add(step, &inside, false);
            }
        }
    }

    fn row(&mut self, id: &InstanceId, instance: Option<&Instance>) {
        let status = instance.map_or(Status::Pending, |instance| instance.status);
        let took = instance
            .and_then(|i| Some(i.ended_at?.millis_since(i.started_at?)))
            .map_or(String::new(), |ms| match instance {
                Some(instance) if instance.approval.is_none() => times(instance.worked, ms),
                // The time of a question is that of people.
                _ => format!("waited {}", time(ms)),
            });
        let items = instance.and_then(|i| i.items.as_ref());
        let doubt = instance.and_then(Instance::call_in_doubt);
        let interrupted = || match doubt.filter(|_| !self.state.is_undoing) {
            Some(effect) => format!("interrupted, {} is in doubt", effect.call.function),
            None => "interrupted".into(),
        };
        let mut says = match (status, self.state.outcome, items) {
            (Status::Pending, Some(_), _) if instance.is_some_and(|i| i.attempt > 0) => {
                interrupted()
            }
            (Status::Pending, Some(Outcome::Cancelled), _) => "not run".into(),
            (Status::Pending, Some(_), _) if !self.has_failed => "not run".into(),
            (Status::Pending, Some(_), _)
                if id.segments().last().is_some_and(|it| it.item.is_some()) =>
            {
                "not run: another item failed".into()
            }
            (Status::Pending, Some(_), _) => "not run: a step before it failed".into(),
            (Status::Waiting, None, _)
                if !self.state.is_undoing
                    && instance.is_some_and(|i| i.has_expired(self.view.now)) =>
            {
                "expired".into()
            }
            // No step runs forward during an undo, so this one was interrupted.
            (Status::Running | Status::Waiting | Status::Retrying { .. }, ..)
                if self.state.is_undoing =>
            {
                interrupted()
            }
            (Status::Running | Status::Retrying { .. }, None, _) if !self.view.is_driven => {
                interrupted()
            }
            (Status::Skipped, ..) => match instance.and_then(|i| i.skip_reason.as_deref()) {
                Some(reason) => format!("skipped: {}", line(reason)),
                None => "skipped".into(),
            },
            (status, _, Some(items)) => {
                format!("{} ({})", status.as_str(), counted(items.len(), "item"))
            }
            (status, ..) => status.as_str().into(),
        };
        if self.state.is_undoing {
            match (self.state.status(&id.undo()), self.undone.get(id)) {
                (Status::Failed, _) => says.push_str(", undo failed"),
                (_, Some(Undone::Whole)) => says.push_str(", undone"),
                (_, Some(Undone::Part)) => says.push_str(", undone in part"),
                (_, Some(Undone::Nothing)) => says.push_str(", stays"),
                (_, None) => {}
            }
        }
        if let Some(instance) = instance.filter(|i| i.attempt > 1) {
            says.push_str(&format!(", attempt {}", instance.attempt));
        }
        let indent = "  ".repeat(id.depth());
        let name = format!(
            "{} {indent}{}",
            describe_status(status),
            line(id.last_part())
        );
        self.table.row([name, says, took]);
    }
}

fn is_well(instance: Option<&Instance>) -> bool {
    instance.is_some_and(|i| matches!(i.status, Status::Succeeded | Status::Skipped))
}
