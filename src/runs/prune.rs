//! Deletes runs that ended long ago.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    bundle::{Bundle, gather},
    error::RunsError,
    service::Evidence,
};
use windlass_ground::{Timestamp, disk};
use windlass_inventory as inventory;
use windlass_journal::{Journal, JournalError, Outcome, RunId, RunLock, RunRow, RunsWanted, State};

/// How many bundles of one run a folder may have: each of them differs from the others, so more are hardly meant.
const MOST_BUNDLES: u32 = 1000;

/// Selects the runs to delete. Runs that have not ended are never deleted.
#[derive(Clone, Debug)]
pub struct Retention {
    /// How long a run is kept after its end.
    pub keep: Duration,
    /// How many runs of each workflow on each target are kept regardless of their age.
    pub keep_last: usize,
    /// The workflow whose runs are deleted; all workflows if it is left out.
    pub workflow: Option<String>,
    /// Whether to delete runs that can still be resumed as well: those that failed or were cancelled.
    pub failed: bool,
    /// The time from which ages are computed: runs that end later do not count.
    pub at: Timestamp,
}

/// The result of a deletion.
#[derive(Clone, Debug, Default)]
pub struct Pruning {
    pub deleted: Vec<RunId>,
    /// The runs that were kept, each with the reason.
    pub left: Vec<(RunId, String)>,
    /// How many bytes of the journal are free for later runs, because they were not returned to the disk.
    pub free: u64,
}

impl Retention {
    /// Selects the runs to delete from a list of all runs, newest first.
    pub(crate) fn pick(&self, runs: Vec<(RunRow, String)>) -> Vec<(RunRow, String)> {
        let until = self.at - self.keep;
        let mut newer: BTreeMap<(String, String), usize> = BTreeMap::new();
        let picked = runs.into_iter().filter(|(run, _)| {
            if run.started_at > self.at {
                return false;
            }
            let place = (run.workflow.clone(), run.target.clone());
            let count = newer.entry(place).or_default();
            *count += 1;
            *count > self.keep_last
                && run.ended_at.is_some_and(|ended| ended <= until)
                && self.takes(run.outcome.as_deref())
                && self
                    .workflow
                    .as_ref()
                    .is_none_or(|name| *name == run.workflow)
        });
        picked.collect()
    }

    pub(crate) fn takes(&self, outcome: Option<&str>) -> bool {
        let over = [Outcome::Succeeded, Outcome::Undone];
        let resumable = [Outcome::Failed, Outcome::Cancelled, Outcome::UndoFailed];
        let is = |outcomes: &[Outcome]| outcomes.iter().any(|one| Some(one.as_str()) == outcome);
        is(&over) || (self.failed && is(&resumable))
    }
}

/// Where runs are that can be deleted.
pub(crate) trait Prunable {
    /// Lists all runs, the newest first, each with what changes whenever it gets events, if that is known.
    fn all(&self) -> Result<Vec<(RunRow, String)>, RunsError>;

    /// Returns who drives a run, if that must be asked.
    fn driver(&self, run: &RunId) -> Result<Option<String>, RunsError>;

    /// Folds a run; the inner error is the reason why it must be kept.
    fn state_of(&self, run: &RunId) -> Result<Result<State, String>, RunsError>;

    /// Gathers the evidence of a run.
    fn evidence(&self, run: &RunId) -> Result<Evidence, RunsError>;

    /// Deletes a run if it still is as it was when it was listed with a stamp, and read with so many events; `seen` stays in the inventory.
    /// Returns the reason if the run is kept.
    fn delete(
        &self,
        run: &RunId,
        as_read: (&str, u64),
        seen: Option<String>,
        by: &str,
    ) -> Result<Option<String>, RunsError>;
}

/// The reason for keeping a run that has changed since it was listed.
pub(crate) const CHANGED: &str = "it has changed since it was listed";

/// Lists the runs that [`delete_old`] would delete, the newest first, as [`Prunable::all`] does.
pub(crate) fn picked(
    place: &impl Prunable,
    wanted: &Retention,
) -> Result<Vec<(RunRow, String)>, RunsError> {
    Ok(wanted.pick(place.all()?))
}

/// Deletes runs. Each run is deleted completely or not at all, even after a crash. The inventory keeps what they
/// recorded about certificates, of which `state` has a copy; the evidence of each run is on the disk in `bundles`
/// before the run is deleted.
///
/// # Errors
/// Errors of the place, and bundles that can't be written. A run that can't be read, or that has changed since it was
/// listed, is kept.
pub(crate) fn delete_old(
    place: &impl Prunable,
    state: &Path,
    wanted: &Retention,
    bundles: Option<&Path>,
    by: &str,
) -> Result<Pruning, RunsError> {
    let mut done = Pruning::default();
    for (row, stamp) in picked(place, wanted)? {
        match delete(place, wanted, (&row.id, &stamp), bundles, by)? {
            None => done.deleted.push(row.id),
            Some(why) => done.left.push((row.id, why)),
        }
    }
    inventory::forget(state, &done.deleted);
    for run in &done.deleted {
        // Few runs have one.
        let _ = fs::remove_file(detached_log(state, run));
    }
    Ok(done)
}

