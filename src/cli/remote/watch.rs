use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    cli::{
        args::Driving,
        drive,
        failure::Failure,
        process::{OnHangUp, farewell, runtime, watch_for_interrupts},
    },
    compile::Program,
    execute::{Cancel, DriveError, Ended, Observer},
    journal::{Event, Logged, RunId, State, Status},
    runs::{Kind, Person, Runs, There},
};

/// How long without news before it is checked whether the run waits for people.
const PAUSE: Duration = Duration::from_millis(200);
/// How long without news before the server is asked what blocks the run.
const SILENCE: Duration = Duration::from_secs(2);

/// Shows the events of a server's run from `state` on, until it ends or waits for people. Returns its last state as well: the caller chooses the
/// exit code.
pub fn follow(
    there: &There,
    driving: &Driving,
    id: &RunId,
    program: Program,
    mut state: State,
) -> Result<(Ended, State), Failure> {
    let threads = runtime(1)?;
    let cancel = Cancel::default();
    threads.block_on(async { watch_for_interrupts(cancel.clone(), farewell(id), OnHangUp::Leave) });
    let observer = drive::observer(&program, id);
    let following = there.follow(id, state.events);
    let (mut has_asked, mut news, mut told) = (false, Instant::now(), BTreeSet::new());
    let (mut tried, mut is_lost): (Option<Instant>, bool) = (None, false);
    let ended = loop {
        if cancel.is_cancelled()
            && !has_asked
            && tried.is_none_or(|tried| tried.elapsed() > SILENCE)
        {
            has_asked = ask_to_cancel(there, id, tried.is_none())?;
            tried = Some(Instant::now());
        }
        let next = following.next(PAUSE);
        let Some(record) = next.map_err(|error| lost(id, error.message))? else {
            if !driving.wait && waits_for_people(&state) {
                break Ended::Waiting;
            }
            if news.elapsed() > SILENCE {
                news = Instant::now();
                let lost = following.lost();
                match &lost {
                    Some(why) if !is_lost => {
                        say!(
                            "{why}; run {id} continues on the server, and is shown again once it answers"
                        );
                    }
                    Some(_) => {}
                    None => tell_what_keeps_it(there, id, &mut told, &*observer),
                }
                is_lost = lost.is_some();
            }
            continue;
        };
        news = Instant::now();
        state
            .apply(&record.event, record.at)
            .map_err(DriveError::from)?;
        if let Event::Logged(Logged { step, message, .. }) = &record.event {
            observer.said(step, message);
        }
        let is_end = matches!(record.event, Event::RunEnded(_));
        observer.happened(&[record.event], &state);
        if let (true, Some(outcome)) = (is_end, state.outcome) {
            break Ended::Over(outcome);
        }
    };
    // The exit code shows how the run ended, even if that could not be printed.
    if let Err(failure) = drive::show_end(driving, id, (&program, &state), there.url(), true) {
        failure.report();
    }
    Ok((ended, state))
}

/// Asks the server to cancel the run; returns `false` if the request must be repeated.
fn ask_to_cancel(there: &There, id: &RunId, is_first: bool) -> Result<bool, Failure> {
    match there.cancel(id, &caller(there)) {
        Ok(()) => Ok(true),
        // It has just ended: its last events follow.
        Err(error) if error.code == "nothing-to-cancel" => Ok(true),
        Err(error) if error.kind == Kind::Busy => {
            if is_first {
                say!(
                    "the server may not know that the run is to be cancelled; it is asked again: {error}"
                );
            }
            Ok(false)
        }
        Err(error) => Err(Failure::from(error)
            .hint(format!(
                "the run continues on the server; to watch it: `windlass logs {id} -f`"
            ))
            .of_a_run()),
    }
}

/// Returns the user of this command, under the name on the server.
pub fn caller(there: &There) -> Person {
    Person {
        name: there.name().to_owned(),
        via: None,
    }
}

/// Says whether nothing can happen until a person answers.
pub fn waits_for_people(state: &State) -> bool {
    let mut asks = false;
    for instance in state.steps.values().filter(|i| !i.is_composite()) {
        match instance.status {
            Status::Running | Status::Retrying { .. } => return false,
            Status::Waiting => asks = true,
            _ => {}
        }
    }
    asks
}

fn tell_what_keeps_it(
    there: &There,
    id: &RunId,
    told: &mut BTreeSet<String>,
    observer: &dyn Observer,
) {
    if let Some(why) = there.trouble(id)
        && told.insert(why.clone())
    {
        observer.held_up(&why);
    }
    if let Some((lock, holder)) = there.waits_for(id)
        && told.insert(format!("{lock} {holder}"))
    {
        observer.waits_for(&lock, &holder);
    }
}

/// Stops watching; the run continues.
fn lost(id: &RunId, why: String) -> Failure {
    let message = format!("run {id} can't be watched any longer: {why}");
    Failure::new("server", message)
        .hint(format!(
            "it continues on the server; to watch it: `windlass logs {id} -f`"
        ))
        .of_a_run()
}
