use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use super::{
    book::{TriggerBook, TriggerKey},
    planted::{Planted, Unread, lacking, planted},
    remembered::Remembered,
    scheduler::Scheduler,
    standing::{TriggerStanding, standings},
    starter::ThroughRuns,
    together::{take_over, tell, tell_gone, tell_pause},
};
use windlass_compile::Occasion;
use windlass_ground::{Every, Timestamp, Trouble, lock};
use windlass_notify::Outbox;
use windlass_runs::{Runs, RunsError, now};
use windlass_targets::HookConfig;

/// How often the scheduler checks the triggers.
const TICK: Duration = Duration::from_secs(1);
/// How often the workflows' files and the certificates are read again, which costs more.
const FILES: Duration = Duration::from_secs(30);
const CERTIFICATES: Duration = Duration::from_secs(60);
/// How long a trigger must be in no file before a running server forgets it: more than one look, since a file may be away for a moment while it is replaced.
const GONE: Duration = Duration::from_secs(20);
/// How old the last look at the files may be when a hook is called, so that a changed file counts at once and many calls read it once.
const FRESH: Duration = Duration::from_secs(1);

/// The triggers of a server.
pub struct Triggers {
    book: Arc<TriggerBook>,
    runs: Arc<dyn Runs>,
    scheduler: Scheduler<ThroughRuns>,
    hooks: BTreeMap<String, HookConfig>,
    found: Mutex<Looked>,
    /// Held while the files are read: of two readings at once, each would tell people the same news.
    reading: Mutex<()>,
}

#[derive(Default)]
struct Looked {
    planted: Vec<Planted>,
    broken: Vec<Unread>,
    /// The triggers that start nothing, because the files of their workflows have mistakes.
    lost: Vec<Lost>,
    /// The triggers that start nothing, because the configuration lacks something.
    unmet: Vec<Lost>,
    /// The triggers that are in no file any more, each with the time of the first look that did not find it.
    gone: BTreeMap<TriggerKey, Instant>,
    /// When the files were last read; `None` before the server's first look.
    looked_at: Option<Instant>,
    /// The tasks that failed the last time, each with the reason.
    troubles: BTreeMap<&'static str, String>,
}

/// What the triggers' thread does again and again, and when it next does what costs more.
struct Tasks {
    files: Every,
    certificates: Every,
    log: BTreeMap<&'static str, Trouble>,
}

const READ_FILES: &str = "read the triggers of the workflows";
const READ_CERTIFICATES: &str = "check for certificates that are due";
const START: &str = "check what triggers start";

/// A trigger that starts nothing, because the file of its workflow has mistakes, or the configuration lacks something.
#[derive(Clone, Debug)]
pub struct Lost {
    pub trigger: Remembered,
    pub why: String,
}

impl Lost {
    /// Says whether this is the same trigger, lost for the same reason.
    fn is_same(&self, other: &Self) -> bool {
        self.trigger.key == other.trigger.key && self.why == other.why
    }
}

impl Triggers {
    /// Opens the book of a state folder, and finds the triggers of all workflows.
    ///
    /// # Errors
    /// A book or a folder of workflows that can't be read.
    pub fn open(
        state: &Path,
        runs: Arc<dyn Runs>,
        outbox: Arc<Outbox>,
        hooks: BTreeMap<String, HookConfig>,
    ) -> Result<Self, RunsError> {
        let book = Arc::new(TriggerBook::open(state)?);
        let this = Self {
            scheduler: Scheduler::new(book.clone(), ThroughRuns::new(runs.clone(), outbox)),
            book,
            runs,
            hooks,
            found: Mutex::default(),
            reading: Mutex::default(),
        };
        this.read_files()?;
        Ok(this)
    }

