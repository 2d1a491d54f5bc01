//! Controllers that other crates provide, such as those of a service mesh.
//!
//! A cluster's own controllers run when a request arrives, and act as of the times for which they scheduled their work
//! ([`super::rollout`]). Controllers passed in [`super::Options`] work in the same way: they receive changes, are woken for
//! keys that they choose, keep their state in the cluster's database, and read and write objects through [`Cluster`]. Their
//! writes are in the same transaction as the change that caused them, so a crash keeps both or neither.

use std::fmt::Debug;

use serde_json::Value as Json;

use crate::{
    api,
    object::{Moment, name, namespace, text},
    options::Options,
    resource::Resource,
    rollout,
    store::Transaction,
    wire::Failure,
};

/// The resource name under which the wake-ups of these controllers are stored; no real resource has this name.
pub(crate) const WAKES: &str = "controllers";

/// Simulates what runs in a cluster in addition to its own controllers.
pub trait Controllers: Send + Sync + Debug {
    /// Returns the resources whose changes [`changed`](Self::changed) receives, named as in `kubectl get`: `secrets`,
    /// `deployments.apps`.
    fn watched(&self) -> &'static [&'static str];

    /// Creates the initial objects of a cluster. This is called once for each folder.
    fn plant(&self, cluster: &Cluster) -> Result<(), StateError>;

    /// Prepares what this cluster depends on before its state is opened, for example by bringing another cluster up to date.
    ///
    /// It must not open this cluster's state, since the caller may hold it.
    fn prepare(&self) -> Result<(), StateError> {
        Ok(())
    }

    /// Returns whether there is work from outside this cluster. If so, [`begin`](Self::begin) is called.
    fn is_due(&self, _cluster: &Cluster) -> Result<bool, StateError> {
        Ok(false)
    }

    /// Accepts work from outside this cluster. This is called before any other work.
    fn begin(&self, _cluster: &Cluster) -> Result<(), StateError> {
        Ok(())
    }

    /// Does the work that was scheduled for a key with [`Cluster::wake`], as of [`Cluster::now`].
    fn woken(&self, cluster: &Cluster, key: &str) -> Result<(), StateError>;

    /// Receives a change of a watched resource, in the transaction of the change.
    fn changed(&self, cluster: &Cluster, change: &Changed) -> Result<(), StateError>;

    /// Admits or modifies a pod, as admission webhooks do. `Some` is the message with which the API server refuses it.
    fn admit(&self, _cluster: &Cluster, _pod: &mut Json) -> Result<Option<String>, StateError> {
        Ok(None)
    }

    /// Starts the containers of a pod that has been scheduled. `Some` tells why they do not become ready; the kubelet then
    /// tries again a little later.
    fn start(&self, _cluster: &Cluster, _pod: &Json) -> Result<Option<Hold>, StateError> {
        Ok(None)
    }

    /// Answers a read of a path below `/apis/` that is not in this cluster, as an aggregated API server does.
    fn answer(&self, _path: &str) -> Option<Result<Json, StateError>> {
        None
    }
}

/// Why the state of a cluster can't be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StateError(Failure);

impl StateError {
    /// Makes an error with a controller's own message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Failure::internal(message))
    }
}

impl From<Failure> for StateError {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        error.0
    }
}

/// One change of an object.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The resource: `secrets`, `deployments.apps`.
    pub resource: String,
    /// The object after the change, or its last state if it was removed.
    pub object: Json,
    /// Whether the object was removed.
    pub is_gone: bool,
}

/// Why the containers of a pod wait.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The reason in one word, as `kubectl get pods` shows it: `CrashLoopBackOff`.
    pub reason: &'static str,
    /// The last message of the container.
    pub message: String,
}

