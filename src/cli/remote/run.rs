use std::{collections::BTreeSet, path::Path};

use super::watch::{caller, follow};
use crate::{
    cli::{
        Done,
        args::{Driving, MAX_PARALLEL, Params, Run},
        drive::exit_code,
        failure::Failure,
        print,
        run::{OUT, chosen},
        server::not_remote,
    },
    compile::{Program, bind_params},
    desk::random_token,
    journal::State,
    report,
    runs::{Runs, Sent, There},
    value::Command,
};

/// Runs a workflow on this machine on a server: its file is uploaded with all the files that it reads.
pub fn run(command: &Run, program: Program, there: &There) -> Done {
    if command.out != Path::new(OUT) {
        return Err(not_remote(
            "--out names a folder on this machine, but a server writes to its own folder",
        ));
    }
    refuse_driving(&command.driving)?;
    let chosen = chosen(command, &program)?;
    let (file, target) = (&command.file, &command.target);
    let sent = sent(file, target, &command.params, chosen, program)?;
    let key = random_token()
        .ok_or_else(|| Failure::new("system", "the system could not provide random bytes"))?;
    let started = there.send(&sent, Some(&key), &caller(there))?;
    let id = started.run;
    if command.detach {
        let follow = report::command(Command::new("logs").arg(&id).flag("-f"));
        say!("run {id} continues on the server; to follow it: {follow}");
        return print(&format!("{id}\n"));
    }
    let (ended, state) = follow(there, &command.driving, &id, sent.program, State::default())?;
    Ok(exit_code(ended, &state))
}

/// Returns a workflow of this machine with its params, for a run on a server.
pub(super) fn sent(
    file: &Path,
    target: &str,
    params: &Params,
    chosen: BTreeSet<String>,
    program: Program,
) -> Result<Sent, Failure> {
    let given = params.given(&program.workflow)?;
    // This reports mistakes here, in the terms of the command line.
    bind_params(&program.workflow, given.clone())?;
    Ok(Sent {
        file: file.display().to_string(),
        target: target.to_owned(),
        params: given,
        chosen,
        program,
        may_differ: true,
    })
}

/// Refuses options that only a process which drives the run can apply.
pub fn refuse_driving(driving: &Driving) -> Result<(), Failure> {
    if driving.max_parallel != MAX_PARALLEL {
        return Err(not_remote(
            "--max-parallel is for runs that this process drives; for the runs of a server, use `windlass serve --max-parallel`",
        ));
    }
    match driving.lock_timeout {
        None => Ok(()),
        Some(_) => Err(not_remote(
            "--lock-timeout is for runs that this process drives; the runs of a server wait for their locks",
        )),
    }
}
