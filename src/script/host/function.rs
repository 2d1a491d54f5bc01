//! Describes host functions. The registration, the checks of arguments, the class, the undo, the permissions and the
//! documentation of a function all come from this one description.

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
    /// Whether its calls, and those of an undo, leave this machine: a workflow test answers such calls itself.
    pub leaves: bool,
    pub functions: &'static [Function],
}

/// One host function.
pub struct Function {
    /// The name with its module: `pca::issue_certificate`.
    pub name: &'static str,
    /// One line of documentation, or a few sentences.
    pub about: &'static str,
    /// The parameters; optional ones come last.
    pub takes: &'static [Parameter],
    pub gives: Gives,
    pub does: Impact,
    pub needs: Needs,
    /// A statement that is valid in a script with `inputs`.
    pub example: &'static str,
    /// Registers the Rust functions behind it: several if argument types differ or arguments are optional.
    pub(super) bind: Bind,
}

/// A parameter, an option of a map, or a field of a result.
#[derive(Clone, Copy)]
pub struct Parameter {
    pub name: &'static str,
    pub kind: ValueKind,
    pub need: Need,
    pub about: &'static str,
}

/// Whether a parameter or an option must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Required,
    Optional,
    /// It is optional, and has this default, written as in a script.
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

/// Returns two lists of parameters as one; `N` is the length of both.
pub(super) const fn joined<const A: usize, const B: usize, const N: usize>(
    first: [Parameter; A],
    then: [Parameter; B],
) -> [Parameter; N] {
    assert!(A + B == N, "the length of both");
    let mut all = [first[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < A { first[at] } else { then[at - A] };
        at += 1;
    }
    all
}

/// The type of an argument, an option or a result; for some texts also what the text names.
#[derive(Clone, Copy)]
pub enum ValueKind {
    Any,
    Bool,
    Bytes,
    /// A function of the script with this parameter.
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
    /// A text of a form that this checks.
    Form(fn(&str) -> Result<(), String>),
    /// An integer from the first to the last of these.
    Between(i64, i64),
    List(&'static ValueKind),
    /// A map with any keys.
    Map(&'static ValueKind),
    /// A map with these keys.
    Record(&'static [Parameter]),
    /// `()` or this.
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
    /// An operation of the service in the argument before it.
    AwsOperation,
    /// A reference to a secret in a store: `ssm:/app/password`.
    SecretReference,
    /// The name of a Kubernetes Secret.
    SecretName,
    /// A Kubernetes object as a map, with `apiVersion`, `kind` and `metadata.name`.
    Manifest,
}

/// The type that a value has in a script, whatever it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptType {
    /// More than one type.
    Any,
    Bool,
    Bytes,
    Float,
    Function,
    Int,
    List,
    Map,
    Nothing,
    Secret,
    Text,
}

impl ScriptType {
    /// Returns its name: `int`, `map`, `string`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Bool => "bool",
            Self::Bytes => "bytes",
            Self::Float => "float",
            Self::Function => "function",
            Self::Int => "int",
            Self::List => "list",
            Self::Map => "map",
            Self::Nothing => "nothing",
            Self::Secret => "secret",
            Self::Text => "string",
        }
    }

    /// Returns its name with an article, as messages say it: `an int`, `a map`, `bytes`.
    pub fn a_value(self) -> String {
        match self {
            Self::Any => "a value".to_owned(),
            Self::Bytes | Self::Nothing => self.name().to_owned(),
            Self::Int => "an int".to_owned(),
            _ => format!("a {}", self.name()),
        }
    }
}

impl ValueKind {
    /// Returns the fields of a map, or of the maps of a list.
    pub fn fields(self) -> Option<&'static [Parameter]> {
        match self {
            Self::Record(fields) => Some(fields),
            Self::List(kind) | Self::Maybe(kind) => kind.fields(),
            Self::Either(kinds) => kinds.iter().find_map(|kind| kind.fields()),
            _ => None,
        }
    }

    /// Returns the type that such a value has in a script.
    pub fn script_type(self) -> ScriptType {
        match self {
            Self::Any | Self::Maybe(_) | Self::Either(_) => ScriptType::Any,
            Self::Bool => ScriptType::Bool,
            Self::Bytes => ScriptType::Bytes,
            Self::Closure(_) => ScriptType::Function,
            Self::Float => ScriptType::Float,
            Self::Int | Self::Between(..) => ScriptType::Int,
            Self::Nothing => ScriptType::Nothing,
            Self::Secret => ScriptType::Secret,
            Self::List(_) => ScriptType::List,
            Self::Map(_) | Self::Record(_) | Self::Subject | Self::Tags | Self::Manifest => {
                ScriptType::Map
            }
            Self::Text
            | Self::Duration
            | Self::Word(_)
            | Self::Form(_)
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
            | Self::SecretName => ScriptType::Text,
        }
    }
}

/// What a call returns.
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

