//! Handles one HTTP request: authentication, authorization and the response.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;

use crate::{
    access::{Attributes, User, authenticate, may, may_path},
    api::{self, Call},
    fault::{self, Effect, Strike},
    forward::asks_for_websocket,
    resource::Resource,
    service::Service,
    wire::{
        Accept, Answer, Discovery, Failure, Incoming, Query, Target, Verb, discover, openapi,
        openapi_v2,
    },
};
use windlass_ground::{BodyError, Operation, Requester, receive_body};

/// The API server's limit of 3 MiB.
const LARGEST_BODY: usize = 3 << 20;

/// Answers a request on a thread for blocking work, since most requests access the disk.
pub(crate) async fn handle(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let body = match receive_body(body, LARGEST_BODY, service.options.client_timeout).await {
        Ok(body) => body,
        Err(why) => return Answer::from(unread(why)).response(),
    };
    let incoming = Incoming {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body,
        upgrade: Mutex::new(parts.extensions.remove()),
    };
    let answered = tokio::task::spawn_blocking(move || {
        let about = log_of(&service, &incoming);
        let answer = answer(&service, &incoming).unwrap_or_else(Answer::from);
        (answer, about)
    });
    let (answer, about) = answered.await.unwrap_or_else(|_| {
        let failure = Failure::internal("the request failed unexpectedly");
        (failure.into(), None)
    });
    let mut response = answer.response();
    if let Some((who, operation)) = about {
        response.extensions_mut().insert(who);
        response.extensions_mut().insert(operation);
    }
    response
}

fn unread(why: BodyError) -> Failure {
    match why {
        BodyError::TooLarge => Failure::too_large(),
        BodyError::TooSlow => Failure::slow_body(),
        BodyError::Broken => Failure::bad_request("the body did not arrive as a whole"),
    }
}

/// Returns the user and the operation of a request, if requests are logged.
fn log_of(service: &Service, incoming: &Incoming) -> Option<(Requester, Operation)> {
    if !tracing::enabled!(target: "windlass::requests", tracing::Level::INFO) {
        return None;
    }
    let user = authenticate(service, incoming).map_or_else(|_| String::new(), |user| user.name);
    let operation = match Target::read(incoming.path()) {
        None => "server".to_owned(),
        Some(target) => {
            let verb = incoming.verb(&target, &incoming.query()).ok();
            let verb = verb.map_or("unknown", |verb| verb.as_str());
            let subresource = target.subresource.map(|name| format!("/{name}"));
            format!(
                "{verb} {}{}",
                target.resource,
                subresource.unwrap_or_default()
            )
        }
    };
    Some((Requester(user), Operation(operation)))
}

fn answer(service: &Arc<Service>, incoming: &Incoming) -> Result<Answer, Failure> {
    let user = authenticate(service, incoming)?;
    let mut query = incoming.query();
    let Some(target) = Target::read(incoming.path()) else {
        return meta(service, incoming, &user);
    };
    let verb = incoming.verb(&target, &query)?;
    let accept = match incoming.verb(&target, &query)? {
        // A watch may name either of two media types.
        Verb::Watch => {
            let header = incoming.header("accept").replace(";stream=watch", "");
            Accept::read(&header)?
        }
        _ => Accept::read(incoming.header("accept"))?,
    };
    if verb == Verb::Watch && target.name.is_some() {
        query.set("watch", "true");
    }
    service.catch_up()?;
    authorize(service, &user, verb, &target, &query)?;
    if target.subresource.as_deref() == Some("portforward") && asks_for_websocket(incoming) {
        authorize(service, &user, Verb::Create, &target, &query)?;
    }
    if let (Some(others), Verb::Get | Verb::List) = (&service.options.controllers, verb)
        && let Some(answered) = others.answer(incoming.path())
    {
        return Ok(Answer::Object(200, answered.map_err(Failure::from)?));
    }
    let resource = find(service, &target)?;
    check_verb(&resource, verb, &target)?;
    let call = Call {
        service,
        incoming,
        user,
        resource,
        target,
        verb,
        query,
        accept,
    };
    perform(&call)
}

/// Carries out a call, unless a fault applies.
fn perform(call: &Call) -> Result<Answer, Failure> {
    let faults = &call.service.options.faults;
    let Some(strike) = fault::strike(faults, call.verb, &call.resource.plural, fault::draw) else {
        return api::answer(call);
    };
    if let Strike { after: true, .. } = strike {
        // The fault hides the result.
        let _ = api::answer(call)?;
    }
    match strike.effect {
        Effect::Status(code) => Err(Failure::on_purpose(code)),
        Effect::Cut => Ok(Answer::Cut),
    }
}

