use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};

use super::{limits::Limits, name::StepName, template::Template, trigger::Trigger};
use windlass_script::{HostCall, Script};
use windlass_world::value::{Digest, FailureClass, Type, Value};

/// A step's place in its workflow's graph.
pub type StepIndex = NodeIndex;

/// A checked workflow with everything that it uses, and the texts that it was compiled from.
#[derive(Clone)]
pub struct Program {
    pub workflow: Arc<Workflow>,
    /// Every file that was read, by its path from the workflow's folder: a run freezes these.
    pub files: BTreeMap<String, Arc<str>>,
    /// The file that was compiled.
    pub main: String,
    /// The digest of all files.
    pub digest: Digest,
}

impl Program {
    /// Adds the earlier editions of a run's files.
    pub fn following(mut self, former: BTreeMap<u32, Arc<Workflow>>) -> Self {
        if !former.is_empty() {
            Arc::make_mut(&mut self.workflow).former = former;
        }
        self
    }

    /// Adds the edition of a run's files that this program replaces, and those before it.
    pub fn replacing(self, old: &Self, edition: u32) -> Self {
        let mut former = old.workflow.former.clone();
        former.insert(edition, old.workflow.clone());
        self.following(former)
    }
}

/// A checked workflow: it has no cycle and no unknown step, and every script has been parsed.
#[derive(Clone, Debug)]
pub struct Workflow {
    pub name: String,
    pub description: Option<String>,
    /// The path of its file from the workflow's folder.
    pub path: Arc<str>,
    pub params: BTreeMap<String, Param>,
    /// The name of a lock that only one run at a time may hold.
    pub lock: Option<Template>,
    /// The Kubernetes clusters that it uses, by their roles.
    pub kube: Option<Template>,
    /// How many runs of it may exist at once; `None` for any number.
    pub concurrency: Option<u32>,
    pub on_failure: OnFailure,
    /// Its phases, which follow one another, in the order of the file.
    pub phases: Vec<Phase>,
    /// Its triggers, in the order of the file.
    pub triggers: Vec<Trigger>,
    /// The outputs, in the order of the file.
    pub outputs: Vec<(String, Template)>,
    /// Of its file, and of the scripts and workflows of its steps.
    pub digest: Digest,
    /// How many workflows are inside of each other, this one included.
    pub levels: usize,
    /// The number of its steps, with those of the workflows inside of it.
    pub size: usize,
    /// The earlier editions of a run's files, by their numbers: their `fn undo` reverses what they did. Empty unless the run was edited.
    pub former: BTreeMap<u32, Arc<Workflow>>,
    pub(super) graph: DiGraph<Step, Edge>,
    pub(super) by_name: BTreeMap<StepName, StepIndex>,
    /// All steps, each after the steps that it depends on; otherwise in the order of the file.
    pub(super) order: Vec<StepIndex>,
    /// The position of each step in `order`, by its index.
    pub(super) ranks: Vec<usize>,
}

/// The reason why one step comes after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// It reads the other's outputs.
    Data,
    /// `needs:` names the other step.
    Order,
}

#[derive(Clone, Debug)]
pub struct Param {
    pub ty: Type,
    pub default: Option<Value>,
    pub limits: Limits,
    pub description: Option<String>,
}

/// A part of a workflow that begins after the earlier phases have ended.
#[derive(Clone, Debug)]
pub struct Phase {
    pub name: String,
    pub description: Option<String>,
    /// The current state and the future one, for the plan.
    pub replaces: Option<Template>,
    /// What is true after it has ended.
    pub after: Option<String>,
    /// What an undo of it requires.
    pub undo: Option<String>,
    /// The place of its name in the file.
    pub span: Range<usize>,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub name: StepName,
    pub description: Option<String>,
    /// The name of its phase.
    pub phase: Option<String>,
    pub action: Action,
    pub with: BTreeMap<String, Template>,
    pub when: Option<Template>,
    pub for_each: Option<Template>,
    /// The name of each item of a `for_each`.
    pub key: Option<Template>,
    /// How many items of a `for_each` may run at once; `None` for all.
    pub max_parallel: Option<u32>,
    /// Whether items of a `for_each` do not begin after another item has failed.
    pub fail_fast: bool,
    pub retry: Retry,
    /// The timeout of one attempt.
    pub timeout: Option<Duration>,
    pub on_error: OnError,
    /// Whether it reads again whenever it runs again, instead of replaying what it read.
    pub is_fresh: bool,
    /// The name of a lock that only one instance at a time may hold, in any run.
    pub lock: Option<Template>,
    /// Whether it is under `finally:`.
    pub is_finally: bool,
    /// Whether an expression reads its outputs.
    pub is_read: bool,
    /// The place of its name in the file.
    pub span: Range<usize>,
}

/// What a step does.
#[derive(Clone)]
pub enum Action {
    Script(Arc<Script>),
    Workflow(Arc<Workflow>),
    Approval(Approval),
}

/// A question that a person answers before the run continues.
#[derive(Clone, Debug)]
pub struct Approval {
    pub question: Template,
    /// The names of those who may answer, or `None` for anyone.
    pub approvers: Option<Template>,
    /// Whether the requester of the run is not allowed to answer.
    pub not_requester: bool,
    /// How long it waits; `None` for no limit.
    pub timeout: Option<Duration>,
    pub on_timeout: OnTimeout,
}

/// The answer if none arrives in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnTimeout {
    #[default]
    Reject,
    Approve,
}

