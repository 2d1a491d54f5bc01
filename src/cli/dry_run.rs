//! Dry runs: asks the clusters of a target before a run begins what they would reject.

use std::collections::BTreeSet;

use console::style;

use super::{account::uses_aws, failure::Failure, process::runtime};
use crate::{
    compile::Workflow,
    decide::trials,
    execute::{Obstacle, obstacles},
    journal::State,
    outside::{AwsClient, Clients, HttpClient, KubeClients, PcaClient, SecretReader},
    targets::{OpenError, Target},
};

/// How many steps are tried at once: API servers limit the requests of a client.
const AT_ONCE: u16 = 8;
/// How many problems are shown: all clusters often have the same ones.
const SHOWN: usize = 10;

/// Tries the steps of a run whose inputs are known, by dry runs on the clusters of its target. `state` holds nothing but the
/// run's start. With `changing`, steps that only read are left out: the run itself reports their problems early enough.
///
/// # Errors
/// A profile of AWS that does not exist, or a CA bundle that can't be read.
pub fn ask(
    target: &Target,
    workflow: &Workflow,
    state: &State,
    clusters: &BTreeSet<String>,
    changing: bool,
) -> Result<Vec<Obstacle>, Failure> {
    // A run on rehearsal clusters reports rejections at once, and can be undone.
    if clusters.is_empty() || target.mesh().is_some() {
        return Ok(Vec::new());
    }
    let mut trials = trials(workflow, state);
    trials.retain(|trial| {
        let calls = &trial.script.run_calls;
        let mut of_kube = calls
            .iter()
            .filter(|call| call.function.starts_with("kube::"));
        of_kube.any(|call| !changing || call.is_change())
    });
    if trials.is_empty() {
        return Ok(Vec::new());
    }
    let runtime = runtime(AT_ONCE)?;
    let found = runtime.block_on(async {
        let clients = clients(target, workflow, clusters).await?;
        let mut found = Vec::new();
        while !trials.is_empty() {
            let some = trials.drain(..trials.len().min(AT_ONCE.into())).collect();
            found.extend(obstacles(some, &clients).await);
        }
        Ok(found)
    });
    runtime.shutdown_background();
    found
}

/// Opens the clients that the trials may use.
///
/// # Errors
/// A profile of AWS that does not exist, or a CA bundle that can't be read.
pub async fn clients(
    target: &Target,
    workflow: &Workflow,
    clusters: &BTreeSet<String>,
) -> Result<Clients, Failure> {
    let mut clients = Clients {
        kube: KubeClients::new(target.kube(), clusters.clone()),
        http: HttpClient::new(target.http.allow.clone()),
        secrets: SecretReader::new(AwsClient::nowhere()),
        ..Clients::nowhere()
    };
    if uses_aws(workflow) {
        let pca = PcaClient::connect(&target.pca).await;
        clients.pca = pca.map_err(OpenError::from)?;
    }
    Ok(clients)
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
        "nothing was started, because it would fail:\n  {}",
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
