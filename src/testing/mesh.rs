//! Reads what a test checks in the embedded clusters: certificates in secrets, and handshakes.
//!
//! The process that plays the test writes it to files at the end, while its servers are running: `secrets.json` and
//! `handshakes.json`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use data_encoding::BASE64;
use serde_json::Value as Json;

use crate::{
    cluster::{Offline, StateError, is_cluster_name},
    compile::{CertificatePlace, Expect, ExpectedHandshakes},
    disk,
    mesh::{Handshake, Handshakes, Matrix, member},
    x509::Certificate,
};

const SECRETS: &str = "secrets.json";
const HANDSHAKES: &str = "handshakes.json";
/// How often handshakes are tried if they must succeed throughout.
const LOOK: Duration = Duration::from_millis(250);

/// Certificates (PEM) by the place in the test; `None` if there is none.
pub type Held = BTreeMap<String, Option<String>>;

/// Writes the certificates in secrets that a test checks to a file. The secrets may be in any cluster, even in one that its run does not use.
/// Blocks.
///
/// # Errors
/// A cluster that can't be read, or a folder that can't be written to.
pub fn write_secrets(folder: &Path, clusters: &Path, expect: &Expect) -> Result<(), MeshError> {
    let mut held = Held::new();
    let mut opened = BTreeMap::new();
    for place in expect.certificates.iter().flat_map(|one| one.places()) {
        let CertificatePlace::Secret {
            cluster,
            namespace,
            name,
            key,
        } = place
        else {
            continue;
        };
        if !is_cluster_name(cluster) || !clusters.join(cluster).is_dir() {
            held.insert(place.to_string(), None);
            continue;
        }
        if !opened.contains_key(cluster) {
            let offline = Offline::open(member(clusters, cluster, None));
            let offline = offline.map_err(|e| MeshError::Mesh(e.to_string()))?;
            offline.catch_up()?;
            opened.insert(cluster.clone(), offline);
        }
        let found = opened[cluster].read(|state| state.find("secrets", namespace, name))?;
        held.insert(
            place.to_string(),
            found.and_then(|secret| certificates(&secret, key)),
        );
    }
    fs::write(
        folder.join(SECRETS),
        serde_json::to_string(&held).map_err(io::Error::from)?,
    )?;
    Ok(())
}

/// Returns only the certificates under a key of a Secret.
fn certificates(secret: &Json, key: &str) -> Option<String> {
    let data = secret["data"][key].as_str()?;
    let text = BASE64.decode(data.as_bytes()).ok()?;
    let read = Certificate::read_all(&text).ok()?;
    Some(read.iter().map(Certificate::to_pem).collect())
}

#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    #[error("can't read the clusters: {0}")]
    Cluster(#[from] StateError),
    #[error("can't read the mesh: {0}")]
    Mesh(String),
    #[error("can't use the test's folder")]
    Folder(#[from] io::Error),
}

pub fn secrets(folder: &Path) -> io::Result<Held> {
    match disk::read_if_there(&folder.join(SECRETS))? {
        None => Ok(Held::new()),
        Some(text) => Ok(serde_json::from_str(&text)?),
    }
}

/// Tries handshakes repeatedly while a run is driven.
pub struct Watch {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Vec<Handshake>, String>>>,
    clusters: PathBuf,
}

impl Watch {
    /// Starts watching, if the test asks for it.
    pub fn start(clusters: PathBuf, expect: &Expect) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let thread = matches!(expect.handshakes, Some(ExpectedHandshakes::Throughout)).then(|| {
            let (clusters, is_over) = (clusters.clone(), is_over.clone());
            thread::spawn(move || watch(&clusters, &is_over))
        });
        Self {
            is_over,
            thread,
            clusters,
        }
    }

    /// Stops watching, and writes the outcome of the handshakes: the current ones, and those that failed before.
    ///
    /// # Errors
    /// Clusters that can't be read, or a folder that can't be written to.
    pub fn end(self, folder: &Path) -> Result<(), MeshError> {
        self.is_over.store(true, Ordering::Relaxed);
        let before = match self.thread {
            Some(thread) => match thread.join() {
                Ok(seen) => seen.map_err(MeshError::Mesh)?,
                Err(_) => return Err(MeshError::Mesh("the watch panicked".into())),
            },
            None => Vec::new(),
        };
        let matrix = Matrix::open(&self.clusters).and_then(|mut matrix| matrix.look());
        let mut found = matrix.map_err(|e| MeshError::Mesh(e.to_string()))?;
        let is_new = |one: &Handshake| !found.all.contains(one);
        let more: Vec<_> = before.into_iter().filter(is_new).collect();
        found.all.extend(more);
        fs::write(folder.join(HANDSHAKES), found.to_json().to_string())?;
        Ok(())
    }
}

/// Collects each handshake that fails, once.
fn watch(clusters: &Path, is_over: &AtomicBool) -> Result<Vec<Handshake>, String> {
    let mut matrix: Option<Matrix> = None;
    let (mut known, mut failed) = (BTreeSet::new(), Vec::new());
    while !is_over.load(Ordering::Relaxed) {
        let opened = match matrix.take() {
            Some(matrix) => matrix,
            None => Matrix::open(clusters).map_err(|e| e.to_string())?,
        };
        let looked = matrix.insert(opened).look().map_err(|e| e.to_string())?;
        for one in looked.failed() {
            if known.insert((one.from.clone(), one.to.clone(), one.port)) {
                failed.push(one.clone());
            }
        }
        thread::sleep(LOOK);
    }
    Ok(failed)
}

/// Returns the handshakes of a test's mesh; `None` if the test checks none.
pub fn handshakes(folder: &Path) -> io::Result<Option<Handshakes>> {
    let Some(text) = disk::read_if_there(&folder.join(HANDSHAKES))? else {
        return Ok(None);
    };
    let document: Json = serde_json::from_str(&text)?;
    Ok(Some(Handshakes::of_json(&document)))
}
