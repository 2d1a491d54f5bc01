use std::{collections::BTreeMap, sync::Arc};

use super::book::TriggerKey;
use windlass_compile::{Mistake, Occasion, Trigger, Workflow};
use windlass_runs::{Listed, RunsError, WorkflowName};
use windlass_targets::HookConfig;

/// A trigger with its workflow.
#[derive(Clone)]
pub struct Planted {
    pub workflow: WorkflowName,
    pub program: Arc<Workflow>,
    pub trigger: Trigger,
}

/// A workflow whose triggers are not known, because its file has mistakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    pub workflow: WorkflowName,
    pub why: String,
}

impl Planted {
    pub fn key(&self) -> TriggerKey {
        TriggerKey {
            workflow: self.workflow.as_str().to_owned(),
            trigger: self.trigger.name.clone(),
        }
    }

    /// Returns the name that the journal records as the requester of its runs.
    pub fn requester(&self) -> String {
        format!("trigger {}", self.key())
    }
}

/// Says what `windlass.toml` lacks for a trigger, which therefore starts nothing.
pub fn lacking(
    one: &Planted,
    targets: &[String],
    hooks: &BTreeMap<String, HookConfig>,
) -> Option<String> {
    let target = &one.trigger.target;
    match &one.trigger.occasion {
        Occasion::Webhook(hook) if !hooks.contains_key(hook) => {
            Some(format!("windlass.toml has no hook `{hook}`"))
        }
        _ if !targets.contains(target) => Some(format!("windlass.toml has no target `{target}`")),
        _ => None,
    }
}

/// Returns the triggers of all workflows that may be started, ordered by name, and the workflows that can't be read.
pub fn planted(listed: Vec<Listed>) -> (Vec<Planted>, Vec<Unread>) {
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for one in listed {
        match one.program {
            Ok(program) => {
                let program = program.workflow;
                found.extend(program.triggers.iter().map(|trigger| Planted {
                    workflow: one.name.clone(),
                    program: program.clone(),
                    trigger: trigger.clone(),
                }));
            }
            Err(error) => broken.push(Unread {
                workflow: one.name,
                why: first_mistake(&error),
            }),
        }
    }
    (found, broken)
}

/// Returns the reason why a workflow can't be read: its first mistake, with its place.
fn first_mistake(error: &RunsError) -> String {
    let mistakes = error.mistakes.as_ref().map_or(&[][..], |all| &all.0);
    match mistakes {
        [] => error.message.clone(),
        [one] => placed(one),
        [first, others @ ..] => format!("{}, and {} more", placed(first), others.len()),
    }
}

fn placed(mistake: &Mistake) -> String {
    let (line, column) = mistake.line_and_column();
    format!("{}:{line}:{column}: {mistake}", mistake.file())
}
