use time::OffsetDateTime;

use super::{
    Done, account,
    archive::{Archive, Held},
    args::{Args, Run},
    beforehand::{Beginning, Wanted, begin},
    drive::{Drive, drive},
    failure::Failure,
    load::load,
    preflight::preflight,
    process::absolute,
};
use crate::{
    compile::{Program, bind_params},
    journal::{NewRun, RunId},
    targets::{Folders, Targets},
    value::Value,
};

/// `windlass run FILE`: checks everything first, then records the run, then drives it.
pub fn run(args: &Args, command: &Run) -> Done {
    let program = load(&command.file).map_err(Failure::before_a_run)?;
    run_program(args, command, program)
}

/// Runs what was compiled.
pub fn run_program(args: &Args, command: &Run, program: Program) -> Done {
    let params = bind_params(&program.workflow, command.params.given(&program.workflow)?)?;
    let params = Value::Map(params);
    let kube = preflight(args, &program.workflow, &params, &command.target)?;
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let target = targets.find(&command.target)?;
    let target = target.map(|target| (command.target.as_str(), target));
    let out = absolute(&command.out)?;
    Folders {
        out: &out,
        state: &args.state,
        config,
        workflow: Some(&command.file),
    }
    .check()?;
    let beginning = begin(Wanted {
        program: &program,
        file: &command.file,
        target: &command.target,
        kube,
        out: out.display().to_string(),
        params,
    })?;
    let archive = Archive::open_for(args, target)?;
    if matches!(archive, Archive::Here(_)) {
        account::aws(args, &program.workflow, &command.target)?;
    }
    let Beginning { event, at, state } = beginning.with_secrets(&archive)?;
    let id = new_id()?;
    let (run, events) = match archive {
        Archive::Here(journal) => {
            let new = NewRun {
                id,
                event,
                files: &program.files,
                at,
            };
            (Held::Here(journal.begin(new)?), Vec::new())
        }
        #[cfg(feature = "restate")]
        Archive::Engine(engine) => (Held::Engine(engine.begin(id, &program.files)), vec![event]),
    };
    drive(
        args,
        &command.driving,
        Drive {
            run,
            program,
            state,
            events,
        },
    )
}

fn new_id() -> Result<RunId, Failure> {
    let mut random = [0; 6];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| Failure::new("system", "the system gave no randomness"))?;
    Ok(RunId::new(OffsetDateTime::now_utc(), random))
}
