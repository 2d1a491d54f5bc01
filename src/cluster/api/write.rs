use serde_json::{Value as Json, json};

use super::{Call, body, check, defaults, lifecycle, read::shaped};
use crate::cluster::{
    merge::{self, Manager, PatchKind, without_times},
    object::{self, Moment, metadata, name, namespace, text, timestamp},
    resource::Resource,
    schema::{Decoded, Strictness, check_custom, decode},
    store::Transaction,
    wire::{Answer, Cause, Failure},
};

pub(super) fn create(call: &Call) -> Result<Answer, Failure> {
    if call.target.name.is_some() {
        return Err(Failure::method_not_allowed());
    }
    let sent = body::read(call)?;
    check_kind(&call.resource, &sent)?;
    let (mut object, warnings) = understood(call, sent, None)?;
    let dry_run = call.is_dry_run()?;
    take_place(call, &mut object)?;
    if name(&object).is_empty()
        && let Some(prefix) = text(&object, "/metadata/generateName")
    {
        let generated = format!("{prefix}{}", object::suffix());
        metadata(&mut object).insert("name".into(), generated.into());
    }
    let object = call.service.write(|tx| {
        let key = call.resource.key();
        if !name(&object).is_empty() && tx.get(&key, namespace(&object), name(&object))?.is_some() {
            return Err(Failure::already_exists(&call.resource, name(&object)));
        }
        let manager = manager(call, false);
        finish(call, tx, None, object, Owner::Update(&manager), dry_run)
    })?;
    Ok(Answer::Warned(201, shaped(call, object), warnings))
}

pub(super) fn update(call: &Call) -> Result<Answer, Failure> {
    let sent = body::read(call)?;
    check_kind(&call.resource, &sent)?;
    let (mut object, warnings) = understood(call, sent, None)?;
    let dry_run = call.is_dry_run()?;
    take_place(call, &mut object)?;
    if name(&object) != call.name() {
        return Err(Failure::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            name(&object),
            call.name()
        )));
    }
    let object = call.service.write(|tx| {
        let before = existing(call, tx)?;
        if call.resource.custom.is_some() && text(&object, "/metadata/resourceVersion").is_none() {
            let cause = Cause::invalid(
                "metadata.resourceVersion",
                &json!(0),
                "must be specified for an update",
            );
            return Err(Failure::invalid(&call.resource, call.name(), &[cause]));
        }
        let manager = manager(call, false);
        let owner = Owner::Update(&manager);
        finish(call, tx, Some(&before), object, owner, dry_run)
    })?;
    Ok(Answer::Warned(200, shaped(call, object), warnings))
}

pub(super) fn patch(call: &Call) -> Result<Answer, Failure> {
    let resource = &call.resource;
    let kind = PatchKind::of(call.incoming.media_type(), resource.custom.is_some())?;
    if kind == PatchKind::Apply {
        return apply(call);
    }
    if call.query.get("force").is_some() {
        return Err(Failure::bad_options(
            "PatchOptions",
            "force: Forbidden: may not be specified for non-apply patch",
        ));
    }
    let patch = body::json(&call.incoming.body)?;
    let dry_run = call.is_dry_run()?;
    let (object, warnings) = call.service.write(|tx| {
        let before = existing(call, tx)?;
        let mut object = before.clone();
        match kind {
            PatchKind::Json => merge::json_patch(&mut object, &patch)?,
            PatchKind::Strategic => merge::strategic(resource.schema(), &mut object, &patch)?,
            PatchKind::Merge | PatchKind::Apply => merge::merge_patch(&mut object, &patch)?,
        }
        check_kind(resource, &object)?;
        let (mut object, warnings) = understood(call, object, Some(&patch))?;
        take_place(call, &mut object)?;
        let manager = manager(call, false);
        let owner = Owner::Update(&manager);
        let object = finish(call, tx, Some(&before), object, owner, dry_run)?;
        Ok((object, warnings))
    })?;
    Ok(Answer::Warned(200, shaped(call, object), warnings))
}