/// Returns the path of what a run printed that was started with `--detach`.
pub fn detached_log(state: &Path, run: &RunId) -> PathBuf {
    state.join("detached").join(format!("{run}.log"))
}

/// Deletes a run, or returns the reason for keeping it.
fn delete(
    place: &impl Prunable,
    wanted: &Retention,
    (run, stamp): (&RunId, &str),
    bundles: Option<&Path>,
    by: &str,
) -> Result<Option<String>, RunsError> {
    if let Some(driver) = place.driver(run)? {
        return Ok(Some(format!("{driver} drives it")));
    }
    // A damaged run is kept for a person to examine.
    let state = match place.state_of(run)? {
        Ok(state) => state,
        Err(why) => return Ok(Some(why)),
    };
    if !wanted.takes(state.outcome.map(Outcome::as_str)) {
        return Ok(Some(CHANGED.into()));
    }
    let Ok(seen) = inventory::kept_of(&state) else {
        let why = "the certificates that it delivered can't be read without identity.txt";
        return Ok(Some(why.into()));
    };
    if let Some(folder) = bundles {
        write_bundle(folder, run, &place.evidence(run)?.bundle)?;
    }
    place.delete(run, (stamp, state.events), seen, by)
}

/// Lists the runs that [`prune`] would delete, the newest first.
///
/// # Errors
/// An error of the journal.
pub fn prunable(journal: &Journal, wanted: &Retention) -> Result<Vec<RunRow>, RunsError> {
    let picked = picked(journal, wanted)?.into_iter();
    Ok(picked.map(|(run, _)| run).collect())
}

/// Deletes runs of a journal. Each run is deleted completely or not at all, even after a crash. The inventory keeps
/// what they recorded about certificates; the evidence of each run is on the disk in `bundles` before the run is
/// deleted.
///
/// # Errors
/// An error of the journal, or bundles that can't be written. A run that can't be read, or is resumed meanwhile, is kept.
pub fn prune(
    journal: &Journal,
    wanted: &Retention,
    bundles: Option<&Path>,
    by: &str,
) -> Result<Pruning, RunsError> {
    let done = delete_old(journal, journal.state_folder(), wanted, bundles, by)?;
    Ok(Pruning {
        free: journal.free_pages()?,
        ..done
    })
}

impl Prunable for Journal {
    fn all(&self) -> Result<Vec<(RunRow, String)>, RunsError> {
        let all = RunsWanted {
            limit: usize::MAX,
            ..RunsWanted::default()
        };
        Ok(self.list_runs(&all)?)
    }

    fn driver(&self, _: &RunId) -> Result<Option<String>, RunsError> {
        // Known in the transaction that deletes.
        Ok(None)
    }

    fn state_of(&self, run: &RunId) -> Result<Result<State, String>, RunsError> {
        let state = Journal::state_of(self, run);
        Ok(state.map_err(|error| RunsError::from(error).message))
    }

    fn evidence(&self, run: &RunId) -> Result<Evidence, RunsError> {
        gather(self, run)
    }

