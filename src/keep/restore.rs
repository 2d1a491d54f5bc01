use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    backup::{Failed, IDENTITY, copy, unreadable, unwritable},
    draft::{Draft, refuse_stopped},
    manifest::{MANIFEST, MOST, Manifest, STATE, bad_backup},
};
use crate::{
    disk,
    journal::{ATTEMPT_KILLED, Event, JOURNAL, Journal, RunId, Status, StepFailed, holds_secrets},
    runs::{RunsError, now, verified},
    triggers::TriggerBook,
    value::{Digest, StepError},
};
use tar::{Archive, Entry};
use windlass_ground::{Timestamp, private};

const DRAFTS: &str = ".windlass-restore-";

/// The contents of a backup, after all of it has been verified.
#[derive(Debug)]
pub struct Restored {
    /// Whether its journal holds secrets, and it has no identity with which they could be read.
    pub lacks_identity: bool,
    /// When the backup was taken.
    pub at: Timestamp,
    pub runs: usize,
    /// The runs that had not ended, newest first.
    pub unfinished: Vec<RunId>,
    /// How many triggers there are: starts that were due since the backup are not made late.
    pub triggers: usize,
    /// The runs whose records are damaged, or whose secrets its identity does not open, each with the reason, newest first.
    pub damaged: Vec<(RunId, String)>,
    /// How many attempts of steps were running when the backup was taken.
    pub suspect: usize,
}

/// Creates a state folder from a backup. The folder appears as a whole, after the digest of every file and the chain of every run have been verified.
/// Damaged runs do not prevent the others from being restored: they are in it as they are in the backup.
///
/// # Errors
/// Fails if the folder is not empty, the file is not a complete backup, or something can't be written.
pub fn restore(file: &Path, state: &Path) -> Result<Restored, RunsError> {
    refuse_filled(state)?;
    let above = disk::parent(state);
    disk::create_folders(above, 0o777).map_err(|e| unwritable(above, &e))?;
    let draft = Draft::create(above, DRAFTS)?;
    let mut restored = unpack(file, draft.path())?;
    let made = draft.path().join(STATE);
    if !restored.unfinished.is_empty() {
        restored.suspect = without_identity(&made, || suspect(&made, &restored.unfinished))?;
    }
    // The server that the backup was taken of has made the starts since then, and they are not in this journal.
    if TriggerBook::is_in(&made) {
        restored.triggers = TriggerBook::open(&made)?.leave_missed(now())?;
    }
    private::exclude(&made)
        .and_then(|()| sync(&made))
        .map_err(|e| unwritable(&made, &e))?;
    // This replaces an empty folder, but fails if something was put into it meanwhile.
    fs::rename(&made, state)
        .and_then(|()| disk::sync_folder(above))
        .map_err(|e| {
            unwritable(state, &e)
                .hint("if this folder is a mount point, name a folder within it with --state")
        })?;
    Ok(restored)
}

/// Verifies a backup as [`restore`] does, without restoring it.
///
/// # Errors
/// Fails if the file is not a complete backup.
pub fn check_backup(file: &Path) -> Result<Restored, RunsError> {
    unpack(file, Draft::create(&std::env::temp_dir(), DRAFTS)?.path())
}

/// Verifies a backup as [`restore`] does, within a folder of the caller.
pub(super) fn check_within(file: &Path, folder: &Path) -> Result<Restored, RunsError> {
    unpack(file, folder)
}

/// Unpacks a backup into `state/` of a folder, and verifies all of it.
fn unpack(file: &Path, to: &Path) -> Result<Restored, RunsError> {
    let opened = File::open(file).map_err(|e| unreadable(file, &e))?;
    let mut tar = Archive::new(io::BufReader::new(opened));
    let cut = |e: io::Error| bad_backup(file, format!("it can't be read: {e}"));
    let mut entries = tar.entries().map_err(cut)?;
    let first = entries.next().transpose().map_err(cut)?;
    let manifest = first
        .ok_or_else(|| "it is empty".to_owned())
        .and_then(manifest)
        .map_err(|why| bad_backup(file, why))?;
    let state = to.join(STATE);
    disk::create_folders(&state, 0o700).map_err(|e| unwritable(&state, &e))?;
    let mut missing: BTreeSet<&str> = manifest.files.keys().map(String::as_str).collect();
    for entry in entries {
        let mut entry = entry.map_err(cut)?;
        let path = entry.path().map_err(cut)?.into_owned();
        let within = path.strip_prefix(STATE).ok().and_then(Path::to_str);
        let known = within.and_then(|within| manifest.files.get_key_value(within));
        let Some((within, kept)) = known.filter(|(within, _)| missing.remove(within.as_str()))
        else {
            let why = format!(
                "{} is not in its manifest, or is in the backup twice",
                path.display()
            );
            return Err(bad_backup(file, why));
        };
        let made = state.join(within);
        let (size, sha256) = write(&mut entry, &made).map_err(|e| match e {
            Failed::Read(e) => cut(e),
            Failed::Write(e) => unwritable(&made, &e),
        })?;
        if (size, sha256) != (kept.size, kept.sha256) {
            return Err(bad_backup(
                file,
                format!("{within} is damaged: its size or SHA-256 is not that in the manifest"),
            ));
        }
    }
    if let Some(within) = missing.first() {
        return Err(bad_backup(file, format!("{within} is missing")));
    }
    let mut restored = Restored {
        lacks_identity: false,
        at: manifest.at,
        triggers: 0,
        runs: 0,
        unfinished: Vec::new(),
        damaged: Vec::new(),
        suspect: 0,
    };
    if !manifest.files.contains_key(JOURNAL) {
        return Ok(restored);
    }
    without_identity(&state, || verify_runs(&state, &mut restored))?;
    if holds_secrets(&state.join(JOURNAL))? {
        if manifest.files.contains_key(IDENTITY) {
            find_unopened(&state, &mut restored)?;
        } else {
            restored.lacks_identity = true;
        }
    }
    Ok(restored)
}

