//! What is known of a host function: the one description from which its registration, the checks of its arguments, its
//! class, its undo, its permissions and its documentation come.

use std::{fmt, time::Duration};

use rhai::{Module, RhaiNativeFunc};

use super::{
    register::FuncRegistration,
    undo::{Done, Finding, Reversal},
};
use crate::effects::Class;
use windlass_world::{outside::Clients, value::Value};

/// A namespace of functions, such as `pca`.
pub struct HostModule {
    pub name: &'static str,
    /// One line of documentation.
    pub about: &'static str,
    /// Whether its calls leave this machine, those of an undo too: a test of a workflow answers them in place of the other side.
    pub leaves: bool,
    pub functions: &'static [Function],
}

/// One host function.
pub struct Function {
    /// With its module: `pca::issue_certificate`.
    pub name: &'static str,
    /// One line of documentation, or a few sentences.
    pub about: &'static str,
    /// Its parameters; those that may be left out come last.
    pub takes: &'static [Parameter],
    pub gives: Gives,
    pub does: Impact,
    pub needs: Needs,
    /// A statement that validates in a script with `inputs`.
    pub example: &'static str,
    /// Registers the Rust functions behind it: several where argument types differ or arguments may be left out.
    pub(super) bind: Bind,
}

/// A parameter, an option of a map, or a field of a result.
pub struct Parameter {
    pub name: &'static str,
    pub kind: ValueKind,
    pub need: Need,
    pub about: &'static str,
}

/// Whether a parameter or an option has to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Required,
    Optional,
    /// It may be left out, and is this then, written as in a script.
    Default(&'static str),
}

pub(super) const fn required(
    name: &'static str,
    kind: ValueKind,
    about: &'static str,
) -> Parameter {
    Parameter {
        name,
        kind,
        need: Need::Required,
        about,
    }
}

pub(super) const fn optional(
    name: &'static str,
    kind: ValueKind,
    about: &'static str,
) -> Parameter {
    Parameter {
        name,
        kind,
        need: Need::Optional,
        about,
    }
}

/// Returns an option with a default, which is written as in a script: `"JSON"` with its quotes, `30`, `false`.
pub(super) const fn preset(
    name: &'static str,
    kind: ValueKind,
    value: &'static str,
    about: &'static str,
) -> Parameter {
    Parameter {
        name,
        kind,
        need: Need::Default(value),
        about,
    }
}

