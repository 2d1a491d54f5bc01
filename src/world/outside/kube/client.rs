use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kube::{Client, Error, client::Body};
use serde_json::{Value as Json, json};
use windlass_ground::{boxed, lock};

use super::{
    connect::Access,
    failure::{About, classify, of_status, unauthenticated},
    login::{Denied, Login},
    request::{collection, path, request, status, typed, warning_text},
    resource::{Named, Resource},
    restore::own,
    retry::Pauses,
    stream::Streams,
};
use crate::value::{Failure, FailureClass, Proof};

/// The field manager, which server-side apply and audit logs show.
pub(super) const FIELD_MANAGER: &str = "windlass";
/// An API server answers in well under a second; a lost connection should not block a step.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The limit for one call; more would only be repetitions.
const MOST_WARNINGS: usize = 50;
/// A plugin may open a browser, in which a person logs in.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(300);
/// An API server answers 500 without a reason if it can't read a manifest: a retry would get the same answer.
const MISTAKE: &str = "HTTP500";
/// How soon and how rarely a deleted object is looked at.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LAST_LOOK: Duration = Duration::from_secs(2);
/// The largest answer in bytes: etcd takes objects of 1.5 MiB, and most are far smaller.
const LARGEST_ANSWER: usize = 256 << 20;
/// The largest answer that is an error.
const LARGEST_REFUSAL: usize = 1 << 20;
/// The number of objects on a page, as in kubectl.
const PAGE: &str = "500";

/// A client of one Kubernetes cluster; each call is one request.
#[derive(Clone)]
pub struct KubeClient {
    pub(super) client: Client,
    pub(super) login: Login,
    /// The cluster's role in the target.
    pub(super) cluster: Arc<str>,
    /// The kinds that were looked up, by name.
    pub(super) discovered: Arc<Mutex<BTreeMap<String, Resource>>>,
    /// The watches that waits share.
    pub(super) streams: Arc<Streams>,
    /// The warnings of the API server, each once.
    warnings: Arc<Mutex<Vec<String>>>,
    /// How long requests are retried here; longer trouble is for the step's `retry`, which is journaled.
    pub(super) patience: Duration,
    /// Whether all changes are sent as dry runs.
    is_dry: bool,
}

/// Says whether an object is being deleted: it exists until its finalizers are removed.
pub fn is_terminating(object: &Json) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

fn still_there(verb: &str, object: &Named, found: &Json) -> Failure {
    let finalizers = found["metadata"]["finalizers"].as_array();
    let names: Vec<_> = finalizers
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let failure = |why: String| {
        let operation = format!("{verb} {object}");
        Failure::new(FailureClass::Conflict, operation, "Terminating", why)
    };
    match names.as_slice() {
        [] => failure("it is still being deleted".to_owned()),
        names => failure(format!(
            "it is still being deleted; it has the finalizers {}",
            names.join(", ")
        ))
        .with_hint("a finalizer is removed by the controller that added it; look at its log"),
    }
}

/// An error answer, or no answer, with how soon the server wants to be asked again.
pub(super) struct Refused {
    pub failure: Failure,
    retry_after: Option<Duration>,
}

/// Selects the objects of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Empty for all.
    pub namespace: String,
    /// The label selector, as in kubectl's `-l`.
    pub labels: Option<String>,
    /// The field selector, as in kubectl's `--field-selector`.
    pub fields: Option<String>,
}

/// A server-side apply.
#[derive(Clone, Debug)]
pub struct Apply {
    /// With secrets in plain text.
    pub manifest: Json,
    pub field_manager: Option<String>,
    /// Whether to take over fields that another manager owns.
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
    /// Kubernetes' own type, which knows the keys of lists; for built-in kinds.
    Strategic,
    /// RFC 6902.
    Json,
}

