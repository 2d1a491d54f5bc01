use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use serde_json::Value as Json;

use super::{
    gloo, istiod, matrix,
    options::{MeshOptions, millis},
    plant,
    player::{Istiod, Player, Proxy, Ztunnel},
    pods::{self, ROOT_MAP, name, namespace},
    proxy,
    relay::{self, Agent, Server},
    sockets::Sockets,
    trust, webhook, ztunnel,
};
use windlass_cluster::{
    Changed, Cluster, Controllers, Hold, Offline, Options, StateError, is_pod_ready,
};

/// The cluster with the management plane.
pub(super) const MANAGEMENT: &str = "mgmt";

/// The path at which the API server of each cluster of a mesh returns who can connect to whom.
pub const HANDSHAKES: &str = "/apis/rehearsal.windlass.dev/v1/handshakes";

/// Returns the options of one cluster of a mesh.
///
/// A mesh consists of the clusters in one folder: each has a folder with its name in it, and the cluster named `mgmt` has
/// Gloo Mesh's management plane. Servers in several processes may run the same mesh. `given` has the options with which this
/// server was started; with `None`, the mesh keeps its options.
pub fn member(folder: &Path, name: &str, given: Option<&MeshOptions>) -> Options {
    let member = Member {
        folder: folder.to_owned(),
        name: name.to_owned(),
        given: given.cloned(),
        management: OnceLock::new(),
    };
    Options {
        controllers: Some(Arc::new(member)),
        ports: Some(Arc::new(Sockets::new(folder, name))),
        ..Options::local(folder.join(name), name)
    }
}

/// The part of a mesh in one cluster.
#[derive(Debug)]
struct Member {
    folder: PathBuf,
    name: String,
    given: Option<MeshOptions>,
    /// The management cluster, for clusters with agents.
    management: OnceLock<Offline>,
}

impl Member {
    fn must_upgrade(&self, cluster: &Cluster) -> Result<bool, StateError> {
        let Some(given) = &self.given else {
            return Ok(false);
        };
        let has = MeshOptions::of(cluster)?;
        if has.revision != given.revision {
            return Err(StateError::new(format!(
                "the rehearsal cluster {} was created with the revision `{}` of Istio, which an upgrade keeps: use another state folder, or another target",
                cluster.name(),
                has.revision()
            )));
        }
        Ok(has != *given)
    }

    /// Returns whether this cluster's agent has been installed, but is not registered in the management cluster yet.
    fn must_register(&self, cluster: &Cluster) -> Result<bool, StateError> {
        Ok(self.management().is_some() && cluster.kept(REGISTERED)?.is_none())
    }

    /// Returns the management cluster, once there is one and it has been opened.
    fn management(&self) -> Option<&Offline> {
        self.management.get()
    }

    /// Returns the new revision of the management server if the agent has not seen it yet.
    fn news(&self, cluster: &Cluster) -> Result<Option<u64>, StateError> {
        let Some(management) = self.management() else {
            return Ok(None);
        };
        let revision = management.read(relay::revision)?;
        let seen = cluster.kept(SEEN)?;
        let seen: u64 = seen.and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok(Some(revision).filter(|revision| *revision != seen))
    }
}

/// The key under which a workload cluster stores that it has been registered.
const REGISTERED: &str = "registered";

/// The key under which an agent's cluster stores the latest revision of the management server that it has handled.
const SEEN: &str = "relay-seen";

