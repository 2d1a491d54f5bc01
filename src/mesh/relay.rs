//! Gloo Mesh's relay: agents connect to the management server.
//!
//! The management server reloads a changed serving certificate (docs.solo.io, page "relay/rotation"). All other material is read
//! only at the start; this is not documented, so it is the stricter assumption.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{
    ca::{Files, Leaf},
    handshake::{Party, shake},
    player::{Place, Player},
    pods::{self, name, namespace},
    trust,
    verify::{Expected, Library},
};
use windlass_cluster::{Cluster, Moment, Offline, StateError};

/// The name by which agents verify the management server.
pub(super) const AUTHORITY: &str = "gloo-mesh-mgmt-server.gloo-mesh";
const SERVER_SECRET: &str = "relay-server-tls-secret";
const CLIENT_SECRET: &str = "relay-client-tls-secret";
const ROOT_SECRET: &str = "relay-root-tls-secret";
/// A revision that increases when the management server is replaced, or another policy is in force.
pub(super) const REVISION: &str = "relay-revision";

/// A replica of the management server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Server {
    pub place: Place,
    pub serving: Option<Leaf>,
    /// The roots with which it verifies agents.
    pub clients: String,
    pub log: Vec<String>,
}

/// The agent of a workload cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Agent {
    pub place: Place,
    /// The name under which its cluster is registered.
    pub cluster: String,
    pub leaf: Option<Leaf>,
    pub roots: String,
    /// The management server that it is connected to.
    pub connected: Option<String>,
    pub trouble: Option<String>,
}

impl Player for Server {
    const KIND: &'static str = "server";
    fn place(&self) -> &Place {
        &self.place
    }
}

impl Player for Agent {
    const KIND: &'static str = "agent";
    fn place(&self) -> &Place {
        &self.place
    }
}

/// Returns the certificate of a kubernetes.io/tls layout, if both files exist.
fn leaf(files: &Files) -> Option<Leaf> {
    let file = |name: &str| files.get(name).filter(|text| !text.is_empty()).cloned();
    Some(Leaf {
        chain: file("tls.crt")?,
        key: file("tls.key")?,
    })
}

fn root(files: &Files) -> Option<String> {
    files.get("ca.crt").filter(|text| !text.is_empty()).cloned()
}

/// Starts the management server.
pub(super) fn start_server(cluster: &Cluster, pod: &Json) -> Result<(), StateError> {
    let space = namespace(pod);
    let files = pods::secret(cluster, space, SERVER_SECRET)?;
    let roots = match root(&files) {
        Some(root) => root,
        None => root(&pods::secret(cluster, space, ROOT_SECRET)?).unwrap_or_default(),
    };
    let server = Server {
        place: Place::of(pod),
        serving: leaf(&files),
        clients: roots,
        log: Vec::new(),
    };
    save_server(cluster, &server)?;
    count_up(cluster)
}

/// Reloads a changed serving certificate; the roots for clients stay as they were at the start.
pub(super) fn remount_server(cluster: &Cluster, mut server: Server) -> Result<(), StateError> {
    let files = pods::secret(cluster, &server.place.namespace, SERVER_SECRET)?;
    let serving = leaf(&files);
    if serving.is_none() || serving == server.serving {
        return Ok(());
    }
    server.serving = serving;
    server.log.push("reloaded the serving certificate".into());
    save_server(cluster, &server)?;
    // Agents without a connection try again; open connections stay.
    count_up(cluster)
}

fn save_server(cluster: &Cluster, server: &Server) -> Result<(), StateError> {
    server.keep(cluster)?;
    let chain = server.serving.as_ref().map_or("", |leaf| &leaf.chain);
    trust::put(
        cluster,
        &server.place,
        "management-server",
        json!({
            "trusts": trust::described(&server.clients),
            "shows": trust::described(chain),
            "log": server.log,
        }),
    )
}

pub(super) fn count_up(cluster: &Cluster) -> Result<(), StateError> {
    let next = revision(cluster)? + 1;
    cluster.keep(REVISION, &next.to_string())
}

pub(super) fn revision(cluster: &Cluster) -> Result<u64, StateError> {
    let text = cluster.kept(REVISION)?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or_default())
}

