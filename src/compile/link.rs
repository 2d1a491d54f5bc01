//! Loads the files that a workflow names, and finds the edges between its steps.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

use petgraph::graph::DiGraph;

use super::{
    check::{self, Inputs},
    cycle, document,
    draft::{self, ActionDraft, Draft, Spanned, StepDraft},
    fields::Report,
    graph::{Action, Edge, OnFailure, Program, Step, StepIndex, Workflow},
    mistake::{Mistake, Mistakes},
    name::StepName,
    phase, reads,
    source::Sources,
    trigger,
};
use windlass_ground::lock;
use windlass_script::{Fault, ROOTS, Script, join_path};
use windlass_world::value::Digest;

/// How many workflows may be inside of each other. Reading, deciding and drawing recurse for each level.
const MAX_LEVELS: usize = 32;
/// The number of steps of a workflow, with those of the workflows inside of it: two steps for one workflow, which has two steps for
/// another one, double it each time.
const MAX_STEPS: usize = 100_000;

/// Compiles a workflow file with every script and workflow that it names.
///
/// # Errors
/// Every mistake in all of these files.
pub fn compile(main: &str, sources: &mut dyn Sources) -> Result<Program, Mistakes> {
    let mut linker = Linker {
        sources,
        files: BTreeMap::new(),
        scripts: HashMap::new(),
        workflows: HashMap::new(),
        open: Vec::new(),
        mistakes: Vec::new(),
    };
    let text = match linker.read(main) {
        Ok(text) => text,
        Err(why) => {
            let (file, empty) = (Arc::from(main), Arc::from(""));
            let message = format!("can't read `{main}`: {why}");
            return Err(Mistakes(vec![Mistake::new(
                "unreadable-file",
                &file,
                &empty,
                0..0,
                message,
            )]));
        }
    };
    let workflow = linker.workflow(main, text);
    let Linker {
        mut files,
        mistakes,
        ..
    } = linker;
    match workflow {
        Some(workflow) if mistakes.is_empty() => {
            files.retain(|path, _| path.len() < 4096);
            Ok(Program {
                digest: digest_of(&files),
                workflow,
                main: main.into(),
                files,
            })
        }
        _ => Err(Mistakes::sorted(mistakes)),
    }
}

/// Digests the files of a program.
pub fn digest_of<T: AsRef<str>>(files: &BTreeMap<String, T>) -> Digest {
    let parts: Vec<&[u8]> = files
        .iter()
        .flat_map(|(path, text)| [path.as_bytes(), text.as_ref().as_bytes()])
        .collect();
    Digest::of(&parts)
}

struct Linker<'a> {
    sources: &'a mut dyn Sources,
    files: BTreeMap<String, Arc<str>>,
    /// `None` for a script with mistakes, which are reported once.
    scripts: HashMap<String, Option<Arc<Script>>>,
    workflows: HashMap<String, Option<Arc<Workflow>>>,
    /// The workflows that are being read, outermost first: a repetition is a cycle.
    open: Vec<String>,
    mistakes: Vec<Mistake>,
}

