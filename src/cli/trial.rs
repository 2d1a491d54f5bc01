use std::{collections::BTreeSet, fmt::Write, path::Path, sync::Arc};

use super::{
    Done,
    args::{Args, Run, Try},
    failure::Failure,
    run::run_program,
};
use crate::{
    compile::{Opened, Program, Sources, compile, open},
    script::{Known, Script, Signature, ValueKind},
    value::Value,
};

/// The file of the workflow around the script.
const MAIN: &str = "try.yaml";

/// `windlass try SCRIPT`: runs one script as a run of its own, a workflow with one step.
pub fn try_script(args: &Args, command: &Try) -> Done {
    let program = around(&command.script).map_err(Failure::before_a_run)?;
    let run = Run {
        file: command.script.clone(),
        params: command.params.clone(),
        target: command.target.clone(),
        out: command.out.clone(),
        only: Vec::new(),
        until: None,
        no_dry_run: false,
        detach: false,
        driving: command.driving.clone(),
    };
    run_program(args, &run, program)
}

/// A workflow whose params are the script's inputs, and whose outputs are the script's.
fn around(script: &Path) -> Result<Program, Failure> {
    let unreadable = |why: String| {
        Failure::new(
            "unreadable-file",
            format!("can't read {}: {why}", script.display()),
        )
    };
    let Opened { mut folder, main } = open(script).map_err(unreadable)?;
    let text = folder.read(&main).map_err(unreadable)?;
    let parsed = Script::parse(&main, text, &mut |path, written| {
        folder.read_import(path, written)
    });
    // The workflow is compiled all the same, and shows the mistakes in their places.
    let clusters = parsed.as_ref().map_or_else(|_| BTreeSet::new(), clusters);
    let (inputs, outputs) = parsed.map_or((None, None), |script| (script.inputs, script.outputs));
    let workflow = workflow(
        &main,
        &clusters,
        &inputs.unwrap_or_default(),
        &outputs.unwrap_or_default(),
    );
    let mut sources = Around {
        workflow: workflow.into(),
        folder,
    };
    Ok(compile(MAIN, &mut sources)?)
}

/// The clusters that a script speaks to, where its text or its inputs say so, as a workflow names them.
fn clusters(script: &Script) -> BTreeSet<String> {
    let named = script.host_calls.iter().filter_map(|call| {
        match call.given_as(|kind| matches!(kind, ValueKind::Cluster))? {
            Known::Text(role) => Some(role.clone()),
            Known::Input(name) => Some(format!("${{{{ params[{}] }}}}", quoted(name))),
            _ => None,
        }
    });
    named.collect()
}

/// A text as JSON, and so as YAML, writes it.
fn quoted(text: &str) -> String {
    Value::from(text).to_json().to_string()
}

fn workflow(
    script: &str,
    clusters: &BTreeSet<String>,
    inputs: &Signature,
    outputs: &Signature,
) -> String {
    let name = script.strip_suffix(".rhai").unwrap_or(script);
    let mut yaml = format!("workflow: {}\n", quoted(name));
    // A text never fails to be written to.
    let mut line = |text: String| {
        let _ = writeln!(yaml, "{text}");
    };
    if !clusters.is_empty() {
        let clusters: Vec<_> = clusters.iter().map(|role| quoted(role)).collect();
        line(format!("kube: [{}]", clusters.join(", ")));
    }
    if !inputs.fields.is_empty() {
        line("params:".into());
    }
    for (name, field) in &inputs.fields {
        let default = field.default.as_ref().map_or_else(String::new, |value| {
            format!(", default: {}", value.to_json())
        });
        line(format!(
            "  {}: {{ type: {}{default} }}",
            quoted(name),
            quoted(&field.ty.to_string())
        ));
    }
    line(format!("steps:\n  script:\n    script: {}", quoted(script)));
    if !inputs.fields.is_empty() {
        line("    with:".into());
    }
    for name in inputs.fields.keys() {
        line(format!(
            "      {}: {}",
            quoted(name),
            quoted(&format!("${{{{ params[{}] }}}}", quoted(name)))
        ));
    }
    if !outputs.fields.is_empty() {
        line("outputs:".into());
    }
    for name in outputs.fields.keys() {
        line(format!(
            "  {}: {}",
            quoted(name),
            quoted(&format!("${{{{ steps.script[{}] }}}}", quoted(name)))
        ));
    }
    yaml
}

/// The script's folder, with a workflow in it that is not there.
struct Around {
    workflow: Arc<str>,
    folder: crate::compile::Folder,
}

impl Sources for Around {
    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        match path {
            MAIN => Ok(self.workflow.clone()),
            path => self.folder.read(path),
        }
    }
}
