//! Wraps one script in a workflow: for `windlass try`, and for test files of scripts.

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

/// The reason why a script can't be run as a workflow.
#[derive(Debug)]
pub enum TrialError {
    /// The file can't be read, with the reason.
    Unreadable(String),
    Mistakes(Mistakes),
}

/// Compiles a workflow of one step, `script`, with the script's inputs as params and the script's outputs as outputs.
///
/// # Errors
/// A file that can't be read, or every mistake of the script.
pub fn compile_script(script: &Path) -> Result<Program, TrialError> {
    let Opened { mut folder, main } = open(script).map_err(TrialError::Unreadable)?;
    let text = folder.read(&main).map_err(TrialError::Unreadable)?;
    let parsed = Script::parse(&main, text, &mut |path, written| {
        folder.read_import(path, written)
    });
    // On a mistake, the workflow is compiled anyway, and reports the mistakes with their places.
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

/// Returns the clusters that a script uses, as far as its text or its inputs name them, in the form of a workflow.
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

/// Returns a text as JSON, which is also valid YAML.
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
    // Writing to a String can't fail.
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

/// The script's folder, with a workflow that exists only in memory.
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
