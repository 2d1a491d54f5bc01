//! Checks who can talk to whom: new handshakes between all players of the clusters in a folder.

mod class;
mod ends;

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};

use self::{
    class::{Class, Classes},
    ends::{Ends, Pair},
};
use super::{handshake::shake, member::member};
use windlass_cluster::{Moment, Offline, StateError, is_cluster_name};

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

#[cfg(test)]
mod tests {
    use super::{ends::NO_POD, *};
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
