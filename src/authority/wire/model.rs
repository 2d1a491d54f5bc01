//! The service model: its operations, and the shapes of their inputs and outputs.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use crate::wire::pattern;

/// The model of AWS Private CA.
pub(crate) static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let mut model: Model = serde_json::from_str(include_str!("model.json"))
        .expect("model.json contains the service model");
    for shape in model.shapes.values_mut() {
        shape.matcher = shape.pattern.as_deref().and_then(pattern::compile);
    }
    model
});

/// Operations and shapes by name.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    pub operations: BTreeMap<String, Operation>,
    pub shapes: BTreeMap<String, Shape>,
}

/// An operation's input and output, as names of shapes.
#[derive(Debug, Deserialize)]
pub(crate) struct Operation {
    pub input: String,
    pub output: Option<String>,
}

/// A shape with its limits.
#[derive(Debug, Deserialize)]
pub(crate) struct Shape {
    pub r#type: Kind,
    #[serde(default)]
    pub members: BTreeMap<String, String>,
    #[serde(default)]
    pub required: Vec<String>,
    pub member: Option<String>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub pattern: Option<String>,
    #[serde(default, rename = "enum")]
    pub values: Vec<String>,
    #[serde(skip)]
    pub matcher: Option<Regex>,
}

/// The kinds of shapes that this service uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Blob,
    Boolean,
    Integer,
    List,
    Long,
    String,
    Structure,
    Timestamp,
}

impl Model {
    /// Returns the shape with a name. Every reference in the model has one, which a test checks.
    pub fn shape(&self, name: &str) -> &Shape {
        &self.shapes[name]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_in_the_model_has_a_shape() {
        assert_eq!(MODEL.operations.len(), 23);
        for operation in MODEL.operations.values() {
            MODEL.shape(&operation.input);
            operation.output.as_deref().map(|name| MODEL.shape(name));
        }
        for shape in MODEL.shapes.values() {
            shape
                .members
                .values()
                .chain(&shape.member)
                .for_each(|name| {
                    MODEL.shape(name);
                });
            assert_eq!(
                shape.pattern.is_some(),
                shape.matcher.is_some(),
                "{:?}",
                shape.pattern
            );
        }
    }
}
