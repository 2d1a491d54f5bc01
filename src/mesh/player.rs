//! The state of players: what each has mounted, loaded and been issued. It is stored in the cluster's database.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use super::{
    ca::{Ca, Files, Leaf},
    pods,
    version::Version,
};
use windlass_cluster::{Cluster, Moment, StateError};

/// The trust domain of all clusters of a rehearsal.
pub(super) const TRUST_DOMAIN: &str = "cluster.local";

/// One replica of istiod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Istiod {
    pub place: Place,
    pub version: String,
    pub multi_root: bool,
    /// Whether it reads a changed folder without a restart.
    pub reloads: bool,
    pub born: Moment,
    pub mounted: Files,
    pub ca: Ca,
    pub serving: Leaf,
    /// The pool with which it verifies clients' certificates; built once at the start (istio:
    /// `pilot/pkg/bootstrap/server.go`).
    pub clients: String,
    /// What it has logged about its CA.
    pub log: Vec<String>,
}

/// A sidecar or gateway: istio-agent and Envoy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Proxy {
    pub place: Place,
    pub is_gateway: bool,
    pub identity: String,
    /// Whether it takes roots from istiod's pushes (`PROXY_CONFIG_XDS_AGENT`).
    pub xds_agent: bool,
    pub istiod_namespace: String,
    /// `root-cert.pem`, with which it verifies istiod.
    pub mounted: String,
    /// The roots in the answer to its last CSR.
    pub answered: String,
    /// The roots that istiod pushed last.
    pub pushed: String,
    pub leaf: Leaf,
    pub issued: Moment,
    /// The istiod that it is connected to, and the time of the connection.
    pub stream: Option<(String, Moment)>,
    /// The reason why its last renewal failed.
    pub trouble: Option<String>,
}

impl Proxy {
    /// Returns Envoy's anchors: the sorted union of both sets (istio: `security/pkg/nodeagent/cache/secretcache.go`).
    pub fn roots(&self) -> String {
        let both = [self.answered.as_str(), self.pushed.as_str()].concat();
        let mut blocks = super::x509::blocks(&both);
        blocks.sort();
        blocks.dedup();
        blocks.concat()
    }
}

/// A ztunnel, with the state of each identity on its node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ztunnel {
    pub place: Place,
    /// Where istiod is; empty in what an older version has stored, where it was the ztunnel's own namespace.
    #[serde(default)]
    pub istiod_namespace: String,
    pub node: String,
    pub version: String,
    pub mounted: String,
    /// The root with which its CA client verifies istiod. Older versions read it once (ztunnel #1775).
    pub ca_root: String,
    pub identities: Vec<Identity>,
}

/// The state of a ztunnel for one service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub name: String,
    pub leaf: Option<Leaf>,
    pub roots: String,
    pub issued: Moment,
    /// When it is renewed because istiod would answer differently now.
    pub due: Option<Moment>,
    pub trouble: Option<String>,
}

/// Where a player runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub namespace: String,
    pub pod: String,
    /// The name of its Deployment or DaemonSet.
    pub workload: String,
}

/// A kind of player, stored under its own keys.
pub(super) trait Player: Serialize + DeserializeOwned + PartialEq {
    const KIND: &'static str;
    fn place(&self) -> &Place;

    fn key(&self) -> String {
        key::<Self>(&self.place().namespace, &self.place().pod)
    }

    fn find(cluster: &Cluster, namespace: &str, pod: &str) -> Result<Option<Self>, StateError> {
        let text = cluster.kept(&key::<Self>(namespace, pod))?;
        text.map(|text| read(&text)).transpose()
    }

    fn all(cluster: &Cluster) -> Result<Vec<Self>, StateError> {
        let all = cluster.all_kept(&format!("{}/", Self::KIND))?;
        all.iter().map(|(_, text)| read(text)).collect()
    }

    fn keep(&self, cluster: &Cluster) -> Result<(), StateError> {
        let text = serde_json::to_string(self).map_err(unwritable)?;
        cluster.keep(&self.key(), &text)
    }

    /// Wakes it at a time for an action: `mount`, `renew`.
    fn wake(&self, cluster: &Cluster, what: &str, at: Moment) -> Result<(), StateError> {
        cluster.wake(&format!("{what}/{}", self.key()), at)
    }

    /// Wakes those of its kind whose mounted root has changed, after the time that kubelet takes to write the file.
    fn root_changed(cluster: &Cluster, map: &Json, mount: Moment) -> Result<(), StateError> {
        if pods::name(map) != pods::ROOT_MAP {
            return Ok(());
        }
        for one in Self::all(cluster)? {
            if one.place().namespace == pods::namespace(map) {
                one.wake(cluster, "mount", cluster.now() + mount)?;
            }
        }
        Ok(())
    }
}

impl Player for Istiod {
    const KIND: &'static str = "istiod";
    fn place(&self) -> &Place {
        &self.place
    }
}

impl Player for Proxy {
    const KIND: &'static str = "proxy";
    fn place(&self) -> &Place {
        &self.place
    }
}

impl Player for Ztunnel {
    const KIND: &'static str = "ztunnel";
    fn place(&self) -> &Place {
        &self.place
    }
}

impl Istiod {
    pub fn version(&self) -> Version {
        version(&self.version)
    }
}

impl Ztunnel {
    pub fn version(&self) -> Version {
        version(&self.version)
    }
}

fn key<P: Player>(namespace: &str, pod: &str) -> String {
    format!("{}/{namespace}/{pod}", P::KIND)
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, StateError> {
    serde_json::from_str(text)
        .map_err(|error| StateError::new(format!("the state of a player can't be read: {error}")))
}

fn unwritable(error: serde_json::Error) -> StateError {
    StateError::new(format!("the state of a player can't be written: {error}"))
}

fn version(text: &str) -> Version {
    text.parse().unwrap_or(Version::newest(1, 30))
}

impl Place {
    pub fn of(pod: &Json) -> Self {
        let text = |pointer: &str| {
            let found = pod.pointer(pointer).and_then(Json::as_str);
            found.unwrap_or_default().to_owned()
        };
        let owner = text("/metadata/ownerReferences/0/name");
        let workload = match pod["metadata"]["ownerReferences"][0]["kind"].as_str() {
            // A ReplicaSet's name consists of its Deployment's name and a digest of the template.
            Some("ReplicaSet") => match owner.rsplit_once('-') {
                Some((name, _)) => name.to_owned(),
                None => owner,
            },
            Some(_) => owner,
            None => text("/metadata/name"),
        };
        Self {
            namespace: text("/metadata/namespace"),
            pod: text("/metadata/name"),
            workload,
        }
    }
}
