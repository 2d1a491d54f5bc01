use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use super::{
    book::{TriggerBook, TriggerKey},
    planted::{Planted, Unread, planted},
    remembered::Remembered,
    scheduler::Scheduler,
    standing::{TriggerStanding, standings},
    starter::ThroughRuns,
    together::{take_over, tell, tell_gone, tell_pause},
};
use windlass_engine::compile::Occasion;
use windlass_ground::{Every, Timestamp, Trouble, lock};
use windlass_notify::Outbox;
use windlass_runs::{Runs, RunsError, now};
use windlass_targets::HookConfig;

/// How often the scheduler checks the triggers.
const TICK: Duration = Duration::from_secs(1);
/// How often the workflows' files and the certificates are read again, which costs more.
const FILES: Duration = Duration::from_secs(30);
const CERTIFICATES: Duration = Duration::from_secs(60);

/// The triggers of a server.
pub struct Triggers {
    book: Arc<TriggerBook>,
    runs: Arc<dyn Runs>,
    scheduler: Scheduler<ThroughRuns>,
    hooks: BTreeMap<String, HookConfig>,
    found: Mutex<Looked>,
}

#[derive(Default)]
struct Looked {
    planted: Vec<Planted>,
    broken: Vec<Unread>,
    /// The triggers that start nothing, because the files of their workflows have mistakes.
    lost: Vec<Lost>,
    /// The reason why the scheduler's last check failed.
    trouble: Option<String>,
}

/// A trigger that starts nothing, because the file of its workflow has mistakes.
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
            let mut files = Every::after(clock(), FILES);
            let mut certificates = Every::new(CERTIFICATES);
            let mut trouble = Trouble::with("check what triggers start");
            loop {
                let now = clock();
                let done = this.turn(now, &mut files, &mut certificates);
                trouble.note(&done);
                this.found().trouble = done.err().map(|error| error.message);
                thread::sleep(TICK);
            }
        })?;
        Ok(())
    }

    fn turn(
        &self,
        now: Timestamp,
        files: &mut Every,
        certificates: &mut Every,
    ) -> Result<(), RunsError> {
        if files.is_due(now) {
            self.read_files()?;
        }
        let planted = self.planted();
        let is_due = |one: &Planted| matches!(one.trigger.occasion, Occasion::WhenDue(..));
        if planted.iter().any(is_due) && certificates.is_due(now) {
            self.scheduler.starter().look_at(self.runs.certificates()?);
        }
        let Some(peers) = self.runs.peers() else {
            return self.scheduler.tick(&planted, now);
        };
        if planted.is_empty() {
            return Ok(());
        }
        let seen = take_over(&self.book, peers, &planted, now)?;
        self.scheduler.tick(&planted, now)?;
        tell(&self.book, peers, &planted, &seen)
    }

    fn read_files(&self) -> Result<(), RunsError> {
        let listed = self.runs.workflows()?;
        let names: BTreeSet<_> = listed.iter().map(|one| one.name.to_string()).collect();
        let (planted, broken) = planted(listed);
        self.book.remember(&planted)?;
        let present: BTreeSet<_> = planted.iter().map(Planted::key).collect();
        let remembered = self.book.remembered()?.into_iter();
        let mut lost = Vec::new();
        for one in remembered.filter(|one| !present.contains(&one.key)) {
            let unread = |unread: &&Unread| unread.workflow.as_str() == one.key.workflow;
            match broken.iter().find(unread) {
                Some(unread) => lost.push(Lost {
                    trigger: one,
                    why: unread.why.clone(),
                }),
                None => self.forget(&one, names.contains(&one.key.workflow))?,
            }
        }
        let before = {
            let mut found = self.found();
            found.planted = planted;
            found.broken = broken;
            std::mem::replace(&mut found.lost, lost.clone())
        };
        for one in lost
            .iter()
            .filter(|one| !before.iter().any(|known| known.is_same(one)))
        {
            self.tell_lost(one)?;
        }
        Ok(())
    }

    /// Tells people that a trigger starts nothing: in the log whenever a server begins, with a notification once.
    fn tell_lost(&self, Lost { trigger, why }: &Lost) -> Result<(), RunsError> {
        tracing::warn!(trigger = %trigger.key, why, "a trigger starts nothing, because its workflow can't be read");
        if trigger.trouble.as_ref() != Some(why) {
            let text = format!(
                "Its file has mistakes, and it starts nothing until they are corrected: {why}"
            );
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
        found.trouble.clone().into_iter().chain(broken).collect()
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