impl PatchKind {
    /// Parses the type as in kubectl's `--type`.
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
    /// Prepares connections without sending a request.
    #[boxed]
    pub(super) async fn connect(
        cluster: &str,
        access: Access,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let connected = access.client().await;
        let (client, login) = connected.map_err(|e| e.failure(&format!("connect to {cluster}")))?;
        Ok(Self {
            client,
            login,
            cluster: cluster.into(),
            discovered: Arc::default(),
            streams: Arc::default(),
            warnings: Arc::default(),
            patience,
            is_dry: false,
        })
    }

    /// Returns the client with all changes sent as dry runs: the API server admits and validates them, and stores nothing
    /// (Kubernetes, "API Concepts", "Dry-run").
    pub fn dry(&self) -> Self {
        Self {
            is_dry: true,
            ..self.clone()
        }
    }

    /// Returns the client with another time limit for retries.
    pub(super) fn with_patience(&self, patience: Duration) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// # Errors
    /// `NotFound`, among others.
    #[boxed]
    pub async fn get(&self, object: &Named) -> Result<Json, Failure> {
        let resource = self.resource_for(object).await?;
        let about = self.about("get", object, false);
        let path = path(&resource, object, &about)?;
        self.send(&about, Method::GET, &path, &[], None).await
    }

