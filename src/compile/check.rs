//! Checks names and types across files.

use std::{collections::BTreeMap, ops::Range};

use petgraph::graph::DiGraph;

use super::{
    draft::Spanned,
    fields::Report,
    graph::{Action, Edge, Param, Step, StepIndex},
    name::StepName,
    template::{Placed, Template},
};
use windlass_script::{InputRead, Script, closest, did_you_mean};
use windlass_world::value::{Type, Value};

pub(super) type Steps = BTreeMap<StepName, StepIndex>;
pub(super) type Params = BTreeMap<String, Param>;

/// The inputs that a step gives, with the places of their names and values.
pub(super) type Inputs = Vec<(Spanned, Range<usize>)>;

/// Rejects `fresh` for a step that changes something: the change would be repeated, and its record discarded.
fn fresh(report: &mut Report, step: &Step) {
    let misplaced = match &step.action {
        Action::Workflow(_) if !is_known(&step.action) => return,
        Action::Workflow(_) => ("a `workflow:`", "put `fresh` on the steps inside"),
        Action::Approval(_) => (
            "an `approval:`",
            "an approval stays valid until the things that it approves change",
        ),
        Action::Script(script) => {
            let changing = script.host_calls.iter().find(|call| call.is_sure_change());
            if let Some(call) = changing {
                let message = format!(
                    "`fresh` does not work here: {} calls {}, which changes something",
                    script.path, call.function
                );
                let mistake = report.at("misplaced-key", step.span.clone(), message);
                report.add(mistake.help(
                    "a step with `fresh` may only read: change things in one step, and check them in another",
                ));
            }
            return;
        }
    };
    let message = format!("`fresh` does not work on {} step", misplaced.0);
    let mistake = report.at("misplaced-key", step.span.clone(), message);
    report.add(mistake.help(misplaced.1));
}

/// Checks the inputs that a step gives to its script or workflow.
pub(super) fn step(
    report: &mut Report,
    graph: &DiGraph<Step, Edge>,
    by_name: &Steps,
    params: &Params,
    index: StepIndex,
    inputs: &Inputs,
) {
    let step = &graph[index];
    if matches!(step.action, Action::Workflow(_)) && is_known(&step.action) {
        let misplaced = [
            ("retry", step.retry.attempts > 1),
            ("timeout", step.timeout.is_some()),
        ];
        for (key, _) in misplaced.into_iter().filter(|(_, is_there)| *is_there) {
            let message = format!("`{key}` does not work on a `workflow:` step");
            let mistake = report
                .at("misplaced-key", step.span.clone(), message)
                .help(format!("put `{key}` on the steps inside"));
            report.add(mistake);
        }
    }
    if matches!(step.action, Action::Approval(_)) && step.retry.attempts > 1 {
        let message = "`retry` does not work on an `approval:` step";
        let mistake = report
            .at("misplaced-key", step.span.clone(), message)
            .help("a rejection is an answer; `windlass resume --redo STEP` asks again");
        report.add(mistake);
    }
    if step.is_fresh {
        fresh(report, step);
    }
    let of_items = [
        ("key", step.key.is_some(), "`key` names the items"),
        (
            "max_parallel",
            step.max_parallel.is_some(),
            "`max_parallel` limits how many items run at once",
        ),
        (
            "fail_fast",
            step.fail_fast,
            "`fail_fast` stops new items after one has failed",
        ),
    ];
    for (key, _, help) in of_items
        .into_iter()
        .filter(|(_, is_there, _)| *is_there && step.for_each.is_none())
    {
        let message = format!("`{key}` needs a `for_each`");
        let mistake = report.at("misplaced-key", step.span.clone(), message);
        report.add(mistake.help(help));
    }
    if !is_known(&step.action) {
        return;
    }
    if let Action::Script(script) = &step.action {
        input_reads(report, step, script);
    }
    let Some(accepted) = accepted_inputs(&step.action) else {
        return;
    };
    for (name, span) in inputs {
        let Some((ty, _)) = accepted.get(&name.text) else {
            let names = accepted.keys().map(String::as_str);
            let help = match (closest(&name.text, names), accepted.is_empty()) {
                (Some(near), _) => did_you_mean(near),
                (None, true) => "it takes no inputs".into(),
                (None, false) => {
                    let names: Vec<_> = accepted.keys().map(String::as_str).collect();
                    format!("it takes {}", names.join(", "))
                }
            };
            let message = format!("{} has no input `{}`", what(&step.action), name.text);
            let mistake = report
                .at("unknown-input", name.span.clone(), message)
                .help(help);
            report.add(mistake);
            continue;
        };
        let Some(template) = step.with.get(&name.text) else {
            continue;
        };
        if let Some(value) = template.constant() {
            let is_left_out = value == Value::Null;
            let limited = match &step.action {
                Action::Workflow(inner) => inner.params.get(&name.text),
                _ => None,
            };
            let fits = match limited {
                Some(param) => param.check(&value),
                None => ty.check(&value).map_err(|e| e.to_string()),
            };
            if let Err(e) = fits
                && !is_left_out
            {
                let message = format!("the input `{}` does not fit: {e}", name.text);
                let mistake = report.at("wrong-type", span.clone(), message);
                report.add(mistake);
            }
        } else if let Some(found) = type_of(graph, by_name, params, template)
            && !accepts(ty, &found)
            && !(is_secret_of_text(ty, &found)
                && (is_made_secret(&step.action)
                    || may_become_secret(graph, by_name, params, template)))
        {
            let message = format!("the input `{}` takes {ty}, but this is {found}", name.text);
            let mistake = report.at("wrong-type", span.clone(), message);
            if is_secret_of_text(ty, &found) {
                // Earlier versions let it fail when the step began.
                report.add_in_new(mistake.help("declare as `secret` what it reads"))
            } else {
                report.add(mistake)
            }
        }
    }
    for (name, (ty, is_required)) in &accepted {
        if *is_required && !step.with.contains_key(name) {
            let message = format!("the step `{}` lacks the input `{name}` ({ty})", step.name);
            let mistake = report
                .at("missing-input", step.span.clone(), message)
                .help(format!("add `{name}:` under its `with:`"));
            report.add(mistake);
        }
    }
}

