use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request, header};
use kube::{Client, Config, Error, client::Body, core::Status};
use serde_json::{Value as Json, json};

use super::{
    failure::{About, causes, classify, plain_status},
    resource::{Named, Resource, is_name},
    restore::own,
    retry::Pauses,
};
use crate::value::{Failure, FailureClass, Proof};

/// As server-side apply and audit logs name us, and nobody else.
pub(super) const FIELD_MANAGER: &str = "windlass";
/// An API server answers in well under a second; a lost connection should not hold a step.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// A 500 without a reason is what an API server says of a manifest that it can't make sense of: it would say so again.
const MISTAKE: &str = "HTTP500";
/// Objects to a page, as kubectl asks for them.
const PAGE: &str = "500";

/// One Kubernetes cluster, one request a call.
#[derive(Clone)]
pub struct KubeClient {
    pub(super) client: Client,
    /// The cluster's role in the target.
    pub(super) cluster: Arc<str>,
    /// Kinds that were looked up, by the word that names them.
    pub(super) discovered: Arc<Mutex<BTreeMap<String, Resource>>>,
    /// How long trouble is ridden out here; longer trouble is for the step's `retry`, which the journal sees.
    patience: Duration,
}

/// What came instead of an answer, and how soon the server wants to be asked again.
struct Refused {
    failure: Failure,
    retry_after: Option<Duration>,
}

/// Which objects a list is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Empty for all.
    pub namespace: String,
    /// Labels, as kubectl's `-l`.
    pub labels: Option<String>,
    /// Fields, as kubectl's `--field-selector`.
    pub fields: Option<String>,
}

/// A server-side apply.
#[derive(Clone, Debug)]
pub struct Apply {
    /// With secrets in plain text.
    pub manifest: Json,
    pub field_manager: Option<String>,
    /// Whether to take fields over that another manager owns.
    pub force: bool,
}

#[derive(Clone, Debug)]
pub struct Patch {
    pub kind: PatchKind,
    /// With secrets in plain text.
    pub body: Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 7386.
    Merge,
    /// Kubernetes' own, which knows the keys of lists; for built-in kinds.
    Strategic,
    /// RFC 6902.
    Json,
}

impl PatchKind {
    /// By kubectl's `--type`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "merge" => Some(Self::Merge),
            "strategic" => Some(Self::Strategic),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Json => "application/json-patch+json",
        }
    }
}