    /// Like [`get`](Self::get), but returns `None` if the object does not exist.
    #[boxed]
    pub async fn find(&self, object: &Named) -> Result<Option<Json>, Failure> {
        match self.get(object).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.code == "NotFound" => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Lists every object of a selection, ordered by namespace and name.
    #[boxed]
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
                // Only the list itself has the kind of its items.
                found.extend(items.into_iter().map(|item| typed(item, &resource)));
            }
            if next.is_empty() {
                return Ok(found);
            }
            from = next;
        }
    }

    /// Reads a path of the API server that is not an object's, such as one of an aggregated API.
    ///
    /// # Errors
    /// An error of the API server.
    #[boxed]
    pub async fn read_path(&self, operation: &str, path: &str) -> Result<Json, Failure> {
        let about = About {
            operation: operation.to_owned(),
            cluster: self.cluster.to_string(),
            changes: false,
            is_repeatable: false,
            is_secret: false,
        };
        self.send(&about, Method::GET, path, &[], None).await
    }

    /// Applies a manifest server-side; applying it again leaves the same state.
    #[boxed]
    pub async fn apply(&self, object: &Named, apply: &Apply) -> Result<Json, Failure> {
        let resource = self.resource_of(&apply.manifest).await?;
        let about = self.about("apply", object, true).repeatable();
        let path = path(&resource, object, &about)?;
        let manager = apply.field_manager.as_deref().unwrap_or(FIELD_MANAGER);
        // A manifest that was read from the server contains fields of the server, which an apply must not have.
        let manifest = own(&apply.manifest);
        let send = async |force: &str| {
            let query = [("fieldManager", manager), ("force", force)];
            let body = Some(("application/apply-patch+yaml", &manifest));
            self.send(&about, Method::PATCH, &path, &query, body).await
        };
        let applied = match send(if apply.force { "true" } else { "false" }).await {
            // Our own patches, such as an undo's, count as another manager of the same name.
            Err(failure) if is_with_ourselves(&failure, manager) => send("true").await,
            other => other,
        }?;
        match is_terminating(&applied) {
            true if self.is_dry => Err(still_there("apply", object, &applied)),
            true => Err(still_there("apply", object, &applied).proving(Proof::Done)),
            false => Ok(applied),
        }
    }

    #[boxed]
    pub async fn patch(&self, object: &Named, patch: &Patch) -> Result<Json, Failure> {
        let resource = self.resource_for(object).await?;
        let about = self.about("patch", object, true);
        let about = if patch.is_repeatable() {
            about.repeatable()
        } else {
            about
        };
        let path = path(&resource, object, &about)?;
        let query = [("fieldManager", FIELD_MANAGER)];
        let body = Some((patch.kind.content_type(), &patch.body));
        self.send(&about, Method::PATCH, &path, &query, body).await
    }

    /// Creates an object as a manifest describes it.
    #[boxed]
    pub async fn create(&self, object: &Named, manifest: &Json) -> Result<Json, Failure> {
        let resource = self.resource_of(manifest).await?;
        let about = self.about("create", object, true);
        let path = collection(&resource, &object.namespace, &about)?;
        let query = [("fieldManager", FIELD_MANAGER)];
        let body = Some(("application/json", manifest));
        self.send(&about, Method::POST, &path, &query, body).await
    }

    /// Deletes an object, only if it still has this uid, and waits at most this long until it is gone: its finalizers, or the containers
    /// of a pod, may take some time. With no time at all, it does not wait. An object that does not exist counts as deleted.
    #[boxed]
    pub async fn delete(&self, object: &Named, uid: &str, within: Duration) -> Result<(), Failure> {
        match self.delete_if(object, &json!({ "uid": uid })).await {
            // A new object of the same name exists.
            Err(failure) if failure.code == "Conflict" => return Ok(()),
            other => other?,
        }
        if within.is_zero() || self.is_dry {
            Ok(())
        } else {
            let gone = self.wait_until_gone(object, uid, within).await;
            // The API server has accepted the request.
            gone.map_err(|failure| failure.proving(Proof::Done))
        }
    }

    /// Waits until there is no object of this name with this uid.
    ///
    /// # Errors
    /// [`FailureClass::Conflict`] if it is still there in the end.
    #[boxed]
    pub async fn wait_until_gone(
        &self,
        object: &Named,
        uid: &str,
        within: Duration,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + within;
        let mut pause = FIRST_LOOK;
        loop {
            let found = self.find(object).await?;
            let left = found.filter(|found| found["metadata"]["uid"] == uid);
            let Some(left) = left else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                return Err(still_there("delete", object, &left));
            }
            tokio::time::sleep(pause.min(deadline - Instant::now())).await;
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    /// Deletes an object, only if it still has the version that was read. An object that does not exist counts as deleted.
    ///
    /// # Errors
    /// [`FailureClass::Conflict`] if it has been changed since.
    #[boxed]
    pub async fn delete_version(&self, object: &Named, seen: &Json) -> Result<(), Failure> {
        let metadata = &seen["metadata"];
        let preconditions = json!({
            "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
        });
        self.delete_if(object, &preconditions).await
    }

    async fn delete_if(&self, object: &Named, preconditions: &Json) -> Result<(), Failure> {
        let resource = self.resource_for(object).await?;
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
            is_secret: object.is_secret(),
        }
    }

    /// Sends one request. Retries if it was rejected because of load or never reached the server. If its answer was lost, retries if
    /// it only reads, or if a repetition leaves the same state.
    #[boxed]
    pub(super) async fn send(
        &self,
        about: &About,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<(&str, &Json)>,
    ) -> Result<Json, Failure> {
        let (mut pauses, mut is_in_doubt) = (Pauses::new(self.patience), false);
        let mut query = query.to_vec();
        // Decided by the method, so that no change is missed.
        if self.is_dry && method != Method::GET {
            query.push(("dryRun", "All"));
        }
        loop {
            let request = request(&method, path, &query, body)
                .map_err(|e| about.failure(FailureClass::Rejected, "BadRequest", e.to_string()))?;
            let refused = match self.answer(about, request).await {
                Ok(answer) => return Ok(answer),
                Err(refused) => refused,
            };
            let failure = match refused.failure {
                // The last attempt was rejected, but an earlier one may have succeeded.
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

    /// Returns this client with its own list of warnings, for one call.
    pub fn listening(&self) -> Self {
        Self {
            warnings: Arc::default(),
            ..self.clone()
        }
    }

    /// Returns the new warnings of the API server (`Warning:` headers), each once.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut warnings = lock(&self.warnings);
        std::mem::take(&mut *warnings)
    }

    async fn answer(&self, about: &About, request: Request<Vec<u8>>) -> Result<Json, Refused> {
        // A login may wait for a person, so its time is not the API server's.
        let login = match tokio::time::timeout(LOGIN_TIMEOUT, self.login.header()).await {
            Ok(login) => login,
            Err(_) => Err(Denied::new(format!(
                "the credential plugin has given no login within {} minutes",
                LOGIN_TIMEOUT.as_secs() / 60
            ))),
        };
        login.map_err(|denied| unauthenticated(about, denied))?;
        let answer = async {
            let answer = self.open(about, request).await?;
            let body = whole(about, answer.into_body(), LARGEST_ANSWER).await?;
            let read = serde_json::from_slice(&body);
            read.map_err(|e| classify(about, Error::SerdeError(e)).into())
        };
        match tokio::time::timeout(CALL_TIMEOUT, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let why = format!("no answer came within {} s", CALL_TIMEOUT.as_secs());
                let failure = about.lost(FailureClass::Timeout, "Timeout", why);
                Err(failure.into())
            }
        }
    }

    /// Sends a request, with a login, and returns the answer as soon as it begins; an error answer is returned as a
    /// failure.
    #[boxed]
    pub(super) async fn open(
        &self,
        about: &About,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Body>, Refused> {
        let mut is_again = false;
        loop {
            let login = self.login.header().await;
            let login = login.map_err(|denied| unauthenticated(about, denied))?;
            let mut sent = Request::builder()
                .method(request.method())
                .uri(request.uri());
            if let Some(headers) = sent.headers_mut() {
                headers.clone_from(request.headers());
                headers.extend(login.clone().map(|login| (header::AUTHORIZATION, login)));
            }
            let sent = sent
                .body(Body::from(request.body().clone()))
                .map_err(|e| classify(about, Error::HttpError(e)))?;
            let answer = self.client.send(sent).await;
            let answer = answer.map_err(|e| classify(about, e))?;
            self.note_warnings(answer.headers());
            let code = answer.status();
            if !code.is_client_error() && !code.is_server_error() {
                return Ok(answer);
            }
            // The login has expired or was replaced, so nothing was done.
            if code == StatusCode::UNAUTHORIZED
                && !is_again
                && self.login.refused(login.as_ref()).await
            {
                is_again = true;
                continue;
            }
            let asked = answer.headers().get(header::RETRY_AFTER);
            let asked = asked.and_then(|value| value.to_str().ok()?.trim().parse().ok());
            let body = whole(about, answer.into_body(), LARGEST_REFUSAL).await?;
            return Err(Refused {
                failure: of_status(about, &status(code, &body)),
                retry_after: asked.map(Duration::from_secs),
            });
        }
    }

    /// Stores the warnings of an answer: `299 - "text"` (RFC 9111), which only API servers still send.
    fn note_warnings(&self, headers: &HeaderMap) {
        for warning in headers.get_all(header::WARNING) {
            let Some(text) = warning.to_str().ok().and_then(warning_text) else {
                continue;
            };
            let mut warnings = lock(&self.warnings);
            if warnings.len() < MOST_WARNINGS && !warnings.contains(&text) {
                warnings.push(text);
            }
        }
    }
}

impl Patch {
    /// Says whether repeating it leaves the same state. A JSON patch may test or count what it changes, and a patch of one version
    /// is rejected the second time.
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

/// Reads a body of at most `largest` bytes.
async fn whole(about: &About, body: Body, largest: usize) -> Result<Vec<u8>, Failure> {
    let read = Limited::new(body, largest).collect().await;
    read.map(|body| body.to_bytes().to_vec()).map_err(|error| {
        if error.is::<LengthLimitError>() {
            let why = format!("the answer is larger than {} MiB", largest >> 20);
            return about.lost(FailureClass::Rejected, "TooLarge", why);
        }
        let error = error.downcast().map_or_else(Error::Service, |error| *error);
        classify(about, error)
    })
}

/// Says whether fields conflict only with patches under the same name: an apply owns its fields as another manager.
fn is_with_ourselves(failure: &Failure, manager: &str) -> bool {
    let parts = failure.message.split("with \"").skip(1);
    let mut managers = parts.filter_map(|part| part.split('"').next()).peekable();
    failure.class == FailureClass::Conflict
        && managers.peek().is_some()
        && managers.all(|name| name == manager)
}
