//! The options of a server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{controllers::Controllers, fault::Fault, ports::Ports};
use windlass_ground::CLIENT_TIMEOUT;

/// The options of a server. Everything else is stored in `folder`.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on, which must be a loopback address; port 0 selects a free port.
    pub listen: SocketAddr,
    /// The folder for the state; it is created with mode 0700 if it does not exist.
    pub folder: PathBuf,
    /// The name of the cluster, which is also the name of its context in a kubeconfig.
    pub name: String,
    /// How long a new pod takes to become ready.
    pub pod_delay: Duration,
    /// The faults to inject.
    pub faults: Vec<Fault>,
    /// How many changes are kept for watches. A watch that asks for older changes gets 410.
    pub history: u32,
    /// What runs in the cluster in addition to its own controllers.
    pub controllers: Option<Arc<dyn Controllers>>,
    /// What listens on the ports of the cluster's pods.
    pub ports: Option<Arc<dyn Ports>>,
    /// How long a client may take for the head of a request, and again for its body.
    pub client_timeout: Duration,
}

/// Returns whether a name is valid for a cluster and its folder.
pub fn is_cluster_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain)
}

impl Options {
    /// Returns options for a rehearsal cluster on this machine, without workloads.
    pub fn local(folder: PathBuf, name: &str) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            folder,
            name: name.to_owned(),
            // Long enough for a watch to see every step, and short enough for fifty clusters.
            pod_delay: Duration::from_millis(20),
            faults: Vec::new(),
            history: 10_000,
            controllers: None,
            ports: None,
            client_timeout: CLIENT_TIMEOUT,
        }
    }
}
