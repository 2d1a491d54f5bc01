use console::Term;

use super::{
    Done, account,
    args::{Args, Plan},
    beforehand::{Wanted, begin},
    dry_run, exit,
    failure::Failure,
    load::load,
    look::look,
    preflight::preflight,
    print, print_text, remote,
    server::server,
};
use crate::{
    compile::{Workflow, bind_params},
    decide,
    execute::{Looked, Obstacle},
    journal::State,
    report::{self, Room},
    runs::{refuse_unreadable, together},
    targets::Targets,
    value::Value,
};

/// The placeholder for the id that a run would get.
const RUN: &str = "RUN";

/// `windlass plan FILE`: shows what a run would do, as far as that is known. Reads from the target's clusters, and changes
/// nothing.
pub fn plan(args: &Args, command: &Plan) -> Done {
    let program = load(&command.file)?;
    if let Some(there) = server(args)? {
        return remote::plan(command, program, &there);
    }
    let workflow = &program.workflow;
    let params = bind_params(workflow, command.params.given(workflow)?)?;
    let local = params.clone();
    let params = Value::Map(params);
    let kube = preflight(args, workflow, &params, &command.target)?;
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
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let target = targets.find(&command.target)?;
    account::block_on(refuse_unreadable(&local))??;
    let obstacles = match target {
        Some(target) if !command.no_dry_run => {
            dry_run::ask(args, target, workflow, &begun.state, &kube, false)?
        }
        _ => Vec::new(),
    };
    let looked = if command.no_dry_run {
        Looked::nothing(&begun.state)
    } else {
        look(args, command, target, workflow, &begun.state, &kube)?
    };
    let obstacles = together(looked.obstacles, obstacles);
    show(command, workflow, &looked.state, account, &obstacles)
}

/// Shows what a run would do. `state` holds its first event and, if they were run for the plan, the outputs of steps that only
/// read; `account` is the line of the AWS account.
pub fn show(
    command: &Plan,
    workflow: &Workflow,
    state: &State,
    account: Option<String>,
    obstacles: &[Obstacle],
) -> Done {
    let steps = decide::preview(workflow, state, RUN);
    let phases =
        report::replacing(workflow, state, RUN).map_err(|why| Failure::new("wrong-type", why))?;
    // As `run` ends.
    let exit = if obstacles.iter().any(|obstacle| obstacle.is_sure) {
        exit::NOTHING_STARTED
    } else {
        exit::SUCCEEDED
    };
    if command.json {
        if let Some(account) = account {
            say!("{account}");
        }
        let mut json = report::forecast_json(&steps);
        json["steps"] = report::preview_json(&steps, obstacles);
        json["phases"] = report::replaced_json(&phases);
        return print(&report::json_text(&json)).map(|_| exit);
    }
    let kube = state.run.iter().flat_map(|run| &run.kube);
    let clusters: Vec<_> = kube.map(String::as_str).collect();
    let on = if clusters.is_empty() {
        format!("the target {}", command.target)
    } else {
        format!(
            "the target {} with the clusters {}",
            command.target,
            clusters.join(", ")
        )
    };
    let account = account.map_or(String::new(), |account| format!("{account}\n"));
    print_text(&format!(
        "plan of {} on {on}\n{account}\n{}{}{}",
        workflow.name,
        report::preview(&phases, &steps, Room::of(&Term::stdout())),
        report::forecast(&steps, Room::of(&Term::stdout())),
        report::obstacles(obstacles)
    ))
    .map(|_| exit)
}