/// What a failed run does automatically.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// It waits until it is resumed or undone.
    #[default]
    Stop,
    /// It reverses what it did.
    Undo,
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Script(script) => write!(f, "script {}", script.path),
            Self::Workflow(workflow) => write!(f, "workflow {}", workflow.path),
            Self::Approval(_) => write!(f, "approval"),
        }
    }
}

/// How a failed step affects the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnError {
    /// Steps that depend on it do not run, and the run fails.
    #[default]
    Fail,
    /// Steps that depend on it run and see null as its outputs; the run does not fail.
    Continue,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// The number of attempts, including the first one: 1 means no retry.
    pub attempts: u32,
    /// The pause before the first retry; it doubles with each retry, up to `longest`.
    pub shortest: Duration,
    pub longest: Duration,
    pub on: RetryOn,
}

/// The failures after which a step is retried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RetryOn {
    /// Those that may pass by themselves: all but `rejected` and `denied`.
    #[default]
    Usual,
    Any,
    Classes(Vec<FailureClass>),
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            on: RetryOn::default(),
        }
    }
}

impl Step {
    /// Lists all templates that it evaluates, and whether each may read `item`.
    pub fn templates(&self) -> impl Iterator<Item = (&Template, bool)> {
        let of_action: Vec<_> = match &self.action {
            Action::Approval(approval) => std::iter::once(&approval.question)
                .chain(&approval.approvers)
                .collect(),
            Action::Script(_) | Action::Workflow(_) => Vec::new(),
        };
        let of_items = self.with.values().chain(&self.lock);
        let of_items = of_items.chain(&self.key).chain(of_action);
        // `when` is evaluated once, for the whole step.
        let of_whole = self.for_each.iter().chain(&self.when);
        of_items
            .map(|template| (template, true))
            .chain(of_whole.map(|template| (template, false)))
    }
}

impl Step {
    /// Lists the templates whose values people see, with the names of their keys.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        let (question, approvers) = match &self.action {
            Action::Approval(approval) => (Some(&approval.question), approval.approvers.as_ref()),
            Action::Script(_) | Action::Workflow(_) => (None, None),
        };
        let all = [
            ("lock", self.lock.as_ref()),
            ("key", self.key.as_ref()),
            ("approval", question),
            ("approvers", approvers),
        ];
        all.into_iter()
            .filter_map(|(what, template)| Some((what, template?)))
    }
}

impl Workflow {
    /// Lists the steps in an order in which each comes after the steps that it depends on.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = (StepIndex, &Step)> {
        self.order.iter().map(|index| (*index, &self.graph[*index]))
    }

    pub fn step(&self, index: StepIndex) -> &Step {
        &self.graph[index]
    }

    pub fn step_named(&self, name: &str) -> Option<&Step> {
        self.by_name.get(name).map(|index| &self.graph[*index])
    }

    /// Returns the step that has this rank in the order of [`Workflow::steps`].
    pub fn ranked(&self, rank: usize) -> &Step {
        &self.graph[self.order[rank]]
    }

    /// Returns the rank of a step in the order of [`Workflow::steps`].
    pub fn rank_named(&self, name: &str) -> Option<usize> {
        let index = self.by_name.get(name)?;
        Some(self.ranks[index.index()])
    }

    /// Lists the ranks of the steps that a step waits for.
    pub fn ranks_of_dependencies(&self, rank: usize) -> impl Iterator<Item = usize> {
        self.dependency_indices(self.order[rank])
            .map(|index| self.ranks[index.index()])
    }

    /// Lists the ranks of the steps that wait for a step.
    pub fn ranks_of_dependents(&self, rank: usize) -> impl Iterator<Item = usize> {
        self.graph
            .neighbors_directed(self.order[rank], Direction::Outgoing)
            .map(|index| self.ranks[index.index()])
    }

    /// Returns the place of a step in the graph.
    pub fn index(&self, rank: usize) -> StepIndex {
        self.order[rank]
    }

    /// Lists the calls to host functions in its scripts and in those of nested workflows.
    pub fn host_calls(&self) -> BTreeSet<&HostCall> {
        self.steps()
            .flat_map(|(_, step)| match &step.action {
                Action::Script(script) => script.host_calls.iter().collect(),
                Action::Workflow(inner) => inner.host_calls(),
                Action::Approval(_) => BTreeSet::new(),
            })
            .collect()
    }

    /// Returns the graph with labels only, for drawing.
    pub fn labelled_graph(&self) -> DiGraph<&str, Edge> {
        self.graph
            .map(|_, step| step.name.as_str(), |_, edge| *edge)
    }

    /// Lists the steps that a step waits for.
    pub fn dependencies(&self, index: StepIndex) -> impl Iterator<Item = (&Step, Edge)> {
        self.graph
            .edges_directed(index, Direction::Incoming)
            .map(|edge| (&self.graph[edge.source()], *edge.weight()))
    }

    /// Lists the steps that a step waits for, by index.
    pub fn dependency_indices(&self, index: StepIndex) -> impl Iterator<Item = StepIndex> {
        self.graph.neighbors_directed(index, Direction::Incoming)
    }

    /// Lists the steps that wait for a step.
    pub fn dependents(&self, index: StepIndex) -> impl Iterator<Item = (&Step, Edge)> {
        self.graph
            .edges_directed(index, Direction::Outgoing)
            .map(|edge| (&self.graph[edge.target()], *edge.weight()))
    }
}
