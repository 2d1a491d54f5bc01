use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    Done,
    archive::Archive,
    args::{Args, Audit},
    failure::Failure,
    print,
};
use crate::{
    compile::digest_of,
    journal::{self, Event, Link, Outcome, Record, RunId, State},
    report,
    value::{Command, Digest},
};

/// Goes up when the bundle changes.
const FORMAT: &str = "windlass-evidence/1";

/// What `--bundle` writes and `--verify` reads: everything about a run that is no secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    format: String,
    run: RunId,
    /// The version of windlass that wrote it.
    windlass: String,
    events: Vec<Link>,
    /// The frozen files, by edition.
    files: BTreeMap<u32, BTreeMap<String, String>>,
}

/// `windlass audit [RUN] [--bundle FILE]` and `windlass audit --verify FILE`.
pub fn audit(args: &Args, command: &Audit) -> Done {
    let bundle = match &command.verify {
        Some(path) => read(path)?,
        None => collect(args, command.run.as_deref())?,
    };
    let checked = journal::verify(&bundle.run, &bundle.events).map_err(Failure::from);
    let checked = checked.and_then(|(state, records)| {
        check_files(&bundle, &records)?;
        Ok((state, records))
    });
    let (state, records) = checked.map_err(|failure| match &command.verify {
        Some(path) => failure.hint(format!(
            "{} is not what was written: somebody or something changed it; ask for it once more",
            path.display()
        )),
        None => failure,
    })?;
    if let Some(path) = &command.bundle {
        let text = serde_json::to_string_pretty(&bundle)
            .map_err(|e| Failure::new("output", format!("can't write the bundle: {e}")))?;
        fs::write(path, text + "\n")
            .map_err(|e| Failure::new("output", format!("can't write {}: {e}", path.display())))?;
        let verify = Command::new("audit").option("--verify", path.display());
        say!("wrote {}. To check it: {verify}", path.display());
    }
    print(&match command.json {
        true => format!("{:#}\n", report::audit_json(&bundle.run, &state, &records)),
        false => report::audit(&bundle.run, &state, &records),
    })
}

fn collect(args: &Args, part: Option<&str>) -> Result<Bundle, Failure> {
    let archive = Archive::open(args)?;
    let run = archive.find(part)?;
    let events = archive.evidence(&run)?;
    let (state, _): (State, _) = journal::verify(&run, &events)?;
    check_list(&archive, &run, &state)?;
    let newest = state.run.as_ref().map_or(0, |run| run.edition);
    let files = (0..=newest)
        .map(|edition| {
            let files = archive.files(&run, edition)?;
            let texts = files
                .into_iter()
                .map(|(path, text)| (path, text.to_string()));
            Ok((edition, texts.collect()))
        })
        .collect::<Result<_, Failure>>()?;
    Ok(Bundle {
        format: FORMAT.into(),
        run,
        windlass: env!("CARGO_PKG_VERSION").into(),
        events,
        files,
    })
}

/// Holds what lists show of the run against its events.
fn check_list(archive: &Archive, run: &RunId, state: &State) -> Result<(), Failure> {
    let runs = archive.runs()?;
    let row = runs.iter().find(|row| row.id == *run);
    let is_true = row.zip(state.run.as_ref()).is_some_and(|(row, info)| {
        let told = (&row.workflow, &row.file, &row.target, row.started_at);
        let outcome = state.outcome.map(Outcome::as_str);
        told == (&info.workflow, &info.file, &info.target, info.started_at)
            && row.ended_at == state.ended_at
            && (row.outcome.as_deref() == outcome || state.outcome.is_none())
    });
    match is_true {
        true => Ok(()),
        false => Err(Failure::new(
            "journal",
            format!("the list of runs does not say of run {run} what its events say"),
        )
        .hint("somebody or something changed the journal; restore it from a backup")),
    }
}

fn read(path: &Path) -> Result<Bundle, Failure> {
    let wrong = |why: String| Failure::new("bad-bundle", format!("{}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let bundle: Bundle = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    match bundle.format == FORMAT {
        true => Ok(bundle),
        false => Err(wrong(format!(
            "its format is {}, not {FORMAT}",
            bundle.format
        ))),
    }
}

/// Holds the files against the digests that the events name.
fn check_files(bundle: &Bundle, records: &[Record]) -> Result<(), Failure> {
    let named = records.iter().filter_map(|record| match &record.event {
        Event::RunStarted { program, .. } => Some((0, *program)),
        Event::RunEdited {
            program, edition, ..
        } => Some((*edition, *program)),
        _ => None,
    });
    for (edition, program) in named {
        let digest = bundle.files.get(&edition).map_or(Digest::ZERO, digest_of);
        if digest != program {
            let message = format!(
                "the files of run {} (edition {edition}) are not those that it ran",
                bundle.run
            );
            return Err(Failure::new("journal", message));
        }
    }
    Ok(())
}
