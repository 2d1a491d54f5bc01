use std::{path::Path, time::Duration};

use console::style;

use super::{certificates::certificates, style::describe_status, table::Table};
use crate::{
    compile::Workflow,
    journal::{InstanceId, Outcome, RunId, State, Status},
    value::format_duration,
};

/// Items of one `for_each` that are listed by name; of more, only those in trouble.
const MOST_ITEMS: usize = 8;

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
        None => style("has not ended").yellow(),
    };
    format!(
        "{} {outcome}{took}   {}",
        style(workflow).bold(),
        style(run).dim()
    )
}

/// What a run did: each step with its time, each certificate with its file.
pub fn summary(workflow: &Workflow, state: &State, folder: &Path) -> String {
    let mut text = steps_table(workflow, state);
    let made = certificates(state);
    if !made.is_empty() {
        let mut table = Table::new(&["CERTIFICATE", "ISSUER", "EXPIRES", "FILE"]);
        for certificate in made {
            table.row([
                certificate.subject,
                certificate.issuer,
                certificate.not_after.chars().take(10).collect(),
                relative(&certificate.file, folder),
            ]);
        }
        text.push('\n');
        text.push_str(&table.render("  "));
    }
    text
}

/// A path as a person in `folder` would write it.
fn relative(path: &str, folder: &Path) -> String {
    let path = Path::new(path);
    path.strip_prefix(folder)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Every step with its status and time; the insides of nested workflows below them.
pub fn steps_table(workflow: &Workflow, state: &State) -> String {
    let mut table = Table::new(&["STEP", "STATUS", "TIME"]);
    for (_, step) in workflow.steps() {
        let id = InstanceId::step(None, step.name.as_str());
        add(&mut table, state, &id);
    }
    table.render("  ")
}

fn add(table: &mut Table, state: &State, id: &InstanceId) {
    let status = state.status(id);
    let instance = state.instance(id);
    let took = instance
        .and_then(|i| Some(i.ended_at? - i.started_at?))
        .map_or(String::new(), |ms| {
            format_duration(Duration::from_millis(ms.max(0) as u64))
        });
    let items = instance.and_then(|i| i.items.as_ref());
    let mut says = match (status, state.outcome, items) {
        (Status::Pending, Some(Outcome::Cancelled), _) => "not run".into(),
        (Status::Pending, Some(_), _) => "not run: a step before it failed".into(),
        (Status::Skipped, ..) => match instance.and_then(|i| i.skip_reason.as_deref()) {
            Some(reason) => format!("skipped: {reason}"),
            None => "skipped".into(),
        },
        (status, _, Some(items)) => format!("{} ({} items)", status.as_str(), items.len()),
        (status, ..) => status.as_str().into(),
    };
    if let Some(instance) = instance.filter(|i| i.attempt > 1) {
        says.push_str(&format!(", attempt {}", instance.attempt));
    }
    let indent = "  ".repeat(id.depth());
    let name = format!("{} {indent}{}", describe_status(status), id.last_part());
    table.row([name, says, took]);
    let children: Vec<&InstanceId> = state
        .steps
        .keys()
        .filter(|other| other.parent().as_ref() == Some(id))
        .collect();
    let is_long = items.is_some_and(|items| items.len() > MOST_ITEMS);
    for child in children {
        if !is_long || !matches!(state.status(child), Status::Succeeded | Status::Skipped) {
            add(table, state, child);
        }
    }
}
