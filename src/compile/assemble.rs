//! Makes the graph of a workflow from its draft: steps, and the edges between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use petgraph::graph::DiGraph;

use super::{
    check::{self, Inputs},
    cycle,
    draft::{ActionDraft, Draft, Spanned, StepDraft},
    fields::Report,
    graph::{Action, Edge, OnFailure, Step, StepIndex, Workflow},
    name::StepName,
    phase, reads, trigger,
};
use windlass_world::value::Digest;

/// The number of steps of a workflow, with those of the workflows inside of it: two steps for one workflow, which has two steps for
/// another one, double it each time.
const MAX_STEPS: usize = 100_000;

/// Makes the graph; returns `None` if a step could not be built.
///
/// `actions` are those of the steps, in the order of the draft; `None` for one with mistakes.
pub(super) fn assemble(
    report: &mut Report,
    file: &Arc<str>,
    draft: Draft,
    actions: Vec<Option<Action>>,
) -> Option<Workflow> {
    refuse_inner_undo(report, &draft, &actions);
    let digest = digest_of_workflow(report.text, &actions);
    let mut graph = DiGraph::<Step, Edge>::new();
    let mut by_name: BTreeMap<StepName, StepIndex> = BTreeMap::new();
    let (mut needs, mut inputs, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let levels = 1 + actions.iter().flatten().map(levels_of).max().unwrap_or(0);
    let size = actions.iter().flatten().map(size_of).sum::<usize>();
    if size > MAX_STEPS {
        let message = format!(
            "the workflow has more than {MAX_STEPS} steps, with those of the workflows inside of it"
        );
        let mistake = report.at("bad-yaml", 0..0, message);
        report.add_in_new(mistake.help("use `for_each` for steps that do the same"));
    }
    let mut phases = Vec::new();
    let mut is_whole = true;
    for (step, action) in draft.steps.into_iter().zip(actions) {
        if let Some(first) = by_name.get(&step.name) {
            let first = graph[*first].span.clone();
            let message = format!("the step `{}` is defined twice", step.name);
            let mistake = report
                .at("bad-name", step.span.clone(), message)
                .label(first, "here first");
            report.add(mistake);
            continue;
        }
        is_whole &= action.is_some();
        bare.push(step.bare.clone());
        phases.push(step.phase.clone());
        let Some((step, step_needs, step_inputs)) = step_of(step, action) else {
            continue;
        };
        let name = step.name.clone();
        by_name.insert(name, graph.add_node(step));
        needs.push(step_needs);
        inputs.push(step_inputs);
    }
    let mut read = BTreeSet::new();
    for ((index, needs), inputs) in graph.node_indices().zip(&needs).zip(&inputs) {
        check::step(report, &graph, &by_name, &draft.params, index, inputs);
        for (target, edge) in reads::edges(report, &graph, &by_name, &draft.params, index, needs) {
            graph.update_edge(target, index, edge);
            read.extend((edge == Edge::Data).then_some(target));
        }
    }
    for named in phases.iter().flatten() {
        phase::is_there(report, &draft.phases, named);
    }
    for (index, bare) in graph.node_indices().zip(&bare) {
        let has_item = graph[index].for_each.is_some();
        reads::bare(report, &by_name, &draft.params, has_item, bare);
    }
    reads::bare(report, &by_name, &draft.params, false, &draft.bare);
    let of_outputs = draft.outputs.iter().map(|(_, template)| template);
    let of_phases = draft.phases.iter().filter_map(|it| it.replaces.as_ref());
    for template in of_outputs.chain(of_phases) {
        let found = reads::after_steps(report, &graph, &by_name, &draft.params, template);
        read.extend(found);
    }
    for index in read {
        graph[index].is_read = true;
    }
    for (what, template) in [("lock", &draft.lock), ("kube", &draft.kube)] {
        if let Some(template) = template {
            reads::beforehand(report, &graph, &by_name, &draft.params, what, template);
        }
    }
    let shown = graph.node_weights().flat_map(Step::shown);
    for (what, template) in draft.lock.iter().map(|lock| ("lock", lock)).chain(shown) {
        reads::shown(report, (&graph, &by_name), &draft.params, what, template);
    }
    let triggers = trigger::check(report, &draft.params, draft.triggers);
    cycle::check(report, &graph);
    let order = cycle::order(&graph)?;
    phase::check(report, &graph, &draft.phases, &order);
    let mut ranks = vec![0; order.len()];
    for (rank, index) in order.iter().enumerate() {
        ranks[index.index()] = rank;
    }
    is_whole.then_some(Workflow {
        name: draft.name,
        description: draft.description,
        path: file.clone(),
        params: draft.params,
        lock: draft.lock,
        kube: draft.kube,
        concurrency: draft.concurrency,
        on_failure: draft.on_failure,
        phases: draft.phases,
        triggers,
        outputs: draft.outputs,
        digest,
        levels,
        size,
        former: BTreeMap::new(),
        graph,
        by_name,
        order,
        ranks,
    })
}

fn levels_of(action: &Action) -> usize {
    match action {
        Action::Workflow(inner) => inner.levels,
        Action::Script(_) | Action::Approval(_) => 0,
    }
}

fn size_of(action: &Action) -> usize {
    match action {
        Action::Workflow(inner) => 1 + inner.size,
        Action::Script(_) | Action::Approval(_) => 1,
    }
}

/// Refuses a nested workflow that says `on_failure: undo` in one that does not: a run is undone as a whole.
fn refuse_inner_undo(report: &mut Report, draft: &Draft, actions: &[Option<Action>]) {
    if draft.on_failure == OnFailure::Undo {
        return;
    }
    for (step, action) in draft.steps.iter().zip(actions) {
        if let (ActionDraft::Workflow(named), Some(Action::Workflow(inner))) =
            (&step.action, action)
            && inner.on_failure == OnFailure::Undo
        {
            let message = format!(
                "`on_failure: undo` of {} has no effect in a step: a run is undone as a whole",
                inner.path
            );
            let mistake = report
                .at("misplaced-key", named.span.clone(), message)
                .help("add `on_failure: undo` to this workflow as well, or remove it there");
            report.add_in_new(mistake);
        }
    }
}

/// The digest of a workflow's text, and of the scripts and workflows of its steps.
fn digest_of_workflow(text: &str, actions: &[Option<Action>]) -> Digest {
    let inner = actions.iter().flatten().filter_map(|action| match action {
        Action::Script(script) => Some(script.digest),
        Action::Workflow(inner) => Some(inner.digest),
        Action::Approval(_) => None,
    });
    let inner: Vec<Digest> = inner.collect();
    let parts = inner.iter().map(|digest| digest.as_bytes().as_slice());
    let parts: Vec<&[u8]> = std::iter::once(text.as_bytes()).chain(parts).collect();
    Digest::of(&parts)
}

fn step_of(draft: StepDraft, action: Option<Action>) -> Option<(Step, Vec<Spanned>, Inputs)> {
    let inputs = draft
        .with
        .iter()
        .map(|(name, _, span)| (name.clone(), span.clone()))
        .collect();
    let step = Step {
        name: draft.name,
        description: draft.description,
        phase: draft.phase.map(|named| named.text),
        // A step whose script has mistakes stays in the graph, so that the steps that read it are checked.
        action: action.unwrap_or_else(|| Action::Workflow(Arc::new(unknown_workflow()))),
        with: draft
            .with
            .into_iter()
            .map(|(name, template, _)| (name.text, template))
            .collect(),
        when: draft.when,
        for_each: draft.for_each,
        key: draft.key,
        max_parallel: draft.max_parallel,
        fail_fast: draft.fail_fast,
        retry: draft.retry,
        timeout: draft.timeout,
        on_error: draft.on_error,
        is_fresh: draft.is_fresh,
        lock: draft.lock,
        is_finally: draft.is_finally,
        // It is set when all steps are known.
        is_read: false,
        span: draft.span,
    };
    Some((step, draft.needs, inputs))
}

/// Stands in for a workflow that could not be read; it never leaves this crate, because its mistake has been
/// reported.
fn unknown_workflow() -> Workflow {
    Workflow {
        name: String::new(),
        description: None,
        path: "".into(),
        params: BTreeMap::new(),
        lock: None,
        kube: None,
        concurrency: None,
        on_failure: OnFailure::default(),
        phases: Vec::new(),
        triggers: Vec::new(),
        outputs: Vec::new(),
        digest: Digest::ZERO,
        levels: 1,
        size: 0,
        former: BTreeMap::new(),
        graph: DiGraph::new(),
        by_name: BTreeMap::new(),
        order: Vec::new(),
        ranks: Vec::new(),
    }
}