impl KubeClient {
    /// Prepares connections. Nothing is asked yet.
    pub(super) fn connect(
        cluster: &str,
        mut config: Config,
        patience: Duration,
    ) -> Result<Self, Failure> {
        // Which requests may be sent again is decided here, by what they change.
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|e| {
            let operation = format!("connect to {cluster}");
            Failure::new(
                FailureClass::Rejected,
                operation,
                "BadKubeconfig",
                causes(&e),
            )
        })?;
        Ok(Self {
            client,
            cluster: cluster.into(),
            discovered: Arc::default(),
            patience,
        })
    }

    /// The same client with another patience for trouble of the API server.
    pub(super) fn with_patience(&self, patience: Duration) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// # Errors
    /// `NotFound`, among others.
    pub async fn get(&self, object: &Named) -> Result<Json, Failure> {
        let resource = self.resource(&object.kind).await?;
        let about = self.about("get", object, false);
        let path = path(&resource, object, &about)?;
        self.send(&about, Method::GET, &path, &[], None).await
    }

    /// As [`get`](Self::get); `None` if it is not there.
    pub async fn find(&self, object: &Named) -> Result<Option<Json>, Failure> {
        match self.get(object).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.code == "NotFound" => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Every object of a selection, in the order of namespace and name.
    pub async fn list(&self, kind: &str, selection: &Selection) -> Result<Vec<Json>, Failure> {
        let resource = self.resource(kind).await?;
        let about = About {
            operation: match selection.namespace.as_str() {
                "" => format!("list {}", resource.plural),
                namespace => format!("list {} in {namespace}", resource.plural),
            },
            cluster: self.cluster.to_string(),
            changes: false,
            is_repeatable: false,
            is_secret: false,
        };
        let path = collection(&resource, &selection.namespace, &about)?;
        let mut query = vec![("limit", PAGE)];
        query.extend(selection.labels.as_deref().map(|l| ("labelSelector", l)));
        query.extend(selection.fields.as_deref().map(|f| ("fieldSelector", f)));
        let (mut found, mut from) = (Vec::new(), String::new());
        loop {
            let mut query = query.clone();
            if !from.is_empty() {
                query.push(("continue", &from));
            }
            let mut page = self.send(&about, Method::GET, &path, &query, None).await?;
            let next = page.pointer("/metadata/continue").and_then(Json::as_str);
            let next = next.unwrap_or_default().to_owned();
            if let Some(Json::Array(items)) = page.get_mut("items").map(Json::take) {
                // A list says once what its items are.
                found.extend(items.into_iter().map(|item| typed(item, &resource)));
            }
            if next.is_empty() {
                return Ok(found);
            }
            from = next;
        }
    }

    /// Applies a manifest server-side; the same twice leaves the same.
    pub async fn apply(&self, object: &Named, apply: &Apply) -> Result<Json, Failure> {
        let resource = self.resource_of(&apply.manifest).await?;
        let about = self.about("apply", object, true).repeatable();
        let path = path(&resource, object, &about)?;
        let manager = apply.field_manager.as_deref().unwrap_or(FIELD_MANAGER);
        // What was read and changed carries what the server keeps for itself; an apply must not.
        let manifest = own(&apply.manifest);
        let send = async |force: &str| {
            let query = [("fieldManager", manager), ("force", force)];
            let body = Some(("application/apply-patch+yaml", &manifest));
            self.send(&about, Method::PATCH, &path, &query, body).await
        };
        match send(if apply.force { "true" } else { "false" }).await {
            // A patch of ours, such as an undo's, counts as another manager of the same name.
            Err(failure) if is_with_ourselves(&failure, manager) => send("true").await,
            other => other,
        }
    }

    pub async fn patch(&self, object: &Named, patch: &Patch) -> Result<Json, Failure> {
        let resource = self.resource(&object.kind).await?;
        let about = self.about("patch", object, true);
        let about = match patch.is_repeatable() {
            true => about.repeatable(),
            false => about,
        };
        let path = path(&resource, object, &about)?;
        let query = [("fieldManager", FIELD_MANAGER)];
        let body = Some((patch.kind.content_type(), &patch.body));
        self.send(&about, Method::PATCH, &path, &query, body).await
    }

    /// Creates an object as a manifest describes it.
    pub async fn create(&self, object: &Named, manifest: &Json) -> Result<Json, Failure> {
        let resource = self.resource_of(manifest).await?;
        let about = self.about("create", object, true);
        let path = collection(&resource, &object.namespace, &about)?;
        let query = [("fieldManager", FIELD_MANAGER)];
        let body = Some(("application/json", manifest));
        self.send(&about, Method::POST, &path, &query, body).await
    }

    /// Deletes an object, only if it is still the one with this uid. One that is gone is deleted
    /// already.
    pub async fn delete(&self, object: &Named, uid: &str) -> Result<(), Failure> {
        match self.delete_if(object, &json!({ "uid": uid })).await {
            // Another one of the same name has taken its place.
            Err(failure) if failure.code == "Conflict" => Ok(()),
            other => other,
        }
    }

    /// Deletes an object, only if it is still the version that was looked at. One that is gone is deleted already.
    ///
    /// # Errors
    /// [`FailureClass::Conflict`] if it has been changed since.
    pub async fn delete_version(&self, object: &Named, seen: &Json) -> Result<(), Failure> {
        let metadata = &seen["metadata"];
        let preconditions = json!({
            "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
        });
        self.delete_if(object, &preconditions).await
    }

    async fn delete_if(&self, object: &Named, preconditions: &Json) -> Result<(), Failure> {
        let resource = self.resource(&object.kind).await?;
        let about = self.about("delete", object, true).repeatable();
        let path = path(&resource, object, &about)?;
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "preconditions": preconditions, "propagationPolicy": "Background",
        });
        let body = Some(("application/json", &options));
        match self.send(&about, Method::DELETE, &path, &[], body).await {
            Err(failure) if failure.code == "NotFound" => Ok(()),
            other => other.map(|_| ()),
        }
    }

    pub(super) fn about(&self, verb: &str, object: &Named, changes: bool) -> About {
        About {
            operation: format!("{verb} {object}"),
            cluster: self.cluster.to_string(),
            changes,
            is_repeatable: false,
            is_secret: Resource::known(&object.kind).is_some_and(|kind| kind.kind == "Secret"),
        }
    }

    /// Sends one request. What was refused because of load is sent again, and so is what never reached the server. A
    /// request whose answer was lost is sent again where it only reads, or where twice leaves the same as once.
    pub(super) async fn send(
        &self,
        about: &About,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<(&str, &Json)>,
    ) -> Result<Json, Failure> {
        let (mut pauses, mut is_in_doubt) = (Pauses::new(self.patience), false);
        loop {
            let request = request(&method, path, query, body)
                .map_err(|e| about.failure(FailureClass::Rejected, "BadRequest", e.to_string()))?;
            let refused = match self.answer(about, request).await {
                Ok(answer) => return Ok(answer),
                Err(refused) => refused,
            };
            let failure = match refused.failure {
                // What the last attempt was refused, an earlier one may have done.
                failure if is_in_doubt && !failure.is_done => failure.proving(Proof::Unknown),
                failure => failure,
            };
            let is_transient = match failure.class {
                FailureClass::Throttled => true,
                FailureClass::Unavailable | FailureClass::Timeout => {
                    let may_repeat = about.is_repeatable && failure.code != MISTAKE;
                    may_repeat || !failure.may_be_done()
                }
                _ => false,
            };
            is_in_doubt = failure.is_unknown;
            match pauses.next(refused.retry_after) {
                Some(pause) if is_transient => tokio::time::sleep(pause).await,
                _ => return Err(failure),
            }
        }
    }

    async fn answer(&self, about: &About, request: Request<Vec<u8>>) -> Result<Json, Refused> {
        match tokio::time::timeout(CALL_TIMEOUT, self.whole_answer(about, request)).await {
            Ok(answer) => answer,
            Err(_) => {
                let why = format!("no answer came within {} s", CALL_TIMEOUT.as_secs());
                let failure = about.lost(FailureClass::Timeout, "Timeout", why);
                Err(failure.into())
            }
        }
    }

    async fn whole_answer(
        &self,
        about: &About,
        request: Request<Vec<u8>>,
    ) -> Result<Json, Refused> {
        let failed = |e| Refused::from(classify(about, e));
        let answer = self.client.send(request.map(Body::from)).await;
        let (head, body) = answer.map_err(failed)?.into_parts();
        let body = body.collect_bytes().await.map_err(failed)?;
        if head.status.is_success() {
            return serde_json::from_slice(&body).map_err(|e| failed(Error::SerdeError(e)));
        }
        let status = serde_json::from_slice::<Status>(&body)
            .unwrap_or_else(|_| plain_status(head.status, &body));
        let asked = head.headers.get(header::RETRY_AFTER);
        let asked = asked.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Err(Refused {
            failure: classify(about, Error::Api(status.boxed())),
            retry_after: asked.map(Duration::from_secs),
        })
    }
}

