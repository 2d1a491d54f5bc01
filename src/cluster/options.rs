//! What a server is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{controllers::Controllers, fault::Fault, ports::Ports};
use windlass_ground::CLIENT_TIMEOUT;

/// How one server behaves. Everything that isn't said here is kept in `folder`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen, on loopback; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the state lives; made with mode 0700 if it isn't there.
    pub folder: PathBuf,
    /// The name of the cluster, which is its context in a kubeconfig.
    pub name: String,
    /// How long a new pod takes to become ready.
    pub pod_delay: Duration,
    /// Requests to fail on purpose.
    pub faults: Vec<Fault>,
    /// How many changes are kept for watches; one that asks for older ones gets 410.
    pub history: u32,
    /// What else runs in the cluster.
    pub controllers: Option<Arc<dyn Controllers>>,
    /// What listens on the ports of its pods.
    pub ports: Option<Arc<dyn Ports>>,
    /// How long a client may take for the head of a request, and again for its body.
    pub client_timeout: Duration,
}

/// Whether a cluster may have this name, which is also that of its folder.
pub fn is_cluster_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain)
}

impl Options {
    /// A cluster for rehearsals on this machine, without workloads.
    pub fn local(folder: PathBuf, name: &str) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            folder,
            name: name.to_owned(),
            // Long enough for a watch to see every step, short enough for fifty clusters.
            pod_delay: Duration::from_millis(20),
            faults: Vec::new(),
            history: 10_000,
            controllers: None,
            ports: None,
            client_timeout: CLIENT_TIMEOUT,
        }
    }
}
