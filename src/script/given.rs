//! What a script's text shows of a call to a host function.

use std::collections::BTreeMap;

use rhai::Expr;

use super::host::{self, Function, Needs, ValueKind};
use windlass_world::{outside::aws::is_read, value::Value};

/// The value of an argument, as far as the text shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    Text(String),
    /// An interpolated text that begins with this.
    Begins(String),
    Bool(bool),
    Int(i64),
    List(Vec<Known>),
    Map(BTreeMap<String, Known>),
    /// The input of this name, of the script's `fn run`.
    Input(String),
    Unknown,
}

impl Known {
    /// Reads the value of an argument. `inputs` is the variable that holds the inputs of the script.
    pub(super) fn of(expression: &Expr, inputs: Option<&str>) -> Self {
        let of = |expression| Self::of(expression, inputs);
        match expression {
            Expr::StringConstant(text, _) => Self::Text(text.to_string()),
            Expr::InterpolatedString(parts, _) => match parts.first() {
                Some(Expr::StringConstant(text, _)) => Self::Begins(text.to_string()),
                _ => Self::Unknown,
            },
            Expr::BoolConstant(value, _) => Self::Bool(*value),
            Expr::IntegerConstant(value, _) => Self::Int(*value),
            Expr::Array(items, _) => Self::List(items.iter().map(of).collect()),
            Expr::Map(map, _) => {
                let entries = map.0.iter();
                let entries = entries.map(|(key, value)| (key.name.to_string(), of(value)));
                Self::Map(entries.collect())
            }
            Expr::Dot(pair, ..) | Expr::Index(pair, ..) => match (&pair.lhs, &pair.rhs) {
                (Expr::Variable(variable, ..), Expr::Property(property, _))
                    if inputs == Some(&*variable.1) =>
                {
                    Self::Input(property.2.to_string())
                }
                (Expr::Variable(variable, ..), Expr::StringConstant(name, _))
                    if inputs == Some(&*variable.1) =>
                {
                    Self::Input(name.to_string())
                }
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the entry of a map; `None` for any other value.
    pub fn field(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// Replaces reads of the script's inputs by their values, as far as these are known.
    fn with_inputs(&self, inputs: &BTreeMap<String, Value>) -> Self {
        match self {
            Self::Input(name) => inputs.get(name).map_or(Self::Unknown, Self::from),
            Self::List(items) => {
                Self::List(items.iter().map(|item| item.with_inputs(inputs)).collect())
            }
            Self::Map(map) => {
                let entries = map.iter();
                let entries = entries.map(|(key, value)| (key.clone(), value.with_inputs(inputs)));
                Self::Map(entries.collect())
            }
            other => other.clone(),
        }
    }
}

impl From<&Value> for Known {
    fn from(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.clone()),
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::List(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Map(map) => {
                let entries = map.iter();
                Self::Map(
                    entries
                        .map(|(key, value)| (key.clone(), value.into()))
                        .collect(),
                )
            }
            _ => Self::Unknown,
        }
    }
}

/// A call to a host function, as far as the script's text shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostCall {
    /// `pca::issue_certificate`.
    pub function: &'static str,
    given: Vec<Known>,
}

/// The Kubernetes objects that a call is about, as far as its arguments show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The kind in the form that kubectl takes: `deployment`, `roottrustpolicies.admin.gloo.solo.io`; that of a manifest begins with a
    /// capital letter: `Gateway.networking.istio.io`. `None` also if the function implies it.
    pub kind: Option<String>,
    /// `None` also for a call about all objects of its kind.
    pub name: Option<String>,
}

impl HostCall {
    pub(super) fn new(function: &'static Function, given: Vec<Known>) -> Self {
        Self {
            function: function.name,
            given,
        }
    }

    /// Returns the description of the function.
    pub fn row(&self) -> Option<&'static Function> {
        host::function(self.function)
    }

    /// Returns the call with these inputs filled in.
    pub fn with_inputs(&self, inputs: &BTreeMap<String, Value>) -> Self {
        let given = self.given.iter().map(|known| known.with_inputs(inputs));
        Self {
            function: self.function,
            given: given.collect(),
        }
    }

    /// Returns the AWS service and the operation of a call to `aws`; each is `None` if it is not known.
    pub fn aws_operation(&self) -> Option<(Option<&str>, Option<&str>)> {
        let is_any = matches!(self.row()?.needs, Needs::AwsOperation);
        let text = |at: usize| self.given.get(at).and_then(Known::as_text);
        is_any.then(|| (text(0), text(1)))
    }

    /// Says whether the name of the AWS operation is that of a read.
    fn reads_aws(&self) -> bool {
        let named = self.aws_operation();
        matches!(named, Some((Some(service), Some(operation))) if is_read(service, operation))
    }