    /// Makes due starts until the process ends; `clock` returns the current time.
    pub fn keep(
        self: &Arc<Self>,
        clock: impl Fn() -> Timestamp + Send + 'static,
    ) -> std::io::Result<()> {
        let this = self.clone();
        let thread = thread::Builder::new().name("triggers".into());
        thread.spawn(move || {
            let mut tasks = Tasks {
                files: Every::after(clock(), FILES),
                certificates: Every::new(CERTIFICATES),
                log: BTreeMap::new(),
            };
            loop {
                this.turn(clock(), &mut tasks);
                thread::sleep(TICK);
            }
        })?;
        Ok(())
    }

    fn turn(&self, now: Timestamp, tasks: &mut Tasks) {
        if let Some(read) = tasks.files.when_due(now, || self.read_files()) {
            self.note(tasks, READ_FILES, read);
        }
        let planted = self.planted();
        let is_due = |one: &Planted| matches!(one.trigger.occasion, Occasion::WhenDue(..));
        if planted.iter().any(is_due) {
            let found = tasks
                .certificates
                .when_due(now, || self.runs.certificates());
            if let Some(found) = found {
                let found = found.map(|found| self.scheduler.starter().look_at(found, now));
                self.note(tasks, READ_CERTIFICATES, found);
            }
        }
        let started = self.start_due(&planted, now);
        self.note(tasks, START, started);
    }

    /// Logs how a task went, if that is news, and keeps why it failed until it succeeds.
    fn note(&self, tasks: &mut Tasks, task: &'static str, done: Result<(), RunsError>) {
        let log = tasks.log.entry(task);
        log.or_insert_with(|| Trouble::with(task)).note(&done);
        let mut found = self.found();
        match done {
            Ok(()) => found.troubles.remove(task),
            Err(error) => found.troubles.insert(task, error.message),
        };
    }

    fn start_due(&self, planted: &[Planted], now: Timestamp) -> Result<(), RunsError> {
        let Some(peers) = self.runs.peers() else {
            return self.scheduler.tick(planted, now);
        };
        if planted.is_empty() {
            return Ok(());
        }
        let made = |one: &Planted| self.starter().made(one);
        let seen = take_over(&self.book, peers, planted, now, made)?;
        self.scheduler.tick(planted, now)?;
        tell(&self.book, peers, planted, &seen)
    }

    /// Reads the files again, unless that has just been done. What can't be read counts as it was.
    pub(super) fn refresh(&self) {
        let reading = lock(&self.reading);
        let looked_at = self.found().looked_at;
        if looked_at.is_none_or(|at| at.elapsed() >= FRESH)
            && let Err(error) = self.read_files_alone(&reading)
        {
            tracing::warn!(%error, "can't {READ_FILES} before a hook is answered");
        }
    }

    /// Says whether a trigger of this hook was in a file a moment ago, which may be about to come back.
    pub(super) fn was_just_there(&self, hook: &str) -> Result<bool, RunsError> {
        let remembered = self.book.remembered()?;
        let found = self.found();
        let mut gone = remembered
            .iter()
            .filter(|one| found.gone.contains_key(&one.key));
        Ok(gone.any(|one| one.hook.as_deref() == Some(hook)))
    }

    fn read_files(&self) -> Result<(), RunsError> {
        self.read_files_alone(&lock(&self.reading))
    }

