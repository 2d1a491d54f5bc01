//! Checks who can talk to whom: new handshakes between all players of the clusters in a folder.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    hash::{DefaultHasher, Hash, Hasher as _},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value as Json, json};

use super::{
    handshake::{Party, shake},
    istiod,
    member::{MANAGEMENT, member},
    player::{Identity, Istiod, Place, Player, Proxy, Ztunnel},
    pods::{self, name, namespace},
    proxy,
    relay::{self, Agent, Server},
    verify::Library,
    webhook, x509, ztunnel,
};
use windlass_cluster::{Cluster, Moment, Offline, StateError, is_cluster_name, is_pod_ready};

/// One new handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// `cluster-1/bookinfo/reviews`
    pub from: String,
    pub to: String,
    pub port: u16,
    /// The side that rejected the other, and the reason.
    pub error: Option<String>,
}

/// All handshakes of a mesh at one time.
#[derive(Clone, Debug, Default)]
pub struct Handshakes {
    pub all: Vec<Handshake>,
    /// How many handshakes were really made: players with the same material form one class, for which one handshake is made.
    pub classes: usize,
}

impl Handshakes {
    pub fn failed(&self) -> impl Iterator<Item = &Handshake> {
        self.all.iter().filter(|one| one.error.is_some())
    }

    /// Reads the document of [`to_json`](Self::to_json).
    pub fn of_json(document: &Json) -> Self {
        let text = |one: &Json, field: &str| one[field].as_str().unwrap_or_default().to_owned();
        let all = document["handshakes"].as_array().into_iter().flatten();
        let all = all.map(|one| Handshake {
            from: text(one, "from"),
            to: text(one, "to"),
            port: one["port"]
                .as_u64()
                .and_then(|port| port.try_into().ok())
                .unwrap_or_default(),
            error: one["error"].as_str().map(str::to_owned),
        });
        Self {
            all: all.collect(),
            classes: 0,
        }
    }

    /// Returns the document of `windlass mesh --json`.
    pub fn to_json(&self) -> Json {
        let all = self.all.iter().map(|one| {
            json!({
                "from": one.from,
                "to": one.to,
                "port": one.port,
                "ok": one.error.is_none(),
                "error": one.error,
            })
        });
        json!({ "handshakes": all.collect::<Vec<_>>() })
    }
}

/// Tries all handshakes between the players of the clusters in a folder. Blocks.
///
/// # Errors
/// A folder or a cluster's state that can't be read.
pub fn handshakes(folder: &Path) -> Result<Handshakes, StateError> {
    Matrix::open(folder)?.look()
}

/// The clusters in a folder, kept open so that their handshakes can be checked repeatedly.
#[derive(Debug)]
pub struct Matrix {
    folder: PathBuf,
    clusters: BTreeMap<String, Offline>,
    /// Handshakes that failed before: the error, and the time until which it is valid.
    failed: HashMap<(u64, u64), (String, Moment)>,
    accepted: Accepted,
    classes: Classes,
}

/// The chains that judges have accepted in successful handshakes, and the time until which each result is valid.
///
/// A handshake succeeds if each side accepts the chain of the other, and neither judgement depends on the other. The
/// workloads of `n` clusters form about `n²` pairs, but there are only as many kinds of judges and chains as clusters. So
/// each chain has to be checked only once by each kind of judge, and all other results follow.
#[derive(Debug, Default)]
struct Accepted {
    by_clients: HashMap<(u64, u64), Moment>,
    by_servers: HashMap<(u64, u64), Moment>,
}

impl Accepted {
    fn is_known(&self, client: &Class, server: &Class, now: Moment) -> bool {
        let holds = |until: Option<&Moment>| until.is_some_and(|until| now < *until);
        holds(self.by_clients.get(&(client.judges, server.shows)))
            && holds(self.by_servers.get(&(server.judges, client.shows)))
    }

    fn remember(&mut self, client: &Class, server: &Class) {
        let until = client.until.min(server.until);
        self.by_clients.insert((client.judges, server.shows), until);
        self.by_servers.insert((server.judges, client.shows), until);
    }
}

