//! Finds kinds that only some clusters have.

use http::Method;
use serde_json::Value as Json;

use super::{
    client::KubeClient,
    failure::About,
    resource::{Named, Resource, is_name},
};
use crate::value::{Failure, FailureClass};
use windlass_ground::lock;

impl KubeClient {
    /// Returns the resource for a name: a built-in kind, or `PLURAL.GROUP` of a custom one, for which the cluster is
    /// asked once.
    pub(super) async fn resource(&self, word: &str) -> Result<Resource, Failure> {
        if let Some(known) = Resource::known(word) {
            return Ok(known);
        }
        let word = word.to_ascii_lowercase();
        if let Some(found) = self.remembered(&word) {
            return Ok(found);
        }
        let about = self.discovery(&word);
        let (name, group) = word.split_once('.').ok_or_else(|| {
            about
                .failure(
                    FailureClass::Rejected,
                    "UnknownKind",
                    format!("`{word}` is not a kind that every cluster has"),
                )
                .with_hint(format!(
                    "write a custom kind with its group: `{word}.example.com`"
                ))
        })?;
        if !is_name(group) {
            return Err(self.no_kind(&about, &word));
        }
        let path = format!("/apis/{group}");
        let versions = match self.send(&about, Method::GET, &path, &[], None).await {
            Err(failure) if failure.code == "NotFound" => return Err(self.no_kind(&about, &word)),
            other => other?,
        };
        let preferred = versions.pointer("/preferredVersion/version");
        let version = preferred.and_then(Json::as_str).unwrap_or_default();
        let is_meant = |served: &Json| is_named(served, name);
        self.discover(&about, &word, group, version, is_meant).await
    }

    /// Returns the resource for an object, in its version: the answers of an API server have the version that was asked for.
    pub(super) async fn resource_for(&self, object: &Named) -> Result<Resource, Failure> {
        let Some(version) = &object.version else {
            return self.resource(&object.kind).await;
        };
        let known = Resource::known(&object.kind);
        if let Some(known) = known.filter(|known| known.version == *version) {
            return Ok(known);
        }
        let kind = object.kind.to_ascii_lowercase();
        let Some((name, group)) = kind.split_once('.') else {
            return self.resource(&object.kind).await;
        };
        let word = format!("{name}.{version}.{group}");
        if let Some(found) = self.remembered(&word) {
            return Ok(found);
        }
        let about = self.discovery(&word);
        let is_meant = |served: &Json| is_named(served, name);
        let found = self.discover(&about, &word, group, version, is_meant).await;
        match found {
            // The version is no longer served, and the object has been converted to another one.
            Err(failure) if failure.code == "UnknownKind" => self.resource(&object.kind).await,
            found => found,
        }
    }

    /// Returns the resource for a manifest.
    pub(super) async fn resource_of(&self, manifest: &Json) -> Result<Resource, Failure> {
        let text = |key: &str| manifest[key].as_str().unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if let Some(known) = Resource::known_kind(api_version, kind) {
            return Ok(known);
        }
        let word = format!("{kind} {api_version}");
        if let Some(found) = self.remembered(&word) {
            return Ok(found);
        }
        let about = self.discovery(&word);
        let Some((group, version)) = api_version.split_once('/') else {
            return Err(self.no_kind(&about, &word));
        };
        self.discover(&about, &word, group, version, |served| {
            served["kind"] == kind
        })
        .await
    }

    async fn discover(
        &self,
        about: &About,
        word: &str,
        group: &str,
        version: &str,
        is_meant: impl Fn(&Json) -> bool,
    ) -> Result<Resource, Failure> {
        if !is_name(group) || !is_name(version) {
            return Err(self.no_kind(about, word));
        }
        let path = format!("/apis/{group}/{version}");
        let served = match self.send(about, Method::GET, &path, &[], None).await {
            Err(failure) if failure.code == "NotFound" => return Err(self.no_kind(about, word)),
            other => other?,
        };
        let resources = served["resources"]
            .as_array()
            .map_or(&[] as &[_], Vec::as_slice);
        let is_whole = |r: &&Json| !r["name"].as_str().unwrap_or("/").contains('/');
        let found = resources
            .iter()
            .filter(is_whole)
            .find(|served| is_meant(served))
            .ok_or_else(|| self.no_kind(about, word))?;
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        let resource = Resource {
            group: group.into(),
            version: version.into(),
            plural: text("name"),
            kind: text("kind"),
            is_namespaced: found["namespaced"] == true,
        };
        let mut known = lock(&self.discovered);
        known.insert(word.into(), resource.clone());
        Ok(resource)
    }

    fn remembered(&self, word: &str) -> Option<Resource> {
        let known = lock(&self.discovered);
        known.get(word).cloned()
    }

    fn discovery(&self, word: &str) -> About {
        About {
            operation: format!("look for the kind {word}"),
            cluster: self.cluster.to_string(),
            changes: false,
            is_repeatable: false,
            is_secret: false,
        }
    }

    fn no_kind(&self, about: &About, word: &str) -> Failure {
        let why = format!(
            "the cluster `{}` does not know the kind `{word}`",
            self.cluster
        );
        about
            .failure(FailureClass::Rejected, "UnknownKind", why)
            .with_hint("is its custom resource definition installed there?")
    }
}

/// Says whether a resource, as the API server describes it, has this name.
fn is_named(served: &Json, name: &str) -> bool {
    let is = |key: &str| {
        served[key]
            .as_str()
            .is_some_and(|n| n.eq_ignore_ascii_case(name))
    };
    let short = served["shortNames"].as_array();
    is("name")
        || is("singularName")
        || is("kind")
        || short.is_some_and(|all| all.iter().any(|n| n == name))
}
