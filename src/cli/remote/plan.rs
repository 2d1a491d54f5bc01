use super::{run::sent, watch::caller};
use crate::{
    cli::{Done, args::Plan, failure::Failure, plan, preflight::say_notes},
    compile::Program,
    runs::{PlanDepth, Runs, There},
};

/// Shows what a run of a workflow of this machine would do on a server, which looks at its target.
pub fn plan(command: &Plan, program: Program, there: &There) -> Done {
    let (file, target) = (&command.file, &command.target);
    let sent = sent(file, target, &command.params, Default::default(), program)?;
    let depth = if command.no_dry_run {
        PlanDepth::Checks
    } else {
        PlanDepth::Looks
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