fn apply(call: &Call) -> Result<Answer, Failure> {
    let resource = &call.resource;
    if call.query.get("fieldManager").is_none() {
        return Err(Failure::bad_options(
            "PatchOptions",
            "fieldManager: Required value: is required for apply patch",
        ));
    }
    let mut config = body::yaml(&call.incoming.body)?;
    check_kind(resource, &config)?;
    if !object::items(&config, "/metadata/managedFields").is_empty() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    take_place(call, &mut config)?;
    if name(&config) != call.name() {
        return Err(Failure::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            name(&config),
            call.name()
        )));
    }
    refuse_untyped(call, &config)?;
    let dry_run = call.is_dry_run()?;
    let force = call.query.flag("force");
    let manager = manager(call, true);
    let (object, code) = call.service.write(|tx| {
        let before = tx.get(&resource.key(), call.namespace(), call.name())?;
        let code = if before.is_some() { 200 } else { 201 };
        if before.is_none() && call.target.subresource.is_some() {
            return Err(Failure::not_found(resource, call.name()));
        }
        let live = before.clone().unwrap_or_else(|| {
            json!({ "apiVersion": config["apiVersion"], "kind": config["kind"], "metadata": {} })
        });
        if let (Some(asked), Some(before)) = (text(&config, "/metadata/resourceVersion"), &before)
            && Some(asked) != text(before, "/metadata/resourceVersion")
        {
            return Err(stale(resource, call.name()));
        }
        let schema = resource.schema();
        let object = merge::apply(schema, &live, &config, &manager, force, call.now())?;
        let object = decode(schema, object, &resource.kind, resource.custom.is_some()).object;
        let object = finish(call, tx, before.as_ref(), object, Owner::Applied, dry_run)?;
        Ok((object, code))
    })?;
    Ok(Answer::Object(code, shaped(call, object)))
}

/// Keeps an object of which only the number of replicas was set.
pub(super) fn rescaled(
    call: &Call,
    tx: &Transaction,
    before: &Json,
    object: Json,
    dry_run: bool,
) -> Result<Json, Failure> {
    let manager = manager(call, false);
    finish(
        call,
        tx,
        Some(before),
        object,
        Owner::Update(&manager),
        dry_run,
    )
}

/// How ownership is recorded.
enum Owner<'a> {
    Update(&'a Manager),
    /// It was, when the configuration was merged.
    Applied,
}

fn manager(call: &Call, applies: bool) -> Manager {
    Manager {
        name: call.manager_name(),
        applies,
        api_version: call.resource.api_version(),
        subresource: call.target.subresource.clone().unwrap_or_default(),
    }
}

fn existing(call: &Call, tx: &Transaction) -> Result<Json, Failure> {
    tx.get(&call.resource.key(), call.namespace(), call.name())?
        .ok_or_else(|| Failure::not_found(&call.resource, call.name()))
}

fn stale(resource: &Resource, name: &str) -> Failure {
    Failure::conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )
}

/// The end of every write: fills in what the server knows, checks, records who owns what, and keeps the object.
fn finish(
    call: &Call,
    tx: &Transaction,
    before: Option<&Json>,
    mut object: Json,
    owner: Owner,
    dry_run: bool,
) -> Result<Json, Failure> {
    let (resource, now) = (&call.resource, call.now());
    if let Some(before) = before {
        check_preconditions(resource, before, &object)?;
        object = match call.target.subresource.as_deref() {
            Some("status") => with_status_of(before, object),
            _ => object,
        };
    } else {
        lifecycle::check_namespace(tx, resource, namespace(&object))?;
    }
    let whole = call.target.subresource.as_deref() != Some("status");
    carry_over(resource, before, &mut object, whole, now);
    defaults::set(resource, &mut object, now);
    let causes = match before {
        Some(before) => check::update(resource, before, &object),
        None => check::create(resource, &object),
    };
    let mut causes = causes;
    if let Some(custom) = &resource.custom {
        causes.extend(check_custom(
            crate::cluster::schema::Schema::custom(&custom.schema),
            &object,
        ));
    }
    if !causes.is_empty() {
        return Err(Failure::invalid(resource, name(&object), &causes));
    }
    if let Owner::Update(manager) = owner {
        let skeleton = defaults::skeleton(resource);
        merge::track(
            resource.schema(),
            before.unwrap_or(&skeleton),
            &mut object,
            manager,
            now,
        );
    }
    if let Some(before) = before {
        set_generation(resource, before, &mut object);
        if without_times(before) == without_times(&object) {
            return Ok(before.clone());
        }
    }
    if dry_run {
        return Ok(object);
    }
    lifecycle::keep(tx, resource, before, &mut object, now)?;
    Ok(object)
}

