use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use super::{
    Done,
    archive::Archive,
    args::{Args, Logs},
    exit,
    failure::Failure,
    print, print_text,
};
use crate::{
    journal::{Event, InstanceId, Record, RunId},
    report::{self, EventLines, event_json},
    runs::There,
    script::{closest, did_you_mean},
    value::Digest,
};

/// How often a followed run is checked.
const PAUSE: Duration = Duration::from_millis(200);
/// How long Restate may be away while a run is followed, as for `windlass run`.
const PATIENCE: Duration = Duration::from_secs(300);

/// `windlass logs [RUN] [STEP] [-f]`: prints the journal for people.
pub fn logs(args: &Args, command: &Logs) -> Done {
    let archive = Archive::open(args)?;
    let id = archive.find(command.run.as_deref())?;
    let (mut next, mut digest) = (0, Digest::ZERO);
    let mut lines = EventLines::default();
    let mut reached = Instant::now();
    loop {
        let (mut text, mut has_ended, mut is_known) = (String::new(), false, false);
        let mut names = BTreeSet::new();
        let walked = archive.walk(&id, next, digest, |record| {
            (next, digest) = (record.seq + 1, record.digest);
            has_ended = matches!(record.event, Event::RunEnded(_));
            if !is_wanted(&record, command.step.as_deref()) {
                if let (Some(step), false) = (record.event.step(), is_known) {
                    names.insert(step.clone());
                }
                return;
            }
            is_known = true;
            text.push_str(&if command.json {
                report::json_line(&event_json(&record))
            } else {
                lines.line(&record, command.full) + "\n"
            });
        });
        match walked {
            Ok(()) => reached = Instant::now(),
            // Restate is being restarted.
            Err(failure) if command.follow && next > 0 && failure.is("engine") => {
                if reached.elapsed() > PATIENCE {
                    return Err(failure);
                }
            }
            Err(failure) => return Err(failure),
        }
        // A run that has not ended may still reach it.
        if let (Some(step), false, true) = (&command.step, is_known, has_ended || !command.follow) {
            return Err(no_step(&id, &names, step));
        }
        if command.json {
            print(&text)?
        } else {
            print_text(&text)?
        };
        if !command.follow || has_ended {
            return Ok(exit::SUCCEEDED);
        }
        if let Archive::Server(there) = &archive {
            return follow(there, command, &id, next, lines);
        }
        thread::sleep(PAUSE);
    }
}

/// Prints the events of a server's run from its event `next` on, until the run ends.
fn follow(there: &There, command: &Logs, id: &RunId, next: u64, mut lines: EventLines) -> Done {
    let following = there.follow(id, next);
    loop {
        let Some(record) = following.next(PAUSE)? else {
            continue;
        };
        if is_wanted(&record, command.step.as_deref()) {
            if command.json {
                print(&report::json_line(&event_json(&record)))?
            } else {
                print_text(&format!("{}\n", lines.line(&record, command.full)))?
            };
        }
        if matches!(record.event, Event::RunEnded(_)) {
            return Ok(exit::SUCCEEDED);
        }
    }
}

fn no_step(id: &RunId, steps: &BTreeSet<InstanceId>, wanted: &str) -> Failure {
    let failure = Failure::new(
        "unknown-step",
        format!("the run has started no step `{wanted}`"),
    );
    match closest(wanted, steps.iter().map(InstanceId::as_str)) {
        Some(name) => failure.hint(did_you_mean(name)),
        None => failure.hint(format!("`windlass show {id}` lists the steps")),
    }
}

fn is_wanted(record: &Record, step: Option<&str>) -> bool {
    let (Some(wanted), Some(step)) = (step, record.event.step()) else {
        return step.is_none();
    };
    // The undo of a step belongs to the step.
    let of = step.undone().unwrap_or_else(|| step.clone());
    step.as_str() == wanted
        || std::iter::successors(Some(of), InstanceId::parent).any(|outer| outer.as_str() == wanted)
}
