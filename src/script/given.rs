//! What is known of a call to a host function from the script's text alone.

use std::collections::BTreeMap;

use rhai::Expr;

use super::host::{self, Function, Needs, ValueKind};
use windlass_world::{outside::aws::is_read, value::Value};

/// An argument, as far as the text tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    Text(String),
    /// The text that an interpolated one begins with.
    Begins(String),
    Bool(bool),
    Int(i64),
    List(Vec<Known>),
    Map(BTreeMap<String, Known>),
    /// The input of this name, of the script's `run`.
    Input(String),
    Unknown,
}

impl Known {
    /// `inputs` is the variable that holds the inputs of the script.
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

    /// Returns the entry of a map; nothing of anything else.
    pub fn field(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// Puts what is known of a script's inputs in the place of their reads.
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

/// A call to a host function, as far as the script's text tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostCall {
    /// `pca::issue_certificate`.
    pub function: &'static str,
    given: Vec<Known>,
}

/// The objects of Kubernetes that a call is about, as far as its arguments tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// As kubectl takes it: `deployment`, `roottrustpolicies.admin.gloo.solo.io`. `None` also where the function knows it.
    pub kind: Option<String>,
    /// `None` also for a call that is about all of its kind.
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

    /// Returns the call of a script that is given these inputs.
    pub fn with_inputs(&self, inputs: &BTreeMap<String, Value>) -> Self {
        let given = self.given.iter().map(|known| known.with_inputs(inputs));
        Self {
            function: self.function,
            given: given.collect(),
        }
    }

    /// Returns the service of AWS, and the operation, that a call of any such names; each where it is known.
    pub fn aws_operation(&self) -> Option<(Option<&str>, Option<&str>)> {
        let is_any = matches!(self.row()?.needs, Needs::AwsOperation);
        let text = |at: usize| self.given.get(at).and_then(Known::as_text);
        is_any.then(|| (text(0), text(1)))
    }

    /// Whether the name of the operation of AWS says that it only reads.
    fn reads_aws(&self) -> bool {
        let named = self.aws_operation();
        matches!(named, Some((Some(service), Some(operation))) if is_read(service, operation))
    }

    /// Lists what is given, with the names of the parameters.
    pub fn arguments(&self) -> impl Iterator<Item = (&'static str, &Known)> {
        let parameters = self.row().map_or(&[][..], |row| row.takes).iter();
        parameters.map(|parameter| parameter.name).zip(&self.given)
    }

    /// Whether it changes something outside, if it is made.
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

    /// Whether it changes something outside, whatever those of its options turn out to be that are not known.
    pub fn is_sure_change(&self) -> bool {
        let Some(change) = self.row().and_then(Function::change) else {
            return false;
        };
        // An operation that is not known may be one that reads.
        let is_open = matches!(self.aws_operation(), Some((None, _) | (_, None)));
        if is_open || self.reads_aws() {
            return false;
        }
        // Without options, nothing says that it only reads.
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

    /// What is given for an option, where that is known.
    pub fn option(&self, name: &str) -> Option<&Known> {
        let (at, _) = self.row()?.options()?;
        self.given.get(at)?.field(name)
    }

    /// Whether it is known which options are given.
    pub fn knows_options(&self) -> bool {
        let options = self.row().and_then(Function::options);
        options.is_some_and(|(at, _)| matches!(self.given.get(at), Some(Known::Map(_))))
    }

    /// What is given for the parameter, or the option, of this kind.
    pub fn given_as(&self, is_it: impl Fn(ValueKind) -> bool) -> Option<&Known> {
        let row = self.row()?;
        if let Some(at) = row.takes.iter().position(|parameter| is_it(parameter.kind)) {
            return self.given.get(at);
        }
        let (at, options) = row.options()?;
        let option = options.iter().find(|option| is_it(option.kind))?;
        self.given.get(at)?.field(option.name)
    }

    /// Returns the kind of the objects of Kubernetes that it is about, and the name of the one.
    pub fn about(&self) -> About {
        let argument = |is_it: fn(ValueKind) -> bool| self.given_as(is_it);
        let is_object = |kind: ValueKind| matches!(kind, ValueKind::Object | ValueKind::Workload);
        if let Some(object) = argument(is_object) {
            return match object {
                Known::Text(text) => match text.split_once('/') {
                    Some((kind, name)) => About::of(kind, Some(name)),
                    None => About::default(),
                },
                // `deployment/${name}`.
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
        let kind = kind.to_ascii_lowercase();
        let name = manifest
            .field("metadata")
            .and_then(|metadata| metadata.field("name"));
        let kind = match version.split_once('/') {
            Some((group, _)) => format!("{kind}.{group}"),
            None => kind,
        };
        Self::of(&kind, name.and_then(Known::as_text))
    }
}
