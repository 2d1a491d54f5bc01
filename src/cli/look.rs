//! Runs the steps that only read before a run begins, for a plan.

use std::{collections::BTreeSet, path::Path};

use super::{
    args::{Args, Plan},
    dry_run,
    failure::Failure,
    process::{absolute, now, runtime},
};
use crate::{
    compile::Workflow,
    execute,
    journal::State,
    targets::{Folders, OpenTarget, Target, rehearsal_folder},
};

/// How many scripts may run at once.
const AT_ONCE: u16 = 8;
/// The default output folder of a run; nothing is written to it here.
const OUT: &str = "out";

/// Runs the steps that only read, and returns the state after them. `begun` holds nothing but the run's start, and is returned
/// unchanged if the target is a rehearsal that has not been used yet: opening the target would create its
/// servers.
///
/// # Errors
/// An embedded server that can't start, a profile of AWS that does not exist, or a CA bundle that can't be read.
pub fn look(
    args: &Args,
    command: &Plan,
    target: Option<&Target>,
    workflow: &Workflow,
    begun: &State,
    clusters: &BTreeSet<String>,
) -> Result<State, Failure> {
    let rehearsal = rehearsal_folder(target, &args.state);
    if let Some(folder) = &rehearsal
        && !is_made(folder, clusters)
    {
        return Ok(begun.clone());
    }
    let runtime = runtime(AT_ONCE)?;
    let seen = runtime.block_on(async {
        if let (None, Some(target)) = (&rehearsal, target) {
            let clients = dry_run::clients(target, workflow, clusters).await?;
            return Ok(execute::look(workflow, begun, &clients, now()).await);
        }
        let (config, _) = args.config();
        let folders = Folders {
            out: &absolute(Path::new(OUT))?,
            state: &args.state,
            config,
            workflow: Some(&command.file),
        };
        let opened = OpenTarget::open(target, folders, clusters.clone()).await?;
        Ok(execute::look(workflow, begun, &opened.clients, now()).await)
    });
    runtime.shutdown_background();
    seen
}

/// Says whether a rehearsal's servers have been started before, so that starting them creates nothing new.
fn is_made(folder: &Path, clusters: &BTreeSet<String>) -> bool {
    let kube = folder.join("kube");
    folder.join("pca").is_dir() && clusters.iter().all(|cluster| kube.join(cluster).is_dir())
}
