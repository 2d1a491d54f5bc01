//! Reads `phases:`, and checks that no phase begins before the earlier ones have ended.

use std::collections::HashMap;

use petgraph::{Direction, graph::DiGraph};

use super::{
    document::Node,
    draft::{Spanned, bare_reads},
    fields::{Fields, Report},
    graph::{Edge, Phase, Step, StepIndex},
    keys::PHASE,
};
use windlass_script::{closest, did_you_mean};

/// Reads `phases: { NAME: { description, replaces, after, undo } }`.
pub(super) fn read(
    report: &mut Report,
    node: Option<&Node>,
    bare: &mut Vec<Spanned>,
) -> Vec<Phase> {
    let Some(node) = node else {
        return Vec::new();
    };
    let mut phases = Vec::new();
    for (key, node) in report.entries(node, "`phases`") {
        let mut fields = Fields::of(report, node, &PHASE, format!("the phase `{}`", key.name));
        if let Some(node) = fields.peek("replaces") {
            bare_reads(node, bare);
        }
        phases.push(Phase {
            name: key.name.clone(),
            description: fields.text(report, "description"),
            replaces: fields.template(report, "replaces"),
            after: fields.text(report, "after"),
            undo: fields.text(report, "undo"),
            span: key.span.clone(),
        });
        fields.finish(report);
    }
    phases
}

/// Reports the phase of a step if the workflow does not define it.
pub(super) fn is_there(report: &mut Report, phases: &[Phase], named: &Spanned) {
    if phases.iter().any(|phase| phase.name == named.text) {
        return;
    }
    let names = phases.iter().map(|phase| phase.name.as_str());
    let help = match closest(&named.text, names) {
        Some(near) => did_you_mean(near),
        None => "declare it under `phases:`".into(),
    };
    let message = format!("the workflow has no phase `{}`", named.text);
    let mistake = report.at("unknown-name", named.span.clone(), message);
    report.add(mistake.help(help));
}

/// Reports steps that could begin before a step of an earlier phase has ended: a phase is only useful if it is a
/// barrier.
pub(super) fn check(
    report: &mut Report,
    graph: &DiGraph<Step, Edge>,
    phases: &[Phase],
    order: &[StepIndex],
) {
    let numbers: HashMap<_, _> = phases
        .iter()
        .enumerate()
        .map(|(number, phase)| (phase.name.as_str(), number))
        .collect();
    let number = |index: StepIndex| {
        let phase = graph[index].phase.as_deref()?;
        numbers.get(phase).copied()
    };
    let mut before: HashMap<StepIndex, Vec<StepIndex>> = HashMap::new();
    for index in order {
        let mut all = Vec::new();
        for other in graph.neighbors_directed(*index, Direction::Incoming) {
            all.push(other);
            all.extend(before.get(&other).into_iter().flatten());
        }
        all.sort();
        all.dedup();
        before.insert(*index, all);
    }
    for step in order {
        let Some(at) = number(*step) else {
            continue;
        };
        let early = order.iter().find_map(|other| {
            let earlier = number(*other).filter(|earlier| *earlier < at)?;
            let follows = before[step].contains(other) || runs_after(&graph[*step], &graph[*other]);
            (!follows).then_some((*other, &phases[earlier].name))
        });
        if let Some((early, phase)) = early {
            let needs_step = before[&early].contains(step);
            let (step, early) = (&graph[*step], &graph[early]);
            let help = if runs_after(early, step) {
                format!(
                    "steps under `finally` run after all others: give `{}` the last phase, or none",
                    early.name
                )
            } else if needs_step {
                // To need it would be a cycle.
                format!(
                    "`{0}` depends on `{1}`, directly or through other steps: move `{1}` to the phase `{phase}` or an earlier one, or `{0}` to a later one",
                    early.name, step.name
                )
            } else {
                format!("add `{}` to its `needs`", early.name)
            };
            let mistake = if runs_after(early, step) {
                let message = format!(
                    "`{}` is under `finally`, so it runs after `{}` of the phase `{}`, but the phase `{phase}` comes first",
                    early.name, step.name, phases[at].name
                );
                report
                    .at("phase-order", early.span.clone(), message)
                    .label(step.span.clone(), "this one runs before it")
            } else {
                let message = format!(
                    "`{}` of the phase `{}` could start before `{}` of the phase `{phase}` has ended",
                    step.name, phases[at].name, early.name
                );
                report
                    .at("phase-order", step.span.clone(), message)
                    .label(early.span.clone(), "this one must end first")
            };
            report.add(mistake.help(help));
        }
    }
}

/// Says whether a step runs after another one only because it is under `finally`.
fn runs_after(step: &Step, other: &Step) -> bool {
    step.is_finally && !other.is_finally
}
