//! Finds what expressions read: the edges between steps, and names that do not exist.

use std::ops::Range;

use petgraph::graph::DiGraph;

use super::{
    check::{Params, Steps, declared_outputs},
    draft::Spanned,
    fields::Report,
    graph::{Action, Edge, Param, Step, StepIndex},
    mistake::Mistake,
    name::StepName,
    template::{Placed, Template},
};
use windlass_script::{Hop, Read, closest, did_you_mean};
use windlass_world::value::{Type, Value};

/// How many names a message lists at most.
const FEW: usize = 8;

/// Finds the steps that a step waits for, and reports reads of names that do not exist.
pub(super) fn edges(
    report: &mut Report,
    graph: &DiGraph<Step, Edge>,
    by_name: &Steps,
    params: &Params,
    index: StepIndex,
    needs: &[Spanned],
) -> Vec<(StepIndex, Edge)> {
    let step = &graph[index];
    let mut edges = Vec::new();
    for need in needs {
        match StepName::parse(&need.text).and_then(|name| by_name.get(&name)) {
            Some(target) => edges.push((*target, Edge::Order, need.span.clone())),
            None => unknown_step(report, by_name, &need.text, need.span.clone()),
        }
    }
    for (template, may_read_item) in step.templates() {
        for placed in template.expressions() {
            let allows_item = may_read_item && step.for_each.is_some();
            for read in placed.expression.reads() {
                let item = match (allows_item, may_read_item, &step.for_each) {
                    (true, ..) => Item::Here,
                    (_, false, Some(_)) => Item::OfEach,
                    _ => Item::None,
                };
                let is_finally = step.is_finally;
                let of = At { item, is_finally };
                let target = check_read(report, graph, by_name, params, placed, read, of);
                edges.extend(target.map(|target| (target, Edge::Data, placed.span_of(read))));
            }
        }
    }
    edges.retain(|(target, _, span)| {
        let is_backwards = graph[*target].is_finally && !step.is_finally;
        if is_backwards {
            let message = format!(
                "`{}` is under `finally`, so it runs after all other steps",
                graph[*target].name
            );
            let mistake = report.at("reads-finally", span.clone(), message);
            report.add(mistake);
        }
        !is_backwards
    });
    // A step that both reads and needs another one gets the stronger edge: the last one wins.
    edges.sort_by_key(|(_, edge, _)| matches!(edge, Edge::Data));
    edges
        .into_iter()
        .map(|(target, edge, _)| (target, edge))
        .collect()
}

/// Reports texts that equal an existing name: the author forgot the `${{ }}`.
pub(super) fn bare(
    report: &mut Report,
    by_name: &Steps,
    params: &Params,
    has_item: bool,
    texts: &[Spanned],
) {
    for Spanned { text, span } in texts {
        let mut words = text.split('.');
        let is_there = match (words.next(), words.next()) {
            (Some("steps"), Some(name)) => {
                StepName::parse(name).is_some_and(|name| by_name.contains_key(&name))
            }
            (Some("params"), Some(name)) => params.contains_key(name),
            (Some("item"), _) => has_item,
            _ => false,
        };
        if is_there {
            let message = format!("`{text}` is a plain string here, not an expression");
            let help = format!(
                "forgot the `${{{{ }}}}`? `\"${{{{ {text} }}}}\"`; for the string itself, write `\"${{{{ '{text}' }}}}\"`"
            );
            let mistake = report.at("bare-expression", span.clone(), message);
            report.add(mistake.help(help));
        }
    }
}

/// Checks the expressions of the workflow itself that may read the outputs of any step, and returns the steps that they read.
pub(super) fn after_steps(
    report: &mut Report,
    graph: &DiGraph<Step, Edge>,
    by_name: &Steps,
    params: &Params,
    template: &Template,
) -> Vec<StepIndex> {
    let mut found = Vec::new();
    for placed in template.expressions() {
        for read in placed.expression.reads() {
            let step = check_read(report, graph, by_name, params, placed, read, OUTSIDE);
            found.extend(step);
        }
    }
    found
}

/// Checks the expressions of the workflow itself that are evaluated before any step runs.
pub(super) fn beforehand(
    report: &mut Report,
    graph: &DiGraph<Step, Edge>,
    by_name: &Steps,
    params: &Params,
    what: &str,
    template: &Template,
) {
    for placed in template.expressions() {
        for read in placed.expression.reads() {
            if check_read(report, graph, by_name, params, placed, read, OUTSIDE).is_some() {
                let message =
                    format!("the workflow's `{what}` is evaluated before its steps have outputs");
                let help = match what {
                    "lock" => "read `params`, or put the lock on a step",
                    _ => "read `params`",
                };
                let mistake = report.at("reads-later", placed.span_of(read), message);
                report.add(mistake.help(help));
            }
        }
    }
}

