use std::{collections::BTreeMap, fmt};

use super::{
    document::{items_as_written, parse_given, parse_secret_given, zero_first},
    graph::{Param, Workflow},
};
use windlass_script::{closest, did_you_mean};
use windlass_world::value::{Type, Value, holds_mask, parse_duration};

/// A param that is missing or invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParamError {
    #[error("`{0}` is not of the form name=value")]
    NoPair(String),
    #[error("the workflow has no param `{name}`")]
    Unknown { name: String, hint: String },
    #[error("the param `{name}` has no value")]
    Missing { name: String, ty: Type },
    #[error("the param `{name}` does not fit: {why}")]
    Wrong {
        name: String,
        why: String,
        hint: Option<String>,
    },
    #[error("the value of `{name}` can't be read: {why}")]
    NotYaml { name: String, why: String },
}

impl ParamError {
    /// Returns the param that the error is about.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::NoPair(_) => None,
            Self::Unknown { name, .. }
            | Self::Missing { name, .. }
            | Self::Wrong { name, .. }
            | Self::NotYaml { name, .. } => Some(name),
        }
    }

    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoPair(_) => Some("write -p clusters='[cluster-1, cluster-2]'".into()),
            Self::Unknown { hint, .. } => Some(hint.clone()),
            Self::Wrong { hint, .. } => hint.clone(),
            // All missing params are asked for at once.
            Self::Missing { .. } | Self::NotYaml { .. } => None,
        }
    }
}

/// All params that are missing or invalid; at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamErrors(pub Vec<ParamError>);

impl fmt::Display for ParamErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

impl std::error::Error for ParamErrors {}

/// Reads one `-p name=value`; the value is YAML, or a bare text for a param of type string.
pub fn parse_argument(workflow: &Workflow, argument: &str) -> Result<(String, Value), ParamError> {
    let (name, text) = argument
        .split_once('=')
        .ok_or_else(|| ParamError::NoPair(argument.into()))?;
    let ty = workflow.params.get(name).map(|param| &param.ty);
    let ty = match ty {
        // As YAML writes it.
        Some(Type::Optional(_)) if ["null", "~"].contains(&text) => {
            return Ok((name.into(), Value::Null));
        }
        Some(Type::Optional(inner)) => Some(&**inner),
        ty => ty,
    };
    let takes_text = matches!(ty, Some(Type::String | Type::Duration | Type::Secret));
    if let Some(param) = workflow.params.get(name)
        && !takes_text
        && text.trim().is_empty()
    {
        return Err(empty(name, param, "the value is empty"));
    }
    if ty.is_some_and(|ty| matches!(ty, Type::Int | Type::Float))
        && let Some(digits) = zero_first(text)
    {
        return Err(ParamError::Wrong {
            name: name.into(),
            why: format!("`{text}` begins with a zero, which may mean an octal number"),
            hint: Some(match text.trim().strip_prefix('-') {
                Some(_) => format!("write -{digits}"),
                None => format!("write {digits}, or 0o{digits} for an octal number"),
            }),
        });
    }
    let value = match takes_text {
        // `-p version=1.10` is the text 1.10, not the number 1.1.
        true => Ok(Value::from(text)),
        false if ty.is_some_and(Type::holds_secret) => parse_secret_given(text, &[]),
        false => parse_given(text),
    };
    let value = value.map_err(|why| ParamError::NotYaml {
        name: name.into(),
        why,
    })?;
    if let (Some(param), Some(Type::List(item)), Value::List(items)) =
        (workflow.params.get(name), ty, &value)
        && **item == Type::String
        && items.iter().any(|item| !matches!(item, Value::String(_)))
        && let Err(why) = param.check(&value)
    {
        return Err(ParamError::Wrong {
            name: name.into(),
            why,
            hint: Some(quoted_items(name, text)),
        });
    }
    Ok((name.into(), value))
}

