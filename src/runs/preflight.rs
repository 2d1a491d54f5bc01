//! Checks before a run begins whether the target has the clusters that the workflow uses, whether they can be reached, and
//! what the caller is allowed to do there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use futures_util::{StreamExt, stream};

use super::{allowed::allowed, error::RunsError};
use windlass_compile::{Workflow, clusters};
use windlass_script::permits_of;
use windlass_targets::{Target, Targets};
use windlass_world::{
    outside::{KubeClients, Permit},
    value::{Failure as Trouble, Value},
};

/// What the clusters of a target say about the calls of a workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// The permissions that the caller lacks, by cluster.
    pub missing: BTreeMap<String, BTreeSet<Permit>>,
    /// The kinds that no cluster serves.
    pub unserved: BTreeSet<String>,
}

/// How many clusters a preflight asks at once: the connections to all of hundreds would be more than a process may open.
const CLUSTERS_AT_ONCE: usize = 16;

/// A finding of a preflight that does not prevent the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The target names no Kubernetes clusters: steps that need them are skipped.
    NoClusters { target: String },
    /// Missing permissions are only a warning: they may have been granted in single namespaces, which can't be known
    /// beforehand.
    Missing {
        cluster: String,
        permits: BTreeSet<Permit>,
    },
    /// The target does not allow a program, a host or a service that a step names: the step fails if it gets to that call.
    NotAllowed { step: String, why: String },
    /// Whether calls about these kinds are allowed is not known: no cluster of the target serves them yet.
    Unserved {
        target: String,
        kinds: BTreeSet<String>,
    },
    /// A finding of a server, as its text.
    Said(String),
}

/// Shows it to people who can't edit the target.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoClusters { target } => write!(
                f,
                "the target `{target}` has no Kubernetes clusters, so steps that need them are skipped"
            ),
            Self::Missing { cluster, permits } => write!(
                f,
                "on {cluster} the caller may not {}",
                permits_text(permits)
            ),
            Self::NotAllowed { step, why } => write!(f, "step {step}: {why}"),
            Self::Unserved { target, kinds } => {
                let kinds: Vec<_> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
                let kinds = kinds.join(", ");
                write!(
                    f,
                    "no cluster of the target `{target}` serves {kinds}: calls about such objects fail, unless the run installs the kind first"
                )
            }
            Self::Said(text) => f.write_str(text),
        }
    }
}

/// Returns the Kubernetes clusters that a run will use; none if the target has none at all.
///
/// # Errors
/// A target that does not exist or names only some of the clusters, or clusters that can't be reached.
pub fn preflight(
    targets: &Targets,
    workflow: &Workflow,
    params: &Value,
    target: &str,
) -> Result<(BTreeSet<String>, Vec<Note>), RunsError> {
    let wanted = clusters(workflow, params)?;
    // Rehearsal clusters are created when they are first used.
    let found = targets.find(target)?;
    let refused = allowed(found, workflow, params).refused.into_iter();
    let mut notes: Vec<_> = refused
        .map(|(step, why)| Note::NotAllowed { step, why })
        .collect();
    let Some(found) = found.filter(|found| found.mesh().is_none()) else {
        return Ok((wanted, notes));
    };
    if wanted.is_empty() {
        return Ok((wanted, notes));
    }
    if found.kube.is_empty() {
        let target = target.to_owned();
        notes.push(Note::NoClusters { target });
        return Ok((BTreeSet::new(), notes));
    }
    refuse_a_part(found, target, &wanted)?;
    let access = ask(found, workflow, params, &wanted)?;
    let missing = access.missing.into_iter();
    let missing = missing.map(|(cluster, permits)| Note::Missing { cluster, permits });
    let unserved = (!access.unserved.is_empty()).then(|| Note::Unserved {
        target: target.to_owned(),
        kinds: access.unserved,
    });
    notes.extend(missing.chain(unserved));
    Ok((wanted, notes))
}

/// Rejects a target that names only some of the clusters: the run would leave a mesh half rotated.
fn refuse_a_part(found: &Target, target: &str, wanted: &BTreeSet<String>) -> Result<(), RunsError> {
    let lacking: Vec<_> = wanted
        .iter()
        .filter(|role| !found.kube.contains_key(*role))
        .collect();
    let Some(first) = lacking.first() else {
        return Ok(());
    };
    let names: Vec<_> = lacking.iter().map(|role| format!("`{role}`")).collect();
    let message = format!(
        "the target `{target}` has no context for {}",
        names.join(", ")
    );
    let hint = format!(
        "add it in windlass.toml: `kube = {{ …, {first} = \"CONTEXT\" }}`; or name no cluster at all, then steps that need them are skipped"
    );
    Err(RunsError::wrong("clusters", message).hint(hint))
}

/// Asks every cluster which of the workflow's calls the caller may not make in all namespaces, and which kinds it serves. Blocks its thread, which must not belong
/// to an asynchronous runtime.
///
/// # Errors
/// Clusters that can't be reached or reject the caller.
pub fn ask(
    target: &Target,
    workflow: &Workflow,
    params: &Value,
    wanted: &BTreeSet<String>,
) -> Result<Rights, RunsError> {
    let known = params.as_map().cloned().unwrap_or_default();
    let (permits, _) = permits_of(&workflow.known_calls(&known), false);
    let kube = KubeClients::new(target.kube(), wanted.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunsError::no_threads)?;
    let (kube, permits) = (&kube, &permits);
    let asked = stream::iter(wanted).map(|role| async move {
        let client = kube.client(role).await?;
        Ok::<_, Trouble>((role.clone(), client.access(permits).await?))
    });
    let answers: Vec<_> = runtime.block_on(asked.buffered(CLUSTERS_AT_ONCE).collect());
    let mut access = Rights::default();
    let mut unserved: Option<BTreeSet<String>> = None;
    let mut troubles = Vec::new();
    for answer in answers {
        match answer {
            Ok((role, found)) => {
                if !found.missing.is_empty() {
                    access.missing.insert(role, found.missing);
                }
                // A kind that only another cluster of the run serves is for that one.
                unserved = Some(match unserved {
                    None => found.unserved,
                    Some(others) => &others & &found.unserved,
                });
            }
            Err(trouble) => troubles.push(trouble),
        }
    }
    access.unserved = unserved.unwrap_or_default();
    let Some(first) = troubles.first() else {
        return Ok(access);
    };
    let hint = first.hint.clone();
    let mut texts: Vec<_> = troubles.iter().map(ToString::to_string).collect();
    // A mistake in the kubeconfig is the same for every cluster.
    texts.dedup();
    let error = RunsError::wrong("clusters", texts.join("\n  "));
    Err(match hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

/// Formats permits as `patch deployments.apps, list pods`.
pub fn permits_text(permits: &BTreeSet<Permit>) -> String {
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