/// Refuses a text that people see, such as a lock or a question, if it contains a secret param or output.
pub(super) fn shown(
    report: &mut Report,
    (graph, by_name): (&DiGraph<Step, Edge>, &Steps),
    params: &Params,
    what: &str,
    template: &Template,
) {
    for placed in template.expressions() {
        for read in placed.expression.reads() {
            let path: Vec<_> = read.path.iter().map(String::as_str).collect();
            let ty = match (read.root, path.as_slice()) {
                ("params", [name, ..]) => params.get(*name).map(|param| param.ty.clone()),
                ("steps", [step, output]) => StepName::parse(step)
                    .and_then(|name| by_name.get(&name))
                    .and_then(|index| declared_outputs(&graph[*index]))
                    .and_then(|outputs| outputs.get(*output).cloned()),
                _ => None,
            };
            if read.is_whole && ty.is_some_and(|ty| ty.holds_secret()) {
                let message = format!("`{what}` must be a string, not a secret");
                let mistake = report.at("wrong-type", placed.span_of(read), message);
                let help =
                    format!("people see `{what}`: use a param or an output that is not a secret");
                report.add_in_new(mistake.help(help));
            }
        }
    }
}

/// The meaning of `item` in an expression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Item {
    None,
    /// The step has a `for_each`, and this expression is evaluated once, for all items.
    OfEach,
    Here,
}

/// Where an expression stands.
#[derive(Clone, Copy)]
struct At {
    item: Item,
    /// Whether its step is under `finally`.
    is_finally: bool,
}

/// The place of an expression of the workflow itself.
const OUTSIDE: At = At {
    item: Item::None,
    is_finally: false,
};

/// What `run.status` can be.
const RUN_STATUSES: &[&str] = &["succeeded", "failed", "cancelled"];

/// The words that a param can be; none if it can be any text.
fn words_of(param: &Param) -> Vec<&str> {
    let words = param.limits.one_of.iter();
    words.filter_map(Value::as_str).collect()
}

/// Says whether a value that is one of some words can be what it is compared with, if it is.
fn can_be(words: &[&str], compared_with: &Option<String>) -> bool {
    let with = compared_with.as_deref();
    words.is_empty() || with.is_none_or(|with| words.contains(&with))
}

fn never_equal(report: &mut Report, span: Range<usize>, what: &str, given: &str, words: &[&str]) {
    let message = format!("`{what}` is never \"{given}\"");
    let help = match closest(given, words.iter().copied()) {
        Some(near) => did_you_mean(near),
        None => format!("it is one of {}", words.join(", ")),
    };
    let mistake = report.at("wrong-type", span, message);
    report.add_in_new(mistake.help(help));
}

/// Reports a comparison with a text of what is of another type.
fn never_text(report: &mut Report, span: Range<usize>, what: &str, read: &Read, ty: &Type) {
    let given = read.compared_with.as_deref().unwrap_or_default();
    let message = format!("`{what}` is never \"{given}\"");
    let help = format!("it is of the type {ty}, and this is a string");
    let mistake = report.at("wrong-type", span, message);
    report.add_in_new(mistake.help(help));
}

