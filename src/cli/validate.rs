use std::collections::BTreeSet;

use super::{
    Done, account,
    args::{Args, Validate},
    beforehand::{Wanted, begin},
    exit,
    failure::Failure,
    load::load,
    preflight::preflight,
};
use crate::{
    compile::{Workflow, bind_params, clusters},
    runs,
    targets::Targets,
    value::{Command, Value},
};

/// `windlass validate FILE…`: every mistake of every file, and with `--target` what a target lacks.
pub fn validate(args: &Args, command: &Validate) -> Done {
    let mut failed = 0;
    for file in &command.files {
        let checked = load(file).and_then(|program| {
            let workflow = &program.workflow;
            let params = bind(command, workflow)?;
            if let Some(params) = params.clone() {
                begin(Wanted {
                    program: &program,
                    file,
                    // What it has is only known to a run.
                    target: "",
                    kube: clusters(workflow, &params)?,
                    out: String::new(),
                    chosen: BTreeSet::new(),
                    params,
                })?;
            }
            let steps = workflow.steps().count();
            let plural = if steps == 1 { "" } else { "s" };
            let told = format!("{}: {steps} step{plural}", file.display());
            match &command.target {
                Some(target) => {
                    let params = params.unwrap_or_default();
                    let found = on_target(args, &params, workflow, target)?;
                    Ok(match account::line(args, workflow, target)? {
                        Some(account) => format!("{told}; {found}; {account}"),
                        None => format!("{told}; {found}"),
                    })
                }
                None => Ok(told),
            }
        });
        match checked {
            Ok(told) => say!("{} {told}", console::style("✓").green()),
            Err(failure) => {
                failure.report();
                failed += 1;
            }
        }
    }
    match failed {
        0 => Ok(exit::SUCCEEDED),
        _ if command.files.len() == 1 => Ok(exit::NOTHING_STARTED),
        n => Err(Failure::new(
            "invalid-workflow",
            format!("{n} of {} files have mistakes", command.files.len()),
        )),
    }
}

/// The params to hold the workflow against; `None` where some are missing and nobody gave any.
fn bind(command: &Validate, workflow: &Workflow) -> Result<Option<Value>, Failure> {
    let bound = bind_params(workflow, command.params.given(workflow)?);
    match bound {
        Err(_) if !command.params.are_given() && command.target.is_none() => Ok(None),
        bound => Ok(Some(Value::Map(bound?))),
    }
}

/// Holds a workflow against a target: its clusters, and what may be done there.
fn on_target(
    args: &Args,
    params: &Value,
    workflow: &Workflow,
    target: &str,
) -> Result<String, Failure> {
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let Some(found) = targets.find(target)?.filter(|found| found.mesh().is_none()) else {
        return Ok(format!("the target {target} has all it needs"));
    };
    let wanted = preflight(args, workflow, params, target)?;
    let missing = runs::ask(found, workflow, params, &wanted)?;
    if missing.is_empty() {
        return Ok(match wanted.len() {
            0 => format!("it needs no cluster of the target {target}"),
            1 => {
                format!("the cluster of the target {target} can be reached, and allows all it does")
            }
            n => {
                format!("{n} clusters of the target {target} can be reached, and allow all it does")
            }
        });
    }
    let lines: Vec<_> = missing
        .iter()
        .map(|(cluster, permits)| {
            format!(
                "on {cluster} the caller may not {}",
                runs::permits_text(permits)
            )
        })
        .collect();
    let rbac = Command::new("rbac").arg(&*workflow.path);
    let hint = format!("`{rbac}` prints the ClusterRole that the workflow needs");
    Err(Failure::new("clusters", lines.join("\n  ")).hint(hint))
}
