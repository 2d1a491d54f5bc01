//! What is looked at before a run begins: whether the target has the clusters that the workflow
//! speaks to, whether they can be reached, and what the caller may do there.

use std::collections::{BTreeMap, BTreeSet};

use console::style;

use super::{args::Args, failure::Failure};
use crate::{
    compile::{Workflow, clusters},
    outside::{KubeClients, Permit},
    script::permits_of,
    targets::{Target, Targets},
    value::{Failure as Trouble, Value},
};

/// What the caller may not do, by cluster.
pub type Missing = BTreeMap<String, BTreeSet<Permit>>;

/// Finds the Kubernetes clusters that a run will speak to; none where the target has none at all.
///
/// Missing permissions are only warned of: they may have been given in single namespaces, which
/// nobody can tell beforehand.
pub fn preflight(
    args: &Args,
    workflow: &Workflow,
    params: &Value,
    target: &str,
) -> Result<BTreeSet<String>, Failure> {
    let wanted = clusters(workflow, params)?;
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let Some(found) = targets.find(target)? else {
        return Ok(wanted);
    };
    if wanted.is_empty() {
        return Ok(wanted);
    }
    if found.kube.is_empty() {
        let warning = style("note:").yellow();
        say!(
            "{warning} the target `{target}` names no Kubernetes clusters (`kube = {{ … }}`): what needs them is skipped"
        );
        return Ok(BTreeSet::new());
    }
    refuse_a_part(found, target, &wanted)?;
    for (cluster, permits) in ask(found, workflow, params, &wanted)? {
        let warning = style("warning:").yellow();
        say!(
            "{warning} on {cluster} the caller may not {}",
            list(&permits)
        );
    }
    Ok(wanted)
}

/// A target that names some of the clusters would leave a mesh half rotated.
fn refuse_a_part(found: &Target, target: &str, wanted: &BTreeSet<String>) -> Result<(), Failure> {
    let lacking: Vec<_> = wanted
        .iter()
        .filter(|role| !found.kube.contains_key(*role))
        .collect();
    let Some(first) = lacking.first() else {
        return Ok(());
    };
    let names: Vec<_> = lacking.iter().map(|role| format!("`{role}`")).collect();
    let message = format!(
        "the target `{target}` names no context for {}",
        names.join(", ")
    );
    let hint = format!(
        "add it in windlass.toml: `kube = {{ …, {first} = \"CONTEXT\" }}`; or name no cluster at all, and what needs them is skipped"
    );
    Err(Failure::new("clusters", message).hint(hint))
}

/// Asks every cluster what the workflow's calls may not do there in all namespaces.
pub fn ask(
    target: &Target,
    workflow: &Workflow,
    params: &Value,
    wanted: &BTreeSet<String>,
) -> Result<Missing, Failure> {
    let known = params.as_map().cloned().unwrap_or_default();
    let (permits, _) = permits_of(&workflow.known_calls(&known), false);
    let kube = KubeClients::new(target.kube(), wanted.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new("system", format!("can't start threads: {e}")))?;
    let answers = runtime.block_on(async {
        let asked = wanted.iter().map(|role| async {
            let client = kube.client(role).await?;
            Ok::<_, Trouble>((role.clone(), client.missing(&permits).await?))
        });
        futures_util::future::join_all(asked).await
    });
    let mut missing = Missing::new();
    let mut troubles = Vec::new();
    for answer in answers {
        match answer {
            Ok((_, permits)) if permits.is_empty() => {}
            Ok((role, permits)) => drop(missing.insert(role, permits)),
            Err(trouble) => troubles.push(trouble),
        }
    }
    let Some(first) = troubles.first() else {
        return Ok(missing);
    };
    let hint = first.hint.clone();
    let mut texts: Vec<_> = troubles.iter().map(ToString::to_string).collect();
    // What is wrong with the kubeconfig is wrong for every cluster.
    texts.dedup();
    let failure = Failure::new("clusters", texts.join("\n  "));
    Err(match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    })
}

/// `patch deployments.apps, list pods`.
pub fn list(permits: &BTreeSet<Permit>) -> String {
    let texts: Vec<_> = permits
        .iter()
        .map(|permit| {
            let resource = match permit.group.as_str() {
                "" => permit.resource.clone(),
                group => format!("{}.{group}", permit.resource),
            };
            match &permit.name {
                Some(name) => format!("{} {resource}/{name}", permit.verb),
                None => format!("{} {resource}", permit.verb),
            }
        })
        .collect();
    texts.join(", ")
}