/// The error of a call to a server without a ready pod.
const NO_POD: &str = "no ready pod";
/// The namespace of istiod, unless its clients configure another one.
const ISTIO_NAMESPACE: &str = "istio-system";

/// The largest number of remembered classes: a mesh that is watched for days renews its certificates again and again.
const MAX_CLASSES: usize = 4096;

/// The classes of parties that were seen before, by the digest of everything that a party holds. So checking unchanged
/// parties again parses no certificate.
#[derive(Debug, Default)]
struct Classes(HashMap<u64, Class>);

impl Classes {
    fn of(&mut self, party: Party, now: Moment) -> Class {
        let mut hasher = DefaultHasher::new();
        party.hash(&mut hasher);
        let key = hasher.finish();
        if let Some(class) = self.0.get(&key)
            && now < class.until
        {
            return class.clone();
        }
        if self.0.len() >= MAX_CLASSES {
            self.0.clear();
        }
        let class = Class::new(party, now);
        self.0.insert(key, class.clone());
        class
    }
}

impl Matrix {
    /// Opens the clusters in a folder.
    ///
    /// # Errors
    /// A folder or a cluster's state that can't be read.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        let mut matrix = Self {
            folder: folder.to_owned(),
            clusters: BTreeMap::new(),
            failed: HashMap::new(),
            accepted: Accepted::default(),
            classes: Classes::default(),
        };
        matrix.find_clusters()?;
        Ok(matrix)
    }

    /// Opens clusters that were created after the last call.
    fn find_clusters(&mut self) -> Result<(), StateError> {
        for name in names(&self.folder)? {
            if !self.clusters.contains_key(&name) {
                let opened = Offline::open(member(&self.folder, &name, None));
                let opened = opened.map_err(|error| StateError::new(error.to_string()))?;
                self.clusters.insert(name, opened);
            }
        }
        Ok(())
    }

    /// Tries all handshakes at the current time.
    ///
    /// # Errors
    /// A cluster's state that can't be read.
    pub fn look(&mut self) -> Result<Handshakes, StateError> {
        self.find_clusters()?;
        for cluster in self.clusters.values() {
            cluster.catch_up()?;
        }
        let mut ends = Ends::default();
        let mut now = 0;
        let classes = &mut self.classes;
        for (name, cluster) in &self.clusters {
            cluster.read(|cluster| {
                now = now.max(cluster.now());
                ends.collect(name, cluster, classes)
            })?;
        }
        let mut found = Handshakes::default();
        let (failed, accepted) = (&mut self.failed, &mut self.accepted);
        ends.each_pair(now, classes, |pair| {
            let (is_new, error) = shake_or_know(failed, accepted, &pair, now);
            found.classes += usize::from(is_new);
            found.all.push(Handshake {
                from: pair.from.to_owned(),
                to: pair.to.to_owned(),
                port: pair.port,
                error,
            });
        });
        found.all.extend(ends.unanswered());
        found
            .all
            .sort_by(|a, b| (a.port, &a.from, &a.to).cmp(&(b.port, &b.from, &b.to)));
        // Players of one class with the same outcome form one row.
        found.all.dedup();
        Ok(found)
    }
}

/// Makes a handshake, or returns the known result of parties with the same material. The flag is `true` if it was really
/// made.
fn shake_or_know(
    failed: &mut HashMap<(u64, u64), (String, Moment)>,
    accepted: &mut Accepted,
    Pair { client, server, .. }: &Pair<'_>,
    now: Moment,
) -> (bool, Option<String>) {
    if accepted.is_known(client, server, now) {
        return (false, None);
    }
    let key = (client.digest, server.digest);
    if let Some((error, until)) = failed.get(&key)
        && now < *until
    {
        return (false, Some(error.clone()));
    }
    match shake(&client.party, &server.party, now) {
        Ok(()) => {
            accepted.remember(client, server);
            (true, None)
        }
        Err(error) => {
            let until = client.until.min(server.until);
            failed.insert(key, (error.clone(), until));
            (true, Some(error))
        }
    }
}

