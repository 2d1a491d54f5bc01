use std::sync::Arc;

use super::book::TriggerKey;
use windlass_engine::compile::{Trigger, Workflow};
use windlass_runs::{Listed, WorkflowName};

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
                why: error.message,
            }),
        }
    }
    (found, broken)
}