impl Linker<'_> {
    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        let text = self.sources.read(path)?;
        self.files.insert(path.into(), text.clone());
        Ok(text)
    }

    /// Returns `None` if there are mistakes; they have been reported.
    fn workflow(&mut self, path: &str, text: Arc<str>) -> Option<Arc<Workflow>> {
        let file: Arc<str> = path.into();
        let parsed = match Path::new(path).extension() {
            Some(extension) if extension == "rhai" => {
                let why = "this is a script, not a workflow";
                let help =
                    format!("`windlass try {path}` runs it alone, and `script: {path}` in a step");
                Err(Mistake::new("bad-yaml", &file, &text, 0..0, why).help(help))
            }
            _ => document::parse(&file, &text),
        };
        let root = match parsed {
            Ok(root) => root,
            Err(mistake) => {
                self.mistakes.push(mistake);
                return None;
            }
        };
        let before = self.mistakes.len();
        let mut report = Report {
            file: &file,
            text: &text,
            mistakes: &mut self.mistakes,
            roots: ROOTS,
            is_frozen: self.sources.is_frozen(),
        };
        let draft = draft::read(&mut report, &root);
        self.open.push(path.into());
        let actions: Vec<_> = draft
            .steps
            .iter()
            .map(|step| self.action(&file, &text, &step.action))
            .collect();
        self.open.pop();
        let mut report = Report {
            file: &file,
            text: &text,
            mistakes: &mut self.mistakes,
            roots: ROOTS,
            is_frozen: self.sources.is_frozen(),
        };
        refuse_inner_undo(&mut report, &draft, &actions);
        let digest = digest_of_workflow(&text, &actions);
        let workflow = build(&mut report, &file, draft, (actions, digest));
        (self.mistakes.len() == before)
            .then_some(workflow?)
            .map(Arc::new)
    }

    fn action(&mut self, file: &Arc<str>, text: &Arc<str>, action: &ActionDraft) -> Option<Action> {
        match action {
            ActionDraft::Unreadable => None,
            ActionDraft::Approval(approval) => Some(Action::Approval(approval.clone())),
            ActionDraft::Inline(body, places) => {
                let (sources, files) = (&mut *self.sources, &mut self.files);
                let mut read = |path: &str, written: &str| {
                    let (path, text) = sources.read_import(path, written)?;
                    files.insert(path.clone(), text.clone());
                    Ok((path, text))
                };
                match Script::parse_inline(file, body.clone(), places.clone(), &mut read) {
                    Ok(script) => {
                        if !self.sources.is_frozen() {
                            self.report(script.discouraged.clone(), file, text);
                        }
                        Some(Action::Script(Arc::new(script)))
                    }
                    Err(faults) => {
                        self.report(faults, file, text);
                        None
                    }
                }
            }
            ActionDraft::Script(named) => {
                let path = self.resolve(file, text, named)?;
                if !self.scripts.contains_key(&path) {
                    let script = self.script(file, text, named, &path);
                    self.scripts.insert(path.clone(), script);
                }
                self.scripts.get(&path)?.clone().map(Action::Script)
            }
            ActionDraft::Workflow(named) => {
                let path = self.resolve(file, text, named)?;
                if self.open.contains(&path) {
                    let cycle: Vec<_> = self.open.iter().chain([&path]).cloned().collect();
                    let message = format!(
                        "workflows contain each other in a cycle: {}",
                        cycle.join(" → ")
                    );
                    self.mistakes.push(Mistake::new(
                        "cycle",
                        file,
                        text,
                        named.span.clone(),
                        message,
                    ));
                    return None;
                }
                if self.open.len() >= MAX_LEVELS {
                    self.nested_too_deeply(file, text, named);
                    return None;
                }
                if !self.workflows.contains_key(&path) {
                    let workflow = match self.read(&path) {
                        Ok(inner) => self.workflow(&path, inner),
                        Err(why) => {
                            self.unreadable(file, text, named, &path, &why);
                            None
                        }
                    };
                    self.workflows.insert(path.clone(), workflow);
                }
                let inner = self.workflows.get(&path)?.clone()?;
                // It may have been read for a step that is less deep.
                if self.open.len() + inner.levels > MAX_LEVELS {
                    self.nested_too_deeply(file, text, named);
                    return None;
                }
                Some(Action::Workflow(inner))
            }
        }
    }

    fn nested_too_deeply(&mut self, file: &Arc<str>, text: &Arc<str>, named: &Spanned) {
        let message = format!("more than {MAX_LEVELS} workflows are inside of each other");
        let mistake = Mistake::new("cycle", file, text, named.span.clone(), message)
            .help("put the steps into fewer workflows");
        self.mistakes.push(mistake);
    }

    fn script(
        &mut self,
        file: &Arc<str>,
        text: &Arc<str>,
        named: &Spanned,
        path: &str,
    ) -> Option<Arc<Script>> {
        let script_text = match self.read(path) {
            Ok(script_text) => script_text,
            Err(why) => {
                self.unreadable(file, text, named, path, &why);
                return None;
            }
        };
        let parsed = self.sources.parsed();
        let (sources, files) = (&mut *self.sources, &mut self.files);
        let mut read = |path: &str, written: &str| {
            let (path, text) = sources.read_import(path, written)?;
            files.insert(path.clone(), text.clone());
            Ok((path, text))
        };
        let script = match parsed {
            Some(parsed) => {
                // The map is valid even after a panic: a script is added after it has been parsed.
                let mut parsed = lock(&parsed);
                parsed.parse(path, script_text, &mut read)
            }
            None => Script::parse(path, script_text, &mut read).map(Arc::new),
        };
        match script {
            Ok(script) => {
                if !self.sources.is_frozen() {
                    self.report(script.discouraged.clone(), file, text);
                }
                Some(script)
            }
            Err(faults) => {
                self.report(faults, file, text);
                None
            }
        }
    }

    fn report(&mut self, faults: Vec<Fault>, file: &Arc<str>, text: &Arc<str>) {
        let mistakes = faults
            .into_iter()
            .map(|fault| Mistake::from_fault(fault, file, text));
        self.mistakes.extend(mistakes);
    }

    fn unreadable(
        &mut self,
        file: &Arc<str>,
        text: &Arc<str>,
        named: &Spanned,
        path: &str,
        why: &str,
    ) {
        let message = format!("can't read `{path}`: {why}");
        let mistake = Mistake::new("unreadable-file", file, text, named.span.clone(), message)
            .help("a path is relative to the file that contains it");
        self.mistakes.push(mistake);
    }

    fn resolve(&mut self, file: &Arc<str>, text: &Arc<str>, named: &Spanned) -> Option<String> {
        let path = join_path(file, &named.text);
        if path.is_none() {
            let message = format!("`{}` is outside the workflow's folder", named.text);
            self.mistakes.push(Mistake::new(
                "unreadable-file",
                file,
                text,
                named.span.clone(),
                message,
            ));
        }
        path
    }
}

/// Builds the graph; returns `None` if a step could not be built.
fn build(
    report: &mut Report,
    file: &Arc<str>,
    draft: Draft,
    (actions, digest): (Vec<Option<Action>>, Digest),
) -> Option<Workflow> {
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
        report.add(mistake.help("use `for_each` for steps that do the same"));
        return None;
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

/// Stands in for a workflow that could not be read; it never leaves this module, because its mistake has been
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
