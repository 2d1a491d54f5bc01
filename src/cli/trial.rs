use std::path::Path;

use super::{
    Done,
    args::{Args, Run, Try},
    failure::Failure,
    run::run_program,
};
use crate::compile::{Program, TrialError, compile_script};

/// `windlass try SCRIPT`: runs one script as a workflow with one step.
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

fn around(script: &Path) -> Result<Program, Failure> {
    compile_script(script).map_err(|error| match error {
        TrialError::Unreadable(why) => Failure::new(
            "unreadable-file",
            format!("can't read {}: {why}", script.display()),
        ),
        TrialError::Mistakes(mistakes) => mistakes.into(),
    })
}