impl Controllers for Member {
    fn watched(&self) -> &'static [&'static str] {
        &[
            "configmaps",
            "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            "namespaces",
            "pods",
            "roottrustpolicies.admin.gloo.solo.io",
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

    fn prepare(&self) -> Result<(), StateError> {
        let is_there = || self.folder.join(MANAGEMENT).join("cluster.db").exists();
        if self.name == MANAGEMENT || self.management().is_none() && !is_there() {
            return Ok(());
        }
        if self.management().is_none() {
            let opened = Offline::open(member(&self.folder, MANAGEMENT, None));
            let opened = opened.map_err(|error| StateError::new(error.to_string()))?;
            // Another thread may have set it first; its connection is equivalent.
            let _ = self.management.set(opened);
        }
        match self.management() {
            Some(management) => management.catch_up(),
            None => Ok(()),
        }
    }

    fn is_due(&self, cluster: &Cluster) -> Result<bool, StateError> {
        Ok(self.must_upgrade(cluster)?
            || self.must_register(cluster)?
            || self.news(cluster)?.is_some())
    }

    fn begin(&self, cluster: &Cluster) -> Result<(), StateError> {
        if let Some(given) = &self.given
            && self.must_upgrade(cluster)?
        {
            given.keep(cluster)?;
            plant::upgrade(cluster, given)?;
        }
        if let Some(management) = self.management()
            && self.must_register(cluster)?
        {
            management.write(|it| plant::register(it, cluster.name()))?;
            // Only once: a cluster that was deregistered must stay so.
            cluster.keep(REGISTERED, "true")?;
        }
        let (Some(revision), Some(management)) = (self.news(cluster)?, self.management()) else {
            return Ok(());
        };
        cluster.keep(SEEN, &revision.to_string())?;
        relay::reconnect(cluster, Some(management))?;
        gloo::receive(cluster, management)
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
            ("mount", Server::KIND) => with(cluster, namespace, pod, relay::remount_server),
            ("issue", _) => match self.management() {
                Some(management) => gloo::issue(cluster, management),
                None => Ok(()),
            },
            ("bounce", stage) => {
                let number = |text: &str| text.parse().unwrap_or_default();
                gloo::bounce(cluster, number(stage), number(namespace))
            }
            _ => Ok(()),
        }
    }

    fn changed(&self, cluster: &Cluster, change: &Changed) -> Result<(), StateError> {
        let object = &change.object;
        let mount = || -> Result<_, StateError> { Ok(millis(MeshOptions::of(cluster)?.mount)) };
        match change.resource.as_str() {
            "pods" if change.is_gone => gone(cluster, object, self.name == MANAGEMENT),
            "pods" => Ok(()),
            "secrets" if self.name == MANAGEMENT => {
                relay::secret_changed(cluster, object, mount()?)?;
                // Retries requests that failed because there was no signing CA.
                relay::count_up(cluster)
            }
            "secrets" => {
                istiod::secret_changed(cluster, object, mount()?)?;
                match self.management().filter(|_| change.is_gone) {
                    Some(management) => gloo::secret_gone(cluster, management, object),
                    None => Ok(()),
                }
            }
            "roottrustpolicies.admin.gloo.solo.io" if !change.is_gone => {
                gloo::policy_changed(cluster, object)
            }
            "configmaps" if name(object) == ROOT_MAP => {
                Proxy::root_changed(cluster, object, mount()?)?;
                Ztunnel::root_changed(cluster, object, mount()?)?;
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
            "gloo-mesh-mgmt-server" => {
                relay::start_server(cluster, pod)?;
                Ok(None)
            }
            "gloo-mesh-agent" => {
                relay::start_agent(cluster, pod, self.management())?;
                if let Some(management) = self.management() {
                    gloo::receive(cluster, management)?;
                }
                Ok(None)
            }
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
        if path != HANDSHAKES {
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

/// Removes the player of a pod that is gone.
fn gone(cluster: &Cluster, pod: &Json, is_management: bool) -> Result<(), StateError> {
    let (space, own) = (namespace(pod), name(pod));
    for kind in [
        Istiod::KIND,
        Proxy::KIND,
        Ztunnel::KIND,
        Server::KIND,
        Agent::KIND,
    ] {
        cluster.forget(&format!("{kind}/{space}/{own}"))?;
    }
    trust::withdraw(cluster, space, own)?;
    match pods::label(pod, "app") {
        "istiod" => istiod::gone(cluster, own),
        // The server's agents lose their connection.
        "gloo-mesh-mgmt-server" if is_management => relay::count_up(cluster),
        _ => ztunnel::pod_gone(cluster, pod),
    }
}

/// Writes istiod's root again after it was changed or removed, and to new namespaces.
fn repair_root(cluster: &Cluster, namespace: &str) -> Result<(), StateError> {
    if cluster.find("namespaces", "", namespace)?.is_none() {
        return Ok(());
    }
    match istiod::leader(cluster)? {
        Some(leader) => istiod::write_root(cluster, &leader, namespace),
        None => Ok(()),
    }
}
