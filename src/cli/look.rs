//! Runs the steps that only read before a run begins, for a plan.

use std::{collections::BTreeSet, path::Path};

use super::{
    args::{Args, Plan},
    failure::Failure,
    process::absolute,
};
use crate::{
    compile::Workflow,
    execute::Looked,
    journal::State,
    runs::Looking,
    targets::{Folders, Target},
};

/// Where a run writes by default; nothing is written there now.
const OUT: &str = "out";

/// Runs the steps that only read, and returns where the run would stand after them, as [`Looking::look`] does.
///
/// # Errors
/// As [`Looking::look`].
pub fn look(
    args: &Args,
    command: &Plan,
    target: Option<&Target>,
    workflow: &Workflow,
    begun: &State,
    clusters: &BTreeSet<String>,
) -> Result<Looked, Failure> {
    let (config, _) = args.config();
    let folders = Folders {
        out: &absolute(Path::new(OUT))?,
        state: &args.state,
        config,
        workflow: Some(&command.file),
    };
    let looking = Looking {
        target,
        folders,
        workflow,
        begun,
        clusters,
        until: None,
    };
    Ok(looking.look()?)
}
