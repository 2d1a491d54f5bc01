use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::{
    istiod, matrix,
    options::{MeshOptions, millis},
    plant,
    player::{Istiod, Player, Proxy, Ztunnel},
    pods::{self, ROOT_MAP, name, namespace},
    proxy, trust, webhook, ztunnel,
};
use crate::cluster::{Changed, Cluster, Controllers, Hold, Options, StateError, is_pod_ready};

/// The cluster with the management plane.
pub(super) const MANAGEMENT: &str = "mgmt";

/// The options of one cluster of a mesh.
///
/// A mesh spans the clusters of one folder: each is a folder of its name in it, and the one that is called `mgmt` has
/// Gloo Mesh's management plane. Servers of several processes may play the same mesh; `given` is what one of them was
/// started with, and the mesh's own options stay where it is `None`.
pub fn member(folder: &Path, name: &str, given: Option<&MeshOptions>) -> Options {
    let member = Member {
        folder: folder.to_owned(),
        name: name.to_owned(),
        given: given.cloned(),
    };
    Options {
        controllers: Some(std::sync::Arc::new(member)),
        ..Options::local(folder.join(name), name)
    }
}

/// The part of a mesh that is in one cluster.
#[derive(Debug)]
struct Member {
    folder: PathBuf,
    name: String,
    given: Option<MeshOptions>,
}

impl Member {
    fn must_upgrade(&self, cluster: &Cluster) -> Result<bool, StateError> {
        match &self.given {
            None => Ok(false),
            Some(given) => Ok(MeshOptions::of(cluster)? != *given),
        }
    }
}

impl Controllers for Member {
    fn watched(&self) -> &'static [&'static str] {
        &[
            "configmaps",
            "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            "namespaces",
            "pods",
            "secrets",
            "validatingwebhookconfigurations.admissionregistration.k8s.io",
        ]
    }

    fn plant(&self, cluster: &Cluster) -> Result<(), StateError> {
        let options = self.given.clone().unwrap_or_default();
        options.keep(cluster)?;
        match self.name.as_str() {
            MANAGEMENT => plant::management(cluster, &options),
            _ => plant::workload(cluster, &options),
        }
    }

    fn is_due(&self, cluster: &Cluster) -> Result<bool, StateError> {
        self.must_upgrade(cluster)
    }

    fn begin(&self, cluster: &Cluster) -> Result<(), StateError> {
        match &self.given {
            Some(given) if self.must_upgrade(cluster)? => {
                given.keep(cluster)?;
                plant::upgrade(cluster, given)
            }
            _ => Ok(()),
        }
    }

    fn woken(&self, cluster: &Cluster, key: &str) -> Result<(), StateError> {
        let mut parts = key.split('/');
        let mut part = || parts.next().unwrap_or_default();
        let (what, kind, namespace, pod) = (part(), part(), part(), part());
        match (what, kind) {
            ("mount", Istiod::KIND) => with(cluster, namespace, pod, istiod::remount),
            ("mount", Proxy::KIND) => with(cluster, namespace, pod, proxy::remount),
            ("mount", Ztunnel::KIND) => with(cluster, namespace, pod, ztunnel::remount),
            ("renew", Proxy::KIND) => with(cluster, namespace, pod, |cluster, one| {
                proxy::renewal(cluster, &one)
            }),
            ("renew", Ztunnel::KIND) => with(cluster, namespace, pod, ztunnel::renewal),
            _ => Ok(()),
        }
    }

    fn changed(&self, cluster: &Cluster, change: &Changed) -> Result<(), StateError> {
        let object = &change.object;
        let mount = || -> Result<_, StateError> { Ok(millis(MeshOptions::of(cluster)?.mount)) };
        match change.resource.as_str() {
            "pods" if change.is_gone => gone(cluster, object),
            "pods" => Ok(()),
            "secrets" => istiod::secret_changed(cluster, object, mount()?),
            "configmaps" if name(object) == ROOT_MAP => {
                proxy::root_changed(cluster, object, mount()?)?;
                ztunnel::root_changed(cluster, object, mount()?)?;
                repair_root(cluster, namespace(object))
            }
            "namespaces" if !change.is_gone => repair_root(cluster, name(object)),
            resource if istiod::WEBHOOKS.contains(&resource) && !change.is_gone => {
                istiod::repair_webhook(cluster, resource, object)
            }
            _ => Ok(()),
        }
    }

    fn admit(&self, cluster: &Cluster, pod: &mut Json) -> Result<Option<String>, StateError> {
        webhook::admit(cluster, pod)
    }

    fn start(&self, cluster: &Cluster, pod: &Json) -> Result<Option<Hold>, StateError> {
        if is_pod_ready(pod) {
            return Ok(None);
        }
        match pods::label(pod, "app") {
            "istiod" => istiod::start(cluster, pod),
            "ztunnel" => ztunnel::start(cluster, pod),
            _ if pods::has_container(pod, "istio-proxy") => proxy::start(cluster, pod),
            _ => {
                if ztunnel::is_ambient(cluster, pod)? {
                    ztunnel::pod_started(cluster, pod)?;
                }
                Ok(None)
            }
        }
    }

    fn answer(&self, path: &str) -> Option<Result<Json, StateError>> {
        let (_, resource) = path.rsplit_once('/')?;
        if !path.contains("/rehearsal.windlass.dev/") || resource != "handshakes" {
            return None;
        }
        Some(matrix::handshakes(&self.folder).map(|all| all.to_json()))
    }
}

fn with<P: Player>(
    cluster: &Cluster,
    namespace: &str,
    pod: &str,
    work: impl FnOnce(&Cluster, P) -> Result<(), StateError>,
) -> Result<(), StateError> {
    match P::find(cluster, namespace, pod)? {
        Some(player) => work(cluster, player),
        None => Ok(()),
    }
}

/// A pod is gone, and the player with it.
fn gone(cluster: &Cluster, pod: &Json) -> Result<(), StateError> {
    let (space, own) = (namespace(pod), name(pod));
    for kind in [Istiod::KIND, Proxy::KIND, Ztunnel::KIND] {
        cluster.forget(&format!("{kind}/{space}/{own}"))?;
    }
    trust::withdraw(cluster, space, own)?;
    match pods::label(pod, "app") {
        "istiod" => istiod::gone(cluster, own),
        _ => ztunnel::pod_gone(cluster, pod),
    }
}

/// Puts istiod's root back where somebody has changed or removed it, or where a namespace is new.
fn repair_root(cluster: &Cluster, namespace: &str) -> Result<(), StateError> {
    if cluster.find("namespaces", "", namespace)?.is_none() {
        return Ok(());
    }
    match istiod::leader(cluster)? {
        Some(leader) => istiod::write_root(cluster, &leader, namespace),
        None => Ok(()),
    }
}
