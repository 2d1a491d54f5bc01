//! The defaults that the API server sets.

use serde_json::{Map, Value as Json, json};

use crate::{
    object::{Moment, child, items, metadata, name, namespace as namespace_of, text, timestamp},
    resource::Resource,
    schema::Schema,
};

/// Sets the fields that were omitted.
pub(super) fn set(resource: &Resource, object: &mut Json, now: Moment) {
    if let Some(custom) = &resource.custom {
        return from_schema(Schema::custom(&custom.schema), object);
    }
    match resource.kind.as_str() {
        "Secret" => secret(object),
        "Namespace" => namespace(object),
        "Deployment" => {
            let spec = child(object, "spec");
            or(spec, "replicas", json!(1));
            or(spec, "revisionHistoryLimit", json!(10));
            or(spec, "progressDeadlineSeconds", json!(600));
            let rolling = json!({ "maxSurge": "25%", "maxUnavailable": "25%" });
            strategy(&mut object["spec"], "strategy", &rolling);
            template(&mut object["spec"]);
        }
        "StatefulSet" => {
            let spec = child(object, "spec");
            or(spec, "replicas", json!(1));
            or(spec, "revisionHistoryLimit", json!(10));
            or(spec, "serviceName", json!(""));
            or(spec, "podManagementPolicy", json!("OrderedReady"));
            let keep = json!({ "whenDeleted": "Retain", "whenScaled": "Retain" });
            or(spec, "persistentVolumeClaimRetentionPolicy", keep);
            strategy(
                &mut object["spec"],
                "updateStrategy",
                &json!({ "partition": 0 }),
            );
            template(&mut object["spec"]);
        }
        "DaemonSet" => {
            or(child(object, "spec"), "revisionHistoryLimit", json!(10));
            let rolling = json!({ "maxSurge": 0, "maxUnavailable": 1 });
            strategy(&mut object["spec"], "updateStrategy", &rolling);
            template(&mut object["spec"]);
        }
        "RoleBinding" | "ClusterRoleBinding" => binding(object),
        "Service" => service(object),
        "CustomResourceDefinition" => definition(object, now),
        _ => {}
    }
}

/// Returns the fields that Go's zero value of a kind has, so that an update which sets a part of such a field is not
/// recorded as setting the whole field.
pub(super) fn skeleton(resource: &Resource) -> Json {
    let template = json!({ "metadata": {}, "spec": { "containers": [] } });
    let spec = match resource.key().as_str() {
        "deployments.apps" => json!({ "strategy": {}, "template": template }),
        "daemonsets.apps" | "statefulsets.apps" => {
            json!({ "updateStrategy": {}, "template": template })
        }
        "customresourcedefinitions.apiextensions.k8s.io" => json!({ "names": {} }),
        "namespaces" => json!({}),
        _ => return json!({ "metadata": {} }),
    };
    json!({ "metadata": {}, "spec": spec })
}

fn or(map: &mut Map<String, Json>, key: &str, value: Json) {
    map.entry(key).or_insert(value);
}

/// Returns the items of the list with this key; an empty iterator if there is no list.
fn each<'m>(map: &'m mut Map<String, Json>, key: &str) -> impl Iterator<Item = &'m mut Json> {
    let list = map.get_mut(key).and_then(Json::as_array_mut);
    list.into_iter().flatten()
}

/// Derives the address from the name, so that replacing a Service without an address keeps the address.
fn service(object: &mut Json) {
    let key = format!("{}/{}", namespace_of(object), name(object));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
    let [a, b, ..] = *digest.as_ref() else {
        return;
    };
    let spec = child(object, "spec");
    or(spec, "type", json!("ClusterIP"));
    or(spec, "sessionAffinity", json!("None"));
    or(spec, "internalTrafficPolicy", json!("Cluster"));
    or(spec, "ipFamilies", json!(["IPv4"]));
    or(spec, "ipFamilyPolicy", json!("SingleStack"));
    or(
        spec,
        "clusterIP",
        json!(format!("10.96.{a}.{}", b.clamp(2, 254))),
    );
    or(spec, "clusterIPs", json!([spec["clusterIP"]]));
    for port in each(spec, "ports") {
        let number = port["port"].clone();
        if let Json::Object(port) = port {
            or(port, "protocol", json!("TCP"));
            or(port, "targetPort", number);
        }
    }
}

/// Moves the entries of `stringData` to `data`, in base64.
fn secret(object: &mut Json) {
    let texts = object
        .as_object_mut()
        .and_then(|map| map.remove("stringData"));
    if let Some(Json::Object(texts)) = texts {
        let data = child(object, "data");
        for (key, value) in texts {
            let bytes = value.as_str().unwrap_or_default().as_bytes();
            data.insert(key, data_encoding::BASE64.encode(bytes).into());
        }
    }
    if let Some(map) = object.as_object_mut() {
        or(map, "type", json!("Opaque"));
    }
}

fn namespace(object: &mut Json) {
    let own = name(object).to_owned();
    child(&mut object["metadata"], "labels")
        .insert("kubernetes.io/metadata.name".into(), own.into());
    or(child(object, "spec"), "finalizers", json!(["kubernetes"]));
    or(child(object, "status"), "phase", json!("Active"));
}

fn strategy(spec: &mut Json, field: &str, rolling: &Json) {
    let strategy = child(spec, field);
    or(strategy, "type", json!("RollingUpdate"));
    if strategy["type"] == "RollingUpdate" {
        let inner = child(&mut spec[field], "rollingUpdate");
        for (key, value) in rolling.as_object().into_iter().flatten() {
            or(inner, key, value.clone());
        }
    }
}

