//! CustomResourceDefinitions and custom objects.

use serde_json::{Value as Json, json};

use crate::cluster::lab::{Api, contract, owned, unique};

/// A definition in a group of its own, which the caller deletes.
struct Widgets {
    group: String,
    definition: String,
}

impl Widgets {
    async fn define(api: &Api) -> Self {
        let group = format!("g{}.windlass.dev", unique());
        let schema = json!({
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "required": ["size"],
                    "properties": {
                        "size": { "type": "integer", "minimum": 1 },
                        "color": { "type": "string", "enum": ["red", "green"], "default": "red" },
                        "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                        "parts": {
                            "type": "array",
                            "x-kubernetes-list-type": "map",
                            "x-kubernetes-list-map-keys": ["name"],
                            "items": {
                                "type": "object",
                                "required": ["name"],
                                "properties": { "name": { "type": "string" }, "count": { "type": "integer" } },
                            },
                        },
                    },
                },
                "status": { "type": "object", "properties": { "phase": { "type": "string" } } },
            },
        });
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("widgets.{group}") },
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": { "plural": "widgets", "singular": "widget", "kind": "Widget" },
                "versions": [{
                    "name": "v1",
                    "served": true,
                    "storage": true,
                    "subresources": { "status": {} },
                    "schema": { "openAPIV3Schema": schema },
                }],
            },
        });
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let (status, answer) = api.post(definitions, &definition).await;
        assert_eq!(status, 201, "{answer}");
        let definition = format!("{definitions}/widgets.{group}");
        api.until(&definition, "the definition is established", |object| {
            let conditions = object["status"]["conditions"].as_array();
            conditions.is_some_and(|all| {
                all.iter()
                    .any(|one| one["type"] == "Established" && one["status"] == "True")
            })
        })
        .await;
        let widgets = Self { group, definition };
        let list = widgets.path(api, "");
        api.until(&list, "the resource is served", |answer| {
            answer["kind"] == "WidgetList"
        })
        .await;
        widgets
    }

    fn path(&self, api: &Api, rest: &str) -> String {
        format!(
            "/apis/{}/v1/namespaces/{}/widgets{rest}",
            self.group, api.namespace
        )
    }

    fn widget(&self, name: &str, spec: Json) -> Json {
        json!({
            "apiVersion": format!("{}/v1", self.group),
            "kind": "Widget",
            "metadata": { "name": name },
            "spec": spec,
        })
    }

    async fn forget(self, api: &Api) {
        let (status, _) = api.delete(&self.definition).await;
        assert_eq!(status, 200);
    }
}

#[test]
fn custom_objects_are_pruned_defaulted_and_validated() {
    contract(|api| async move {
        let widgets = Widgets::define(&api).await;
        let spec = json!({ "size": 1, "unknown": 2, "free": { "any": ["thing"] } });
        let (status, object) = api
            .post(&widgets.path(&api, ""), &widgets.widget("a", spec))
            .await;
        assert_eq!(status, 201, "{object}");
        assert_eq!(
            object["spec"],
            json!({ "size": 1, "color": "red", "free": { "any": ["thing"] } })
        );
        assert_eq!(object["metadata"]["generation"], 1);
        for (spec, field, reason) in [
            (json!({}), "spec.size", "FieldValueRequired"),
            (
                json!({ "size": "one" }),
                "spec.size",
                "FieldValueTypeInvalid",
            ),
            (json!({ "size": 0 }), "spec.size", "FieldValueInvalid"),
            (
                json!({ "size": 1, "color": "blue" }),
                "spec.color",
                "FieldValueNotSupported",
            ),
        ] {
            let (status, answer) = api
                .post(&widgets.path(&api, ""), &widgets.widget("b", spec))
                .await;
            assert_eq!(status, 422, "{answer}");
            let cause = &answer["details"]["causes"][0];
            assert_eq!(
                (&cause["field"], &cause["reason"]),
                (&json!(field), &json!(reason)),
                "{answer}"
            );
        }
        let strict = format!("{}?fieldValidation=Strict", widgets.path(&api, ""));
        let wrong = widgets.widget("c", json!({ "size": 1, "unknown": 2 }));
        let (status, answer) = api.post(&strict, &wrong).await;
        assert_eq!(status, 400);
        assert!(
            answer["message"]
                .as_str()
                .unwrap()
                .contains("unknown field \"spec.unknown\""),
            "{answer}"
        );
        widgets.forget(&api).await;
    });
}