/// Does something with a state folder while its identity is outside of it, so that secrets are masks: they do not matter, and it may be
/// the wrong one.
fn without_identity<T>(
    state: &Path,
    work: impl FnOnce() -> Result<T, RunsError>,
) -> Result<T, RunsError> {
    let identity = state.join(IDENTITY);
    let aside = state.with_extension("identity");
    let moved = |from: &Path, to: &Path| fs::rename(from, to).map_err(|e| unwritable(to, &e));
    if !identity.exists() {
        return work();
    }
    moved(&identity, &aside)?;
    let done = work();
    moved(&aside, &identity)?;
    done
}

fn manifest(mut entry: Entry<impl Read>) -> Result<Manifest, String> {
    let is_first = entry.path().is_ok_and(|path| path == Path::new(MANIFEST));
    if !is_first || entry.size() > MOST {
        return Err("it is not a backup of Windlass".into());
    }
    let mut text = Vec::new();
    let read = entry.read_to_end(&mut text);
    read.map_err(|e| format!("its manifest can't be read: {e}"))?;
    Manifest::read(&text)
}

/// Writes a file that only its owner may read, and returns its size and digest as they are on disk.
fn write(entry: &mut Entry<impl Read>, path: &Path) -> Result<(u64, Digest), Failed> {
    disk::create_folders(disk::parent(path), 0o700).map_err(Failed::Write)?;
    let size = copy(entry, path)?;
    let written = File::open(path).and_then(Digest::of_reader);
    Ok((size, written.map_err(Failed::Write)?))
}

/// Verifies the chain, the files and the row of each run, and counts the runs.
fn verify_runs(state: &Path, restored: &mut Restored) -> Result<(), RunsError> {
    let journal = Journal::open(state)?;
    journal.check_pages()?;
    let runs = journal.runs()?;
    restored.runs = runs.len();
    for run in &runs {
        refuse_stopped().map_err(|e| unreadable(state, &e))?;
        match verified(&journal, run) {
            Ok(folded) if folded.outcome.is_some() => {}
            Ok(_) => restored.unfinished.push(run.id.clone()),
            Err(error) => restored.damaged.push((run.id.clone(), error.message)),
        }
    }
    for run in journal.unlisted()? {
        let why = format!("the list of runs does not have run {run}, of which there are events");
        restored.damaged.push((run, why));
    }
    restored.damaged.sort_by(|(a, _), (b, _)| b.cmp(a));
    Ok(())
}

/// Finds the sound runs whose secrets the identity does not open.
fn find_unopened(state: &Path, restored: &mut Restored) -> Result<(), RunsError> {
    let journal = Journal::open(state)?;
    for run in journal.runs()? {
        refuse_stopped().map_err(|e| unreadable(state, &e))?;
        if restored.damaged.iter().all(|(known, _)| *known != run.id)
            && let Err(error) = journal.state_of(&run.id)
        {
            let why = RunsError::from(error).message;
            restored.damaged.push((run.id, why));
        }
    }
    restored.damaged.sort_by(|(a, _), (b, _)| b.cmp(a));
    Ok(())
}

/// Records that all attempts that were running at the time of the backup are lost: they may have made calls since, so the next attempt looks
/// up the results of these calls or asks about them. Returns the number of these attempts.
fn suspect(state: &Path, unfinished: &[RunId]) -> Result<usize, RunsError> {
    let (journal, at, mut count) = (Journal::open(state)?, now(), 0);
    for run in unfinished {
        let (held, folded) = journal.adopt_masked(run)?;
        let running = folded
            .steps
            .iter()
            .filter(|(_, instance)| instance.status == Status::Running && !instance.is_composite());
        let lost = running.map(|(step, _)| {
            let event = Event::StepFailed(StepFailed {
                step: step.clone(),
                error: lost(),
                // A retry, so that `on_error` does not apply: the step has not failed.
                retry_at: Some(at),
            });
            (event, at)
        });
        let lost: Vec<_> = lost.collect();
        count += lost.len();
        if !lost.is_empty() {
            held.append(lost)?;
        }
    }
    Ok(count)
}

/// Returns the error of an attempt that was running when its run was backed up.
fn lost() -> StepError {
    let message = "the run was restored from a backup that was taken while this attempt ran";
    StepError::new(ATTEMPT_KILLED, message).with_hint(
        "calls that it made after the backup are not recorded; the next attempt looks up the result of each call, or asks",
    )
}

fn refuse_filled(state: &Path) -> Result<(), RunsError> {
    let is_empty = match fs::read_dir(state) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => true,
        Err(e) => return Err(unreadable(state, &e)),
    };
    if is_empty {
        Ok(())
    } else {
        let message = format!("{} is not empty", state.display());
        Err(RunsError::conflict("not-empty", message)
            .hint("name a new folder with --state, or move this one away"))
    }
}

/// Waits until a folder and its contents are on disk.
fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            sync(&path)?
        } else {
            File::open(&path)?.sync_all()?
        }
    }
    disk::sync_folder(folder)
}