    /// Lists the arguments with the names of their parameters.
    pub fn arguments(&self) -> impl Iterator<Item = (&'static str, &Known)> {
        let parameters = self.row().map_or(&[][..], |row| row.takes).iter();
        parameters.map(|parameter| parameter.name).zip(&self.given)
    }

    /// Says whether the call, if it is made, may change something outside.
    pub fn is_change(&self) -> bool {
        let Some(change) = self.row().and_then(Function::change) else {
            return false;
        };
        if self.reads_aws() {
            return false;
        }
        let option = change.unless.and_then(|name| self.option(name));
        option != Some(&Known::Bool(true))
    }

    /// Says whether the call changes something outside, whatever the values of its unknown options are.
    pub fn is_sure_change(&self) -> bool {
        let Some(change) = self.row().and_then(Function::change) else {
            return false;
        };
        // An unknown operation may be a read.
        let is_open = matches!(self.aws_operation(), Some((None, _) | (_, None)));
        if is_open || self.reads_aws() {
            return false;
        }
        // A call without options is not marked as a read.
        let has_none = self
            .row()
            .is_some_and(|row| self.given.len() < row.takes.len());
        if self.aws_operation().is_some() && has_none {
            return true;
        }
        change.unless.is_none_or(|name| {
            let is_off = matches!(self.option(name), None | Some(Known::Bool(false)));
            self.knows_options() && is_off
        })
    }

    /// Returns the value of an option, if it is known.
    pub fn option(&self, name: &str) -> Option<&Known> {
        let (at, _) = self.row()?.options()?;
        self.given.get(at)?.field(name)
    }

    /// Says whether it is known which options are given.
    pub fn knows_options(&self) -> bool {
        let options = self.row().and_then(Function::options);
        options.is_some_and(|(at, _)| matches!(self.given.get(at), Some(Known::Map(_))))
    }

    /// Says whether options are given that are not known.
    pub fn may_have_more_options(&self) -> bool {
        let options = self.row().and_then(Function::options);
        let given = options.and_then(|(at, _)| self.given.get(at));
        given.is_some_and(|given| !matches!(given, Known::Map(_)))
    }

    /// Returns the argument for the parameter, or the option, of this kind.
    pub fn given_as(&self, is_it: impl Fn(ValueKind) -> bool) -> Option<&Known> {
        let row = self.row()?;
        if let Some(at) = row.takes.iter().position(|parameter| is_it(parameter.kind)) {
            return self.given.get(at);
        }
        let (at, options) = row.options()?;
        let option = options.iter().find(|option| is_it(option.kind))?;
        self.given.get(at)?.field(option.name)
    }

    /// Returns the kind and the name of the Kubernetes objects that the call is about.
    pub fn about(&self) -> About {
        let argument = |is_it: fn(ValueKind) -> bool| self.given_as(is_it);
        let is_object = |kind: ValueKind| matches!(kind, ValueKind::Object | ValueKind::Workload);
        if let Some(object) = argument(is_object) {
            return match object {
                Known::Text(text) => match text.split_once('/') {
                    Some((kind, name)) => About::of(kind, Some(name)),
                    None => About::default(),
                },
                // For example `deployment/${name}`.
                Known::Begins(text) => match text.split_once('/') {
                    Some((kind, _)) => About::of(kind, None),
                    None => About::default(),
                },
                _ => About::default(),
            };
        }
        if let Some(kind) = argument(|kind| matches!(kind, ValueKind::ObjectKind)) {
            return kind
                .as_text()
                .map_or_else(About::default, |kind| About::of(kind, None));
        }
        if let Some(name) = argument(|kind| matches!(kind, ValueKind::SecretName)) {
            return About {
                kind: None,
                name: name.as_text().map(str::to_owned),
            };
        }
        let manifest = argument(|kind| matches!(kind, ValueKind::Manifest));
        manifest.map_or_else(About::default, About::of_manifest)
    }
}

impl About {
    fn of(kind: &str, name: Option<&str>) -> Self {
        Self {
            kind: Some(kind.to_owned()),
            name: name.map(str::to_owned),
        }
    }

    fn of_manifest(manifest: &Known) -> Self {
        let text = |key: &str| manifest.field(key).and_then(Known::as_text);
        let (Some(kind), Some(version)) = (text("kind"), text("apiVersion")) else {
            return Self::default();
        };
        let name = manifest
            .field("metadata")
            .and_then(|metadata| metadata.field("name"));
        let kind = match version.split_once('/') {
            Some((group, _)) => format!("{kind}.{group}"),
            None => kind.to_owned(),
        };
        Self::of(&kind, name.and_then(Known::as_text))
    }
}
