use std::sync::LazyLock;

use serde_json::{Value as Json, json};

use super::built_in::{REFERENCE, definition_name, document};
use crate::object::text;

/// The schema of a value: a JSON Schema with the `x-kubernetes-` extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schema<'a> {
    /// The schema in the parent, perhaps with a reference; the merge rules of a list are here.
    said: &'a Json,
    /// The schema after the reference is resolved.
    node: &'a Json,
    custom: bool,
    /// Whether this is the root of a custom resource, whose metadata need not be declared.
    top: bool,
}

/// What identifies the same item in two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListRule<'a> {
    /// Nothing: the list is a single value.
    Atomic,
    /// The item's value.
    Set,
    /// The values of these fields.
    Map(&'a [Json]),
}

static ANYTHING: LazyLock<Json> =
    LazyLock::new(|| json!({ "x-kubernetes-preserve-unknown-fields": true }));
static STRING: LazyLock<Json> = LazyLock::new(|| json!({ "type": "string" }));

impl<'a> Schema<'a> {
    pub fn built_in(group: &str, kind: &str) -> Schema<'static> {
        Schema::of(Self::definition(&definition_name(group, kind)), false)
    }

    pub fn custom(schema: &'a Json) -> Self {
        Self {
            top: true,
            ..Self::of(schema, true)
        }
    }

    fn of(said: &'a Json, custom: bool) -> Self {
        let reference = said["$ref"].as_str();
        let reference = reference.and_then(|reference| reference.strip_prefix(REFERENCE));
        Self {
            said,
            node: reference.map_or(said, |name| Self::definition(name)),
            custom,
            top: false,
        }
    }

    fn definition(name: &str) -> &'static Json {
        document().get(name).unwrap_or(&ANYTHING)
    }

    /// Returns the schema of a field or of a map's entry, or `None` if the name is not allowed.
    pub fn field(self, name: &str) -> Option<Self> {
        if self.top {
            match name {
                "apiVersion" | "kind" => return Some(Self::of(&STRING, false)),
                "metadata" => {
                    let name = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
                    return Some(Self::of(Self::definition(name), false));
                }
                _ => {}
            }
        }
        if let Some(found) = self.node["properties"].get(name) {
            return Some(Self::of(found, self.custom));
        }
        match &self.node["additionalProperties"] {
            entry @ Json::Object(_) => return Some(Self::of(entry, self.custom)),
            Json::Bool(true) => return Some(Self::of(&ANYTHING, self.custom)),
            _ => {}
        }
        self.keeps_unknown()
            .then(|| Self::of(&ANYTHING, self.custom))
    }

    /// Returns whether its objects are maps with any keys.
    pub fn is_map(self) -> bool {
        self.node["additionalProperties"].is_object() || self.node["additionalProperties"] == true
    }

    /// Returns whether undeclared fields are kept.
    pub fn keeps_unknown(self) -> bool {
        if self.node["x-kubernetes-preserve-unknown-fields"] == true
            || self.said["x-kubernetes-preserve-unknown-fields"] == true
        {
            return true;
        }
        // A built-in object without properties may have any shape (RawExtension, FieldsV1). The exception would be an empty
        // struct, which no kind here has.
        let is_object = matches!(self.type_name(), None | Some("object"));
        !self.custom && is_object && self.node["properties"].is_null() && !self.is_map()
    }

    pub fn item(self) -> Self {
        match &self.node["items"] {
            items @ Json::Object(_) => Self::of(items, self.custom),
            _ => Self::of(&ANYTHING, self.custom),
        }
    }

    /// Returns the schemas under a keyword that combines schemas, such as `oneOf`.
    pub fn combined(self, keyword: &str) -> Vec<Self> {
        let all = match &self.node[keyword] {
            Json::Array(all) => all.as_slice(),
            one @ Json::Object(_) => std::slice::from_ref(one),
            _ => &[],
        };
        all.iter().map(|one| Self::of(one, self.custom)).collect()
    }

    /// Returns `object`, `array`, `string`, `integer`, `number` or `boolean`, or `None` if any type is allowed.
    pub fn type_name(self) -> Option<&'a str> {
        if self.is_int_or_string() {
            return None;
        }
        self.node["type"].as_str()
    }

    pub fn format(self) -> Option<&'a str> {
        self.node["format"].as_str()
    }

    pub fn is_int_or_string(self) -> bool {
        self.node["x-kubernetes-int-or-string"] == true
    }

    pub fn list_rule(self) -> ListRule<'a> {
        match text(self.said, "/x-kubernetes-list-type") {
            Some("set") => ListRule::Set,
            Some("map") => match &self.said["x-kubernetes-list-map-keys"] {
                Json::Array(keys) => ListRule::Map(keys),
                _ => ListRule::Atomic,
            },
            _ => ListRule::Atomic,
        }
    }

    /// Returns whether an object or map is owned and replaced as a single value.
    pub fn is_atomic(self) -> bool {
        let atomic = |node: &Json| node["x-kubernetes-map-type"] == "atomic";
        atomic(self.said) || atomic(self.node)
    }

    pub fn default(self) -> Option<&'a Json> {
        self.said
            .get("default")
            .or_else(|| self.node.get("default"))
    }

    pub fn patch_strategy(self) -> &'a str {
        text(self.said, "/x-kubernetes-patch-strategy").unwrap_or_default()
    }

    pub fn merge_key(self) -> Option<&'a str> {
        text(self.said, "/x-kubernetes-patch-merge-key")
    }

    pub fn keyword(self, name: &str) -> &'a Json {
        &self.node[name]
    }

    /// Returns the name of the Go struct of a built-in value.
    pub fn struct_name(self) -> &'a str {
        let reference = self.said["$ref"].as_str().unwrap_or_default();
        reference.rsplit('.').next().unwrap_or_default()
    }
}