/// Returns the hint for a list with items that YAML does not read as texts: each as it was typed (1.10 is not 1.1), unless that can't be shown
/// within the quotes of a shell.
fn quoted_items(name: &str, text: &str) -> String {
    let rule = "quote the items, so that they are texts";
    match items_as_written(text) {
        Some(items) if !items.iter().any(|item| item.contains('\'')) => {
            let quoted: Vec<_> = items
                .into_iter()
                .map(|item| Value::from(item).to_json().to_string())
                .collect();
            format!("{rule}: -p {name}='[{}]'", quoted.join(", "))
        }
        _ => rule.to_owned(),
    }
}

/// Reads a file of params: a map in YAML or JSON.
///
/// # Errors
/// The reason why it is not a map of params, as a sentence without the file's name. If the workflow takes secrets, it quotes nothing of the
/// file.
pub fn parse_params(workflow: &Workflow, text: &str) -> Result<BTreeMap<String, Value>, String> {
    let mut types = workflow.params.values().map(|param| &param.ty);
    let value = if types.any(Type::holds_secret) {
        let names: Vec<_> = workflow.params.keys().map(String::as_str).collect();
        parse_secret_given(text, &names)
    } else {
        parse_given(text)
    };
    match value? {
        Value::Map(map) => Ok(map),
        Value::Null => Ok(BTreeMap::new()),
        other => Err(format!("it is {}, not a map of params", other.a_kind())),
    }
}

/// Resolves references to secrets (`ssm:/app/password`) in the params of the person who starts a run. Params from other
/// sources are not resolved: they could name a file of that person.
///
/// # Errors
/// Every text that begins like a reference but is not valid, and every null for a param that can't be null.
pub fn refer_params(
    workflow: &Workflow,
    given: BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, ParamErrors> {
    let mut errors = Vec::new();
    let mut referred = BTreeMap::new();
    for (name, value) in given {
        let refused = masked(workflow, &name, &value).or_else(|| null(workflow, &name, &value));
        if let Some(error) = refused {
            errors.push(error);
            continue;
        }
        let value = match workflow.params.get(&name) {
            Some(param) => param.ty.refer(value),
            None => Ok(value),
        };
        match value {
            Ok(value) => {
                referred.insert(name, value);
            }
            Err(e) => errors.push(ParamError::Wrong {
                name,
                why: e.to_string(),
                hint: Some("to use the value itself as the secret, put `text:` before it".into()),
            }),
        }
    }
    if errors.is_empty() {
        Ok(referred)
    } else {
        Err(ParamErrors(errors))
    }
}

/// Adds defaults to the given params and checks all of them. A null counts as not given: that is how a workflow passes on a param of its own that
/// may be left out. A person who gives one is told before ([`refer_params`]).
///
/// A text becomes a secret if the param's type is a secret.
///
/// # Errors
/// Every param that is unknown, missing, of the wrong type, or outside its limits, and every mask in the place of a secret.
pub fn bind_params(
    workflow: &Workflow,
    mut given: BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, ParamErrors> {
    let mut errors: Vec<_> = given
        .keys()
        .filter(|name| !workflow.params.contains_key(*name))
        .map(|name| unknown(workflow, name))
        .collect();
    let mut bound = BTreeMap::new();
    for (name, param) in &workflow.params {
        let value = given.remove(name).filter(|value| *value != Value::Null);
        let mask = value.as_ref();
        if let Some(error) = mask.and_then(|value| masked(workflow, name, value)) {
            errors.push(error);
            continue;
        }
        let value = value.map(|value| param.ty.taint(value));
        let value = match value.or_else(|| param.default.clone()) {
            Some(value) => value,
            None if param.ty.is_optional() => Value::Null,
            None => {
                errors.push(ParamError::Missing {
                    name: name.clone(),
                    ty: param.ty.clone(),
                });
                continue;
            }
        };
        if let Err(why) = param.check(&value) {
            errors.push(ParamError::Wrong {
                name: name.clone(),
                why,
                hint: hint(name, param, &value),
            });
        }
        bound.insert(name.clone(), param.ty.widen(value));
    }
    if errors.is_empty() {
        Ok(bound)
    } else {
        Err(ParamErrors(errors))
    }
}

/// Refuses a text that is shown in place of a secret where a secret is expected: it was copied from a page, an answer or a terminal. Secrets
/// themselves are not searched: a client of a server has masks in place of those of a run.
fn masked(workflow: &Workflow, name: &str, value: &Value) -> Option<ParamError> {
    let param = workflow.params.get(name)?;
    (param.ty.holds_secret() && is_masked(value)).then(|| ParamError::Wrong {
        name: name.to_owned(),
        why: "it contains what is shown in place of a secret".into(),
        hint: Some(
            "give all secrets of the param themselves; a run that is edited keeps the value of a param that is not given"
                .into(),
        ),
    })
}

/// Refuses each null that a person gives for a param that can't be null.
///
/// # Errors
/// Each such param.
pub fn refuse_nulls(
    workflow: &Workflow,
    given: &BTreeMap<String, Value>,
) -> Result<(), ParamErrors> {
    let errors = given.iter();
    let errors: Vec<_> = errors
        .filter_map(|(name, value)| null(workflow, name, value))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ParamErrors(errors))
    }
}

