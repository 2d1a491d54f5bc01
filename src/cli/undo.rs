use super::{
    Done,
    archive::Archive,
    args::{Args, Undo},
    confirm::{confirm, which},
    drive::{drive_to_end, open_target, undo_exit_code},
    exit,
    failure::Failure,
    in_doubt, print,
    process::{person, runtime},
    remote,
    taken::{frozen, look, refuse_out_elsewhere, take, use_out},
};
use crate::{
    execute::{UndoItem, undo_plan},
    journal::{Event, Outcome, RunId, State},
    report,
    runs::{self, Undoing},
    value::Command,
};

/// `windlass undo [RUN]`: reverses what the journal recorded.
pub fn undo(args: &Args, command: &Undo) -> Done {
    let (archive, id, mut state) = look(args, command.run.as_deref())?;
    runs::refuse_undo(&id, &state)?;
    refuse_out_elsewhere(&archive, command.out.as_deref())?;
    if let Archive::Server(there) = &archive {
        return remote::undo(&archive, there, command, (&id, state));
    }
    if matches!(archive, Archive::Here(_)) {
        use_out(&mut state, command.out.as_deref())?;
    }
    let (_, program) = frozen(&archive, &id, &state)?;
    let runtime = runtime(command.driving.max_parallel)?;
    let items = runtime.block_on(async {
        let open = open_target(args, &state, &[]).await?;
        let state = runs::after_events(&state, &events(&state, &command.answers)?)?;
        let target = state.run.as_ref().map_or("", |run| &run.target);
        let sight = archive.sight(target);
        Ok::<_, Failure>(undo_plan(&program.workflow, &state, &open.clients, sight).await)
    })?;
    runtime.shutdown_background();
    show_undo_plan(command, &id, &items)?;
    if items.is_empty() {
        suggest_earlier_run(&archive, &id, &state)?;
    }
    let refuse_before_newer = |state: &State| {
        let read = |run: &RunId| archive.state_of(run);
        runs::refuse_undo_before_newer(&id, state, archive.runs()?, read)
    };
    if !command.force {
        refuse_before_newer(&state)?;
    }
    if command.plan {
        return Ok(exit::SUCCEEDED);
    }
    if !confirm(command.yes, &format!("Undo {}?", which(&id, &state)))? {
        return Ok(exit::NOTHING_STARTED);
    }
    let mut taken = take(&archive, &id)?;
    if let (Some(run), Some(shown)) = (&mut taken.state.run, &state.run) {
        run.out.clone_from(&shown.out);
    }
    let shown = Undoing {
        force: command.force,
        events: Some(state.events),
    };
    // Another process may have undone or resumed it meanwhile, or begun a newer run.
    shown.refuse(&id, &taken.state, || refuse_before_newer(&taken.state))?;
    let events = events(&taken.state, &command.answers)?;
    let (ended, state) = drive_to_end(args, &command.driving, taken.drive(events))?;
    Ok(undo_exit_code(ended, &state))
}

/// Suggests the run before one that did nothing, such as one that was refused: the person may mean that one.
fn suggest_earlier_run(archive: &Archive, id: &RunId, state: &State) -> Result<(), Failure> {
    let Some(info) = &state.run else {
        return Ok(());
    };
    let runs = archive.runs()?.into_iter();
    let mut before = runs.skip_while(|run| run.id != *id).skip(1);
    let undone = Some(Outcome::Undone.as_str());
    let last = before.find(|run| (&run.workflow, &run.target) == (&info.workflow, &info.target));
    if let Some(last) = last.filter(|run| run.outcome.as_deref() != undone) {
        let undo = report::command(Command::new("undo").arg(&last.id));
        say!(
            "the run of {} before it has not been undone; to undo that one: {undo}",
            info.workflow
        );
    }
    Ok(())
}

/// Shows the plan of an undo: as the output if only the plan is wanted.
pub fn show_undo_plan(command: &Undo, id: &RunId, items: &[UndoItem]) -> Result<(), Failure> {
    if !command.plan {
        report::say(&report::undo_plan(id, items));
        return Ok(());
    }
    print(&if command.driving.json {
        report::json_text(&report::undo_json(items))
    } else {
        report::undo_plan(id, items)
    })?;
    Ok(())
}

/// Returns the events that an undo begins with.
fn events(state: &State, answers: &[String]) -> Result<Vec<Event>, Failure> {
    let answers = in_doubt::read_all(answers)?;
    runs::undo_events(state, &answers, &person()).map_err(in_doubt::refused)
}
