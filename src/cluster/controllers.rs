//! Controllers of others, which a server plays beside its own.
//!
//! A cluster's own controllers do their work when a request arrives, as of the moment for which they were woken
//! ([`super::rollout`]). Controllers that are handed in with [`super::Options`] do the same: they receive what changed and
//! are woken by keys of their own, keep their state in the cluster's database, and see and write objects through
//! [`Cluster`]. What they do is in the same transaction as the change, so a crash loses both or neither.

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

/// The resource under which the wakes of controllers are kept; no real resource has this name.
pub(crate) const WAKES: &str = "controllers";

/// Plays what runs in a cluster beyond its own controllers.
pub trait Controllers: Send + Sync + Debug {
    /// Returns the resources whose changes it receives, named as in `kubectl get`: `secrets`, `deployments.apps`.
    fn watched(&self) -> &'static [&'static str];

    /// Puts the objects that a cluster begins with. It is called once for each folder.
    fn plant(&self, cluster: &Cluster) -> Result<(), StateError>;

    /// Does what must be done before this cluster's state is opened, such as playing a cluster on which it depends.
    ///
    /// It must not open this cluster's state: the caller may wait for it.
    fn prepare(&self) -> Result<(), StateError> {
        Ok(())
    }

    /// Returns whether something outside of this cluster gives it work; then [`begin`](Self::begin) is called.
    fn is_due(&self, _cluster: &Cluster) -> Result<bool, StateError> {
        Ok(false)
    }

    /// Takes up work from outside of this cluster, before anything else is played.
    fn begin(&self, _cluster: &Cluster) -> Result<(), StateError> {
        Ok(())
    }

    /// Works on what it asked to be woken for, as of [`Cluster::now`].
    fn woken(&self, cluster: &Cluster, key: &str) -> Result<(), StateError>;

    /// Receives a change of a watched resource, in the transaction that made it.
    fn changed(&self, cluster: &Cluster, change: &Changed) -> Result<(), StateError>;

    /// Admits a pod, or changes it first, as admission webhooks do; `Some` is the API server's refusal.
    fn admit(&self, _cluster: &Cluster, _pod: &mut Json) -> Result<Option<String>, StateError> {
        Ok(None)
    }

    /// Starts the processes of a pod that has been scheduled; `Some` says why its containers do not become ready.
    /// The kubelet tries again a little later.
    fn start(&self, _cluster: &Cluster, _pod: &Json) -> Result<Option<Hold>, StateError> {
        Ok(None)
    }

    /// Answers a read of a path below `/apis/` that no object has, such as an aggregated API server does.
    fn answer(&self, _path: &str) -> Option<Result<Json, StateError>> {
        None
    }
}

/// Why the state of a cluster can't be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StateError(Failure);

impl StateError {
    /// Makes an error of a controller's own.
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
    /// The object as it is, or as it was last.
    pub object: Json,
    /// Whether the object was removed.
    pub is_gone: bool,
}

/// Why a pod's containers wait.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The reason, one word, as `kubectl get pods` shows it: `CrashLoopBackOff`.
    pub reason: &'static str,
    /// What the container says last.
    pub message: String,
}

/// A cluster as a controller sees it, as of one moment. Resources are named as in `kubectl get`.
pub struct Cluster<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) options: &'a Options,
    now: Moment,
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(tx: &'a Transaction<'a>, options: &'a Options, now: Moment) -> Self {
        Self { tx, options, now }
    }

    /// Returns the moment as of which is played, in milliseconds since 1970; perhaps long before anybody looks.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Returns the same cluster as of another moment.
    pub fn at(&self, moment: Moment) -> Self {
        Self::new(self.tx, self.options, moment)
    }

    /// Returns the name of the cluster.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Finds an object; the namespace is empty for what has none.
    pub fn find(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Json>, StateError> {
        Ok(self.tx.get(resource, namespace, name)?)
    }

    /// Lists the objects of a resource, in one namespace or in all.
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Result<Vec<Json>, StateError> {
        Ok(self.tx.list(resource, namespace)?)
    }

    /// Creates or replaces an object as a field manager does with `Update`. Nothing is written where nothing differs.
    ///
    /// # Errors
    /// A resource that the cluster does not serve.
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

    /// Deletes an object and what it owns.
    pub fn delete(&self, resource: &str, object: &Json) -> Result<(), StateError> {
        let resource = self.resource(resource)?;
        api::discard(self.tx, &resource, object, self.now)?;
        Ok(())
    }

    /// Reads a YAML document.
    ///
    /// # Errors
    /// What is not one YAML document.
    pub fn manifest(text: &str) -> Result<Json, StateError> {
        Ok(api::yaml(text.as_bytes())?)
    }

    /// Reads what a controller keeps under a key.
    pub fn kept(&self, key: &str) -> Result<Option<String>, StateError> {
        Ok(self.tx.kept(key)?)
    }

    /// Keeps a text under a key.
    pub fn keep(&self, key: &str, value: &str) -> Result<(), StateError> {
        Ok(self.tx.keep(key, value)?)
    }

    /// Forgets a key.
    pub fn forget(&self, key: &str) -> Result<(), StateError> {
        Ok(self.tx.forget(key)?)
    }

    /// Lists what is kept under the keys with a prefix, in their order.
    pub fn all_kept(&self, prefix: &str) -> Result<Vec<(String, String)>, StateError> {
        Ok(self.tx.all_kept(prefix)?)
    }

    /// Wakes the controllers for a key, no later than this.
    pub fn wake(&self, key: &str, at: Moment) -> Result<(), StateError> {
        Ok(self.tx.wake_named(WAKES, "", key, at)?)
    }

    /// Tries to start a pod now that is held back ([`Controllers::start`]).
    pub fn retry(&self, pod: &Json) -> Result<(), StateError> {
        Ok(self.tx.wake("pods", pod, self.now)?)
    }

    /// Records a warning about an object, as a component does.
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

/// Tells the controllers what has changed since they were last told, and what that changes in turn.
pub(crate) fn tell(tx: &Transaction, options: &Options, now: Moment) -> Result<(), Failure> {
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

/// Whether a pod is ready; controllers see the pods of a cluster as its kubelets left them.
pub fn is_pod_ready(pod: &Json) -> bool {
    rollout::is_ready(pod) && text(pod, "/metadata/deletionTimestamp").is_none()
}