/// Refuses a null where a person gives one for a param that can't be null: a variable that is not set must not mean the default.
fn null(workflow: &Workflow, name: &str, value: &Value) -> Option<ParamError> {
    let param = workflow.params.get(name)?;
    (*value == Value::Null && !param.ty.is_optional())
        .then(|| empty(name, param, "the value is null"))
}

fn empty(name: &str, param: &Param, why: &str) -> ParamError {
    let hint = if param.default.is_some() {
        "to take its default, leave the param out"
    } else if param.ty.is_optional() {
        "to give no value, leave the param out"
    } else {
        "it has no default: give a value"
    };
    ParamError::Wrong {
        name: name.to_owned(),
        why: why.to_owned(),
        hint: Some(hint.to_owned()),
    }
}

fn is_masked(value: &Value) -> bool {
    match value {
        Value::String(text) => holds_mask(text),
        Value::List(items) => items.iter().any(is_masked),
        Value::Map(map) => map.values().any(is_masked),
        _ => false,
    }
}

fn unknown(workflow: &Workflow, name: &str) -> ParamError {
    let names: Vec<_> = workflow.params.keys().map(String::as_str).collect();
    let hint = match (closest(name, names.iter().copied()), names.is_empty()) {
        (Some(near), _) => did_you_mean(near),
        (None, true) => "it takes no params".into(),
        (None, false) => format!("it has {}", names.join(", ")),
    };
    ParamError::Unknown {
        name: name.into(),
        hint,
    }
}

/// Returns what was probably meant by a value of the wrong type.
fn hint(name: &str, param: &Param, value: &Value) -> Option<String> {
    let ty = match &param.ty {
        Type::Optional(inner) => inner,
        ty => ty,
    };
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Int(number) => number.to_string(),
        Value::List(items) if matches!(ty, Type::List(item) if **item == Type::String) => {
            // They are strings already: something else is wrong with them.
            if items.iter().all(|item| matches!(item, Value::String(_))) {
                return None;
            }
            // How they were written is no longer known.
            return Some("quote the items, so that they are texts".to_owned());
        }
        _ => return None,
    };
    match ty {
        Type::Duration if parse_duration(&text).is_err() => Some(match text.parse::<u32>() {
            Ok(number) => format!(
                "a duration needs a unit: `{number}d`, `{number}h`, `{number}m` or `{number}s`"
            ),
            Err(_) => {
                "a duration is a number with a unit, 100 years at most: `90d`, `12h`, `5m` or `30s`"
                    .into()
            }
        }),
        Type::Bytes => Some(format!(
            "the bytes of a file are -p {name}=@FILE; in YAML, write `!!binary` and base64"
        )),
        Type::Bool => Some(format!("write -p {name}=true or -p {name}=false")),
        // The items may be secrets, which are not shown.
        Type::List(item) if **item == Type::String => {
            Some(format!("write it as a list: -p {name}='[{text}]'"))
        }
        _ => None,
    }
}
