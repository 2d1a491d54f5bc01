use std::{collections::BTreeSet, thread, time::Duration};

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
    report::{EventLines, event_json},
    script::closest,
    value::Digest,
};

/// How often a followed run is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// `windlass logs [RUN] [STEP] [-f]`: the journal, for reading.
pub fn logs(args: &Args, command: &Logs) -> Done {
    let archive = Archive::open(args)?;
    let id = archive.find(command.run.as_deref())?;
    let (mut next, mut digest) = (0, Digest::ZERO);
    let mut lines = EventLines::default();
    loop {
        let records = archive.load_from(&id, next, digest)?;
        if let Some(last) = records.last() {
            (next, digest) = (last.seq + 1, last.digest);
        }
        let wanted: Vec<_> = records
            .iter()
            .filter(|record| is_wanted(record, command.step.as_deref()))
            .collect();
        // A run that goes on may still come to it.
        if let (Some(step), true, false) = (&command.step, wanted.is_empty(), command.follow) {
            return Err(no_step(&id, &records, step));
        }
        let text: String = wanted
            .into_iter()
            .map(|record| match command.json {
                true => format!("{}\n", event_json(record)),
                false => format!("{}\n", lines.line(record, command.full)),
            })
            .collect();
        match command.json {
            true => print(&text)?,
            false => print_text(&text)?,
        };
        let has_ended = matches!(
            records.last().map(|r| &r.event),
            Some(Event::RunEnded { .. })
        );
        if !command.follow || has_ended {
            return Ok(exit::SUCCEEDED);
        }
        thread::sleep(PAUSE);
    }
}

fn no_step(id: &RunId, records: &[Record], wanted: &str) -> Failure {
    let steps = records.iter().filter_map(|record| record.event.step());
    let names: BTreeSet<_> = steps.map(InstanceId::as_str).collect();
    let failure = Failure::new(
        "unknown-step",
        format!("no step `{wanted}` of the run has begun"),
    );
    match closest(wanted, names.into_iter()) {
        Some(name) => failure.hint(format!("did you mean `{name}`?")),
        None => failure.hint(format!("`windlass show {id}` lists the steps")),
    }
}

fn is_wanted(record: &Record, step: Option<&str>) -> bool {
    let (Some(wanted), Some(step)) = (step, record.event.step()) else {
        return step.is_none();
    };
    // The undo of a step is a part of it.
    let of = step.undone().unwrap_or_else(|| step.clone());
    step.as_str() == wanted
        || std::iter::successors(Some(of), InstanceId::parent).any(|outer| outer.as_str() == wanted)
}
