use super::{
    Done, account,
    archive::{Archive, Held},
    args::{Args, Run},
    beforehand::{Wanted, begin, with_secrets},
    drive::{Drive, drive},
    dry_run,
    failure::Failure,
    load::load,
    preflight::preflight,
    process::absolute,
};
use crate::{
    compile::bind_params,
    journal::NewRun,
    runs::{Beginning, new_id},
    targets::{Folders, Targets},
    value::Value,
};

/// `windlass run FILE`: checks everything first, then records the run, then drives it.
pub fn run(args: &Args, command: &Run) -> Done {
    let program = load(&command.file).map_err(Failure::before_a_run)?;
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
        kube: kube.clone(),
        out: out.display().to_string(),
        params,
    })?;
    let archive = Archive::open_for(args, target)?;
    if matches!(archive, Archive::Here(_)) {
        account::aws(args, &program.workflow, &command.target)?;
    }
    if let Some((_, target)) = target.filter(|_| !command.no_dry_run) {
        let mut found = dry_run::ask(target, &program.workflow, &beginning.state, &kube, true)?;
        // Workers have other rights, and other ways, than whoever starts a run.
        if !matches!(archive, Archive::Here(_)) {
            found
                .iter_mut()
                .for_each(|obstacle| obstacle.is_sure = false);
        }
        dry_run::refuse(&found)?;
    }
    let Beginning { event, at, state } = with_secrets(beginning, &archive)?;
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