#[test]
fn custom_objects_have_a_status_subresource_and_no_strategic_patch() {
    contract(|api| async move {
        let widgets = Widgets::define(&api).await;
        api.post(
            &widgets.path(&api, ""),
            &widgets.widget("a", json!({ "size": 1 })),
        )
        .await;
        let path = widgets.path(&api, "/a");
        let patch = json!({ "spec": { "size": 2 }, "status": { "phase": "x" } });
        let (_, object) = api.merge(&path, &patch).await;
        assert_eq!(
            (&object["spec"]["size"], object.get("status")),
            (&json!(2), None)
        );
        assert_eq!(object["metadata"]["generation"], 2);
        let patch = json!({ "spec": { "size": 3 }, "status": { "phase": "x" } });
        let (_, object) = api.merge(&format!("{path}/status"), &patch).await;
        assert_eq!(
            (&object["spec"]["size"], &object["status"]["phase"]),
            (&json!(2), &json!("x"))
        );
        assert_eq!(object["metadata"]["generation"], 2);
        let (status, answer) = api
            .strategic(&path, &json!({ "spec": { "size": 3 } }))
            .await;
        assert_eq!(
            (status, &answer["reason"]),
            (415, &json!("UnsupportedMediaType"))
        );
        let mut unversioned = object.clone();
        unversioned["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("resourceVersion");
        let (status, answer) = api.put(&path, &unversioned).await;
        assert_eq!(status, 422, "{answer}");
        assert_eq!(
            answer["details"]["causes"][0]["field"],
            "metadata.resourceVersion"
        );
        widgets.forget(&api).await;
    });
}

#[test]
fn custom_lists_merge_with_the_keys_in_their_definition() {
    contract(|api| async move {
        let widgets = Widgets::define(&api).await;
        let path = widgets.path(&api, "/a");
        let config = |part: &str| {
            widgets.widget(
                "a",
                json!({ "size": 1, "parts": [{ "name": part, "count": 1 }] }),
            )
        };
        api.apply(&path, "one", &config("x")).await;
        let (status, object) = api.apply(&path, "two", &config("y")).await;
        assert_eq!(status, 200, "{object}");
        assert_eq!(object["spec"]["parts"].as_array().unwrap().len(), 2);
        let parts = &owned(&object, "two")["f:spec"]["f:parts"];
        assert_eq!(
            parts["k:{\"name\":\"y\"}"],
            json!({ ".": {}, "f:count": {}, "f:name": {} })
        );
        let (_, object) = api
            .apply(&path, "one", &widgets.widget("a", json!({ "size": 1 })))
            .await;
        assert_eq!(
            object["spec"]["parts"],
            json!([{ "name": "y", "count": 1 }])
        );
        widgets.forget(&api).await;
    });
}

#[test]
fn a_definition_stays_until_the_last_finalizer_of_its_objects_is_removed() {
    contract(|api| async move {
        let widgets = Widgets::define(&api).await;
        let path = widgets.path(&api, "/a");
        let mut widget = widgets.widget("a", json!({ "size": 1 }));
        widget["metadata"]["finalizers"] = json!(["windlass.dev/held"]);
        api.apply(&path, "one", &widget).await;
        let (status, _) = api.delete(&widgets.definition).await;
        assert_eq!(status, 200);
        let held = |object: &Json| object["metadata"]["deletionTimestamp"].is_string();
        api.until(&path, "the object is being deleted", held).await;
        let object = api.until(&widgets.definition, "so is its kind", held).await;
        let conditions = object["status"]["conditions"].to_string();
        assert!(conditions.contains("\"Terminating\""), "{object}");
        let new = widgets.widget("b", json!({ "size": 1 }));
        let (status, answer) = api.post(&widgets.path(&api, ""), &new).await;
        assert_eq!(status, 405, "{answer}");
        let free = json!({ "metadata": { "finalizers": null } });
        api.merge(&path, &free).await;
        let is_gone = |answer: &Json| answer["code"] == 404;
        api.until(&widgets.definition, "it is gone", is_gone).await;
    });
}