fn template(spec: &mut Json) {
    if !spec["template"]["spec"].is_object() {
        return;
    }
    child(&mut spec["template"], "metadata");
    let spec = &mut spec["template"]["spec"];
    let account = spec["serviceAccountName"].clone();
    if let Some(map) = spec.as_object_mut() {
        map.retain(|_, value| !value.is_null());
        or(map, "restartPolicy", json!("Always"));
        or(map, "terminationGracePeriodSeconds", json!(30));
        or(map, "dnsPolicy", json!("ClusterFirst"));
        or(map, "securityContext", json!({}));
        or(map, "schedulerName", json!("default-scheduler"));
        if account.is_string() {
            map.insert("serviceAccount".into(), account);
        }
    }
    for list in ["initContainers", "containers"] {
        for one in spec[list].as_array_mut().into_iter().flatten() {
            container(one);
        }
    }
    for list in ["volumes", "initContainers"] {
        if spec[list].is_null()
            && let Some(map) = spec.as_object_mut()
        {
            map.remove(list);
        }
    }
    for one in items(&spec.clone(), "/volumes").iter().enumerate() {
        volume(&mut spec["volumes"][one.0]);
    }
}

fn container(container: &mut Json) {
    let image = text(container, "/image").unwrap_or_default();
    let tag = image
        .rsplit('/')
        .next()
        .and_then(|last| last.split_once(':'));
    let moves = !image.contains('@') && tag.is_none_or(|(_, tag)| tag == "latest");
    let Some(map) = container.as_object_mut() else {
        return;
    };
    or(
        map,
        "imagePullPolicy",
        json!(if moves { "Always" } else { "IfNotPresent" }),
    );
    or(map, "resources", json!({}));
    or(map, "terminationMessagePath", json!("/dev/termination-log"));
    or(map, "terminationMessagePolicy", json!("File"));
    for port in each(map, "ports") {
        if let Some(port) = port.as_object_mut() {
            or(port, "protocol", json!("TCP"));
        }
    }
    for variable in each(map, "env") {
        let field = variable.pointer_mut("/valueFrom/fieldRef");
        if let Some(Json::Object(field)) = field {
            or(field, "apiVersion", json!("v1"));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(Json::Object(probe)) = map.get_mut(probe) else {
            continue;
        };
        let times = [
            ("timeoutSeconds", 1),
            ("periodSeconds", 10),
            ("successThreshold", 1),
            ("failureThreshold", 3),
        ];
        for (key, value) in times {
            or(probe, key, json!(value));
        }
        if let Some(Json::Object(get)) = probe.get_mut("httpGet") {
            or(get, "path", json!("/"));
            or(get, "scheme", json!("HTTP"));
        }
    }
}

fn volume(volume: &mut Json) {
    let Some(map) = volume.as_object_mut() else {
        return;
    };
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(Json::Object(source)) = map.get_mut(source) {
            or(source, "defaultMode", json!(420));
        }
    }
    if let Some(Json::Object(path)) = map.get_mut("hostPath") {
        or(path, "type", json!(""));
    }
    if map.len() == 1 {
        or(map, "emptyDir", json!({}));
    }
}

fn binding(object: &mut Json) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    or(child(object, "roleRef"), "apiGroup", json!(GROUP));
    for subject in object["subjects"].as_array_mut().into_iter().flatten() {
        if subject["kind"] != "ServiceAccount"
            && let Some(subject) = subject.as_object_mut()
        {
            or(subject, "apiGroup", json!(GROUP));
        }
    }
    if object["subjects"].is_null()
        && let Some(map) = object.as_object_mut()
    {
        map.remove("subjects");
    }
}

fn definition(object: &mut Json, now: Moment) {
    let kind = text(object, "/spec/names/kind")
        .unwrap_or_default()
        .to_owned();
    let spec = child(object, "spec");
    or(spec, "conversion", json!({ "strategy": "None" }));
    let names = child(&mut object["spec"], "names");
    or(names, "singular", kind.to_lowercase().into());
    or(names, "listKind", format!("{kind}List").into());
    let stored: Vec<_> = items(object, "/spec/versions")
        .iter()
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    let accepted = object["spec"]["names"].clone();
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": timestamp(now),
        })
    };
    let status = child(object, "status");
    or(status, "storedVersions", stored.into());
    or(
        status,
        "conditions",
        json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition(
                "Established",
                "InitialNamesAccepted",
                "the initial names have been accepted"
            ),
        ]),
    );
    status.insert("acceptedNames".into(), accepted);
    metadata(object);
}

/// Sets the defaults from a definition's schema.
fn from_schema(schema: Schema, value: &mut Json) {
    match value {
        Json::Object(map) => {
            if let Json::Object(properties) = schema.keyword("properties") {
                // A null that is not allowed counts as omitted.
                map.retain(|name, value| {
                    let is_nullable = || properties[name]["nullable"] == true;
                    !value.is_null() || !properties.contains_key(name) || is_nullable()
                });
                for name in properties.keys() {
                    let default = schema.field(name).and_then(Schema::default);
                    if let Some(default) = default {
                        or(map, name, default.clone());
                    }
                }
            }
            for (name, value) in map.iter_mut().filter(|(name, _)| *name != "metadata") {
                if let Some(field) = schema.field(name) {
                    from_schema(field, value);
                }
            }
        }
        Json::Array(list) => {
            for item in list {
                from_schema(schema.item(), item);
            }
        }
        _ => {}
    }
}