/// Checks one read and returns the step that it reads.
fn check_read(
    report: &mut Report,
    graph: &DiGraph<Step, Edge>,
    by_name: &Steps,
    params: &Params,
    placed: &Placed,
    read: &Read,
    at: At,
) -> Option<StepIndex> {
    let span = placed.span_of(read);
    match (read.root, read.path.as_slice()) {
        ("item", _) if at.item != Item::Here => {
            let help = match at.item {
                Item::OfEach => {
                    "it is evaluated once for the whole step: select the items in `for_each`, `\"${{ params.list.filter(|item| …) }}\"`"
                }
                _ => "`item` is the current item of the step's own `for_each`",
            };
            let mistake = report.at("no-item", span, "there is no `item` here");
            report.add(mistake.help(help));
            None
        }
        ("params", [name, ..]) if !params.contains_key(name) => {
            let help = match closest(name, params.keys().map(String::as_str)) {
                Some(near) => did_you_mean(near),
                None => "declare it under `params:`".into(),
            };
            let message = format!("the workflow has no param `{name}`");
            let mistake = report.at("unknown-param", span, message).help(help);
            report.add(mistake);
            None
        }
        ("run", [name, ..]) if !["id", "status", "started_at"].contains(&name.as_str()) => {
            let message = format!("a run has no `{name}`");
            let mistake = report
                .at("unknown-name", span, message)
                .help("it has id, started_at and, in `finally`, status");
            report.add(mistake);
            None
        }
        ("params", [name]) if !can_be(&words_of(&params[name]), &read.compared_with) => {
            let given = read.compared_with.as_deref().unwrap_or_default();
            let words = words_of(&params[name]);
            never_equal(report, span, &format!("params.{name}"), given, &words);
            None
        }
        ("params", [name]) if read.compared_with.is_some() && is_no_text(&params[name].ty) => {
            let what = format!("params.{name}");
            never_text(report, span, &what, read, &params[name].ty);
            None
        }
        ("params", [name]) if read.is_ordered && is_duration(&params[name].ty) => {
            let message =
                format!("`params.{name}` is a duration, which is compared as a text here");
            let help = format!("compare seconds: `params.{name}.seconds() > '90d'.seconds()`");
            let mistake = report.at("wrong-type", span, message).help(help);
            report.add_in_new(mistake);
            None
        }
        ("run", [name, ..]) if name == "status" && !at.is_finally => {
            let message = "a run has no `status` before its `finally`";
            let help = "read it in a step under `finally`; a nested workflow gets it as a param";
            let mistake = report.at("unknown-name", span, message);
            report.add_in_new(mistake.help(help));
            None
        }
        ("run", [name]) if name == "status" && !can_be(RUN_STATUSES, &read.compared_with) => {
            let given = read.compared_with.as_deref().unwrap_or_default();
            never_equal(report, span, "run.status", given, RUN_STATUSES);
            None
        }
        ("target", [name, ..]) if !["name", "kube"].contains(&name.as_str()) => {
            let message = format!("a target has no `{name}`");
            let mistake = report
                .at("unknown-name", span, message)
                .help("it has name and kube: whether it has the workflow's Kubernetes clusters");
            report.add(mistake);
            None
        }
        ("steps", [name, rest @ ..]) => {
            let Some(target) = StepName::parse(name).and_then(|name| by_name.get(&name)) else {
                unknown_step(report, by_name, name, span);
                return None;
            };
            let step = &graph[*target];
            if let Action::Script(script) = &step.action
                && let Some(kind) = script.other_end
            {
                let message =
                    format!("the body of `{name}` ends with {kind}, so it has no outputs");
                let help = format!(
                    "end it with a map, such as `#{{ found: … }}`, and read `steps.{name}.found`"
                );
                let mistake = report.at("wrong-output", span.clone(), message);
                report.add_in_new(mistake.help(help));
            }
            if step.for_each.is_some()
                && let Some(number) = number_after(placed, read, name)
            {
                let message = format!(
                    "`{name}` has a `for_each`, so its outputs are a map by item, which has no `[{number}]`"
                );
                let help = format!("name the item as a string: `steps.{name}[\"{number}\"]`");
                let mistake = report.at("unknown-output", span.clone(), message);
                report.add_in_new(mistake.help(help));
            }
            if let (Some(outputs), [output], Some(each)) =
                (declared_outputs(step), rest, &step.for_each)
                && outputs.contains_key(output)
                && !may_be_item(each, output)
            {
                let message = format!("`{name}` has a `for_each`, so it has no `{output}` itself");
                let help = format!("name the item: `steps.{name}[item].{output}`");
                let mistake = report.at("unknown-output", span.clone(), message);
                report.add_in_new(mistake.help(help));
            }
            match (&step.for_each, rest, read.hops.as_slice()) {
                (None, [output, inside @ ..], _) => {
                    let ty = declared_outputs(step).and_then(|mut outputs| outputs.remove(output));
                    let is_compared = inside.is_empty() && read.compared_with.is_some();
                    if let Some(ty) = ty.filter(|ty| is_compared && is_no_text(ty)) {
                        let what = format!("steps.{name}.{output}");
                        never_text(report, span.clone(), &what, read, &ty);
                    }
                    if let Some(mistake) = unknown_output(report, step, output, span) {
                        report.add(mistake);
                    }
                }
                (Some(each), _, [_, item, inside @ ..]) => {
                    let found = unknown_item(report, step, each, item, span.clone());
                    let found = found
                        .filter(|_| !read.tolerates_nothing)
                        .or_else(|| match inside.first()? {
                            Hop::Name(output) => unknown_output(report, step, output, span),
                            Hop::Item | Hop::Computed => None,
                        });
                    if let Some(mistake) = found {
                        report.add_in_new(mistake);
                    }
                }
                _ => {}
            }
            Some(*target)
        }
        _ => None,
    }
}

