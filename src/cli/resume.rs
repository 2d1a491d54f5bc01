use super::{
    Done, account,
    archive::Archive,
    args::{Args, Resume},
    confirm::{confirm, which},
    drive::drive,
    exit,
    failure::Failure,
    in_doubt,
    load::Source,
    preflight::preflight,
    print,
    process::{now, person},
    remote,
    taken::{Taken, frozen, refuse_out_elsewhere, take, use_out},
};
use crate::{
    compile::Program,
    decide::{self, Change, Unplannable},
    journal::{RunEdited, RunId, RunRow},
    report,
    runs::{self, Revising},
    value::Command,
};

/// `windlass resume [RUN]`: continues with the files that the run began with. With `--edited` or `--redo`, first shows what
/// that changes.
pub fn resume(args: &Args, command: &Resume) -> Done {
    refuse_params_alone(command)?;
    let archive = Archive::open(args)?;
    #[cfg(feature = "restate")]
    if let Archive::Restate(server) = &archive
        && let Some(id) = server.not_begun(command.run.as_deref())?
    {
        server.remote.hasten(&id)?;
        say!(
            "no worker has taken up run {id} yet; Restate tries again, and it starts when a worker does"
        );
        return Ok(exit::WAITING);
    }
    let id = find(&archive, command)?;
    refuse_out_elsewhere(&archive, command.out.as_deref())?;
    if let Archive::Server(there) = &archive {
        return remote::resume(&archive, there, command, &id);
    }
    let is_changed = command.edited || command.plan || !command.redo.is_empty();
    #[cfg(feature = "restate")]
    if let Archive::Restate(server) = &archive
        && !is_changed
        && server.is_stuck(&id)?
    {
        return hasten(args, command, &archive, server, &id);
    }
    let mut taken = take(&archive, &id)?;
    if matches!(archive, Archive::Here(_)) {
        use_out(&mut taken.state, command.out.as_deref())?;
    }
    let workflow = &taken.program.workflow;
    runs::refuse_resume(&id, workflow, &taken.state, is_changed)?;
    if is_changed {
        return resume_changed(args, command, &archive, &id, taken);
    }
    let answers = in_doubt::read_all(&command.answers)?;
    let events = runs::resume_events_answered(workflow, (&id, &taken.state), &answers, &person())
        .map_err(in_doubt::refused)?;
    drive(args, &command.driving, taken.drive(events))
}

/// Resumes the parts of a run that Restate has paused, and lets it try again now what it would try again later.
#[cfg(feature = "restate")]
fn hasten(
    args: &Args,
    command: &Resume,
    archive: &Archive,
    server: &super::restate::RestateServer,
    id: &RunId,
) -> Done {
    if !command.answers.is_empty() {
        let message = format!("Restate drives run {id}, so no answer can be given now");
        return Err(Failure::new("bad-answer", message).hint(
            "resume it without --answer first; if it ends with the call still in doubt, answer then",
        ));
    }
    let Some(run) = server.hasten(id)? else {
        let message = format!("nothing of run {id} is paused any longer: it continues by itself");
        let logs = report::command(Command::new("logs").arg(id).flag("-f"));
        return Err(Failure::new("run-owned", message).hint(format!("to watch it: {logs}")));
    };
    let state = archive.state_of(id)?;
    let (_, program) = frozen(archive, id, &state)?;
    let run = super::drive::Drive {
        run: super::archive::Held::Restate(run),
        program,
        state,
        events: Vec::new(),
    };
    drive(args, &command.driving, run)
}

/// Shows what a resume with other files, params or repeated steps does, and does it.
fn resume_changed(
    args: &Args,
    command: &Resume,
    archive: &Archive,
    id: &RunId,
    mut taken: Taken,
) -> Done {
    let edit = if command.edited {
        Some(read_edit(args, command, archive, &taken)?)
    } else {
        None
    };
    let state = runs::after_edit(&taken.state, edit.as_ref().map(|(_, edited)| edited));
    let state = in_doubt::after(state, &command.answers)?;
    let new = edit.as_ref().map_or(&taken.program, |(program, _)| program);
    let plan = decide::plan(&Change {
        old: &taken.program.workflow,
        new: &new.workflow,
        state: &state,
        run_id: id.as_str(),
        redo: &command.redo,
        is_edited: edit.is_some(),
    });
    let plan = plan.map_err(|why| unplannable(id, &why))?;
    if command.plan {
        return print(&if command.driving.json {
            report::json_text(&report::plan_json(&plan))
        } else {
            report::resume_plan(id, &plan)
        });
    }
    report::say(&report::resume_plan(id, &plan));
    let question = format!("Apply this plan to {}?", which(id, &taken.state));
    if !confirm(command.yes, &question)? {
        return Ok(exit::NOTHING_STARTED);
    }
    let (program, edited) = match edit {
        None => (None, None),
        Some((program, edited)) => {
            taken.run.freeze(edited.edition, &program.files)?;
            (Some(program), Some(edited))
        }
    };
    let revising = Revising {
        redo: &command.redo,
        edited,
        plan: plan.events,
        answers: &in_doubt::read_all(&command.answers)?,
    };
    let next = program.as_ref().unwrap_or(&taken.program);
    let events = runs::revision_events(&next.workflow, &taken.state, revising, &person())
        .map_err(in_doubt::refused)?;
    if let Some(program) = program {
        taken.program = program;
    }
    drive(args, &command.driving, taken.drive(events))
}