fn authorize(
    service: &Service,
    user: &User,
    verb: Verb,
    target: &Target,
    query: &Query,
) -> Result<(), Failure> {
    let resource = match &target.subresource {
        Some(subresource) => format!("{}/{subresource}", target.resource),
        None => target.resource.clone(),
    };
    // A request for a namespace itself is checked within that namespace.
    let within = match (target.resource.as_str(), &target.name) {
        ("namespaces", Some(name)) if target.group.is_empty() => name,
        _ => target.namespace.as_deref().unwrap_or_default(),
    };
    // A list or watch that selects a single name is checked as a request for that name (apiserver,
    // `RequestInfoFactory.NewRequestInfo`).
    let selected = match verb {
        Verb::List | Verb::Watch => query.get("fieldSelector").and_then(only_name),
        _ => None,
    };
    let wanted = Attributes {
        verb: verb.as_str(),
        group: &target.group,
        resource: &resource,
        namespace: within,
        name: target.name.as_deref().or(selected).unwrap_or_default(),
    };
    if service.store.read(|tx| may(tx, user, &wanted))? {
        return Ok(());
    }
    Err(Failure::denied(
        &user.name,
        &wanted,
        target.namespace.as_deref(),
    ))
}

/// Returns the name that a field selector selects, if it selects by name alone.
fn only_name(selector: &str) -> Option<&str> {
    selector.split(',').find_map(|term| {
        let (field, name) = term.split_once('=')?;
        let name = name.strip_prefix('=').unwrap_or(name);
        (field == "metadata.name" && !name.is_empty()).then_some(name)
    })
}

fn find(service: &Service, target: &Target) -> Result<Resource, Failure> {
    let (group, version, plural) = (&target.group, &target.version, &target.resource);
    if let Some(found) = Resource::find_built_in(group, version, plural) {
        return Ok(found);
    }
    let definition = service.store.read(|tx| {
        let name = format!("{plural}.{group}");
        tx.get("customresourcedefinitions.apiextensions.k8s.io", "", &name)
    })?;
    definition
        .map(|definition| Resource::of_definition(&definition))
        .into_iter()
        .flatten()
        .find(|resource| resource.version == *version)
        .ok_or_else(Failure::no_such_path)
}

/// Refuses verbs that the resource does not support.
fn check_verb(resource: &Resource, verb: Verb, target: &Target) -> Result<(), Failure> {
    let misplaced = match (resource.namespaced, &target.namespace) {
        (false, Some(_)) => true,
        // Namespaced objects can be listed and watched across namespaces; other verbs need a namespace.
        (true, None) => target.name.is_some(),
        _ => false,
    };
    if misplaced {
        return Err(Failure::no_such_path());
    }
    match target.subresource.as_deref() {
        Some(name) if !resource.has_subresource(name) => Err(Failure::no_such_path()),
        Some("status") if !matches!(verb, Verb::Get | Verb::Update | Verb::Patch) => {
            Err(Failure::method_not_allowed())
        }
        Some("portforward") if !matches!(verb, Verb::Get | Verb::Create) => {
            Err(Failure::method_not_allowed())
        }
        Some(_) => Ok(()),
        None if !resource.verbs.contains(&verb.as_str()) => Err(Failure::method_not_allowed()),
        None if resource.namespaced && target.namespace.is_none() && verb == Verb::Create => {
            Err(Failure::method_not_allowed())
        }
        None => Ok(()),
    }
}

/// Answers requests for discovery, health, versions and schemas.
fn meta(service: &Service, incoming: &Incoming, user: &User) -> Result<Answer, Failure> {
    let path = incoming.path();
    let verb = match incoming.method {
        axum::http::Method::GET => "get",
        _ => return Err(Failure::no_such_path()),
    };
    if !service.store.read(|tx| may_path(tx, user, verb, path))? {
        return Err(Failure::forbidden_path(&user.name, verb, path));
    }
    match path {
        "/healthz" | "/livez" | "/readyz" => return Ok(Answer::Plain("text/plain", "ok")),
        "/openapi/v2" => return Ok(openapi_v2(incoming)),
        _ => {}
    }
    let definitions = service
        .store
        .read(|tx| tx.list("customresourcedefinitions.apiextensions.k8s.io", None))?;
    let custom = definitions.iter().flat_map(Resource::of_definition);
    let discovery = Discovery::new(Resource::built_in().chain(custom).collect());
    if path.starts_with("/openapi/") {
        return openapi(&discovery, path)
            .map(|document| Answer::Object(200, document))
            .ok_or_else(Failure::no_such_path);
    }
    let accept = Accept::read(incoming.header("accept"))?;
    let document = discover(&discovery, path, accept.aggregated);
    let document = document.ok_or_else(Failure::no_such_path)?;
    Ok(if document["kind"] == "APIGroupDiscoveryList" {
        Answer::Discovery(document)
    } else {
        Answer::Object(200, document)
    })
}
