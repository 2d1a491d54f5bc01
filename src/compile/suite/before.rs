//! Runs that come before a test, and the outputs that a test takes from them.

use std::{collections::BTreeMap, path::Path};

use super::{
    super::{
        document::{Kind, Node},
        fields::{Fields, Report},
        graph::{Program, Workflow},
        mistake::Mistakes,
        params::{ParamErrors, bind_params},
    },
    expect::known,
    keys::BEFORE,
    read::{Library, QuestionEnd, compile_beside, read_approvals},
};
use windlass_world::value::Value;

/// A run that comes before a test, on the same embedded servers.
#[derive(Clone, Debug)]
pub struct Before {
    /// The workflow's file, from the folder of the test file: a key of `Suite::earlier`.
    pub workflow: String,
    pub params: FromBefore,
    /// Who answers its questions, by their steps.
    pub approvals: BTreeMap<String, QuestionEnd>,
}

/// Params, some of which are outputs of runs that come before.
#[derive(Clone, Debug, Default)]
pub struct FromBefore {
    /// The params with given values.
    given: BTreeMap<String, Value>,
    /// The params that are outputs, with the names of the outputs.
    outputs: BTreeMap<String, String>,
}

impl FromBefore {
    /// Binds the params when the outputs are known.
    ///
    /// # Errors
    /// Params that the workflow does not accept; a missing output counts as a missing param.
    pub fn bind(
        &self,
        workflow: &Workflow,
        outputs: &BTreeMap<String, Value>,
    ) -> Result<Value, ParamErrors> {
        let mut given = self.given.clone();
        for (param, output) in &self.outputs {
            given.extend(
                outputs
                    .get(output)
                    .map(|value| (param.clone(), value.clone())),
            );
        }
        bind_params(workflow, given).map(Value::Map)
    }

    /// Returns a name for the params and their values: other params get another name.
    pub fn name(&self) -> String {
        format!("{:?} {:?}", self.given, self.outputs)
    }
}

/// What is known of the runs before a test while it is read.
pub(super) struct Earlier {
    /// The programs, by the workflow's file.
    pub programs: BTreeMap<String, Program>,
    /// Whether they are left out: a process that plays a test needs only its own workflow, and another process has
    /// checked the file.
    pub are_left_out: bool,
    pub library: Library,
}

/// Reads `before`, and compiles the workflows that it names.
///
/// # Errors
/// Mistakes of such a workflow.
pub(super) fn read(
    report: &mut Report,
    node: &Node,
    path: &Path,
    earlier: &mut Earlier,
) -> Result<Vec<Before>, Mistakes> {
    let Kind::List(items) = &node.kind else {
        report.wrong_type(node, "`before`", "a list of runs");
        return Ok(Vec::new());
    };
    let mut before: Vec<Before> = Vec::new();
    for item in items {
        let mut fields = Fields::of(report, item, &BEFORE, "a run of `before`");
        let (workflow, params) = (fields.take("workflow"), fields.take("params"));
        let approvals = fields.take("approvals");
        fields.finish(report);
        let Some(node) = workflow else {
            if let Kind::Map(_) = item.kind {
                let message = "the run of `before` names no workflow";
                let mistake = report.at("missing-key", item.span.clone(), message);
                report.add(mistake.help("begin it with `workflow: FILE.yaml`"));
            }
            continue;
        };
        let Some(name) = report.text(node, "`workflow`").map(str::to_owned) else {
            continue;
        };
        if earlier.are_left_out {
            let params = unchecked(params);
            before.push(Before {
                workflow: name,
                params,
                approvals: BTreeMap::new(),
            });
            continue;
        }
        if !earlier.programs.contains_key(&name) {
            match compile_beside(report, (path, earlier.library), &name, node)? {
                Some(program) => earlier.programs.insert(name.clone(), program),
                None => continue,
            };
        }
        let known = outputs_of(&before, earlier);
        let workflow = earlier.programs[&name].workflow.clone();
        let params = read_params(report, (params, item), &workflow, &known);
        let approvals = approvals.map_or_else(BTreeMap::new, |node| {
            read_approvals(report, node, Some(&workflow))
        });
        before.push(Before {
            workflow: name,
            params,
            approvals,
        });
    }
    Ok(before)
}

/// Returns the names of the outputs of the runs.
pub(super) fn outputs_of(before: &[Before], earlier: &Earlier) -> Vec<String> {
    let programs = before
        .iter()
        .filter_map(|one| earlier.programs.get(&one.workflow));
    let outputs = programs.flat_map(|program| program.workflow.outputs.iter());
    outputs.map(|(name, _)| name.to_string()).collect()
}

/// Reads params of a file that has been checked already.
pub(super) fn unchecked(params: Option<&Node>) -> FromBefore {
    let mut read = FromBefore::default();
    let Some(Kind::Map(entries)) = params.map(|node| &node.kind) else {
        return read;
    };
    for (key, node) in entries {
        match output_named(node) {
            Some(output) => {
                read.outputs.insert(key.name.clone(), output.to_owned());
            }
            None => {
                read.given.insert(key.name.clone(), node.to_value());
            }
        }
    }
    read
}

/// Reads params, some of which may be `${{ before.NAME }}`. The others are checked.
pub(super) fn read_params(
    report: &mut Report,
    (params, owner): (Option<&Node>, &Node),
    workflow: &Workflow,
    known_outputs: &[String],
) -> FromBefore {
    let entries = params.map_or(&[][..], |node| report.entries(node, "`params`"));
    let mut read = FromBefore::default();
    for (key, node) in entries {
        let Some(output) = output_named(node) else {
            read.given.insert(key.name.clone(), node.to_value());
            continue;
        };
        let name = super::super::document::Key {
            name: output.to_owned(),
            span: node.span.clone(),
        };
        let names = known_outputs.iter().map(String::as_str);
        known(
            report,
            &name,
            "unknown-output",
            "no run of `before` has the output",
            names,
        );
        read.outputs.insert(key.name.clone(), output.to_owned());
    }
    let errors = match bind_params(workflow, read.given.clone()) {
        Ok(_) => return read,
        Err(errors) => errors.0,
    };
    for error in errors {
        let named = error.param();
        if named.is_some_and(|name| read.outputs.contains_key(name)) {
            continue;
        }
        let entry = named.and_then(|name| entries.iter().find(|(key, _)| key.name == name));
        let span = entry.map_or(&owner.span, |(key, _)| &key.span).clone();
        let mistake = report.at("params", span, error.to_string());
        let hint = match entry {
            // A hint about the command line does not help here.
            Some(_) => error.hint().filter(|hint| !hint.contains("-p ")),
            None => named.map(|name| format!("add `params: {{ {name}: … }}` to the test")),
        };
        report.add(mistake.maybe_help(hint));
    }
    read
}

/// Returns the output that a text names, if the text is a single `${{ before.NAME }}`.
fn output_named(node: &Node) -> Option<&str> {
    let Kind::Scalar {
        value: Value::String(_),
        text,
        ..
    } = &node.kind
    else {
        return None;
    };
    let inner = text.trim().strip_prefix("${{")?.strip_suffix("}}")?;
    let name = inner.trim().strip_prefix("before.")?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}