fn check_preconditions(resource: &Resource, before: &Json, object: &Json) -> Result<(), Failure> {
    let of = |object, field| text(object, field).filter(|text| !text.is_empty());
    let version = "/metadata/resourceVersion";
    if of(object, version).is_some_and(|asked| Some(asked) != text(before, version)) {
        return Err(stale(resource, name(before)));
    }
    let uid = "/metadata/uid";
    match (of(object, uid), text(before, uid)) {
        (Some(asked), Some(is)) if asked != is => Err(Failure::conflict(
            resource,
            name(before),
            &format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {is}"),
        )),
        _ => Ok(()),
    }
}

/// What a write through `status` leaves of what was sent.
fn with_status_of(before: &Json, object: Json) -> Json {
    let mut kept = before.clone();
    kept["status"] = object["status"].clone();
    if let Some(entries) = object.pointer("/metadata/managedFields") {
        metadata(&mut kept).insert("managedFields".into(), entries.clone());
    }
    kept
}

/// Sets what nobody may set.
fn carry_over(
    resource: &Resource,
    before: Option<&Json>,
    object: &mut Json,
    whole: bool,
    now: Moment,
) {
    let fields = [
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    let of_before = |field: &str| Some(before?.pointer("/metadata")?.get(field)?.clone());
    for field in fields {
        match of_before(field) {
            Some(value) => metadata(object).insert(field.into(), value),
            None => metadata(object).remove(field),
        };
    }
    metadata(object).remove("selfLink");
    match before.and_then(|before| before.pointer("/metadata/resourceVersion")) {
        Some(version) => metadata(object).insert("resourceVersion".into(), version.clone()),
        None => metadata(object).remove("resourceVersion"),
    };
    if before.is_none() {
        metadata(object).insert("uid".into(), object::new_uid().into());
        metadata(object).insert("creationTimestamp".into(), timestamp(now).into());
        if counts_generations(resource) {
            metadata(object).insert("generation".into(), 1.into());
        }
    }
    if whole && has_status(resource) {
        let status = before.map(|before| before["status"].clone());
        match (status, object.as_object_mut()) {
            (Some(status), Some(map)) if !status.is_null() => {
                map.insert("status".into(), status);
            }
            (_, Some(map)) => {
                map.remove("status");
            }
            _ => {}
        }
    }
}

fn has_status(resource: &Resource) -> bool {
    resource.has_subresource("status")
        || resource.key().ends_with("definitions.apiextensions.k8s.io")
}

fn counts_generations(resource: &Resource) -> bool {
    let key = resource.key();
    let counted = ["deployments.apps", "statefulsets.apps", "daemonsets.apps"];
    resource.custom.is_some()
        || counted.contains(&key.as_str())
        || resource.group == "apiextensions.k8s.io"
}

fn set_generation(resource: &Resource, before: &Json, object: &mut Json) {
    if !counts_generations(resource) {
        return;
    }
    let spec = |object: &Json| -> Json {
        match (&resource.custom, resource.plural.as_str()) {
            // Everything but metadata, and status where that is a subresource.
            (Some(_), _) => {
                let mut rest = object.clone();
                if let Some(map) = rest.as_object_mut() {
                    map.remove("metadata");
                    if has_status(resource) {
                        map.remove("status");
                    }
                }
                rest
            }
            // A Deployment's annotations count too.
            (None, "deployments") => {
                json!([object["spec"], object["metadata"]["annotations"]])
            }
            _ => object["spec"].clone(),
        }
    };
    if spec(before) != spec(object) {
        let last = object::number(before, "/metadata/generation").unwrap_or(1);
        metadata(object).insert("generation".into(), (last + 1).into());
    }
}

/// Holds the namespace of an object against the path's, and sets it.
fn take_place(call: &Call, object: &mut Json) -> Result<(), Failure> {
    let said = namespace(object);
    if !said.is_empty() && said != call.namespace() {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if call.resource.namespaced {
        metadata(object).insert("namespace".into(), call.namespace().into());
    }
    Ok(())
}

fn check_kind(resource: &Resource, object: &Json) -> Result<(), Failure> {
    if !object.is_object() {
        return Err(Failure::bad_request(
            "the object provided is unrecognized (must be of type object)",
        ));
    }
    let (version, kind) = (
        text(object, "/apiVersion").unwrap_or_default(),
        text(object, "/kind").unwrap_or_default(),
    );
    if kind.is_empty() {
        return Err(Failure::bad_request(format!(
            "Object 'Kind' is missing in '{}'",
            shortened(object)
        )));
    }
    if version != resource.api_version() {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            resource.api_version()
        )));
    }
    if kind != resource.kind {
        return Err(Failure::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {}: unknown conversion",
            resource.version, resource.kind
        )));
    }
    Ok(())
}