/// The type of an argument, an option or a result; for some texts also what they name.
#[derive(Clone, Copy)]
pub enum ValueKind {
    Any,
    Bool,
    Bytes,
    /// A function of the script, with this parameter.
    Closure(&'static str),
    /// A text such as `90s`.
    Duration,
    Float,
    Int,
    Nothing,
    Secret,
    Text,
    /// One of these texts.
    Word(&'static [&'static str]),
    List(&'static ValueKind),
    /// A map with any keys.
    Map(&'static ValueKind),
    /// A map with these keys.
    Record(&'static [Parameter]),
    /// Nothing, or this.
    Maybe(&'static ValueKind),
    Either(&'static [ValueKind]),
    /// The ARN of a certificate authority.
    Authority,
    /// A certificate template of AWS Private CA: its short name or its ARN.
    Template,
    /// The attributes of a distinguished name.
    Subject,
    /// Tags of a certificate authority.
    Tags,
    /// The role of a Kubernetes cluster in the target.
    Cluster,
    /// A Kubernetes namespace.
    Namespace,
    /// A Kubernetes object, `TYPE/NAME`.
    Object,
    /// A Deployment, StatefulSet or DaemonSet, `TYPE/NAME`.
    Workload,
    /// A type of Kubernetes objects, as kubectl takes it.
    ObjectKind,
    /// A service of AWS, as the aws CLI names it.
    AwsService,
    /// An operation of the service that stands before it.
    AwsOperation,
    /// Names a secret that is kept elsewhere: `ssm:/app/password`.
    SecretReference,
    /// The name of a Secret of Kubernetes.
    SecretName,
    /// A Kubernetes object as a map, with `apiVersion`, `kind` and `metadata.name`.
    Manifest,
}

/// What a call gives back.
pub struct Gives {
    pub kind: ValueKind,
    pub about: &'static str,
}

impl Gives {
    pub const NOTHING: Self = Self {
        kind: ValueKind::Nothing,
        about: "",
    };

    pub const fn new(kind: ValueKind, about: &'static str) -> Self {
        Self { kind, about }
    }
}

/// What a call does to the world.
pub enum Impact {
    /// It works on its arguments alone, and is no effect.
    Computes,
    /// It is recorded, so that a replay sees the same, and touches nothing outside: the clock, randomness, a message.
    Records,
    /// It looks at something outside.
    Reads,
    Changes(Changing),
}

/// How a change is found again in doubt, and reversed.
pub struct Changing {
    pub doubt: Doubt,
    pub undo: Reversible,
    /// The option that makes a call a read, when it is `true`.
    pub unless: Option<&'static str>,
    /// Finds out what became of a call whose end is not known, as far as its reversal needs that.
    pub(super) find: fn(&Value, &Clients) -> Finding,
}

/// What happens with a call whose process died inside of it, or whose answer was lost; says why that is right.
pub enum Doubt {
    /// It is made again under the same key, or leaves the same when it is made twice.
    Again(&'static str),
    /// As [`Doubt::Again`], for as long as the other side knows the key; later the run asks.
    AgainFor(Duration, &'static str),
    /// It is looked for first.
    Found(&'static str),
    /// The run stops and asks.
    Asks(&'static str),
    /// Its arguments decide which of these classes it has.
    Decided(&'static [Class], &'static str),
}

/// What reverses a change: from its record, or `None` of it.
pub(super) type Way = fn(Done, &Clients) -> Reversal;

/// How a change is reversed; says to what, or why not.
pub enum Reversible {
    By(&'static str, Way),
    /// Only where the script gives the option `undo`.
    IfGiven(&'static str, Way),
    Never(&'static str, Way),
}

impl Changing {
    pub(super) const fn new(doubt: Doubt, undo: Reversible) -> Self {
        Self {
            doubt,
            undo,
            unless: None,
            find: |_, _| Finding::NotNeeded,
        }
    }

    /// Returns the classes that such a call may have.
    pub fn classes(&self) -> &'static [Class] {
        match self.doubt {
            Doubt::Again(_) | Doubt::AgainFor(..) => &[Class::Keyed],
            Doubt::Found(_) => &[Class::Found],
            Doubt::Asks(_) => &[Class::Unsure],
            Doubt::Decided(classes, _) => classes,
        }
    }
}

impl Doubt {
    /// Says for people what happens.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Again(words)
            | Self::AgainFor(_, words)
            | Self::Found(words)
            | Self::Asks(words)
            | Self::Decided(_, words) => words,
        }
    }
}

impl Reversible {
    /// Says for people what is reversed, or why it is not.
    pub fn words(&self) -> &'static str {
        match self {
            Self::By(words, _) | Self::IfGiven(words, _) | Self::Never(words, _) => words,
        }
    }

    pub(super) fn way(&self) -> Way {
        match self {
            Self::By(_, way) | Self::IfGiven(_, way) | Self::Never(_, way) => *way,
        }
    }
}

/// The permissions that a call needs, and what its undo needs beyond that.
pub enum Needs {
    Nothing,
    /// Actions of IAM, without their `acm-pca:`, on the [`ValueKind::Authority`] that is given.
    Aws {
        run: &'static [&'static str],
        undo: &'static [&'static str],
    },
    /// The action of IAM for the operation of AWS that its arguments name.
    AwsOperation,
    /// Verbs of Kubernetes.
    Kubernetes {
        run: &'static [Rule],
        undo: &'static [Rule],
    },
}

/// Verbs on what a call is about.
pub struct Rule {
    pub on: On,
    pub verbs: &'static [&'static str],
}

/// What a call to Kubernetes is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// What its argument names: an object, a type, or a manifest.
    Argument,
    /// A workload that its argument names, or any.
    Workload,
    /// The Secret that its argument names.
    Secret,
    /// All of this type.
    All(&'static str),
}

impl Needs {
    pub const fn aws(run: &'static [&'static str]) -> Self {
        Self::Aws { run, undo: &[] }
    }

    pub const fn kubernetes(run: &'static [Rule]) -> Self {
        Self::Kubernetes { run, undo: &[] }
    }
}

pub(super) const fn rule(on: On, verbs: &'static [&'static str]) -> Rule {
    Rule { on, verbs }
}

impl Function {
    /// Returns the name of its module: `pca`.
    pub fn module(&self) -> &'static str {
        self.name.split_once("::").map_or("", |(module, _)| module)
    }

    /// How it is called, as messages show it: `kube::list(cluster, namespace, kind, [#{ labels, fields }])`.
    pub fn usage(&self) -> String {
        let parameters: Vec<_> = self.takes.iter().map(Parameter::usage).collect();
        format!("{}({})", self.name, parameters.join(", "))
    }

    /// Whether a call may change something outside.
    pub fn is_change(&self) -> bool {
        matches!(self.does, Impact::Changes(_))
    }

    pub fn change(&self) -> Option<&Changing> {
        match &self.does {
            Impact::Changes(change) => Some(change),
            _ => None,
        }
    }

    /// Returns the classes that its calls may have; empty where it makes none.
    pub fn classes(&self) -> &'static [Class] {
        match &self.does {
            Impact::Computes => &[],
            Impact::Records | Impact::Reads => &[Class::Read],
            Impact::Changes(change) => change.classes(),
        }
    }

    /// How long the other side knows the key of a call; `None` for as long as need be.
    pub fn key_lives(&self) -> Option<Duration> {
        match self.change()?.doubt {
            Doubt::AgainFor(lives, _) => Some(lives),
            _ => None,
        }
    }

    /// Returns the options that it takes, and which of its arguments they are, from 0.
    pub fn options(&self) -> Option<(usize, &'static [Parameter])> {
        let mut parameters = self.takes.iter().enumerate();
        parameters.find_map(|(at, field)| match field.kind {
            ValueKind::Record(fields) => Some((at, fields)),
            _ => None,
        })
    }

    /// How many arguments it takes at least; the most are those of [`Function::takes`].
    pub fn least_arguments(&self) -> usize {
        let needed = |field: &&Parameter| field.need == Need::Required;
        self.takes.iter().filter(needed).count()
    }

    pub(super) fn register(&self, module: &mut Module) {
        let name = self
            .name
            .split_once("::")
            .map_or(self.name, |(_, name)| name);
        (self.bind)(&mut Binder { module, name });
    }
}

impl Parameter {
    fn usage(&self) -> String {
        let text = match self.kind {
            ValueKind::Record(fields) => {
                let names: Vec<_> = fields.iter().map(|field| field.name).collect();
                format!("#{{ {} }}", names.join(", "))
            }
            ValueKind::Closure(parameter) => format!("|{parameter}| …"),
            _ => self.name.to_owned(),
        };
        match self.need {
            Need::Required => text,
            Need::Optional | Need::Default(_) => format!("[{text}]"),
        }
    }

