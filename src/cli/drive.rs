//! Drives a run to its end and shows it; shared by `run` and `resume`.

use std::{collections::BTreeMap, env, io::IsTerminal, path::Path, sync::Arc};

use console::Term;

use super::{
    account,
    archive::Held,
    args::{Args, Driving},
    exit,
    failure::Failure,
    load::Source,
    logging, print,
    process::{OnHangUp, jitter, now, runtime, watch_for_interrupts},
};
use crate::{
    compile::Program,
    execute::{self, Cancel, Ended, Observer, Settings},
    journal::{Event, JOURNAL, Journal, Outcome, RunEdited, RunId, RunJournal, State},
    outside,
    report::{self, Bars, Detail, JsonView, Lines, Room, View},
    targets::{Folders, OpenTarget, Targets},
    telemetry,
    value::{Command, StepError},
};

/// A run that is about to be driven.
pub struct Drive {
    pub run: Held,
    pub program: Program,
    pub state: State,
    pub events: Vec<Event>,
}

/// Drives a run and shows how it ended. Returns the exit code for that.
pub fn drive(args: &Args, driving: &Driving, drive: Drive) -> super::Done {
    let (ended, state) = drive_to_end(args, driving, drive)?;
    Ok(exit_code(ended, &state))
}

/// Returns the exit code for the end of a run with this state.
pub fn exit_code(ended: Ended, state: &State) -> u8 {
    match ended {
        ended if is_stopped_undo(ended, state) => exit::CANCELLED,
        Ended::Over(Outcome::Succeeded) => exit::SUCCEEDED,
        Ended::Over(Outcome::Failed | Outcome::Undone | Outcome::UndoFailed) => exit::FAILED,
        Ended::Over(Outcome::Cancelled) => exit::CANCELLED,
        Ended::Waiting => exit::WAITING,
    }
}

/// Returns the exit code for the end of an undo, of a run with this state.
pub fn undo_exit_code(ended: Ended, state: &State) -> u8 {
    match ended {
        Ended::Over(Outcome::Undone) => exit::SUCCEEDED,
        ended => exit_code(ended, state),
    }
}

/// Says whether a person stopped an undo, which another undo continues.
fn is_stopped_undo(ended: Ended, state: &State) -> bool {
    matches!(ended, Ended::Over(Outcome::UndoFailed)) && state.is_cancelled
}

/// Shows what happens in a run: bars on a terminal, lines otherwise.
pub fn observer(program: &Program, id: &RunId) -> Arc<dyn Observer> {
    if std::io::stderr().is_terminal() {
        Arc::new(Bars::new(program.workflow.clone(), id.clone()))
    } else {
        Arc::new(Lines(id.clone()))
    }
}

/// Like [`drive`], for a command that chooses the exit code itself.
pub fn drive_to_end(
    args: &Args,
    driving: &Driving,
    drive: Drive,
) -> Result<(Ended, State), Failure> {
    let Drive {
        run,
        program,
        state,
        events,
    } = drive;
    let id = run.id().clone();
    run.repeat_where();
    let observer = observer(&program, &id);
    let (ended, state, kept, by_restate) = match run {
        Held::Here(run) => {
            let driven = drive_here(args, driving, run, (&program, state, events), observer);
            if let Err(failure) = &driven
                && failure.is("lock-timeout")
                && driving.json
            {
                // A job needs the id of the run, which is recorded.
                print_recorded(args, &id, &program)?;
            }
            let (ended, state) = driven?;
            let journal = args.state.join(JOURNAL);
            let kept = journal.display().to_string();
            (ended, state, kept, false)
        }
        #[cfg(feature = "restate")]
        Held::Restate(run) => {
            let kept = run.place();
            let (ended, seen) = run.drive(events, driving, &observer)?;
            // A run that could not begin has no events yet.
            let state = if seen.run.is_none() { state } else { seen };
            (ended, state, kept, true)
        }
    };
    // The exit code shows how the run ended, even if that could not be printed.
    if let Err(failure) = show_end(driving, &id, (&program, &state), &kept, by_restate) {
        failure.report();
    }
    Ok((ended, state))
}

/// Prints a run as its journal has it.
fn print_recorded(args: &Args, id: &RunId, program: &Program) -> Result<(), Failure> {
    let state = Journal::open(&args.state)?.state_of(id)?;
    let view = JsonView {
        workflow: Some(&program.workflow),
        is_driven: false,
        now: now(),
    };
    print(&report::json_text(&report::run_json(id, &state, &view)))?;
    Ok(())
}