    fn read_files_alone(&self, _: &MutexGuard<'_, ()>) -> Result<(), RunsError> {
        let listed = self.runs.workflows()?;
        let names: BTreeSet<_> = listed.iter().map(|one| one.name.to_string()).collect();
        let (planted, broken) = planted(listed);
        let unmet = self.unmet_of(&planted)?;
        let present: BTreeSet<_> = planted.iter().map(Planted::key).collect();
        self.end_alerts(&present, &unmet)?;
        self.book.remember(&planted)?;
        let remembered = self.book.remembered()?.into_iter();
        let (mut lost, mut gone) = (Vec::new(), BTreeMap::new());
        for one in remembered.filter(|one| !present.contains(&one.key)) {
            let unread = |unread: &&Unread| unread.workflow.as_str() == one.key.workflow;
            match broken.iter().find(unread) {
                Some(unread) => lost.push(Lost {
                    trigger: one,
                    why: unread.why.clone(),
                }),
                None => {
                    let known = self.found().gone.get(&one.key).copied();
                    let since = known.unwrap_or_else(Instant::now);
                    // What went away while no server ran has not just been replaced.
                    if self.found().looked_at.is_none() || since.elapsed() >= GONE {
                        self.forget(&one, names.contains(&one.key.workflow))?;
                    }
                    gone.insert(one.key, since);
                }
            }
        }
        let (lost_before, unmet_before, broken_before) = {
            let mut found = self.found();
            found.planted = planted;
            found.gone = gone;
            found.looked_at = Some(Instant::now());
            (
                std::mem::replace(&mut found.lost, lost.clone()),
                std::mem::replace(&mut found.unmet, unmet.clone()),
                std::mem::replace(&mut found.broken, broken.clone()),
            )
        };
        for unread in broken.iter().filter(|one| !broken_before.contains(one)) {
            let (workflow, why) = (&unread.workflow, &unread.why);
            // Of the triggers that are known, people are told below.
            if !lost
                .iter()
                .any(|one| one.trigger.key.workflow == workflow.as_str())
            {
                tracing::warn!(%workflow, why, "a workflow can't be read; if it has triggers, they start nothing");
            }
        }
        let is_new = |one: &&Lost, before: &[Lost]| !before.iter().any(|known| known.is_same(one));
        for one in lost.iter().filter(|one| is_new(one, &lost_before)) {
            let why = &one.why;
            let text = format!(
                "Its file has mistakes, and it starts nothing until they are corrected: {why}"
            );
            self.tell_lost(one, text)?;
        }
        for one in &unmet {
            if is_new(&one, &unmet_before) {
                let text = format!("It starts nothing: {}.", one.why);
                self.tell_lost(one, text)?;
            }
            // A trigger whose file can be read has been remembered without it.
            self.book.told(&one.trigger.key, &one.why)?;
        }
        Ok(())
    }

    /// Ends the alerts about triggers that started nothing when people were told, and can start runs again.
    fn end_alerts(&self, present: &BTreeSet<TriggerKey>, unmet: &[Lost]) -> Result<(), RunsError> {
        let remembered = self.book.remembered()?.into_iter();
        let told = remembered.filter(|one| one.trouble.is_some() && present.contains(&one.key));
        for one in told {
            let is_unmet = unmet.iter().any(|lost| lost.trigger.key == one.key);
            // The alert is also about a start that failed: it ends when that one is made.
            let mut waiting = self.book.waiting()?.into_iter();
            let has_failed = waiting.any(|due| due.key == one.key && due.attempts > 0);
            if !is_unmet && !has_failed {
                self.starter().is_back(&one);
            }
        }
        Ok(())
    }

    /// Finds the triggers for which the configuration lacks something, with what people have been told of them.
    fn unmet_of(&self, planted: &[Planted]) -> Result<Vec<Lost>, RunsError> {
        // A configuration that can't be read is reported by what needs it; what it lacked is not known to be there.
        let Ok(targets) = self.runs.targets() else {
            return Ok(self.unmet());
        };
        let remembered = self.book.remembered()?;
        let unmet = planted.iter().filter_map(|one| {
            let why = lacking(one, &targets, &self.hooks)?;
            let trouble = remembered.iter().find(|known| known.key == one.key());
            let trigger = Remembered {
                trouble: trouble.and_then(|known| known.trouble.clone()),
                ..Remembered::of(one)
            };
            Some(Lost { trigger, why })
        });
        Ok(unmet.collect())
    }

    /// Tells people that a trigger starts nothing: in the log whenever a server begins, with a notification once.
    fn tell_lost(&self, Lost { trigger, why }: &Lost, text: String) -> Result<(), RunsError> {
        tracing::warn!(trigger = %trigger.key, why, "a trigger starts nothing");
        if trigger.trouble.as_ref() != Some(why) {
            self.starter().lost(trigger, now(), text);
            self.book.told(&trigger.key, why)?;
        }
        Ok(())
    }

