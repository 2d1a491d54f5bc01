//! The JSON Schemas of a workflow file and of a test file (draft 2020-12), for editors.

use serde_json::{Map, Value as Json, json};

use windlass_compile::{FileKey, Form, SECTIONS, SUITE_SECTIONS, Section};
use windlass_world::value::FailureClass;

/// One expression and nothing around it.
const EXPRESSION: &str = r"^\s*\$\{\{[\s\S]*\}\}\s*$";
/// Only requires a number and a unit: a schema must not reject what windlass accepts.
const DURATION: &str = r"^\s*[0-9][\s\S]*[A-Za-z]\s*$";
const TYPE: &str = r"^\s*(any|bool|bytes|duration|float|int|secret|string|(list|map)(\s*\([\s\S]*\))?)\s*(\?\s*)*$";
const BACKOFF: &str = r"^[\s\S]*[0-9][\s\S]*[A-Za-z][\s\S]*$";
/// `StepName`.
const STEP_NAME: &str = "^[a-z_][a-z0-9_]*$";

/// Returns the schema of a workflow file, generated from the table of keys.
pub fn workflow_schema() -> Json {
    let definitions = SECTIONS.iter().map(|section| {
        let schema = match section.name {
            "step" => one_of(section, &["script", "run", "workflow", "approval"]),
            "trigger" => one_of(section, &["schedule", "when_due", "webhook"]),
            "param" => json!({
                "anyOf": [of_form(&Form::Type), of_section(section)],
            }),
            _ => of_section(section),
        };
        (section.name.to_owned(), schema)
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Windlass workflow",
        "$ref": "#/$defs/workflow",
        "$defs": definitions.collect::<Map<_, _>>(),
    })
}

/// Returns the schema of a test file.
pub fn test_schema() -> Json {
    let definitions = SUITE_SECTIONS.iter().map(|section| {
        let mut schema = of_section(section);
        match section.name {
            "test file" => {
                schema["properties"]["tests"] = map_of("test", false);
                schema["oneOf"] = json!([{ "required": ["workflow"] }, { "required": ["script"] }]);
            }
            "test" => {
                schema["properties"]["before"] = list_of("before");
                schema["properties"]["given"] = list_of("given");
                schema["properties"]["approvals"] = map_of("approval-of-a-test", true);
                schema["properties"]["kill"] = json!({ "anyOf": [
                    { "const": "everywhere" },
                    { "type": "integer", "minimum": 1 },
                ] });
                schema["properties"]["params"]["type"] = json!(["object", "null"]);
            }
            // Its first key is a function, whose value are the arguments.
            "given" => schema["patternProperties"][FUNCTION] = json!({ "type": ["object", "null"] }),
            "expect" => {
                let counts = json!({ "type": "integer", "minimum": 0 });
                schema["properties"]["effects"]["patternProperties"] = json!({ FUNCTION: counts });
                schema["properties"]["certificates"] = json!({
                    "type": "object",
                    "additionalProperties": { "anyOf": [{ "type": "null" }, reference("certificate")] },
                });
                schema["properties"]["handshakes"] = json!({
                    "anyOf": [{ "enum": ["all", "throughout"] }, list_of("handshake")],
                });
            }
            "certificate" => schema["properties"]["verifies"] = json!({
                "anyOf": [reference("verifies"), list_of("verifies")],
            }),
            _ => {}
        }
        // A reference is a URI, which must not contain blanks.
        (section.name.replace(' ', "-"), schema)
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Windlass test file",
        "$ref": "#/$defs/test-file",
        "$defs": definitions.collect::<Map<_, _>>(),
    })
}

/// The name of a host function with its module, or of an undo's call.
const FUNCTION: &str = "^[a-z0-9]+::[a-z0-9_]+$";

fn reference(section: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{section}") })
}

fn list_of(section: &str) -> Json {
    json!({ "type": "array", "items": reference(section) })
}

