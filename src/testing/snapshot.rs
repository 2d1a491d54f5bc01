//! Snapshots: files for people that contain everything a test checks.

use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    judge::{Problem, diff, flow, shown},
    outcome::Outcome,
};
use crate::disk;

/// Returns the path of a snapshot of a test file: `snapshots/NAME.snap` beside it.
pub fn path_of(file: &Path, name: &str) -> PathBuf {
    file.with_file_name("snapshots")
        .join(format!("{name}.snap"))
}

/// What is done with a snapshot that is missing or differs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Compares,
    /// It is written: `--accept`.
    Accepts,
    /// It would be written, but the test fails otherwise, so that what was found may be wrong.
    Refuses,
}

/// Compares an outcome with its snapshot, or writes the snapshot.
///
/// # Errors
/// A file that can't be read or written.
pub fn check(path: &Path, outcome: &Outcome, mode: Mode) -> io::Result<Option<Problem>> {
    let found = text_of(outcome);
    let wanted = disk::read_if_there(path)?;
    if wanted.as_deref() == Some(&*found) {
        return Ok(None);
    }
    if mode == Mode::Accepts {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, found)?;
        return Ok(None);
    }
    let hint = match mode {
        Mode::Refuses => "not accepted, because the test has other problems: fix these first",
        _ => "to accept what was found: `windlass test --accept`",
    };
    Ok(Some(match wanted {
        Some(wanted) => Problem::new(format!("the run does not match {}", path.display()))
            .with(format!("{}\n{hint}", diff(&wanted, &found))),
        None => Problem::new(format!("the snapshot {} does not exist", path.display())).with(hint),
    }))
}

fn text_of(outcome: &Outcome) -> String {
    let mut text = format!("status: {}\n", outcome.status());
    let mut section = |name: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{name}:");
            lines.iter().for_each(|line| {
                let _ = writeln!(text, "  {}", line.trim_end().replace('\n', "\n    "));
            });
        }
    };
    let errors = outcome
        .errors()
        .into_iter()
        .map(|(step, error)| match step {
            Some(step) => format!("{step}: {}", error.message),
            None => error.message.clone(),
        });
    section("errors", errors.collect());
    section(
        "steps",
        outcome
            .steps()
            .iter()
            .map(|(step, status)| format!("{step}: {status}"))
            .collect(),
    );
    section("undone", outcome.undone.clone());
    section(
        "calls",
        outcome
            .left()
            .map(|line| format!("{}: {}", line.step, shown(line)))
            .collect(),
    );
    let outputs = outcome.outputs().as_map().into_iter().flatten();
    section(
        "outputs",
        outputs
            .map(|(name, value)| format!("{name}: {}", flow(&value.to_json())))
            .collect(),
    );
    let files = outcome.files.iter().map(|(name, file)| {
        match (file.is_secret, std::str::from_utf8(&file.content)) {
            (true, _) => format!("{name}: {}", crate::value::MASK),
            (false, Ok(content)) => format!("{name}:\n{content}"),
            (false, Err(_)) => format!("{name}: {} bytes", file.content.len()),
        }
    });
    section("files", files.collect());
    section("logs", outcome.logs.clone());
    outcome.without_folder(&text)
}
