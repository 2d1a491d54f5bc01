use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{self, Stdio},
};

use super::{
    Done, account,
    archive::{Archive, Held},
    args::{Args, Run},
    beforehand::{Wanted, begin, with_secrets},
    drive::{Drive, drive},
    dry_run,
    failure::Failure,
    load::Source,
    preflight::preflight,
    process::absolute,
    remote,
    server::{not_remote, server},
};
use crate::{
    compile::{Program, bind_params},
    decide,
    journal::{NewRun, RunId},
    report,
    runs::{
        Beginning, detached_log, new_id, read_here, refuse_choice, refuse_unreadable, unknown_step,
    },
    targets::{Folders, Targets},
    value::{Command as Cmd, Value},
};
use windlass_ground::disk;

/// The default of `--out`.
pub const OUT: &str = "out";

/// `windlass run WORKFLOW`: checks everything, then records the run, then drives it.
pub fn run(args: &Args, command: &Run) -> Done {
    let source = Source::of(&command.file, Path::new(""));
    let program = source.compile().map_err(Failure::before_a_run)?;
    if let Source::Shipped(name) = &source {
        let copy = report::command(Cmd::new("new").option("--from", name));
        say!("{name} is a workflow that Windlass ships; to copy and change it: {copy}");
    }
    run_program(args, command, program)
}

/// Runs a compiled workflow.
pub fn run_program(args: &Args, command: &Run, program: Program) -> Done {
    if let Some(there) = server(args)? {
        return remote::run(command, program, &there);
    }
    let params = bind_params(&program.workflow, command.params.asked(&program.workflow)?)?;
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let target = targets.find(&command.target)?;
    let is_elsewhere = args.on.is_some() || target.is_some_and(|t| t.substrate.is_some());
    // Workers read no files and no variables.
    let params = if is_elsewhere {
        account::block_on(read_here(&params))??
    } else {
        params
    };
    let local = params.clone();
    let params = Value::Map(params);
    let kube = preflight(args, &program.workflow, &params, &command.target)?;
    if is_elsewhere {
        refuse_out(command)?;
    }
    let target = target.map(|target| (command.target.as_str(), target));
    let out = absolute(&command.out)?;
    Folders {
        out: &out,
        state: &args.state,
        config,
        workflow: Source::of(&command.file, Path::new("")).path(),
    }
    .check()?;
    let beginning = begin(Wanted {
        chosen: chosen(command, &program)?,
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
        account::block_on(refuse_unreadable(&local))??;
    }
    if let Some((_, target)) = target.filter(|_| !command.no_dry_run) {
        let mut found = dry_run::ask(
            args,
            target,
            &program.workflow,
            &beginning.state,
            &kube,
            true,
        )?;
        // Workers have other permissions, and other network routes, than the user who starts a run.
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
            let run = journal.begin(new)?;
            if command.detach {
                let id = run.id().clone();
                // Dropping the run releases its lock, so that the other process can take it over.
                drop(run);
                return detach(args, command, &id);
            }
            (Held::Here(run), Vec::new())
        }
        Archive::Server(_) => {
            return Err(Failure::new(
                "server",
                "the run belongs to a server, which must start it",
            ));
        }
        #[cfg(feature = "restate")]
        Archive::Restate(server) => {
            let run = server.begin(id, &program.files);
            if command.detach {
                let id = run.id().clone();
                run.start(vec![event], &command.driving)?;
                return print_detached(&id);
            }
            (Held::Restate(run), vec![event])
        }
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

/// Refuses an output folder for a run that workers carry out.
fn refuse_out(command: &Run) -> Result<(), Failure> {
    if command.out == Path::new(OUT) {
        return Ok(());
    }
    let message = "--out names a folder on this machine, but workers write to their own folder";
    Err(not_remote(message).hint("`windlass worker --out DIR` names the folder of a worker"))
}

/// Returns the steps to which the run is limited; empty for all.
pub fn chosen(command: &Run, program: &Program) -> Result<BTreeSet<String>, Failure> {
    let workflow = &program.workflow;
    let chosen = match &command.until {
        Some(name) => {
            decide::steps_until(workflow, name).ok_or_else(|| unknown_step(workflow, name))?
        }
        None => command.only.iter().cloned().collect(),
    };
    refuse_choice(workflow, &chosen)?;
    Ok(chosen)
}

/// Lets another process drive a run that has been recorded.
fn detach(args: &Args, command: &Run, id: &RunId) -> Done {
    let log = detached_log(&args.state, id);
    let folder = disk::parent(&log);
    let failed = |what: &str, e: std::io::Error| {
        Failure::new("system", format!("can't {what}: {e}")).of_a_run()
    };
    fs::create_dir_all(folder).map_err(|e| failed("create a folder for its log", e))?;
    let output = fs::File::create(&log).map_err(|e| failed("write its log", e))?;
    let errors = output.try_clone().map_err(|e| failed("write its log", e))?;
    let program = env::current_exe().map_err(|e| failed("find this program", e))?;
    let mut resume = process::Command::new(program);
    for (option, value) in args.whereabouts() {
        resume.args([option, &value]);
    }
    resume.args([
        "resume",
        id.as_str(),
        "--max-parallel",
        &command.driving.max_parallel.to_string(),
    ]);
    if command.driving.wait {
        resume.arg("--wait");
    }
    if let Some(timeout) = command.driving.lock_timeout {
        resume.args(["--lock-timeout", &format!("{}s", timeout.as_secs().max(1))]);
    }
    resume.stdin(Stdio::null()).stdout(output).stderr(errors);
    // Ctrl-C and closing the terminal signal the group of this process, not that of the other one.
    resume.process_group(0);
    resume
        .spawn()
        .map_err(|e| failed("start another process", e))?;
    say!("what it prints is in {}", log.display());
    print_detached(id)
}

/// Prints the id of a run that continues without this process.
fn print_detached(id: &RunId) -> Done {
    let follow = report::command(Cmd::new("logs").arg(id).flag("-f"));
    say!("run {id} continues in the background; to follow it: {follow}");
    super::print(&format!("{id}\n"))
}