fn map_of(section: &str, or_text: bool) -> Json {
    let values = if or_text {
        json!({ "anyOf": [{ "type": "string" }, reference(section)] })
    } else {
        reference(section)
    };
    json!({ "type": "object", "additionalProperties": values })
}

/// Returns the schema of a map with exactly one of some keys.
fn one_of(section: &Section, keys: &[&str]) -> Json {
    let mut schema = of_section(section);
    schema["oneOf"] = keys
        .iter()
        .map(|key| json!({ "required": [key] }))
        .collect();
    schema
}

fn of_section(section: &Section) -> Json {
    let properties = section
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), of_key(key)));
    let mut schema = json!({
        "type": "object",
        "description": section.about,
        "properties": properties.collect::<Map<_, _>>(),
        // Such keys are the author's own, for the entries that `<<` merges.
        "patternProperties": { "^x-": true },
        "additionalProperties": false,
    });
    let required: Vec<_> = section
        .keys
        .iter()
        .filter(|key| key.is_required)
        .map(|key| key.name)
        .collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    let with = section
        .keys
        .iter()
        .filter_map(|key| Some((key.name.to_owned(), json!([key.only_with?]))));
    let with: Map<_, _> = with.collect();
    if !with.is_empty() {
        schema["dependentRequired"] = Json::Object(with);
    }
    schema
}

fn of_key(key: &FileKey) -> Json {
    let mut schema = of_form(&key.form);
    // This also applies beside a `$ref`: since 2019-09, both are used.
    schema["description"] = json!(key.about);
    if let Some(default) = key.default {
        schema["default"] = serde_json::from_str(default).unwrap_or_else(|_| json!(default));
    }
    if matches!(key.form, Form::Steps) && key.is_required {
        schema["type"] = json!("object");
        schema["minProperties"] = json!(1);
    }
    schema
}

fn of_form(form: &Form) -> Json {
    match form {
        Form::Text => json!({ "type": "string" }),
        Form::Flag => json!({ "type": "boolean" }),
        Form::Duration => json!({ "type": "string", "pattern": DURATION }),
        Form::Count(most) => json!({ "type": "integer", "minimum": 1, "maximum": most }),
        Form::Between(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Form::Words(words) => json!({ "enum": words }),
        Form::Template | Form::Value => json!({}),
        Form::Values => json!({ "type": "array" }),
        Form::Condition => json!({ "anyOf": [{ "type": "boolean" }, expression()] }),
        Form::Items => json!({ "anyOf": [{ "type": ["array", "object"] }, expression()] }),
        Form::Names => {
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
        }
        Form::Type => json!({ "type": "string", "pattern": TYPE }),
        Form::Limit => {
            json!({ "anyOf": [{ "type": "number" }, { "type": "string", "pattern": DURATION }] })
        }
        Form::Backoff => json!({ "type": "string", "pattern": BACKOFF }),
        Form::Classes => {
            let names = [FailureClass::NAMES, &["any"]].concat();
            json!({ "anyOf": [{ "enum": names }, { "type": "array", "items": { "enum": names } }] })
        }
        Form::Section(section) => json!({ "$ref": format!("#/$defs/{}", section.name) }),
        Form::Sections(section) => json!({
            "type": "array",
            "items": { "$ref": format!("#/$defs/{}", section.name) },
        }),
        Form::Templates => json!({ "type": ["object", "null"] }),
        Form::Params => json!({
            "type": ["object", "null"],
            "additionalProperties": { "$ref": "#/$defs/param" },
        }),
        Form::Phases => json!({
            "type": ["object", "null"],
            "additionalProperties": { "$ref": "#/$defs/phase" },
        }),
        Form::Steps => json!({
            "type": ["object", "null"],
            "propertyNames": { "pattern": STEP_NAME },
            "additionalProperties": { "$ref": "#/$defs/step" },
        }),
    }
}

fn expression() -> Json {
    json!({ "type": "string", "pattern": EXPRESSION })
}