/// Wakes the management server after one of its secrets has changed.
pub(super) fn secret_changed(
    cluster: &Cluster,
    secret: &Json,
    mount: Moment,
) -> Result<(), StateError> {
    if name(secret) != SERVER_SECRET {
        return Ok(());
    }
    for server in Server::all(cluster)? {
        if server.place.namespace == namespace(secret) {
            server.wake(cluster, "mount", cluster.now() + mount)?;
        }
    }
    Ok(())
}

/// Starts an agent: it reads its secrets once, and connects.
pub(super) fn start_agent(
    cluster: &Cluster,
    pod: &Json,
    management: Option<&Offline>,
) -> Result<(), StateError> {
    let space = namespace(pod);
    let files = pods::secret(cluster, space, CLIENT_SECRET)?;
    // If it has its own certificate, it uses the root in the same secret (solo-io/gloo-mesh #1622).
    let roots = match root(&files) {
        Some(root) => root,
        None => root(&pods::secret(cluster, space, ROOT_SECRET)?).unwrap_or_default(),
    };
    let mut agent = Agent {
        place: Place::of(pod),
        cluster: cluster.name().to_owned(),
        leaf: leaf(&files),
        roots,
        connected: None,
        trouble: None,
    };
    connect(cluster, &mut agent, management)?;
    save_agent(cluster, &agent)
}

/// Connects the agents that have lost their server or never had one.
pub(super) fn reconnect(cluster: &Cluster, management: Option<&Offline>) -> Result<(), StateError> {
    for mut agent in Agent::all(cluster)? {
        let before = agent.clone();
        connect(cluster, &mut agent, management)?;
        if agent != before {
            save_agent(cluster, &agent)?;
        }
    }
    Ok(())
}

fn connect(
    cluster: &Cluster,
    agent: &mut Agent,
    management: Option<&Offline>,
) -> Result<(), StateError> {
    let servers = match management {
        Some(management) => management.read(Server::all)?,
        None => Vec::new(),
    };
    let is_alive = |pod: &String| servers.iter().any(|server| server.place.pod == *pod);
    if agent.connected.as_ref().is_some_and(is_alive) {
        return Ok(());
    }
    agent.connected = None;
    let Some(server) = pods::pick(&servers, &agent.place.pod) else {
        agent.trouble = Some("no management server is running".into());
        return Ok(());
    };
    match shake(
        &client(agent),
        &party(server, &agent.cluster),
        cluster.now(),
    ) {
        Ok(()) => {
            agent.connected = Some(server.place.pod.clone());
            agent.trouble = None;
        }
        Err(why) => agent.trouble = Some(format!("connecting to {AUTHORITY}: {why}")),
    }
    Ok(())
}

fn save_agent(cluster: &Cluster, agent: &Agent) -> Result<(), StateError> {
    agent.keep(cluster)?;
    let chain = agent.leaf.as_ref().map_or("", |leaf| &leaf.chain);
    trust::put(
        cluster,
        &agent.place,
        "agent",
        json!({
            "trusts": trust::described(&agent.roots),
            "shows": trust::described(chain),
            "connected": agent.connected.is_some(),
            "trouble": agent.trouble,
        }),
    )
}

/// Returns whether the configuration reaches a cluster.
pub(super) fn is_connected(cluster: &Cluster) -> Result<bool, StateError> {
    let all = Agent::all(cluster)?;
    Ok(all.iter().any(|agent| agent.connected.is_some()))
}

/// Returns an agent as a client of the management server.
pub(super) fn client(agent: &Agent) -> Party {
    Party {
        shows: shown(agent.leaf.as_ref()),
        trusts: Some(agent.roots.clone()),
        library: Library::Go,
        expects: Expected::Host(AUTHORITY.into()),
    }
}

/// Returns the management server as the verifier of the agent of a registered cluster.
pub(super) fn party(server: &Server, cluster: &str) -> Party {
    Party {
        shows: shown(server.serving.as_ref()),
        trusts: Some(server.clients.clone()),
        library: Library::Go,
        expects: Expected::Cluster(cluster.to_owned()),
    }
}

fn shown(leaf: Option<&Leaf>) -> Option<(String, String)> {
    leaf.map(|leaf| (leaf.chain.clone(), leaf.key.clone()))
}