    /// Returns the value that stands in for one that is not given.
    pub(super) fn default_value(&self) -> Option<Value> {
        match self.need {
            Need::Default(text) => Value::parse_json(text).ok(),
            Need::Required | Need::Optional => None,
        }
    }
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Bool => "bool",
            Self::Bytes => "bytes",
            Self::Closure(_) => "function",
            Self::Duration => "duration",
            Self::Float => "float",
            Self::Int => "int",
            Self::Nothing => "nothing",
            Self::Secret => "secret",
            Self::Record(_) | Self::Manifest => "map",
            Self::Subject | Self::Tags => "map(string)",
            Self::Text
            | Self::Authority
            | Self::Template
            | Self::Cluster
            | Self::Namespace
            | Self::Object
            | Self::Workload
            | Self::ObjectKind
            | Self::AwsService
            | Self::AwsOperation
            | Self::SecretReference
            | Self::SecretName => "string",
            Self::Word(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
                return f.write_str(&quoted.join(" | "));
            }
            Self::List(item) => return write!(f, "list({item})"),
            Self::Map(item) => return write!(f, "map({item})"),
            Self::Maybe(kind) => return write!(f, "{kind}?"),
            Self::Either(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(ToString::to_string).collect();
                return f.write_str(&kinds.join(" | "));
            }
        })
    }
}

/// Names the Rust functions behind a row.
pub(super) type Bind = for<'b, 'm> fn(&'b mut Binder<'m>) -> &'b mut Binder<'m>;

/// Puts the Rust functions behind a row into its module, under the row's name.
pub(super) struct Binder<'a> {
    module: &'a mut Module,
    name: &'static str,
}

impl Binder<'_> {
    pub fn with<A: 'static, const N: usize, const X: bool, R, const F: bool, FUNC>(
        &mut self,
        function: FUNC,
    ) -> &mut Self
    where
        R: Clone + Send + Sync + 'static,
        FUNC: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    {
        FuncRegistration::new(self.name).set_into_module(self.module, function);
        self
    }
}
