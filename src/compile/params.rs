use std::collections::BTreeMap;

use super::graph::Workflow;
use crate::{
    script::closest,
    value::{Type, TypeMismatch, Value},
};

/// A param that was given wrongly, or not at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParamError {
    #[error("`{0}` is not of the form name=value")]
    NoPair(String),
    #[error("the workflow has no param `{name}`")]
    Unknown { name: String, hint: String },
    #[error("the param `{name}` has no value")]
    Missing { name: String, ty: Type },
    #[error("the param `{name}` does not fit: {mismatch}")]
    Wrong {
        name: String,
        mismatch: TypeMismatch,
    },
    #[error("the value of `{name}` is not YAML")]
    NotYaml { name: String },
}

impl ParamError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoPair(_) => Some("write -p clusters='[cluster-1, cluster-2]'".into()),
            Self::Unknown { hint, .. } => Some(hint.clone()),
            Self::Missing { name, ty } => Some(format!("give it with -p {name}=… ({ty})")),
            Self::Wrong { .. } | Self::NotYaml { .. } => None,
        }
    }
}

/// Reads one `-p name=value`; the value is YAML, or a bare text for a param of type string.
pub fn parse_argument(workflow: &Workflow, argument: &str) -> Result<(String, Value), ParamError> {
    let (name, text) = argument
        .split_once('=')
        .ok_or_else(|| ParamError::NoPair(argument.into()))?;
    let ty = workflow.params.get(name).map(|param| &param.ty);
    let ty = match ty {
        Some(Type::Optional(inner)) => Some(&**inner),
        ty => ty,
    };
    let takes_text = matches!(ty, Some(Type::String | Type::Duration | Type::Secret));
    let value = match takes_text {
        // `-p version=1.10` is the text 1.10, not the number 1.1.
        true => Value::from(text),
        false => Value::from_yaml(text).ok_or_else(|| ParamError::NotYaml { name: name.into() })?,
    };
    Ok((name.into(), value))
}

/// Reads a file of params: a map in YAML or JSON. `None` if it is none.
pub fn parse_params(text: &str) -> Option<BTreeMap<String, Value>> {
    match Value::from_yaml(text)? {
        Value::Map(map) => Some(map),
        Value::Null => Some(BTreeMap::new()),
        _ => None,
    }
}

/// Completes given params by their defaults and checks each.
///
/// A text given where a param's type says secret becomes one.
///
/// # Errors
/// The first param that is unknown, missing or of another type.
pub fn bind_params(
    workflow: &Workflow,
    mut given: BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, ParamError> {
    if let Some(name) = given
        .keys()
        .find(|name| !workflow.params.contains_key(*name))
    {
        let names: Vec<_> = workflow.params.keys().map(String::as_str).collect();
        let hint = match (closest(name, names.iter().copied()), names.is_empty()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, true) => "it takes no params".into(),
            (None, false) => format!("it has {}", names.join(", ")),
        };
        return Err(ParamError::Unknown {
            name: name.clone(),
            hint,
        });
    }
    let mut bound = BTreeMap::new();
    for (name, param) in &workflow.params {
        let value = given.remove(name).filter(|value| *value != Value::Null);
        let value = value.map(|value| param.ty.taint(value));
        let value = match value.or_else(|| param.default.clone()) {
            Some(value) => value,
            None if param.ty.is_optional() => Value::Null,
            None => {
                return Err(ParamError::Missing {
                    name: name.clone(),
                    ty: param.ty.clone(),
                });
            }
        };
        param
            .ty
            .check(&value)
            .map_err(|mismatch| ParamError::Wrong {
                name: name.clone(),
                mismatch,
            })?;
        bound.insert(name.clone(), value);
    }
    Ok(bound)
}