/// Finds inputs that an inline body reads and its step does not give.
fn input_reads(report: &mut Report, step: &Step, script: &Script) {
    let unknown = |read: &&InputRead| !step.with.contains_key(&read.name);
    for read in script.input_reads.iter().filter(unknown) {
        let message = format!("the step `{}` has no input `{}`", step.name, read.name);
        let help = match closest(&read.name, step.with.keys().map(String::as_str)) {
            Some(near) => did_you_mean(near),
            None => format!("add `{}:` under its `with:`", read.name),
        };
        let mistake = report.at("unknown-input", read.span.clone(), message);
        report.add(mistake.help(help));
    }
}

fn what(action: &Action) -> String {
    match action {
        Action::Script(script) => format!("the script {}", script.path),
        Action::Workflow(workflow) => format!("the workflow {}", workflow.path),
        Action::Approval(_) => "an approval".into(),
    }
}

/// Returns the type of each input by name, and whether it is required. `None` for an inline body, which accepts any input.
fn accepted_inputs(action: &Action) -> Option<BTreeMap<String, (Type, bool)>> {
    Some(match action {
        Action::Script(script) => {
            let fields = &script.inputs.as_ref()?.fields;
            fields
                .iter()
                .map(|(name, f)| (name.clone(), (f.ty.clone(), f.is_required())))
                .collect()
        }
        Action::Workflow(workflow) => workflow
            .params
            .iter()
            .map(|(name, param)| (name.clone(), (param.ty.clone(), param.is_required())))
            .collect(),
        Action::Approval(_) => BTreeMap::new(),
    })
}

