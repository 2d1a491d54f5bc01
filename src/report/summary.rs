use std::{path::Path, time::Duration};

use console::style;

use super::{certificates::certificates, style::describe_status, table::Table};
use crate::{
    compile::{Action, Step, Workflow},
    journal::{InstanceId, Outcome, RunId, State, Status},
    value::format_duration,
};

/// How the run ended, in one line.
pub fn headline(run: &RunId, state: &State) -> String {
    let workflow = state.run.as_ref().map_or("", |info| info.workflow.as_str());
    let took = state
        .run
        .as_ref()
        .and_then(|info| Some(state.ended_at? - info.started_at));
    let took = took.map_or(String::new(), |ms| {
        format!(
            " in {}",
            format_duration(Duration::from_millis(ms.max(0) as u64))
        )
    });
    let outcome = match state.outcome {
        Some(Outcome::Succeeded) => style("succeeded").green(),
        Some(Outcome::Failed) => style("failed").red(),
        Some(Outcome::Cancelled) => style("was cancelled").yellow(),
        Some(Outcome::Undone) => style("was undone").yellow(),
        Some(Outcome::UndoFailed) => style("was undone in part").red(),
        None if state.steps.values().any(|i| i.status == Status::Waiting) => {
            style("waits for an approval").yellow()
        }
        None => style("has not ended").yellow(),
    };
    format!(
        "{} {outcome}{took}   {}",
        style(workflow).bold(),
        style(run).dim()
    )
}

/// How much of a run is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The workflow's own steps, and below them only what is in trouble.
    Brief,
    /// Every execution of every step.
    Full,
}

/// What a run did: each step with its time, each certificate with its file.
pub fn summary(workflow: &Workflow, state: &State, folder: &Path, detail: Detail) -> String {
    let mut text = steps_table(workflow, state, detail);
    let mut made = certificates(state);
    // After an undo none of them is left.
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
    let mut table = Table::new(&["CERTIFICATE", "ISSUER", "EXPIRES", "FILE"]);
    for certificate in made {
        table.row([
            shorten(&certificate.subject),
            shorten(&certificate.issuer),
            certificate.not_after.chars().take(10).collect(),
            relative(&certificate.file, folder),
        ]);
    }
    text.push('\n');
    text.push_str(&table.render("  "));
    text
}

/// A long distinguished name by its common name alone.
fn shorten(name: &str) -> String {
    const MOST: usize = 40;
    let common_name = name.split(", ").find(|part| part.starts_with("CN="));
    match common_name {
        Some(common_name) if name.chars().count() > MOST => format!("{common_name}, …"),
        _ => name.into(),
    }
}

/// A path as a person in `folder` would write it.
fn relative(path: &str, folder: &Path) -> String {
    let path = Path::new(path);
    path.strip_prefix(folder)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn steps_table(workflow: &Workflow, state: &State, detail: Detail) -> String {
    let mut rows = Rows {
        table: Table::new(&["STEP", "STATUS", "TIME"]),
        state,
        detail,
    };
    for (_, step) in workflow.steps() {
        rows.add(step, &InstanceId::step(None, step.name.as_str()), false);
    }
    rows.table.render("  ")
}

struct Rows<'a> {
    table: Table,
    state: &'a State,
    detail: Detail,
}

impl Rows<'_> {
    /// Adds an execution of a step and, below it, those that run inside, in the workflow's order.
    fn add(&mut self, step: &Step, id: &InstanceId, is_item: bool) {
        let instance = self.state.instance(id);
        self.row(id);
        let is_well = matches!(self.state.status(id), Status::Succeeded | Status::Skipped);
        if self.detail == Detail::Brief && is_well {
            return;
        }
        let items = instance.and_then(|i| i.items.as_ref()).filter(|_| !is_item);
        if let Some(items) = items {
            for (key, _) in items {
                let id = id.item(key);
                let is_well = matches!(self.state.status(&id), Status::Succeeded | Status::Skipped);
                if self.detail == Detail::Full || !is_well {
                    self.add(step, &id, true);
                }
            }
        } else if let (Action::Workflow(inner), true) =
            (&step.action, instance.is_some_and(|i| i.is_scope))
        {
            for (_, step) in inner.steps() {
                self.add(step, &InstanceId::step(Some(id), step.name.as_str()), false);
            }
        }
    }

    fn row(&mut self, id: &InstanceId) {
        let status = self.state.status(id);
        let instance = self.state.instance(id);
        let took = instance
            .and_then(|i| Some(i.ended_at? - i.started_at?))
            .map_or(String::new(), |ms| {
                format_duration(Duration::from_millis(ms.max(0) as u64))
            });
        let items = instance.and_then(|i| i.items.as_ref());
        let mut says = match (status, self.state.outcome, items) {
            (Status::Pending, Some(Outcome::Cancelled), _) => "not run".into(),
            (Status::Pending, Some(_), _) => "not run: a step before it failed".into(),
            // Nothing goes forward in an undo: what did had been cut off.
            (Status::Running | Status::Waiting | Status::Retrying { .. }, ..)
                if self.state.is_undoing && id.undone().is_none() =>
            {
                "interrupted".into()
            }
            (Status::Skipped, ..) => match instance.and_then(|i| i.skip_reason.as_deref()) {
                Some(reason) => format!("skipped: {reason}"),
                None => "skipped".into(),
            },
            (status, _, Some(items)) => {
                let plural = if items.len() == 1 { "" } else { "s" };
                format!("{} ({} item{plural})", status.as_str(), items.len())
            }
            (status, ..) => status.as_str().into(),
        };
        match (self.state.status(&id.undo()), self.state.outcome) {
            (Status::Succeeded, _) => says.push_str(", undone"),
            (_, Some(Outcome::Undone)) if status == Status::Succeeded => {
                says.push_str(", undone");
            }
            (Status::Failed, _) => says.push_str(", undo failed"),
            _ => {}
        }
        if let Some(instance) = instance.filter(|i| i.attempt > 1) {
            says.push_str(&format!(", attempt {}", instance.attempt));
        }
        let indent = "  ".repeat(id.depth());
        let name = format!("{} {indent}{}", describe_status(status), id.last_part());
        self.table.row([name, says, took]);
    }
}
