//! What a plan learns of a target before a run begins, by the steps that only read.

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
/// Where a run writes by default; nothing is written there now.
const OUT: &str = "out";

/// Runs the steps that only read, and returns where the run would stand after them. `begun` holds nothing but the
/// run's start, and is returned as it is where the target is a rehearsal that has not been used yet: to open it would
/// make its servers.
///
/// # Errors
/// An embedded server that can't start, a profile of AWS that does not exist, a CA bundle that can't be read.
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

/// Whether a rehearsal's servers were started before, so that to start them makes nothing new.
fn is_made(folder: &Path, clusters: &BTreeSet<String>) -> bool {
    let kube = folder.join("kube");
    folder.join("pca").is_dir() && clusters.iter().all(|cluster| kube.join(cluster).is_dir())
}