    /// Forgets a trigger that is in no file any more. If the file itself is gone, people are told: nobody may have meant the trigger.
    fn forget(&self, one: &Remembered, has_file: bool) -> Result<(), RunsError> {
        if let Some(peers) = self.runs.peers()
            && let Err(error) = tell_gone(peers, &one.key, now())
        {
            tracing::warn!(trigger = %one.key, %error, "can't tell the other servers that a trigger is gone; it is tried again");
            return Ok(());
        }
        if !has_file {
            tracing::warn!(trigger = %one.key, "a trigger is gone, because the file of its workflow is");
            let text = "The file of its workflow is gone, and it starts nothing any more.";
            self.starter().lost(one, now(), text.to_owned());
        }
        self.book.forget(&one.key)
    }

    /// Returns the status of every trigger at this time.
    ///
    /// # Errors
    /// A book that can't be read.
    pub fn standings(&self, now: Timestamp) -> Result<Vec<TriggerStanding>, RunsError> {
        let inventory = self.scheduler.starter().inventory();
        standings(&self.book, &self.planted(), &inventory, now)
    }

    /// Returns why some triggers are not known, or no starts are made.
    pub fn problems(&self) -> Vec<String> {
        let found = self.found();
        let broken = found.broken.iter();
        let broken = broken.map(|broken| format!("{}: {}", broken.workflow, broken.why));
        let unmet = found.unmet.iter();
        let unmet = unmet.map(|unmet| format!("{}: {}", unmet.trigger.key, unmet.why));
        let troubles = found.troubles.iter();
        let troubles = troubles.map(|(task, why)| format!("can't {task}: {why}"));
        troubles.chain(broken).chain(unmet).collect()
    }

    /// Pauses a trigger, or resumes it.
    ///
    /// # Errors
    /// A trigger that does not exist.
    pub fn set_paused(
        &self,
        key: &TriggerKey,
        by: Option<&str>,
        now: Timestamp,
    ) -> Result<(), RunsError> {
        self.read_files()?;
        refuse_unknown(&self.planted(), key)?;
        if let Some(peers) = self.runs.peers() {
            tell_pause(peers, key, by, now)?;
        }
        match by {
            Some(by) => self.book.pause(key, by, now),
            None => self.book.resume(key, now),
        }
    }

    pub(super) fn book(&self) -> &TriggerBook {
        &self.book
    }

    pub(super) fn runs(&self) -> &dyn Runs {
        &*self.runs
    }

    pub(super) fn hooks(&self) -> &BTreeMap<String, HookConfig> {
        &self.hooks
    }

    pub(super) fn planted(&self) -> Vec<Planted> {
        self.found().planted.clone()
    }

    /// Returns the triggers that start nothing, because the files of their workflows have mistakes.
    pub fn lost(&self) -> Vec<Lost> {
        self.found().lost.clone()
    }

    /// Returns the triggers that start nothing, because the configuration lacks something.
    pub fn unmet(&self) -> Vec<Lost> {
        self.found().unmet.clone()
    }

    pub(super) fn starter(&self) -> &ThroughRuns {
        self.scheduler.starter()
    }

    fn found(&self) -> MutexGuard<'_, Looked> {
        lock(&self.found)
    }
}

/// Returns an error for a name that no trigger has.
///
/// # Errors
/// There is no such trigger, with the names that exist.
pub fn refuse_unknown(planted: &[Planted], key: &TriggerKey) -> Result<(), RunsError> {
    if planted.iter().any(|one| one.key() == *key) {
        return Ok(());
    }
    let names: Vec<_> = planted.iter().map(|one| one.key().to_string()).collect();
    let error = RunsError::missing("unknown-trigger", format!("no trigger `{key}`"));
    let near = windlass_script::closest(&key.to_string(), names.iter().map(String::as_str));
    Err(match (near, names.is_empty()) {
        (Some(near), _) => error.hint(windlass_script::did_you_mean(near)),
        (None, true) => error.hint("no workflow in these folders has `triggers:`"),
        (None, false) => error.hint(format!("the triggers are {}", names.join(", "))),
    })
}