/// Returns the names of the clusters of a folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, StateError> {
    let failed = |error: io::Error| {
        StateError::new(format!(
            "can't read the folder {}: {error}",
            folder.display()
        ))
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_cluster_name(&name) && entry.path().join("cluster.db").exists() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// A party as a member of the class of parties that hold the same material.
#[derive(Clone, Debug)]
struct Class {
    party: Arc<Party>,
    /// Equal for parties that accept the same chains.
    judges: u64,
    /// Equal for parties whose chains the same judges accept. Leaves are compared by their issuer and names.
    shows: u64,
    /// Equal for parties that are equal in both.
    digest: u64,
    /// When the first of its certificates that are valid now ends.
    until: Moment,
}

impl Class {
    fn new(party: Party, now: Moment) -> Self {
        let mut until = Moment::MAX;
        let mut ends = |certificate: &x509::Certificate| {
            // A certificate is valid to the end of its last second.
            let (from, to) = (
                x509::not_before(certificate),
                x509::not_after(certificate) + 1000,
            );
            for moment in [from, to] {
                if moment > now {
                    until = until.min(moment);
                }
            }
            (now >= from, now < to)
        };
        let judges = digest(&(party.library, &party.expects, &party.trusts));
        let mut hasher = DefaultHasher::new();
        for anchor in x509::parsed(party.trusts.as_deref().unwrap_or_default()) {
            ends(&anchor);
        }
        match &party.shows {
            None => 0.hash(&mut hasher),
            Some((chain, _)) => {
                let all = x509::certificates(chain).unwrap_or_default();
                for der in all.iter().skip(1) {
                    der.hash(&mut hasher);
                    x509::parse(der).iter().for_each(|one| {
                        ends(one);
                    });
                }
                match all.first().map(|leaf| x509::parse(leaf)) {
                    Some(Ok(leaf)) => {
                        ends(&leaf).hash(&mut hasher);
                        x509::names(&leaf).hash(&mut hasher);
                        x509::origin(&leaf).hash(&mut hasher);
                    }
                    _ => chain.hash(&mut hasher),
                }
            }
        }
        // The anchors are part of the judge, and their ends are part of `until`.
        let shows = hasher.finish();
        Self {
            party: Arc::new(party),
            judges,
            shows,
            digest: digest(&(judges, shows)),
            until,
        }
    }
}

fn digest(content: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// One handshake to try.
struct Pair<'a> {
    from: &'a str,
    to: &'a str,
    port: u16,
    client: Class,
    server: Class,
}

/// One end of a handshake: its label and class.
type End = (String, Class);

/// The ends of a workload: as a server, and as a client of each other workload.
struct Workload {
    label: String,
    identity: String,
    port: Option<u16>,
    server: Class,
    /// Clients through ztunnel expect the server's exact identity.
    is_ambient: bool,
}

#[derive(Default)]
struct Ends {
    /// By cluster: the replicas of istiod, and their clients on 15012 and on 15017.
    istiods: BTreeMap<String, Vec<End>>,
    proxies: BTreeMap<String, Vec<End>>,
    webhooks: BTreeMap<String, Vec<End>>,
    /// By cluster: the namespace in which its proxies and webhooks connect to istiod.
    homes: BTreeMap<String, String>,
    workloads: Vec<Workload>,
    servers: Vec<(String, Server)>,
    agents: Vec<(String, Agent)>,
}

impl Ends {
    fn collect(
        &mut self,
        name: &str,
        cluster: &Cluster,
        classes: &mut Classes,
    ) -> Result<(), StateError> {
        let now = cluster.now();
        let mut class = |party| classes.of(party, now);
        let label = |namespace: &str, workload: &str| format!("{name}/{namespace}/{workload}");
        let istiods = self.istiods.entry(name.to_owned()).or_default();
        for istiod in Istiod::all(cluster)? {
            let own = label(&istiod.place.namespace, &istiod.place.workload);
            add(istiods, own, class(istiod::server(&istiod)));
        }
        for proxy in Proxy::all(cluster)? {
            let proxies = self.proxies.entry(name.to_owned()).or_default();
            self.homes
                .entry(name.to_owned())
                .or_insert_with(|| proxy.istiod_namespace.clone());
            let own = label(&proxy.place.namespace, &proxy.place.workload);
            let client = class(proxy::client_of_istiod(&proxy));
            add(proxies, own.clone(), client);
            self.add_workload(Workload {
                label: own,
                identity: proxy.identity.clone(),
                port: (!proxy.is_gateway).then_some(15006),
                server: class(proxy::party(&proxy)),
                is_ambient: false,
            });
        }
        let pods = cluster.list("pods", None)?;
        for tunnel in Ztunnel::all(cluster)? {
            let own = label(&tunnel.place.namespace, &tunnel.place.workload);
            let proxies = self.proxies.entry(name.to_owned()).or_default();
            add(
                proxies,
                format!("{own}/ca"),
                class(ztunnel::ca_client(&tunnel)),
            );
            add(
                proxies,
                format!("{own}/xds"),
                class(ztunnel::xds_client(&tunnel)),
            );
            for one in &tunnel.identities {
                for own in workloads_of(cluster, &pods, &tunnel, one)? {
                    self.add_workload(Workload {
                        label: format!("{name}/{own}"),
                        identity: one.name.clone(),
                        port: Some(15008),
                        server: class(ztunnel::party(one)),
                        is_ambient: true,
                    });
                }
            }
        }
        for server in Server::all(cluster)? {
            let own = label(&server.place.namespace, &server.place.workload);
            self.servers.push((own, server));
        }
        for agent in Agent::all(cluster)? {
            let own = label(&agent.place.namespace, &agent.place.workload);
            self.agents.push((own, agent));
        }
        let webhooks = self.webhooks.entry(name.to_owned()).or_default();
        for resource in istiod::WEBHOOKS {
            for configuration in cluster.list(resource, None)? {
                let hooks = configuration["webhooks"].as_array().into_iter().flatten();
                for hook in hooks {
                    let service = pods::text(hook, "/clientConfig/service/namespace");
                    if !service.is_empty() {
                        self.homes
                            .entry(name.to_owned())
                            .or_insert_with(|| service.to_owned());
                    }
                    let party = istiod::client(&webhook::bundle(hook), Library::Go, service);
                    let own = format!("{name}/kube-apiserver/{}", self::name(&configuration));
                    add(webhooks, own, class(party));
                }
            }
        }
        Ok(())
    }

    fn add_workload(&mut self, workload: Workload) {
        let is_known = self
            .workloads
            .iter()
            .any(|one| one.label == workload.label && one.server.digest == workload.server.digest);
        if !is_known {
            self.workloads.push(workload);
        }
    }

    /// Returns the calls that fail because no pod of istiod or of the management server is ready. Without them, a mesh
    /// without a server would seem to have no failed handshakes.
    fn unanswered(&self) -> Vec<Handshake> {
        let mut all = Vec::new();
        let mut calls = |from: &str, to: &str, port| {
            all.push(Handshake {
                from: from.to_owned(),
                to: to.to_owned(),
                port,
                error: Some(NO_POD.into()),
            });
        };
        let is_served =
            |cluster: &str| self.istiods.get(cluster).is_some_and(|own| !own.is_empty());
        for (clients, port) in [(&self.proxies, 15012), (&self.webhooks, 15017)] {
            for (cluster, clients) in clients.iter().filter(|(cluster, _)| !is_served(cluster)) {
                let home = self
                    .homes
                    .get(cluster)
                    .map_or(ISTIO_NAMESPACE, String::as_str);
                for (from, _) in clients {
                    calls(from, &format!("{cluster}/{home}/istiod"), port);
                }
            }
        }
        // Agents without a management cluster do not belong to a mesh yet.
        if self.servers.is_empty() && self.istiods.contains_key(MANAGEMENT) {
            let (service, space) = relay::AUTHORITY
                .split_once('.')
                .expect("a service and its namespace");
            for (from, _) in &self.agents {
                calls(from, &format!("{MANAGEMENT}/{space}/{service}"), 9900);
            }
        }
        all
    }

    /// Passes every pair of a client and a server to `with`, one after the other, since there are too many to keep all at
    /// once.
    fn each_pair<'a>(&'a self, now: Moment, classes: &mut Classes, mut with: impl FnMut(Pair<'a>)) {
        for (clients, port) in [(&self.proxies, 15012), (&self.webhooks, 15017)] {
            for (cluster, clients) in clients {
                for (from, client) in clients {
                    for (to, server) in self.istiods.get(cluster).into_iter().flatten() {
                        with(Pair {
                            from,
                            to,
                            port,
                            client: client.clone(),
                            server: server.clone(),
                        });
                    }
                }
            }
        }
        for (from, agent) in &self.agents {
            for (to, server) in &self.servers {
                with(Pair {
                    from,
                    to,
                    port: 9900,
                    client: classes.of(relay::client(agent), now),
                    server: classes.of(relay::party(server, &agent.cluster), now),
                });
            }
        }
        for client in &self.workloads {
            for server in &self.workloads {
                let Some(port) = server.port else { continue };
                with(Pair {
                    from: &client.label,
                    to: &server.label,
                    port,
                    client: client.calling(server),
                    server: server.server.clone(),
                });
            }
        }
    }
}

impl Workload {
    /// Returns this workload as the client of another one.
    fn calling(&self, server: &Self) -> Class {
        let mut class = self.server.clone();
        if self.is_ambient {
            let party = ztunnel::as_client(class.party.as_ref().clone(), &server.identity);
            class.party = Arc::new(party);
            class.judges = digest(&(class.judges, &server.identity));
            class.digest = digest(&(class.judges, class.shows));
        }
        class
    }
}

fn add(ends: &mut Vec<End>, label: String, class: Class) {
    let is_known = ends
        .iter()
        .any(|(own, known)| *own == label && known.digest == class.digest);
    if !is_known {
        ends.push((label, class));
    }
}

/// Returns the workloads whose pods have an identity on a ztunnel's node: `bookinfo/ratings`.
fn workloads_of(
    cluster: &Cluster,
    pods: &[Json],
    tunnel: &Ztunnel,
    one: &Identity,
) -> Result<Vec<String>, StateError> {
    let mut found = Vec::new();
    for pod in pods {
        if is_pod_ready(pod)
            && pods::identity(pod) == one.name
            && ztunnel::is_on(cluster, tunnel, pod)?
        {
            let own = format!("{}/{}", namespace(pod), Place::of(pod).workload);
            if !found.contains(&own) {
                found.push(own);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Lab;

    /// Sets the number of pods of a Deployment.
    fn scale(lab: &Lab, cluster: &str, namespace: &str, name: &str, replicas: u32) {
        let found = lab.find(cluster, "deployments.apps", namespace, name);
        let mut found = found.expect("a deployment");
        found["spec"]["replicas"] = replicas.into();
        lab.put(cluster, "deployments.apps", found);
    }

    #[test]
    fn calls_to_a_server_without_a_pod_fail() {
        let mut lab = Lab::new(&["mgmt", "cluster-1", "cluster-2"], "");
        let is_unanswered = |one: &Handshake| one.error.as_deref() == Some(NO_POD);
        let seen = lab.look();
        assert!(!seen.all.iter().any(is_unanswered), "{seen:?}");
        let to = |seen: &Handshakes, server: &str| -> Vec<Handshake> {
            let calls = seen.all.iter().filter(|one| one.to == server);
            calls.cloned().collect()
        };
        for (cluster, namespace, name) in [
            ("mgmt", "gloo-mesh", "gloo-mesh-mgmt-server"),
            ("cluster-1", "istio-system", "istiod"),
        ] {
            let server = format!("{cluster}/{namespace}/{name}");
            let calls = |seen: &Handshakes| -> Vec<(String, u16)> {
                let calls = to(seen, &server).into_iter();
                calls.map(|one| (one.from, one.port)).collect()
            };
            let before = calls(&lab.look());
            assert!(before.len() > 1, "{server}: {before:?}");
            scale(&lab, cluster, namespace, name, 0);
            let seen = lab.until("no pod", |_, seen| {
                to(seen, &server).iter().all(is_unanswered)
            });
            assert_eq!(calls(&seen), before, "the same calls, which fail");
            scale(&lab, cluster, namespace, name, 1);
            lab.until("a pod", |_, seen| {
                !to(seen, &server).iter().any(is_unanswered)
            });
        }
    }
}