/// Returns the mistake of a read of an output that a step, or each of its items, does not have.
fn unknown_output(
    report: &Report,
    step: &Step,
    output: &str,
    span: Range<usize>,
) -> Option<Mistake> {
    let outputs = declared_outputs(step).filter(|outputs| !outputs.contains_key(output))?;
    let names = || outputs.keys().map(String::as_str);
    let help = match closest(output, names()) {
        Some(near) => did_you_mean(near),
        None if outputs.is_empty() => "the step declares no outputs".into(),
        None => format!("its outputs are {}", names().collect::<Vec<_>>().join(", ")),
    };
    let message = format!("the step `{}` has no output `{output}`", step.name);
    Some(report.at("unknown-output", span, message).help(help))
}

/// Returns the mistake of a read of an item that a step does not have, if its items are known.
fn unknown_item(
    report: &Report,
    step: &Step,
    each: &Template,
    item: &Hop,
    span: Range<usize>,
) -> Option<Mistake> {
    let Hop::Name(item) = item else {
        return None;
    };
    let is_output = declared_outputs(step).is_some_and(|outputs| outputs.contains_key(item));
    // That it is an output of the items is another mistake.
    if is_output || step.key.is_some() {
        return None;
    }
    let items = known_items(each)?;
    if items.contains(item) {
        return None;
    }
    let names = || items.iter().map(String::as_str);
    let help = match closest(item, names()) {
        Some(near) => did_you_mean(near),
        None => {
            let few: Vec<_> = names().take(FEW).collect();
            let more = if items.len() > FEW { ", …" } else { "" };
            format!("its items are {}{more}", few.join(", "))
        }
    };
    let message = format!("the step `{}` has no item `{item}`", step.name);
    Some(report.at("unknown-output", span, message).help(help))
}

/// Returns the names of the items of a `for_each`, if all of them are in its text.
fn known_items(each: &Template) -> Option<Vec<String>> {
    match each.constant()? {
        Value::List(items) => {
            let names = items.iter().map(|item| match item {
                Value::String(_) | Value::Int(_) | Value::Bool(_) => Some(item.to_text()),
                _ => None,
            });
            names.collect()
        }
        Value::Map(items) => Some(items.into_keys().collect()),
        _ => None,
    }
}

/// Returns the integer that stands in brackets after a step's name: `steps.name[0]`.
fn number_after(placed: &Placed, read: &Read, name: &str) -> Option<i64> {
    let text = placed.expression.text();
    let path = text.get(read.span.start..)?;
    let (_, after) = path
        .strip_prefix("steps")
        .unwrap_or(path)
        .split_once(name)?;
    let (inside, _) = after.trim_start().strip_prefix('[')?.split_once(']')?;
    inside.trim().parse().ok()
}

/// Says whether a value of a type is never a text.
fn is_no_text(ty: &Type) -> bool {
    match ty {
        Type::Optional(inner) => is_no_text(inner),
        Type::Int | Type::Float | Type::Bool | Type::List(_) | Type::Map(_) => true,
        _ => false,
    }
}

fn is_duration(ty: &Type) -> bool {
    match ty {
        Type::Optional(inner) => is_duration(inner),
        ty => *ty == Type::Duration,
    }
}

/// Says whether the items of a step are known, and this is one of them.
fn may_be_item(each: &Template, name: &str) -> bool {
    known_items(each).is_some_and(|items| items.iter().any(|item| item == name))
}

fn unknown_step(report: &mut Report, by_name: &Steps, name: &str, span: Range<usize>) {
    let mistake = report
        .at("unknown-step", span, format!("there is no step `{name}`"))
        .maybe_help(suggest_step(by_name, name));
    report.add(mistake);
}

/// Suggests the step that was probably meant, or lists the steps.
fn suggest_step(by_name: &Steps, wrong: &str) -> Option<String> {
    let names = || by_name.keys().map(StepName::as_str);
    match closest(wrong, names()) {
        Some(name) => Some(did_you_mean(name)),
        None if by_name.len() <= FEW => {
            let names: Vec<_> = names().collect();
            Some(format!("the steps are {}", names.join(", ")))
        }
        None => None,
    }
}