/// Drives a run in this process.
pub fn drive_here(
    args: &Args,
    driving: &Driving,
    run: RunJournal,
    (program, state, events): (&Program, State, Vec<Event>),
    observer: Arc<dyn Observer>,
) -> Result<(Ended, State), Failure> {
    logging::start_traces();
    let runtime = runtime(driving.max_parallel)?;
    let id = run.id().clone();
    let observer = telemetry::observing(&id, observer);
    let ended = runtime.block_on(async {
        let cancel = Cancel::default();
        let is_undo = state.is_undoing
            || events
                .iter()
                .any(|event| matches!(event, Event::UndoStarted(_)));
        let again = Command::new(if is_undo { "undo" } else { "resume" });
        let farewell = format!("stopped. To continue: {}", report::command(again.arg(&id)));
        // The run is recorded, so it is cancelled from here on, also while the target is opened.
        watch_for_interrupts(cancel.clone(), farewell, OnHangUp::Cancel);
        let open = open_target(args, &state, &events).await?;
        if let Some(line) = account::line_of_run(&program.workflow, &open.clients).await {
            say!("{line}");
        }
        let settings = Settings {
            clients: open.clients.clone(),
            max_parallel: driving.max_parallel.into(),
            observer,
            cancel,
            waits_for_people: driving.wait,
            lock_timeout: driving.lock_timeout,
            clock: now,
            jitter,
            stage: None,
        };
        let ended = execute::drive(run, program, state, events, settings).await;
        Ok::<_, Failure>(ended?)
    });
    match &ended {
        Ok(_) => runtime.shutdown_background(),
        // Attempts may still wait, and would panic when the timers of their runtime end. They must not delay the end either, so the
        // runtime is left to the end of the process.
        Err(_) => std::mem::forget(runtime),
    }
    outside::kill_programs();
    telemetry::flush();
    ended
}

/// Opens the target on which a run began, with its output folder; an edit among the `events` with which the run continues may name
/// other clusters.
pub async fn open_target(
    args: &Args,
    state: &State,
    events: &[Event],
) -> Result<OpenTarget, Failure> {
    let run = state
        .run
        .as_ref()
        .ok_or_else(|| Failure::new("journal", "the run was never started"))?;
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let target = targets.find(&run.target)?;
    let edited = events.iter().rev().find_map(|event| match event {
        Event::RunEdited(RunEdited { kube, .. }) => Some(kube),
        _ => None,
    });
    let clusters = edited.unwrap_or(&run.kube).clone();
    let workflow = Source::of_run(run);
    let folders = Folders {
        out: Path::new(&run.out),
        state: &args.state,
        config,
        workflow: workflow.path(),
    };
    Ok(OpenTarget::open(target, folders, clusters).await?)
}

/// Shows how a run ended, and where it is recorded.
pub fn show_end(
    driving: &Driving,
    id: &RunId,
    (program, state): (&Program, &State),
    kept: &str,
    by_restate: bool,
) -> super::Done {
    let folder = env::current_dir().unwrap_or_default();
    // Restate continues to drive the run even if no process watches it.
    let is_driven = by_restate;
    say!("\n{}\n", report::headline(id, state, is_driven, now()));
    report::say(&report::summary(
        &program.workflow,
        state,
        View {
            folder: &folder,
            detail: Detail::Brief,
            room: Room::of(&Term::stderr()),
            is_driven,
            now: now(),
        },
    ));
    let problems = problems(id, state, &program.files);
    if state.outcome == Some(Outcome::Undone) && !problems.is_empty() {
        say!("\nbefore it was undone, it had failed:");
    }
    for problem in problems {
        say!("\n{problem}");
    }
    let show = report::command(Command::new("show").arg(id));
    say!("\nrecorded in {kept} · {show}");
    for line in report::next_steps(id, state, by_restate, now()) {
        say!("{line}");
    }
    if driving.json {
        let view = JsonView {
            workflow: Some(&program.workflow),
            is_driven,
            now: now(),
        };
        print(&report::json_text(&report::run_json(id, state, &view)))
    } else {
        Ok(exit::SUCCEEDED)
    }
}

/// Returns the errors that a run ended with, as they are shown.
pub fn problems(id: &RunId, state: &State, files: &BTreeMap<String, Arc<str>>) -> Vec<String> {
    let errors = report::errors(state).into_iter();
    errors
        .map(|(step, error)| {
            let hint = report::hint(state, step, error).map(str::to_owned);
            let error = StepError {
                hint,
                ..error.clone()
            };
            report::render_error(id, step, &error, files)
        })
        .collect()
}
