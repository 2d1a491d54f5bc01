//! What a kubelet reads before it starts the containers of a pod: the Secrets and ConfigMaps that the pod refers to.
//!
//! The messages are those of `pkg/volume/{secret,configmap,projected}` and `pkg/kubelet/kubelet_pods.go` of Kubernetes.

use std::collections::{BTreeMap, btree_map::Entry};

use serde_json::Value as Json;

use crate::{
    object::{items, namespace, text},
    store::Transaction,
    wire::Failure,
};

/// Why the containers of a pod can't be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Volumes can't be mounted: a message for each.
    Volumes(Vec<String>),
    /// The environment of a container can't be made.
    Variable { container: String, message: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Secret,
    ConfigMap,
}

impl Kind {
    fn resource(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::ConfigMap => "configmaps",
        }
    }

    fn singular(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::ConfigMap => "configmap",
        }
    }

    fn absent(self, name: &str) -> String {
        format!("{} {name:?} not found", self.singular())
    }
}

/// Returns what keeps a pod's containers from starting, or `None` if everything that it refers to exists.
pub(super) fn missing(tx: &Transaction, pod: &Json) -> Result<Option<Missing>, Failure> {
    let mut reader = Reader {
        tx,
        namespace: namespace(pod),
        read: BTreeMap::new(),
    };
    let mut volumes = Vec::new();
    for volume in items(pod, "/spec/volumes") {
        volumes.extend(reader.volume(volume)?);
    }
    if !volumes.is_empty() {
        return Ok(Some(Missing::Volumes(volumes)));
    }
    for list in ["/spec/initContainers", "/spec/containers"] {
        for container in items(pod, list) {
            if let Some(message) = reader.environment(container)? {
                let container = text(container, "/name").unwrap_or_default().to_owned();
                return Ok(Some(Missing::Variable { container, message }));
            }
        }
    }
    Ok(None)
}

/// Reads each object once, however often a pod refers to it.
struct Reader<'a> {
    tx: &'a Transaction<'a>,
    namespace: &'a str,
    read: BTreeMap<(Kind, String), Option<Json>>,
}

impl Reader<'_> {
    fn find(&mut self, kind: Kind, name: &str) -> Result<Option<&Json>, Failure> {
        let found = match self.read.entry((kind, name.to_owned())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.tx.get(kind.resource(), self.namespace, name)?),
        };
        Ok(found.as_ref())
    }

    fn volume(&mut self, volume: &Json) -> Result<Option<String>, Failure> {
        let mut wrong = Vec::new();
        wrong.extend(self.source(Kind::Secret, &volume["secret"], "/secretName")?);
        wrong.extend(self.source(Kind::ConfigMap, &volume["configMap"], "/name")?);
        for source in items(volume, "/projected/sources") {
            wrong.extend(self.source(Kind::Secret, &source["secret"], "/name")?);
            wrong.extend(self.source(Kind::ConfigMap, &source["configMap"], "/name")?);
        }
        let why = match wrong.as_slice() {
            [] => return Ok(None),
            [why] => why.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let own = text(volume, "/name").unwrap_or_default();
        Ok(Some(format!(
            "MountVolume.SetUp failed for volume {own:?} : {why}"
        )))
    }

    /// Checks a source of a volume, and the keys that it names.
    fn source(
        &mut self,
        kind: Kind,
        source: &Json,
        name_at: &str,
    ) -> Result<Option<String>, Failure> {
        if !source.is_object() || source["optional"] == true {
            return Ok(None);
        }
        let name = text(source, name_at).unwrap_or_default();
        let Some(object) = self.find(kind, name)? else {
            return Ok(Some(kind.absent(name)));
        };
        let keys = items(source, "/items").iter();
        let mut keys = keys.filter_map(|item| text(item, "/key"));
        let what = match kind {
            Kind::Secret => "secret",
            Kind::ConfigMap => "config",
        };
        Ok(keys
            .find(|key| !has_key(object, key))
            .map(|key| format!("references non-existent {what} key: {key}")))
    }

    fn environment(&mut self, container: &Json) -> Result<Option<String>, Failure> {
        for source in items(container, "/envFrom") {
            for (kind, field) in [
                (Kind::ConfigMap, "configMapRef"),
                (Kind::Secret, "secretRef"),
            ] {
                if let Some(why) = self.source(kind, &source[field], "/name")? {
                    return Ok(Some(why));
                }
            }
        }
        for variable in items(container, "/env") {
            for (kind, field) in [
                (Kind::ConfigMap, "configMapKeyRef"),
                (Kind::Secret, "secretKeyRef"),
            ] {
                if let Some(why) = self.variable(kind, &variable["valueFrom"][field])? {
                    return Ok(Some(why));
                }
            }
        }
        Ok(None)
    }

    fn variable(&mut self, kind: Kind, reference: &Json) -> Result<Option<String>, Failure> {
        if !reference.is_object() || reference["optional"] == true {
            return Ok(None);
        }
        let space = self.namespace;
        let name = text(reference, "/name").unwrap_or_default();
        let key = text(reference, "/key").unwrap_or_default();
        Ok(match self.find(kind, name)? {
            None => Some(kind.absent(name)),
            Some(object) if !has_key(object, key) => Some(format!(
                "couldn't find key {key} in {kind:?} {space}/{name}"
            )),
            Some(_) => None,
        })
    }
}

fn has_key(object: &Json, key: &str) -> bool {
    let has = |field: &str| object[field].get(key).is_some();
    has("data") || has("binaryData")
}