    fn delete(
        &self,
        run: &RunId,
        (stamp, _): (&str, u64),
        seen: Option<String>,
        by: &str,
    ) -> Result<Option<String>, RunsError> {
        match self.prune(run, stamp, seen.as_deref(), by) {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(CHANGED.into())),
            Err(JournalError::Owned { owner, .. }) => Ok(Some(format!("{owner} drives it"))),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns all free space in a journal to the disk, unless a process drives or serves its runs.
///
/// # Errors
/// An error of the journal.
pub fn compact(journal: &Journal) -> Result<bool, RunsError> {
    let serve = RunId::stored("serve".into());
    let is_used = RunLock::is_taken(journal.state_folder(), &serve)?
        || journal.runs()?.iter().any(|run| run.is_owned);
    if !is_used {
        journal.compact()?;
    }
    Ok(!is_used)
}

/// Writes the bundle of a run before it is deleted, for its owner alone, and waits until it is on the disk. A bundle that is there already may be
/// signed or timestamped, which can't be repeated: it stays, and another one than that of the same events is written beside it.
///
/// # Errors
/// A folder that can't be read or written to.
fn write_bundle(folder: &Path, run: &RunId, text: &str) -> Result<(), RunsError> {
    let new = Bundle::parse(run.as_str(), text)?;
    let is_same = |held: Bundle| held.statement == new.statement && held.check(&[]).is_ok();
    let is_kept = |path: &Path| Bundle::read(path).is_ok_and(is_same);
    let written = match free_path(folder, run, is_kept) {
        Ok(None) => return Ok(()),
        Ok(Some(path)) => disk::write_private(&path, text),
        Err(e) => Err(e),
    };
    written.map_err(|e| {
        let message = format!("can't write a bundle to {}: {e}", folder.display());
        RunsError::broken("output", message).hint("nothing more was deleted")
    })
}

/// Returns the first path for a bundle of a run at which there is no file; `None` if `is_kept` says of a file before it that it is this bundle.
fn free_path(
    folder: &Path,
    run: &RunId,
    is_kept: impl Fn(&Path) -> bool,
) -> io::Result<Option<PathBuf>> {
    let mut path = folder.join(format!("{run}.json"));
    for number in 2..=MOST_BUNDLES {
        if !path.try_exists()? {
            return Ok(Some(path));
        }
        if is_kept(&path) {
            return Ok(None);
        }
        path = folder.join(format!("{run}-{number}.json"));
    }
    let message = format!("it has {MOST_BUNDLES} bundles of run {run} already");
    Err(io::Error::other(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u32 = 86_400;

    fn day(number: u32) -> Timestamp {
        Timestamp::from_secs(i64::from(number * DAY))
    }

    fn row(id: &str, workflow: &str, days: u32, outcome: Option<&str>) -> (RunRow, String) {
        let run = RunRow {
            id: RunId::stored(id.into()),
            workflow: workflow.into(),
            file: String::new(),
            target: "local".into(),
            started_at: day(days),
            requester: None,
            ended_at: outcome
                .filter(|outcome| *outcome != "waiting")
                .map(|_| day(days)),
            outcome: outcome.map(str::to_owned),
            is_owned: false,
        };
        (run, String::new())
    }

    fn picked(change: impl Fn(&mut Retention)) -> Vec<String> {
        let mut wanted = Retention {
            keep: Duration::from_secs(90 * 86_400),
            keep_last: 0,
            workflow: None,
            failed: false,
            at: day(100),
        };
        change(&mut wanted);
        let runs = vec![
            row("new", "w", 99, Some("succeeded")),
            row("edge", "w", 10, Some("succeeded")),
            row("undone", "w", 9, Some("undone")),
            row("failed", "w", 8, Some("failed")),
            row("cancelled", "v", 8, Some("cancelled")),
            row("half-undone", "w", 8, Some("undo failed")),
            row("waiting", "w", 7, Some("waiting")),
            row("interrupted", "w", 7, None),
            row("other", "v", 6, Some("succeeded")),
            row("old", "w", 5, Some("succeeded")),
        ];
        let picked = wanted.pick(runs).into_iter();
        picked.map(|(run, _)| run.id.to_string()).collect()
    }

    #[test]
    fn a_bundle_gets_a_free_path_or_an_error() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let run = RunId::stored("r".into());
        let free = |folder: &Path, is_kept: bool| {
            let path = free_path(folder, &run, |_| is_kept)?;
            Ok::<_, io::Error>(path.map(|path| path.strip_prefix(root.path()).map(Path::to_owned)))
        };
        let is_free = |folder: &Path, name: &str| {
            let path = free(folder, false).expect("a folder");
            assert_eq!(path, Some(Ok(PathBuf::from(name))));
        };
        is_free(root.path(), "r.json");
        is_free(&root.path().join("new"), "new/r.json");
        for name in ["r.json", "r-2.json"] {
            fs::write(root.path().join(name), "other").expect("written");
        }
        is_free(root.path(), "r-3.json");
        assert_eq!(free(root.path(), true).expect("a folder"), None);
        // What can't be looked into is no folder of bundles without an end.
        free(&root.path().join("r.json"), false).expect_err("a file is not a folder");
    }

    #[test]
    fn what_may_still_be_needed_is_kept() {
        assert_eq!(picked(|_| {}), ["edge", "undone", "other", "old"]);
        let failed = picked(|wanted| wanted.failed = true);
        let all = [
            "edge",
            "undone",
            "failed",
            "cancelled",
            "half-undone",
            "other",
            "old",
        ];
        assert_eq!(failed, all);
        let of_one = picked(|wanted| wanted.workflow = Some("v".into()));
        assert_eq!(of_one, ["other"]);
        // The newest runs are kept whatever their outcome: of `w` eight, of `v` two.
        assert_eq!(picked(|wanted| wanted.keep_last = 2), ["undone", "old"]);
        assert_eq!(picked(|wanted| wanted.keep_last = 8), [""; 0]);
        // At an earlier time, later runs do not count.
        let before = picked(|wanted| (wanted.at, wanted.keep) = (day(9), Duration::ZERO));
        assert_eq!(before, ["undone", "other", "old"]);
    }
}
