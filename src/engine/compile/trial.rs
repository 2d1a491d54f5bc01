//! One script as a workflow of its own: what `windlass try` runs, and what a test file of a script tests.

use std::{collections::BTreeSet, fmt::Write, path::Path, sync::Arc};

use super::{
    graph::Program,
    link::compile,
    mistake::Mistakes,
    source::{Folder, Opened, Sources, open},
};
use windlass_script::{Known, Script, Signature, ValueKind};
use windlass_world::value::Value;

/// The file of the workflow around the script.
const MAIN: &str = "try.yaml";

/// Why a script is no workflow.
#[derive(Debug)]
pub enum TrialError {
    /// The file can't be read; says why.
    Unreadable(String),
    Mistakes(Mistakes),
}

/// Compiles a workflow of one step, `script`, whose params are the script's inputs, and whose outputs are the script's.
///
/// # Errors
/// A file that can't be read, or every mistake of the script.
pub fn compile_script(script: &Path) -> Result<Program, TrialError> {
    let Opened { mut folder, main } = open(script).map_err(TrialError::Unreadable)?;
    let text = folder.read(&main).map_err(TrialError::Unreadable)?;
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
    compile(MAIN, &mut sources).map_err(TrialError::Mistakes)
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
    folder: Folder,
}

impl Sources for Around {
    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        match path {
            MAIN => Ok(self.workflow.clone()),
            path => self.folder.read(path),
        }
    }
}
