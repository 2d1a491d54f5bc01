//! Shows the result of [`runs::preflight`], the checks before a run begins.

use std::collections::BTreeSet;

use console::style;

use super::{args::Args, failure::Failure};
use crate::{
    compile::Workflow,
    runs::{self, Note},
    targets::Targets,
    value::Value,
};

/// Finds the Kubernetes clusters that a run uses, as [`runs::preflight`] does, and prints its warnings.
pub fn preflight(
    args: &Args,
    workflow: &Workflow,
    params: &Value,
    target: &str,
) -> Result<BTreeSet<String>, Failure> {
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let (wanted, notes) = runs::preflight(&targets, workflow, params, target)?;
    say_notes(notes);
    Ok(wanted)
}

/// Prints the findings that do not prevent the run.
pub fn say_notes(notes: Vec<Note>) {
    for note in notes {
        match &note {
            Note::Said(_) => {
                let warning = style("note:").yellow();
                say!("{warning} {note}");
            }
            Note::NoClusters { target } => {
                let warning = style("note:").yellow();
                say!(
                    "{warning} the target `{target}` names no Kubernetes clusters (`kube = {{ … }}`), so steps that need them are skipped"
                );
            }
            Note::Missing { .. } | Note::Unserved { .. } | Note::NotAllowed { .. } => {
                let warning = style("warning:").yellow();
                say!("{warning} {note}");
            }
        }
    }
}