fn unplannable(id: &RunId, why: &Unplannable) -> Failure {
    match why {
        Unplannable::NothingToRedo(_) | Unplannable::Gone(_) => Failure::new("unknown-step", why.to_string())
            .hint(format!("`windlass show {id}` lists the steps")),
        Unplannable::WouldFail { error, .. } => {
            let failure = Failure::new("params", why.to_string());
            match &error.hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        }
        Unplannable::NotSelected(_) => {
            Failure::new("bad-choice", why.to_string()).hint("start another run for it")
        }
        Unplannable::Unnamed { step, .. } => Failure::new("unnamed-items", why.to_string()).hint(
            format!("name them (`key: ${{{{ item.name }}}}`), or run all of them again with --redo {step}"),
        ),
    }
}

/// Reads the current files of a run, and the params for them.
fn read_edit(
    args: &Args,
    command: &Resume,
    archive: &Archive,
    taken: &Taken,
) -> Result<(Program, RunEdited), Failure> {
    let program = Source::of_run(&taken.info).compile()?;
    let program = program.replacing(&taken.program, taken.info.edition);
    runs::refuse_edited_choice(&program.workflow, &taken.info.chosen)?;
    // A run keeps its params, so a variable that was set later does not change them.
    let mut given = command.params.named(&program.workflow)?;
    // Workers read no files and no variables.
    if archive.asks_workers() {
        given = account::block_on(runs::read_here(&given))??;
    }
    let params = runs::params_now(&taken.info, &program.workflow, given)?;
    let kube = preflight(args, &program.workflow, &params, &taken.info.target)?;
    let secrets = archive.digest_secrets(&params)?;
    let edited = runs::edited(&taken.info, &program, params, kube, secrets);
    Ok((program, edited))
}

/// Refuses other params for a run that keeps its own: ignoring them would be misleading.
fn refuse_params_alone(command: &Resume) -> Result<(), Failure> {
    if command.params.are_given() && !command.edited {
        Err(
        Failure::new("params", "a resume uses the params that the run has")
            .hint("`windlass resume --edited -p NAME=VALUE` uses others, and shows first what that changes"),
    )
    } else {
        Ok(())
    }
}

fn find(archive: &Archive, command: &Resume) -> Result<RunId, Failure> {
    let part = command.run.as_deref();
    // A run that has succeeded can still be edited.
    if part.is_some() || command.edited || !command.redo.is_empty() {
        return archive.find_to_change(part);
    }
    let runs = archive.runs()?;
    if runs.is_empty() {
        return archive.find(None);
    }
    let is_open = |run: &RunRow| {
        let over = ["succeeded", "undone", "undo failed"];
        !run.outcome
            .as_deref()
            .is_some_and(|outcome| over.contains(&outcome))
    };
    let newest = runs.iter().find(|run| is_open(run));
    let newest = newest.ok_or_else(|| nothing_to_resume(&runs))?;
    let mut chosen = newest.id.clone();
    // Each run holds a lock for which the one before it waits.
    for _ in 0..runs.len() {
        match held_up_by(archive, &chosen)? {
            Some(holder) if runs.iter().any(|run| run.id == holder && is_open(run)) => {
                say!("run {chosen} waits for a lock of run {holder}, which is resumed instead");
                chosen = holder;
            }
            _ => break,
        }
    }
    Ok(chosen)
}

/// Returns the error of a resume without RUN where no run can be resumed.
fn nothing_to_resume(runs: &[RunRow]) -> Failure {
    let half_undone = runs
        .iter()
        .find(|run| run.outcome.as_deref() == Some("undo failed"));
    match half_undone {
        Some(run) => {
            let message = format!("the undo of run {} has not succeeded yet", run.id);
            let undo = report::command(Command::new("undo").arg(&run.id));
            Failure::new("nothing-to-resume", message).hint(format!("to continue it: {undo}"))
        }
        None => {
            let message = "every run here has succeeded, or was undone";
            Failure::new("nothing-to-resume", message).hint("`windlass runs` lists them")
        }
    }
}

/// Returns the run that holds a lock which this run needs, if no process drives it. Returns `None` for a run that can't be read: taking it
/// over reports the reason.
fn held_up_by(archive: &Archive, run: &RunId) -> Result<Option<RunId>, Failure> {
    let Ok((program, state)) = archive.state_of(run).and_then(|state| {
        let (_, program) = frozen(archive, run, &state)?;
        Ok((program, state))
    }) else {
        return Ok(None);
    };
    for lock in decide::wanted_locks(&program.workflow, &state, run.as_str(), now()) {
        if let Some(holder) = archive.holder_of(&lock)?
            && holder != *run
            && !archive.is_owned(&holder)?
        {
            return Ok(Some(holder));
        }
    }
    Ok(None)
}
