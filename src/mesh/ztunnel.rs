//! ztunnel: holds a leaf and roots for each identity on its node (ztunnel: `src/identity`, `src/tls/certificate.rs`).

use serde_json::Value as Json;

use super::{
    handshake::{Party, shake},
    istiod,
    options::{MeshOptions, millis},
    player::{Identity, Istiod, Place, Player, TRUST_DOMAIN, Ztunnel},
    pods::{self, namespace},
    proxy::{half_life, home, next_renewal},
    trust,
    verify::{Expected, Library},
    version::{Since, Version},
    x509,
};
use windlass_cluster::{Cluster, Hold, Moment, StateError, is_pod_ready};

/// Since these versions, all roots of the last element are read (ztunnel #1510).
const READS_ALL: Since = &[(1, 24, 6), (1, 25, 3), (1, 26, 0)];
/// Since these versions, the CA client reloads its root file (ztunnel #1775).
const FOLLOWS_ROOT: Since = &[(1, 28, 6), (1, 29, 2), (1, 30, 0)];
/// Since this version, a valid leaf is kept if its renewal fails (ztunnel: `src/identity/manager.rs`).
const KEEPS_LEAF: Since = &[(1, 28, 0)];

/// Starts a ztunnel, which requests a leaf for each identity on its node.
pub(super) fn start(cluster: &Cluster, pod: &Json) -> Result<Option<Hold>, StateError> {
    let Some(mounted) = pods::root_cert(cluster, namespace(pod))? else {
        return Ok(Some(pods::hold_without_root()));
    };
    let mut ztunnel = Ztunnel {
        place: Place::of(pod),
        istiod_namespace: home(cluster)?,
        node: pods::text(pod, "/spec/nodeName").to_owned(),
        version: pods::version(pod, "istio-proxy", Version::newest(1, 30)).to_string(),
        ca_root: mounted.clone(),
        mounted,
        identities: Vec::new(),
    };
    for pod in cluster.list("pods", None)? {
        if is_pod_ready(&pod) && is_on(cluster, &ztunnel, &pod)? {
            take(&mut ztunnel, &pods::identity(&pod));
        }
    }
    for at in 0..ztunnel.identities.len() {
        renew(cluster, &mut ztunnel, at)?;
    }
    save(cluster, &ztunnel)?;
    Ok(None)
}

/// Returns whether a pod is in the mesh through a ztunnel.
pub(super) fn is_ambient(cluster: &Cluster, pod: &Json) -> Result<bool, StateError> {
    const MODE: &str = "istio.io/dataplane-mode";
    if pods::has_container(pod, "istio-proxy") {
        return Ok(false);
    }
    match pods::label(pod, MODE) {
        "" => {}
        mode => return Ok(mode == "ambient"),
    }
    let space = cluster.find("namespaces", "", namespace(pod))?;
    Ok(space.is_some_and(|space| pods::label(&space, MODE) == "ambient"))
}

pub(super) fn is_on(cluster: &Cluster, ztunnel: &Ztunnel, pod: &Json) -> Result<bool, StateError> {
    Ok(pods::text(pod, "/spec/nodeName") == ztunnel.node && is_ambient(cluster, pod)?)
}

fn take(ztunnel: &mut Ztunnel, identity: &str) {
    if ztunnel.identities.iter().all(|one| one.name != identity) {
        ztunnel.identities.push(Identity {
            name: identity.to_owned(),
            leaf: None,
            roots: String::new(),
            issued: 0,
            due: None,
            trouble: None,
        });
    }
}

/// Handles a started pod of the mesh on a node.
pub(super) fn pod_started(cluster: &Cluster, pod: &Json) -> Result<(), StateError> {
    let identity = pods::identity(pod);
    for mut ztunnel in Ztunnel::all(cluster)? {
        if !is_on(cluster, &ztunnel, pod)? {
            continue;
        }
        take(&mut ztunnel, &identity);
        for at in 0..ztunnel.identities.len() {
            let one = &ztunnel.identities[at];
            if one.name == identity && one.leaf.is_none() {
                renew(cluster, &mut ztunnel, at)?;
            }
        }
        save(cluster, &ztunnel)?;
    }
    Ok(())
}

/// Handles a removed pod; an identity is removed with its last pod.
pub(super) fn pod_gone(cluster: &Cluster, gone: &Json) -> Result<(), StateError> {
    if !is_ambient(cluster, gone)? {
        return Ok(());
    }
    let identity = pods::identity(gone);
    for mut ztunnel in Ztunnel::all(cluster)? {
        if !is_on(cluster, &ztunnel, gone)? {
            continue;
        }
        let mut is_used = false;
        for pod in cluster.list("pods", Some(namespace(gone)))? {
            is_used |= pods::identity(&pod) == identity && is_on(cluster, &ztunnel, &pod)?;
        }
        if !is_used {
            ztunnel.identities.retain(|one| one.name != identity);
            save(cluster, &ztunnel)?;
        }
    }
    Ok(())
}

fn save(cluster: &Cluster, ztunnel: &Ztunnel) -> Result<(), StateError> {
    ztunnel.keep(cluster)?;
    trust::publish_ztunnel(cluster, ztunnel)
}