/// Returns the outputs that a step declares, with their types. `None` if it may have any outputs.
pub(super) fn declared_outputs(step: &Step) -> Option<BTreeMap<String, Type>> {
    if !is_known(&step.action) {
        return None;
    }
    match &step.action {
        Action::Script(script) if script.is_inline => {
            let names = script.literal_outputs.iter().flatten();
            let outputs = names.map(|name| (name.clone(), Type::Any)).collect();
            script.literal_outputs.is_some().then_some(outputs)
        }
        Action::Script(script) => {
            let fields = &script.outputs.as_ref()?.fields;
            Some(
                fields
                    .iter()
                    .map(|(name, field)| (name.clone(), field.ty.clone()))
                    .collect(),
            )
        }
        Action::Workflow(workflow) => Some(
            workflow
                .outputs
                .iter()
                .map(|(name, _)| (name.clone(), Type::Any))
                .collect(),
        ),
        Action::Approval(_) => Some(
            ["approved_by", "comment"]
                .map(|name| (name.to_owned(), Type::String))
                .into(),
        ),
    }
}

/// Returns the type of a template that consists of a single read, if the type is declared.
fn type_of(
    graph: &DiGraph<Step, Edge>,
    by_name: &Steps,
    params: &Params,
    template: &Template,
) -> Option<Type> {
    let Template::Expression(placed) = template else {
        return matches!(template, Template::Text(_)).then_some(Type::String);
    };
    read_type(graph, by_name, params, placed)
}

/// Returns the type of an expression that consists of a single read, if the type is declared.
fn read_type(
    graph: &DiGraph<Step, Edge>,
    by_name: &Steps,
    params: &Params,
    placed: &Placed,
) -> Option<Type> {
    let read = placed.expression.as_plain_read()?;
    match (read.root, read.path.as_slice()) {
        ("params", [name]) => Some(params.get(name)?.ty.clone()),
        ("steps", [name, output]) => {
            let step = &graph[*by_name.get(&StepName::parse(name)?)?];
            if step.for_each.is_some() {
                return None;
            }
            declared_outputs(step)?.remove(output)
        }
        _ => None,
    }
}

/// Says whether a value of type `found` may be given where `wanted` is declared.
fn accepts(wanted: &Type, found: &Type) -> bool {
    match (wanted, found) {
        (Type::Any, _) | (_, Type::Any) => true,
        (_, Type::Optional(found)) => accepts(wanted, found),
        (Type::Optional(wanted), found) => accepts(wanted, found),
        (Type::List(wanted), Type::List(found)) | (Type::Map(wanted), Type::Map(found)) => {
            accepts(wanted, found)
        }
        (Type::Float, Type::Int)
        | (Type::String, Type::Duration)
        | (Type::Duration, Type::String) => true,
        _ => wanted == found,
    }
}

/// Says whether texts that are given for secrets become secrets, as params of a workflow do.
fn is_made_secret(action: &Action) -> bool {
    matches!(action, Action::Workflow(_))
}

/// Says whether a text may contain a secret, which makes it one.
fn may_become_secret(
    graph: &DiGraph<Step, Edge>,
    by_name: &Steps,
    params: &Params,
    template: &Template,
) -> bool {
    fn may_hold_secret(ty: &Type) -> bool {
        match ty {
            Type::Any | Type::Secret => true,
            Type::Optional(inner) | Type::List(inner) | Type::Map(inner) => may_hold_secret(inner),
            _ => false,
        }
    }
    let is_joined = matches!(template, Template::Text(_));
    let mut expressions = template.expressions().into_iter();
    is_joined
        && expressions.any(|placed| {
            let found = read_type(graph, by_name, params, placed);
            found.is_none_or(|found| may_hold_secret(&found))
        })
}

/// Says whether a text, or texts inside of a value, are given for secrets.
fn is_secret_of_text(wanted: &Type, found: &Type) -> bool {
    match (wanted, found) {
        (Type::Secret, Type::String) => true,
        (wanted, Type::Optional(found)) => is_secret_of_text(wanted, found),
        (Type::Optional(wanted), found) => is_secret_of_text(wanted, found),
        (Type::List(wanted), Type::List(found)) | (Type::Map(wanted), Type::Map(found)) => {
            is_secret_of_text(wanted, found)
        }
        _ => false,
    }
}

/// Says whether a step's action is known, so that its inputs and outputs can be checked.
fn is_known(action: &Action) -> bool {
    !matches!(action, Action::Workflow(workflow) if workflow.path.is_empty())
}