/// The state of a cluster at one point in time, for a controller. Resources are named as in `kubectl get`.
pub struct Cluster<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) options: &'a Options,
    now: Moment,
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(tx: &'a Transaction<'a>, options: &'a Options, now: Moment) -> Self {
        Self { tx, options, now }
    }

    /// Returns the time as of which the controller acts, in milliseconds since 1970. This can be long before the present.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Returns the same cluster with another value of [`now`](Self::now).
    pub fn at(&self, moment: Moment) -> Self {
        Self::new(self.tx, self.options, moment)
    }

    /// Returns the name of the cluster.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Finds an object. The namespace is empty for resources without one.
    pub fn find(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Json>, StateError> {
        Ok(self.tx.get(resource, namespace, name)?)
    }

    /// Lists the objects of a resource in one namespace, or in all.
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Result<Vec<Json>, StateError> {
        Ok(self.tx.list(resource, namespace)?)
    }

    /// Creates or replaces an object, as a field manager with the operation `Update`. Writes nothing if the object would not
    /// change.
    ///
    /// # Errors
    /// The cluster does not serve the resource.
    pub fn put(&self, resource: &str, mut object: Json, manager: &str) -> Result<(), StateError> {
        let resource = self.resource(resource)?;
        if let Some(map) = object.as_object_mut() {
            map.insert("apiVersion".into(), resource.api_version().into());
            map.insert("kind".into(), resource.kind.as_str().into());
        }
        let before = self
            .tx
            .get(&resource.key(), namespace(&object), name(&object))?;
        api::install(
            self.tx,
            &resource,
            before.as_ref(),
            object,
            manager,
            self.now,
        )?;
        Ok(())
    }

    /// Deletes an object and the objects that it owns.
    pub fn delete(&self, resource: &str, object: &Json) -> Result<(), StateError> {
        let resource = self.resource(resource)?;
        api::discard(self.tx, &resource, object, self.now)?;
        Ok(())
    }

    /// Reads one YAML document.
    ///
    /// # Errors
    /// The text is not exactly one YAML document.
    pub fn manifest(text: &str) -> Result<Json, StateError> {
        Ok(api::yaml(text.as_bytes())?)
    }

    /// Returns the text that a controller has stored under a key.
    pub fn kept(&self, key: &str) -> Result<Option<String>, StateError> {
        Ok(self.tx.kept(key)?)
    }

    /// Stores a text under a key.
    pub fn keep(&self, key: &str, value: &str) -> Result<(), StateError> {
        Ok(self.tx.keep(key, value)?)
    }

    /// Deletes a key.
    pub fn forget(&self, key: &str) -> Result<(), StateError> {
        Ok(self.tx.forget(key)?)
    }

    /// Lists the keys with a prefix and their texts, in the order of the keys.
    pub fn all_kept(&self, prefix: &str) -> Result<Vec<(String, String)>, StateError> {
        Ok(self.tx.all_kept(prefix)?)
    }

    /// Schedules a call of [`Controllers::woken`] for a key, at this time or earlier if one is already scheduled.
    pub fn wake(&self, key: &str, at: Moment) -> Result<(), StateError> {
        Ok(self.tx.wake_named(WAKES, "", key, at)?)
    }

    /// Tries again now to start a pod that is waiting ([`Controllers::start`]).
    pub fn retry(&self, pod: &Json) -> Result<(), StateError> {
        Ok(self.tx.wake("pods", pod, self.now)?)
    }

    /// Records a warning event about an object, as a component of the cluster does.
    pub fn warn(
        &self,
        resource: &str,
        about: &Json,
        component: &str,
        reason: &str,
        message: &str,
    ) -> Result<(), StateError> {
        rollout::warn(self, resource, about, component, reason, message)?;
        Ok(())
    }

    fn resource(&self, key: &str) -> Result<Resource, Failure> {
        let (plural, group) = key.split_once('.').unwrap_or((key, ""));
        if let Some(found) = Resource::find_built_in(group, "v1", plural) {
            return Ok(found);
        }
        let definition = self
            .tx
            .get("customresourcedefinitions.apiextensions.k8s.io", "", key)?;
        definition
            .iter()
            .flat_map(Resource::of_definition)
            .next()
            .ok_or_else(|| Failure::internal(format!("the cluster does not serve {key}")))
    }
}

/// Passes changes to the controllers, including those that the controllers make in response, until there are none left.
pub(crate) fn pass_changes(
    tx: &Transaction,
    options: &Options,
    now: Moment,
) -> Result<(), Failure> {
    let Some(controllers) = &options.controllers else {
        return Ok(());
    };
    let cluster = Cluster::new(tx, options, now);
    loop {
        let changed = tx.take_changed();
        if changed.is_empty() {
            return Ok(());
        }
        for change in &changed {
            controllers.changed(&cluster, change)?;
        }
    }
}

/// Returns whether a pod is ready and not being deleted.
pub fn is_pod_ready(pod: &Json) -> bool {
    rollout::is_ready(pod) && text(pod, "/metadata/deletionTimestamp").is_none()
}
