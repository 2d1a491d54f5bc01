//! Describes names in Markdown.

use std::path::Path;

use super::{
    files::{Files, Outline, resolve},
    marks::Symbol,
    pages::Pages,
    signature::{Item, given_by, inputs_of, outputs_of, params, taken_by},
    workflow::{Action, Step, Workflow},
};
use windlass_script::{Need, Parameter};

/// Describes what a name stands for; returns `None` if nothing is known about it.
pub fn describe(files: &Files, pages: &Pages, symbol: &Symbol) -> Option<String> {
    match symbol {
        Symbol::HostFunction(name) => pages.explain(name),
        Symbol::HostModule(name) => pages.explain_first(name),
        Symbol::Step { file, name } => {
            let (text, workflow) = files.workflow(file)?;
            Some(about_step(
                files,
                file,
                &text,
                &workflow,
                workflow.step(name)?,
            ))
        }
        Symbol::Input { file, name } => {
            let item = taken_by(files, file)
                .into_iter()
                .find(|item| item.name == *name)?;
            let of = if files.is_script(file) {
                format!("an input of `{}`", shown(file))
            } else {
                format!("a param of `{}`", shown(file))
            };
            Some(with_heading(&item, &of))
        }
        Symbol::Output { file, name } => {
            let item = given_by(files, file)
                .into_iter()
                .find(|item| item.name == *name)?;
            Some(with_heading(
                &item,
                &format!("an output of `{}`", shown(file)),
            ))
        }
        Symbol::BodyInput { file, step, name } => {
            let (text, workflow) = files.workflow(file)?;
            let given = workflow
                .step(step)?
                .with
                .iter()
                .find(|given| given.text == *name)?;
            let line = text[given.span.start..].lines().next().unwrap_or_default();
            Some(format!(
                "```yaml\n{}\n```\nAn input of the step `{step}`.",
                line.trim()
            ))
        }
        Symbol::BodyOutput { step, name, .. } => {
            Some(format!("`{name}`\n\nAn output of the step `{step}`."))
        }
        Symbol::Function { file, name } => {
            let (_, script) = files.script(file)?;
            let function = script.function(name)?;
            let usage = format!("```rhai\nfn {name}{}\n```", function.takes());
            Some(format!("{usage}\n{}", function.about))
        }
        Symbol::File(file) => about_file(files, file),
    }
}

fn shown(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn with_heading(item: &Item, of: &str) -> String {
    let about = &item.about;
    let about = if about.is_empty() {
        String::new()
    } else {
        format!("\n\n{about}")
    };
    format!(
        "```\n{}: {}\n```\n{}{about}",
        item.name,
        item.declared(),
        capitalised(of)
    )
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).chain(['.']).collect()
    })
}

/// Describes an option or an argument of a host function.
pub fn about_parameter(parameter: &Parameter) -> String {
    let need = match parameter.need {
        Need::Required => ", required".to_owned(),
        Need::Optional => String::new(),
        Need::Default(value) => format!(" = {value}"),
    };
    format!(
        "`{}`: {}{need}\n\n{}",
        parameter.name, parameter.kind, parameter.about
    )
}

fn about_step(files: &Files, path: &Path, text: &str, workflow: &Workflow, step: &Step) -> String {
    let mut parts = vec![format!("**{}**", step.name.text)];
    parts.extend(step.description.clone());
    match &step.action {
        Action::Script(file) | Action::Workflow(file) => {
            let about = resolve(path, &file.text).and_then(|file| description(files, &file));
            parts.push(match about {
                Some(about) => format!("`{}`: {about}", file.text),
                None => format!("`{}`", file.text),
            });
        }
        Action::Approval => parts.push("Waits for an approval.".to_owned()),
        Action::Inline { .. } | Action::None => {}
    }
    let inputs = inputs_of(files, path, text, step);
    if !inputs.is_empty() {
        parts.push(list("Takes", &inputs));
    }
    let outputs = outputs_of(files, path, text, step);
    if !outputs.is_empty() {
        let each = if step.has_items {
            "Outputs for each item"
        } else {
            "Gives"
        };
        parts.push(list(each, &outputs));
    }
    let mut after: Vec<_> = workflow
        .reads_of(step)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    after.extend(step.needs.iter().map(|name| name.text.as_str()));
    after.dedup();
    if !after.is_empty() {
        let names: Vec<_> = after.iter().map(|name| format!("`{name}`")).collect();
        parts.push(format!("Runs after {}.", names.join(", ")));
    }
    parts.join("\n\n")
}

fn list(heading: &str, items: &[Item]) -> String {
    let lines = items.iter().map(|item| {
        let about = if item.about.is_empty() {
            String::new()
        } else {
            format!(": {}", item.about)
        };
        if item.ty.is_empty() {
            format!("- `{}`{about}", item.name)
        } else {
            format!("- `{}` ({}){about}", item.name, item.declared())
        }
    });
    format!("{heading}:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

fn description(files: &Files, path: &Path) -> Option<String> {
    match files.outline(path) {
        Outline::Workflow(_, workflow) => workflow.description.clone(),
        Outline::Script(_, script) => {
            Some(script.description.clone()).filter(|text| !text.is_empty())
        }
        Outline::None => None,
    }
}

fn about_file(files: &Files, path: &Path) -> Option<String> {
    let mut parts = vec![format!("`{}`", shown(path))];
    parts.extend(description(files, path));
    let (inputs, outputs) = match files.outline(path) {
        Outline::Workflow(_, workflow) => (params(&workflow), given_by(files, path)),
        Outline::Script(..) => (taken_by(files, path), given_by(files, path)),
        Outline::None => return None,
    };
    if !inputs.is_empty() {
        parts.push(list("Takes", &inputs));
    }
    if !outputs.is_empty() {
        parts.push(list("Gives", &outputs));
    }
    Some(parts.join("\n\n"))
}