/// What effect a call has.
pub enum Impact {
    /// It computes from its arguments alone, and is not an effect.
    Computes,
    /// It is recorded, so that a replay has the same result, and touches nothing outside: the clock, randomness, a message.
    Records,
    /// It reads something outside.
    Reads,
    Changes(Changing),
}

/// How a change in doubt is found again, and how it is reversed.
pub struct Changing {
    pub doubt: Doubt,
    pub undo: Reversible,
    /// The option that makes a call a read, when it is `true`.
    pub unless: Option<&'static str>,
    /// Finds out whether a call in doubt was made, as far as its reversal needs that.
    pub(super) find: fn(&Value, &Clients) -> Finding,
}

/// What happens with a call if its process died inside it, or if its answer was lost; each variant says why that is right.
pub enum Doubt {
    /// It is made again under the same key, or repeating it leaves the same state.
    Again(&'static str),
    /// As [`Doubt::Again`], as long as the other side remembers the key; after that, the run asks.
    AgainFor(Duration, &'static str),
    /// It is looked for first.
    Found(&'static str),
    /// The run stops and asks.
    Asks(&'static str),
    /// Its arguments decide which of these classes it has.
    Decided(&'static [Class], &'static str),
}

/// Returns what reverses a change, given its record.
pub(super) type Way = fn(Done, &Clients) -> Reversal;

/// How a change is reversed: says to which state, or why it can't be.
pub enum Reversible {
    By(&'static str, Way),
    /// Only if the script gives the option `undo`.
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
    /// Describes for people what happens.
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
    /// Describes for people what is reversed, or why it is not.
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

/// The permissions that a call needs, and those that its undo needs in addition.
pub enum Needs {
    Nothing,
    /// IAM actions, without their `acm-pca:`, on the given [`ValueKind::Authority`].
    Aws {
        run: &'static [&'static str],
        undo: &'static [&'static str],
    },
    /// The IAM action for the AWS operation in the arguments.
    AwsOperation,
    /// Kubernetes verbs.
    Kubernetes {
        run: &'static [Rule],
        undo: &'static [Rule],
    },
}

/// Verbs on the objects of a call.
pub struct Rule {
    pub on: On,
    pub verbs: &'static [&'static str],
}

/// The objects of a call to Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The argument: an object, a type, or a manifest.
    Argument,
    /// The workload in the argument, or any workload.
    Workload,
    /// The Secret in the argument.
    Secret,
    /// All objects of this type.
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

    /// Returns how it is called, as messages show it: `kube::list(cluster, namespace, kind, [#{ labels, fields }])`.
    pub fn usage(&self) -> String {
        let parameters: Vec<_> = self.takes.iter().map(Parameter::usage).collect();
        format!("{}({})", self.name, parameters.join(", "))
    }

    /// Says whether a call may change something outside.
    pub fn is_change(&self) -> bool {
        matches!(self.does, Impact::Changes(_))
    }

    pub fn change(&self) -> Option<&Changing> {
        match &self.does {
            Impact::Changes(change) => Some(change),
            _ => None,
        }
    }

    /// Returns the classes that its calls may have; empty if it makes no calls.
    pub fn classes(&self) -> &'static [Class] {
        match &self.does {
            Impact::Computes => &[],
            Impact::Records | Impact::Reads => &[Class::Read],
            Impact::Changes(change) => change.classes(),
        }
    }

    /// Returns how long the other side remembers the key of a call; `None` for no limit.
    pub fn key_lives(&self) -> Option<Duration> {
        match self.change()?.doubt {
            Doubt::AgainFor(lives, _) => Some(lives),
            _ => None,
        }
    }

    /// Returns the position of the options in its arguments, from 0, and the options.
    pub fn options(&self) -> Option<(usize, &'static [Parameter])> {
        let mut parameters = self.takes.iter().enumerate();
        parameters.find_map(|(at, field)| match field.kind {
            ValueKind::Record(fields) => Some((at, fields)),
            _ => None,
        })
    }

    /// Returns the smallest number of arguments; the largest is the length of [`Function::takes`].
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

    /// Returns the default of a value that is not given.
    pub(super) fn default_value(&self) -> Option<Value> {
        match self.need {
            Need::Default(text) => Value::parse_json(text).ok(),
            Need::Required | Need::Optional => None,
        }
    }
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration => f.write_str("duration"),
            Self::Subject | Self::Tags => f.write_str("map(string)"),
            Self::Word(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
                f.write_str(&quoted.join(" | "))
            }
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(item) => write!(f, "map({item})"),
            Self::Maybe(kind) => write!(f, "{kind}?"),
            Self::Either(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(ToString::to_string).collect();
                f.write_str(&kinds.join(" | "))
            }
            other => f.write_str(other.script_type().name()),
        }
    }
}

/// Registers the Rust functions behind a row.
pub(super) type Bind = for<'b, 'm> fn(&'b mut Binder<'m>) -> &'b mut Binder<'m>;

/// Adds the Rust functions behind a row to its module, under the row's name.
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
