use super::watch::caller;
use crate::{
    cli::{Done, args::Plan, failure::Failure, plan, preflight::say_notes},
    compile::{Program, bind_params},
    runs::{PlanDepth, Runs, Sent, There},
};

/// Shows what a run of a workflow of this machine would do on a server, which looks at its target.
pub fn plan(command: &Plan, program: Program, there: &There) -> Done {
    let given = command.params.given(&program.workflow)?;
    // This reports mistakes here, in the terms of the command line.
    bind_params(&program.workflow, given.clone())?;
    let sent = Sent {
        file: command.file.display().to_string(),
        target: command.target.clone(),
        params: given,
        chosen: Default::default(),
        program,
        may_differ: true,
    };
    let depth = match command.no_dry_run {
        true => PlanDepth::Checks,
        false => PlanDepth::Looks,
    };
    let planned = there
        .plan_sent(&sent, depth, &caller(there))
        .map_err(Failure::from)?;
    say_notes(planned.notes);
    let workflow = &planned.program.workflow;
    plan::show(
        command,
        workflow,
        &planned.state,
        planned.account,
        &planned.obstacles,
    )
}