/// Renews the leaf of one identity now.
fn renew(cluster: &Cluster, ztunnel: &mut Ztunnel, at: usize) -> Result<(), StateError> {
    let now = cluster.now();
    let version = ztunnel.version();
    let all = Istiod::all(cluster)?;
    let answer = answer(&all, ztunnel, &ztunnel.identities[at], now);
    let one = &mut ztunnel.identities[at];
    one.due = None;
    match answer {
        Err(why) => {
            one.trouble = Some(why);
            if !version.has(KEEPS_LEAF) {
                one.leaf = None;
            }
        }
        Ok(answer) => {
            one.roots = if version.has(READS_ALL) {
                answer.roots
            } else {
                // These versions read only the first PEM block of the element.
                x509::blocks(&answer.roots)
                    .into_iter()
                    .next()
                    .unwrap_or_default()
            };
            one.trouble = None;
            if one.leaf.as_ref() != Some(&answer.leaf) {
                one.issued = now;
            }
            let end = one.issued + half_life(&answer.leaf);
            one.due = Some(end);
            one.leaf = Some(answer.leaf);
            ztunnel.wake(cluster, "renew", end)?;
        }
    }
    Ok(())
}

fn answer(
    all: &[Istiod],
    ztunnel: &Ztunnel,
    one: &Identity,
    now: Moment,
) -> Result<super::ca::Answer, String> {
    let name = format!("{}{}", ztunnel.place.pod, one.name);
    let istiod = pods::pick(all, &name).ok_or("no istiod is running")?;
    shake(&ca_client(ztunnel), &istiod::server(istiod), now)
        .map_err(|why| format!("connecting to istiod: {why}"))?;
    istiod
        .ca
        .answer(&one.name, istiod.version(), now, one.leaf.as_ref())
        .map_err(|why| format!("CSR failed: {why}"))
}

/// Handles a change of what istiod would answer to ztunnels, which notice it at their next renewal.
pub(super) fn istiod_changed(cluster: &Cluster) -> Result<(), StateError> {
    let renew = millis(MeshOptions::of(cluster)?.renew);
    let now = cluster.now();
    for mut ztunnel in Ztunnel::all(cluster)? {
        for one in &mut ztunnel.identities {
            one.due = Some(match (&one.leaf, &one.trouble) {
                (Some(leaf), None) => next_renewal(one.issued, leaf, renew, now),
                _ => now,
            });
        }
        wake_for_due(cluster, &ztunnel)?;
        ztunnel.keep(cluster)?;
    }
    Ok(())
}

fn wake_for_due(cluster: &Cluster, ztunnel: &Ztunnel) -> Result<(), StateError> {
    match ztunnel.identities.iter().filter_map(|one| one.due).min() {
        Some(at) => ztunnel.wake(cluster, "renew", at),
        None => Ok(()),
    }
}

/// Renews the leaves that are due.
pub(super) fn renewal(cluster: &Cluster, mut ztunnel: Ztunnel) -> Result<(), StateError> {
    for at in 0..ztunnel.identities.len() {
        if ztunnel.identities[at]
            .due
            .is_some_and(|due| due <= cluster.now())
        {
            renew(cluster, &mut ztunnel, at)?;
        }
    }
    wake_for_due(cluster, &ztunnel)?;
    save(cluster, &ztunnel)
}

/// Handles the root that kubelet has written to the mounted file.
pub(super) fn remount(cluster: &Cluster, mut ztunnel: Ztunnel) -> Result<(), StateError> {
    let root = pods::root_cert(cluster, &ztunnel.place.namespace)?.unwrap_or_default();
    if root == ztunnel.mounted {
        return Ok(());
    }
    ztunnel.mounted.clone_from(&root);
    // If the client can't be rebuilt, it keeps the former root.
    if ztunnel.version().has(FOLLOWS_ROOT) && !x509::parsed(&root).is_empty() {
        ztunnel.ca_root = root;
        for at in 0..ztunnel.identities.len() {
            if ztunnel.identities[at].trouble.is_some() {
                renew(cluster, &mut ztunnel, at)?;
            }
        }
    }
    save(cluster, &ztunnel)
}

/// Returns ztunnel's CA client.
pub(super) fn ca_client(ztunnel: &Ztunnel) -> Party {
    istiod::client(&ztunnel.ca_root, Library::Rustls, istiod_namespace(ztunnel))
}

/// Returns ztunnel's XDS client, which reads the mounted root at each connection.
pub(super) fn xds_client(ztunnel: &Ztunnel) -> Party {
    istiod::client(&ztunnel.mounted, Library::Rustls, istiod_namespace(ztunnel))
}

/// Returns the namespace of istiod, which may be another one than ztunnel's, such as `kube-system`.
fn istiod_namespace(ztunnel: &Ztunnel) -> &str {
    match ztunnel.istiod_namespace.as_str() {
        "" => &ztunnel.place.namespace,
        namespace => namespace,
    }
}

/// Returns a workload as a client of another: ztunnel expects exactly the server's identity (ztunnel:
/// `src/tls/certificate.rs`).
pub(super) fn as_client(party: Party, server: &str) -> Party {
    Party {
        expects: Expected::Identity(server.to_owned()),
        ..party
    }
}

/// Returns a workload as a server.
pub(super) fn party(one: &Identity) -> Party {
    Party {
        shows: one
            .leaf
            .as_ref()
            .map(|leaf| (leaf.chain.clone(), leaf.key.clone())),
        trusts: Some(one.roots.clone()),
        library: Library::Rustls,
        expects: Expected::TrustDomain(TRUST_DOMAIN.into()),
    }
}
