//! Dry runs: asks the clusters of a target before a run begins what they would reject.

use std::{collections::BTreeSet, path::Path};

use console::style;

use super::{args::Args, failure::Failure};
use crate::{
    compile::Workflow,
    execute::Obstacle,
    journal::State,
    runs::Looking,
    targets::{Folders, Target},
};

/// The maximum number that is shown: a problem of one cluster is often one of all.
const SHOWN: usize = 10;

/// Tries the steps of a run whose inputs are known, as [`Looking::dry_run`] does. `state` holds nothing but the run's start.
///
/// # Errors
/// As [`Looking::dry_run`].
pub fn ask(
    args: &Args,
    target: &Target,
    workflow: &Workflow,
    state: &State,
    clusters: &BTreeSet<String>,
    changing: bool,
) -> Result<Vec<Obstacle>, Failure> {
    let (config, _) = args.config();
    let looking = Looking {
        target: Some(target),
        folders: Folders {
            out: Path::new(""),
            state: &args.state,
            config,
            workflow: None,
        },
        workflow,
        begun: state,
        clusters,
        until: None,
    };
    Ok(looking.dry_run(changing)?.obstacles)
}

/// Refuses a run that is certain to fail, and warns of possible rejections.
///
/// # Errors
/// The problems that are certain.
pub fn refuse(found: &[Obstacle]) -> Result<(), Failure> {
    let (sure, open): (Vec<_>, Vec<_>) = found.iter().partition(|obstacle| obstacle.is_sure);
    let warning = style("warning:").yellow();
    for obstacle in open.iter().take(SHOWN) {
        say!("{warning} {}", line(obstacle));
    }
    let Some(first) = sure.first() else {
        return Ok(());
    };
    let mut lines: Vec<_> = sure.iter().copied().take(SHOWN).map(line).collect();
    if let more @ 1.. = sure.len().saturating_sub(SHOWN) {
        lines.push(format!("and {more} more"));
    }
    let message = format!(
        "nothing was started, because the run would fail:\n  {}",
        lines.join("\n  ")
    );
    let failure = Failure::new("refused", message);
    Err(match &first.error.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    })
}

fn line(obstacle: &Obstacle) -> String {
    let Obstacle { step, error, .. } = obstacle;
    match &error.place {
        Some(place) => format!("{step} ({place}): {error}"),
        None => format!("{step}: {error}"),
    }
}