impl Patch {
    /// Whether making it twice leaves the same as once. A JSON patch may test or count what it changes, and a patch of
    /// one version is refused the second time.
    fn is_repeatable(&self) -> bool {
        self.kind != PatchKind::Json && self.body.pointer("/metadata/resourceVersion").is_none()
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            retry_after: None,
        }
    }
}

/// Whether fields conflict with nobody but us.
fn is_with_ourselves(failure: &Failure, manager: &str) -> bool {
    let parts = failure.message.split("with \"").skip(1);
    let mut managers = parts.filter_map(|part| part.split('"').next()).peekable();
    failure.class == FailureClass::Conflict
        && managers.peek().is_some()
        && managers.all(|name| name == manager || name == FIELD_MANAGER)
}

/// The path of one object.
pub(super) fn path(resource: &Resource, object: &Named, about: &About) -> Result<String, Failure> {
    if !is_name(&object.name) {
        let why = format!("`{}` can't be an object's name", object.name);
        return Err(about.failure(FailureClass::Rejected, "BadName", why));
    }
    if resource.is_namespaced && object.namespace.is_empty() {
        let why = format!("a {resource} lives in a namespace, and none is given");
        return Err(about.failure(FailureClass::Rejected, "NoNamespace", why));
    }
    Ok(format!(
        "{}/{}",
        collection(resource, &object.namespace, about)?,
        object.name
    ))
}

fn collection(resource: &Resource, namespace: &str, about: &About) -> Result<String, Failure> {
    if !namespace.is_empty() && !is_name(namespace) {
        let why = format!("`{namespace}` can't be a namespace");
        return Err(about.failure(FailureClass::Rejected, "BadName", why));
    }
    match (resource.is_namespaced, namespace) {
        (false, namespace) if !namespace.is_empty() => {
            let why = format!("a {resource} lives in no namespace, and `{namespace}` is given");
            Err(about.failure(FailureClass::Rejected, "NotNamespaced", why))
        }
        _ => Ok(resource.path(namespace)),
    }
}

fn typed(mut item: Json, resource: &Resource) -> Json {
    if let Json::Object(map) = &mut item {
        map.entry("apiVersion")
            .or_insert_with(|| resource.api_version().into());
        map.entry("kind")
            .or_insert_with(|| resource.kind.clone().into());
    }
    item
}

pub(super) fn request(
    method: &Method,
    path: &str,
    query: &[(&str, &str)],
    body: Option<(&str, &Json)>,
) -> Result<Request<Vec<u8>>, Error> {
    let mut uri = path.to_owned();
    if !query.is_empty() {
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        uri.push('?');
        uri.push_str(&encoded.extend_pairs(query).finish());
    }
    let mut builder = Request::builder()
        .method(method)
        .uri(uri)
        .header(header::ACCEPT, "application/json");
    if let Some((content_type, _)) = body {
        builder = builder.header(header::CONTENT_TYPE, content_type);
    }
    let bytes = body.map_or_else(Vec::new, |(_, json)| json.to_string().into_bytes());
    builder.body(bytes).map_err(Error::HttpError)
}
