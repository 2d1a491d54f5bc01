use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    Done, account,
    args::{Args, Validate},
    beforehand::{Wanted, begin},
    exit,
    failure::Failure,
    load::load,
    preflight::preflight,
    shipped,
};
use crate::{
    compile::{Workflow, bind_params, clusters, is_test},
    report, runs,
    targets::Targets,
    testing::walk,
    value::{Command, Value},
};

/// `windlass validate FILE…`: shows every mistake in every file, and with `--target` what the target lacks.
pub fn validate(args: &Args, command: &Validate) -> Done {
    let mut failed = 0;
    let files = workflows(&command.files)?;
    for file in &files {
        let checked = load(file).and_then(|program| {
            let workflow = &program.workflow;
            let params = bind(command, workflow)?;
            if let Some(params) = params.clone() {
                begin(Wanted {
                    program: &program,
                    file,
                    // The target's clusters are only known to a run.
                    target: "",
                    kube: clusters(workflow, &params)?,
                    out: String::new(),
                    chosen: BTreeSet::new(),
                    params,
                })?;
            }
            let steps = report::counted(workflow.steps().count(), "step");
            let told = format!("{}: {steps}", file.display());
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
        _ if files.len() == 1 => Ok(exit::NOTHING_STARTED),
        n => Err(Failure::new(
            "invalid-workflow",
            format!("{n} of {} files have mistakes", files.len()),
        )),
    }
}

/// Returns the files to check: those that are named, and all workflows below a folder. Test files and files of mock servers have their own commands.
fn workflows(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() && !is_named(path) {
            let mut found = BTreeSet::new();
            walk(path, &is_workflow, &mut found).map_err(|(path, why)| {
                Failure::new("system", format!("{}: {why}", path.display()))
            })?;
            if found.is_empty() {
                let message = format!("{}: no workflows found", path.display());
                return Err(Failure::new("invalid-workflow", message)
                    .hint("a workflow is a YAML file that begins with `workflow: NAME`"));
            }
            files.extend(found);
        } else if let Some(instead) = instead(path) {
            say!("{} is not a workflow: {instead} checks it", path.display());
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Says whether a folder's path is also the name of a workflow: of a file beside it, or of a shipped one. Then that workflow is checked,
/// as `run` would run it.
fn is_named(path: &Path) -> bool {
    let name = path.to_str().unwrap_or_default();
    path.with_extension("yaml").is_file() || shipped::names().any(|known| known == name)
}

/// Returns the command for a file that is not a workflow, by its name.
fn instead(path: &Path) -> Option<String> {
    match is_test(path) {
        true => Some(Command::new("test").arg(path.display()).to_string()),
        false if is_mock(path) => {
            let serve = Command::new("http serve").option("--from", path.display());
            Some(serve.to_string())
        }
        false => None,
    }
}

fn is_mock(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".http.yaml")
}

/// Says whether a file declares itself a workflow; other files in a folder are skipped.
fn is_workflow(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    matches!(ending, Some("yaml" | "yml")) && !is_mock(path) && runs::declares_workflow(path)
}

/// Returns the params to check the workflow with; `None` if none were given and some are required.
fn bind(command: &Validate, workflow: &Workflow) -> Result<Option<Value>, Failure> {
    let bound = bind_params(workflow, command.params.given(workflow)?);
    match bound {
        Err(_) if !command.params.are_given() && command.target.is_none() => Ok(None),
        bound => Ok(Some(Value::Map(bound?))),
    }
}

/// Checks a workflow against a target: its clusters, and the permissions there.
fn on_target(
    args: &Args,
    params: &Value,
    workflow: &Workflow,
    target: &str,
) -> Result<String, Failure> {
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let found = targets.find(target)?;
    let allowed = runs::allowed(found, workflow, params);
    if !allowed.refused.is_empty() {
        let refused = allowed.refused.iter();
        let lines: Vec<_> = refused
            .map(|(step, why)| format!("step {step}: {why}"))
            .collect();
        let hint = if found.is_none() {
            "use a target that allows it: `[targets.NAME]` in windlass.toml".to_owned()
        } else {
            format!("allow it for the target {target} in windlass.toml (`exec`, `http`)")
        };
        return Err(Failure::new("not-allowed", lines.join("\n  ")).hint(hint));
    }
    let Some(found) = found.filter(|found| found.mesh().is_none()) else {
        return Ok(if allowed.is_all_known {
            format!("the target {target} has everything it needs")
        } else {
            format!(
                "the target {target} allows what is known before a run; a script works out other programs, hosts or services"
            )
        });
    };
    let wanted = preflight(args, workflow, params, target)?;
    let access = runs::ask(found, workflow, params, &wanted)?;
    let missing = access.missing;
    let unserved = if access.unserved.is_empty() {
        String::new()
    } else {
        format!(
            "it does not serve {}",
            Vec::from_iter(access.unserved).join(", ")
        )
    };
    if missing.is_empty() && !unserved.is_empty() {
        return Ok(format!(
            "the target {target} can be reached and allows what could be asked; {unserved}"
        ));
    }
    if missing.is_empty() {
        return Ok(match wanted.len() {
            0 => format!("it needs no cluster of the target {target}"),
            1 => {
                format!(
                    "the cluster of the target {target} can be reached and allows everything it does"
                )
            }
            n => {
                format!(
                    "{n} clusters of the target {target} can be reached and allow everything it does"
                )
            }
        });
    }
    let mut lines: Vec<_> = missing
        .iter()
        .map(|(cluster, permits)| {
            format!(
                "on {cluster} the caller may not {}",
                runs::permits_text(permits)
            )
        })
        .collect();
    lines.extend((!unserved.is_empty()).then_some(unserved));
    let rbac = Command::new("rbac").arg(&*workflow.path);
    let hint = format!("`{rbac}` prints the ClusterRole that the workflow needs");
    Err(Failure::new("clusters", lines.join("\n  ")).hint(hint))
}