/// Never all of an object in a message: it may be a secret.
fn shortened(object: &Json) -> String {
    let keys: Vec<_> = object
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys().cloned())
        .collect();
    format!("{{{}}}", keys.join(","))
}

/// Reads an object by its schema; what the schema doesn't know goes, with a warning or a refusal.
fn understood(
    call: &Call,
    object: Json,
    patch: Option<&Json>,
) -> Result<(Json, Vec<String>), Failure> {
    let resource = &call.resource;
    let strictness = match call.query.get("fieldValidation") {
        None | Some("Warn") => Strictness::Warn,
        Some("Strict") => Strictness::Strict,
        Some("Ignore") => Strictness::Ignore,
        Some(other) => {
            return Err(Failure::bad_request(format!(
                "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
            )));
        }
    };
    let Decoded {
        object,
        mut unknown,
        mismatch,
    } = decode(
        resource.schema(),
        object,
        &resource.kind,
        resource.custom.is_some(),
    );
    let handled = |why: &str| {
        Failure::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {why}",
            resource.kind, resource.version, resource.kind
        ))
    };
    if let Some(mismatch) = mismatch {
        return Err(handled(&mismatch));
    }
    check::encodings(resource, &object).map_err(|why| handled(&why))?;
    for field in &mut unknown {
        *field = format!("unknown field {field:?}");
    }
    match strictness {
        Strictness::Strict if !unknown.is_empty() => {
            let why = format!("strict decoding error: {}", unknown.join(", "));
            Err(match patch {
                Some(patch) => Failure::invalid_patch(patch, &why),
                None => handled(&why),
            })
        }
        Strictness::Warn => Ok((object, unknown)),
        _ => Ok((object, Vec::new())),
    }
}

/// An applied configuration must fit the schema, whatever `fieldValidation` says.
fn refuse_untyped(call: &Call, config: &Json) -> Result<(), Failure> {
    let resource = &call.resource;
    let decoded = decode(
        resource.schema(),
        config.clone(),
        &resource.kind,
        resource.custom.is_some(),
    );
    let place = match call.namespace() {
        "" => call.name().to_owned(),
        namespace => format!("{namespace}/{}", call.name()),
    };
    let untyped = |why: &str| {
        Failure::untyped(format!(
            "failed to create typed patch object ({place}; {}, Kind={}): {why}",
            resource.api_version(),
            resource.kind
        ))
    };
    if let Some(field) = decoded.unknown.first() {
        return Err(untyped(&format!(".{field}: field not declared in schema")));
    }
    match decoded.mismatch {
        Some(mismatch) => Err(untyped(&mismatch)),
        None => check::encodings(resource, config).map_err(|why| untyped(&why)),
    }
}

/// Puts an object of a new cluster, as if it had been there since `at`.
pub(crate) fn seed(
    tx: &Transaction,
    key: &str,
    mut object: Json,
    at: Moment,
) -> Result<(), Failure> {
    let resource = Resource::by_key(key);
    let status = object.get("status").cloned();
    carry_over(&resource, None, &mut object, true, at);
    if let Some(status) = status {
        object["status"] = status;
    }
    defaults::set(&resource, &mut object, at);
    let manager = Manager {
        name: "rehearsal".into(),
        applies: false,
        api_version: resource.api_version(),
        subresource: String::new(),
    };
    let skeleton = defaults::skeleton(&resource);
    merge::track(resource.schema(), &skeleton, &mut object, &manager, at);
    lifecycle::keep(tx, &resource, None, &mut object, at)
}
