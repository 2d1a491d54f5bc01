use console::Term;

use super::{
    Done, account,
    args::{Args, Plan},
    beforehand::{Wanted, begin},
    dry_run, exit,
    load::load,
    preflight::preflight,
    print, print_text,
};
use crate::{
    compile::bind_params,
    decide,
    report::{self, Room},
    targets::Targets,
    value::Value,
};

/// The placeholder for the id that a run would get.
const RUN: &str = "RUN";

/// `windlass plan FILE`: shows what a run would do, as far as that is known. Reads from the target's clusters, and changes
/// nothing.
pub fn plan(args: &Args, command: &Plan) -> Done {
    let program = load(&command.file)?;
    let workflow = &program.workflow;
    let params = Value::Map(bind_params(workflow, command.params.given(workflow)?)?);
    let kube = preflight(args, workflow, &params, &command.target)?;
    let clusters: Vec<_> = kube.iter().cloned().collect();
    let account = account::line(args, workflow, &command.target)?;
    let begun = begin(Wanted {
        chosen: Default::default(),
        program: &program,
        file: &command.file,
        target: &command.target,
        kube: kube.clone(),
        out: String::new(),
        params,
    })?;
    let steps = decide::preview(workflow, &begun.state, RUN);
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let obstacles = match targets.find(&command.target)? {
        Some(target) if !command.no_dry_run => {
            dry_run::ask(target, workflow, &begun.state, &kube, false)?
        }
        _ => Vec::new(),
    };
    // As `run` ends.
    let exit = match obstacles.iter().any(|obstacle| obstacle.is_sure) {
        true => exit::NOTHING_STARTED,
        false => exit::SUCCEEDED,
    };
    if command.json {
        if let Some(account) = account {
            say!("{account}");
        }
        let mut json = report::forecast_json(&steps);
        json["steps"] = report::preview_json(&steps, &obstacles);
        return print(&format!("{json:#}\n")).map(|_| exit);
    }
    let on = match clusters.is_empty() {
        true => format!("the target {}", command.target),
        false => format!(
            "the target {} with the clusters {}",
            command.target,
            clusters.join(", ")
        ),
    };
    let account = account.map_or(String::new(), |account| format!("{account}\n"));
    print_text(&format!(
        "plan of {} on {on}\n{account}\n{}{}{}",
        workflow.name,
        report::preview(&workflow.phases, &steps, Room::of(&Term::stdout())),
        report::forecast(&steps, Room::of(&Term::stdout())),
        report::obstacles(&obstacles)
    ))
    .map(|_| exit)
}
