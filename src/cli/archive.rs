//! The places where runs are recorded: the journal of this machine, a Windlass server, or a Restate server.

use std::{collections::BTreeMap, path::Path, sync::Arc};

#[cfg(feature = "restate")]
use super::restate::{RestateRun, RestateServer, restate_server};
use super::{args::Args, failure::Failure, server};
use crate::{
    execute::Sight,
    inventory::{Inventory, RunStamp, gather},
    journal::{
        Event, JOURNAL, Journal, JournalError, Link, Message, Record, RunId, RunJournal, RunRow,
        State, refuse_lost,
    },
    runs::{Cursor, Filter, Runs, There},
    targets::Target,
    value::{Digest, Value},
};
use windlass_ground::Timestamp;

/// How many characters of its id name a run for a command that changes it: the random end has as many.
const SHORTEST: usize = 6;

/// All runs that are recorded in one place.
#[derive(Clone)]
pub enum Archive {
    Here(Journal),
    /// Of a Windlass server.
    Server(Arc<There>),
    #[cfg(feature = "restate")]
    Restate(RestateServer),
}

/// What blocks a run from outside, for people.
pub struct HeldUp {
    pub why: String,
    /// Whether it stays so until a person resumes the run; otherwise it is tried again.
    pub is_paused: bool,
}

/// A run that no other process drives.
pub enum Held {
    Here(RunJournal),
    #[cfg(feature = "restate")]
    Restate(RestateRun),
}

impl Archive {
    /// Opens the place that the command line names, for reading.
    pub fn open(args: &Args) -> Result<Self, Failure> {
        Self::open_if_there(args)?.ok_or_else(|| no_runs(&format!("in {}", args.state.display())))
    }

    /// Like [`Archive::open`]; `None` if no run was ever recorded there. Creates no folder.
    pub fn open_if_there(args: &Args) -> Result<Option<Self>, Failure> {
        if let Some(there) = server::server(args)? {
            return Ok(Some(Self::Server(there)));
        }
        let path = args.state.join(JOURNAL);
        // A place that can't be checked counts as existing.
        let is_there = args.on.is_some()
            || path.try_exists().map_err(|source| JournalError::Folder {
                path: args.state.clone(),
                source,
            })?;
        if !is_there {
            refuse_lost(&args.state)?;
            return Ok(None);
        }
        Self::open_for(args, None).map(Some)
    }

    /// Opens the place for a new run; a target may name it.
    pub fn open_for(args: &Args, target: Option<(&str, &Target)>) -> Result<Self, Failure> {
        #[cfg(feature = "restate")]
        if let Some(server) = restate_server(args, target)? {
            return Ok(Self::Restate(server));
        }
        #[cfg(not(feature = "restate"))]
        if args.on.is_some() || target.is_some_and(|(_, target)| target.substrate.is_some()) {
            let message = "this windlass was built without support for Restate";
            return Err(Failure::new("engine", message).hint("build it with the feature `restate`"));
        }
        Ok(Self::Here(Journal::open(&args.state)?))
    }

    /// Like [`Archive::find`], for a command that changes the run: a short part of an id may be meant as the name of a workflow.
    pub fn find_to_change(&self, part: Option<&str>) -> Result<RunId, Failure> {
        if let Some(part) = part
            && part.len() < SHORTEST
            && !part.trim().is_empty()
            && self.newest_of(part)?.is_none()
        {
            let message = format!(
                "no workflow `{part}` has run, and `{part}` is too short to name a run by a part of its id"
            );
            return Err(Failure::new("no-such-run", message).hint(format!(
                "name the workflow, or give at least {SHORTEST} characters of the id, such as its last part; `windlass runs` lists them"
            )));
        }
        self.find(part)
    }

    /// Finds the newest run of the workflow with this name, or the run with this id or an unambiguous part of it; without either,
    /// the newest run. A name goes before a part, because the random end of an id may contain it.
    pub fn find(&self, part: Option<&str>) -> Result<RunId, Failure> {
        if part.is_some_and(|part| part.trim().is_empty()) {
            return Err(Failure::new("no-such-run", "the name of the run is empty")
                .hint("is a variable not set? Without RUN, most commands use the newest run"));
        }
        if part.is_none() && self.runs()?.is_empty() {
            #[cfg(feature = "restate")]
            if let Self::Restate(server) = self
                && let Some(id) = server.not_begun(None)?
            {
                return Err(server.unbegun(&id)?);
            }
            return Err(no_runs(&self.place()));
        }
        if let Some(name) = part.filter(|part| RunId::parse(part).is_none())
            && let Some(run) = self.newest_of(name)?
        {
            return Ok(run);
        }
        match self {
            Self::Here(journal) => journal.find(part).map_err(Failure::from),
            Self::Server(there) => find_among(&runs_of(there)?, part),
            #[cfg(feature = "restate")]
            Self::Restate(server) => server.find(part),
        }
    }

    fn newest_of(&self, workflow: &str) -> Result<Option<RunId>, Failure> {
        let runs = self.runs()?.into_iter();
        let of_workflow = runs.filter(|row| row.workflow == workflow);
        Ok(of_workflow
            .map(|row| row.id)
            .max_by(|a, b| a.as_str().cmp(b.as_str())))
    }

    /// Describes the place for people: `in .windlass`, `at https://…`.
    pub fn place(&self) -> String {
        match self {
            Self::Here(journal) => format!("in {}", journal.state_folder().display()),
            Self::Server(there) => format!("at {}", there.url()),
            #[cfg(feature = "restate")]
            Self::Restate(server) => format!("at {}", server.remote.address().url),
        }
    }

    pub fn runs(&self) -> Result<Vec<RunRow>, Failure> {
        Ok(match self {
            Self::Here(journal) => journal.runs()?,
            Self::Server(there) => runs_of(there)?,
            #[cfg(feature = "restate")]
            Self::Restate(server) => server.remote.runs()?,
        })
    }

    pub fn state_of(&self, run: &RunId) -> Result<State, Failure> {
        Ok(match self {
            Self::Here(journal) => journal.state_of(run)?,
            Self::Server(there) => there.state_of(run)?,
            #[cfg(feature = "restate")]
            Self::Restate(server) => server.remote.state_of(run)?,
        })
    }

    /// Returns the certificates that the runs issued, delivered and found.
    pub fn inventory(&self, state: &Path) -> Result<Inventory, Failure> {
        if let Self::Server(there) = self {
            return Ok(there.certificates()?);
        }
        let stamped = |(run, stamp)| RunStamp { run, stamp };
        let runs = match self {
            Self::Here(journal) => {
                let runs = journal.stamps()?.into_iter();
                let runs = runs.map(|(run, stamp)| stamped((run, Some(stamp))));
                runs.collect()
            }
            Self::Server(_) => Vec::new(),
            #[cfg(feature = "restate")]
            Self::Restate(server) => {
                let of = |row: RunRow| {
                    let stamp = row.ended_at.zip(row.outcome);
                    stamped((
                        row.id,
                        stamp.map(|(at, outcome)| format!("{} {outcome}", at.as_millis())),
                    ))
                };
                server.remote.runs()?.into_iter().map(of).collect()
            }
        };
        let kept = match self {
            Self::Here(journal) => journal.seen_of_pruned()?,
            Self::Server(_) => Vec::new(),
            #[cfg(feature = "restate")]
            Self::Restate(server) => {
                let pruned = server.remote.pruned()?.into_iter();
                let seen = pruned.filter_map(|pruned| Some((pruned.run, pruned.seen?)));
                seen.collect()
            }
        };
        // If no worker answers, each run would wait as long for an answer, and get none.
        let mut away: Option<Failure> = None;
        let gathered = gather(runs, kept, state, |run| {
            if let Some(failure) = &away {
                return Err(failure.to_string());
            }
            self.state_of(run).map_err(|failure| {
                let text = failure.to_string();
                if self.asks_workers() && failure.is("engine") {
                    away = Some(failure);
                }
                text
            })
        });
        away.map_or_else(|| Ok(gathered.inventory()), Err)
    }

    pub fn files(&self, run: &RunId, edition: u32) -> Result<BTreeMap<String, Arc<str>>, Failure> {
        Ok(match self {
            Self::Here(journal) => journal.files(run, edition)?,
            Self::Server(there) => there.files(run, edition)?,
            #[cfg(feature = "restate")]
            Self::Restate(server) => server.remote.files(run, edition)?,
        })
    }

    /// Reads a run's events without its secrets, after the pages of the database were checked.
    pub fn evidence(&self, run: &RunId) -> Result<Vec<Link>, Failure> {
        match self {
            Self::Here(journal) => {
                journal.check_pages()?;
                Ok(journal.evidence(run)?)
            }
            Self::Server(there) => Ok(there.links(run)?),
            #[cfg(feature = "restate")]
            Self::Restate(server) => {
                let links = server.remote.links(run)?.into_iter();
                Ok(links.map(Link::redacted).collect())
            }
        }
    }

    /// Passes on a run's events from number `seq` on, given the digest of the event before.
    pub fn walk(
        &self,
        run: &RunId,
        seq: u64,
        before: Digest,
        mut each: impl FnMut(Record),
    ) -> Result<(), Failure> {
        match self {
            Self::Here(journal) => journal.walk(run, seq, before, |record| {
                each(record);
                Ok(())
            })?,
            Self::Server(there) => {
                let mut cursor = Cursor::at(seq, before);
                there.events(run, &mut cursor, &mut each)?;
            }
            #[cfg(feature = "restate")]
            Self::Restate(server) => {
                let records = server.remote.follow(run).read()?.into_iter();
                records.filter(|record| record.seq >= seq).for_each(each);
            }
        }
        Ok(())
    }

    /// Returns the state of a run, and whether it is being driven. A run that ends or is taken up meanwhile does not look as if nobody drove it, and
    /// one that has ended is not driven.
    pub fn look_at(&self, run: &RunId) -> Result<(State, bool), Failure> {
        let was_owned = self.is_owned(run)?;
        let state = self.state_of(run)?;
        let is_driven = state.outcome.is_none() && (was_owned || self.is_owned(run)?);
        Ok((state, is_driven))
    }

    /// Says whether the run is being driven.
    pub fn is_owned(&self, run: &RunId) -> Result<bool, Failure> {
        Ok(match self {
            Self::Here(journal) => journal.is_owned(run)?,
            Self::Server(there) => there.is_driven(run)?,
            #[cfg(feature = "restate")]
            Self::Restate(server) => server.remote.driver(run)?.is_some(),
        })
    }

    /// Says whether workers answer what a run waits for.
    pub fn asks_workers(&self) -> bool {
        match self {
            Self::Here(_) | Self::Server(_) => false,
            #[cfg(feature = "restate")]
            Self::Restate(_) => true,
        }
    }

    /// Digests the secrets in a value under a key derived from the identity. Returns `None` without secrets.
    pub fn digest_secrets(&self, value: &Value) -> Result<Option<Digest>, Failure> {
        Ok(match self {
            Self::Here(journal) => journal.digest_secrets(value)?,
            Self::Server(_) => return Err(held_there()),
            #[cfg(feature = "restate")]
            Self::Restate(server) => server.remote.digest_secrets(value)?,
        })
    }

    /// Returns the run that holds a lock; `None` if that is not known.
    pub fn holder_of(&self, lock: &str) -> Result<Option<RunId>, Failure> {
        match self {
            Self::Here(journal) => Ok(journal.holder_of(lock)?.map(|(run, _)| run)),
            Self::Server(_) => Ok(None),
            #[cfg(feature = "restate")]
            Self::Restate(server) => {
                let mut locks = server.remote.locks()?.into_iter();
                Ok(locks.find(|(name, _)| name == lock).map(|(_, run)| run))
            }
        }
    }

    /// Says what this machine sees of what a run on a target has changed.
    pub fn sight(&self, target: &str) -> Sight {
        match (self, target) {
            (Self::Here(_) | Self::Server(_), _) => Sight::Whole,
            #[cfg(feature = "restate")]
            (Self::Restate(_), target) => crate::runs::sight_of(target),
        }
    }

    /// Returns what blocks a run from outside.
    pub fn stuck(&self, run: &RunId) -> Result<Vec<HeldUp>, Failure> {
        Ok(match self {
            Self::Here(_) => Vec::new(),
            Self::Server(there) => {
                let trouble = there.trouble_and_pause(run)?;
                let held_up = trouble.map(|(why, is_paused)| HeldUp { why, is_paused });
                held_up.into_iter().collect()
            }
            #[cfg(feature = "restate")]
            Self::Restate(server) => {
                let stuck = crate::restate::Stuck::once(server.remote.stuck(run)?);
                let held_up = stuck.iter().map(|stuck| HeldUp {
                    why: stuck.to_string(),
                    is_paused: stuck.is_paused,
                });
                held_up.collect()
            }
        })
    }

    /// Stores a message for the process that drives a run.
    pub fn post(&self, run: &RunId, message: &Message, at: Timestamp) -> Result<(), Failure> {
        match self {
            Self::Here(journal) => Ok(journal.post(run, message, at)?),
            Self::Server(_) => Err(held_there()),
            #[cfg(feature = "restate")]
            Self::Restate(server) => {
                match message.clone() {
                    Message::Cancel { requester, via } => {
                        server.remote.cancel(run, requester, via, at)?
                    }
                    message => server.remote.post(run, &message, at)?,
                }
                Ok(())
            }
        }
    }

    /// Takes over a run that no process drives.
    pub fn adopt(&self, run: &RunId) -> Result<(Held, State), Failure> {
        match self {
            Self::Here(journal) => {
                let (held, state) = journal.adopt(run)?;
                Ok((Held::Here(held), state))
            }
            Self::Server(_) => Err(held_there()),
            #[cfg(feature = "restate")]
            Self::Restate(server) => {
                let (held, state) = server.adopt(run)?;
                Ok((Held::Restate(held), state))
            }
        }
    }
}

/// Returns the runs of a server, each with its status in place of its outcome.
fn runs_of(there: &There) -> Result<Vec<RunRow>, Failure> {
    let page = there.list(&Filter {
        is_brief: true,
        ..Filter::default()
    })?;
    Ok(page.rows.into_iter().map(|row| row.run).collect())
}

/// Finds a run by a part of its id, as the journal of this machine does.
fn find_among(runs: &[RunRow], part: Option<&str>) -> Result<RunId, Failure> {
    let wanted = part.unwrap_or_default();
    let mut found: Vec<_> = runs.iter().map(|row| &row.id).collect();
    found.retain(|id| id.as_str().contains(wanted));
    let exact = found.iter().find(|id| id.as_str() == wanted);
    match (exact, found.as_slice(), part) {
        (Some(id), _, _) | (None, [id], _) | (None, [id, ..], None) => Ok((*id).clone()),
        (None, [], _) => Err(JournalError::NoRun(part.unwrap_or("newest").into()).into()),
        (None, several, Some(_)) => {
            let mut names: Vec<_> = several.iter().map(|id| id.as_str()).collect();
            names.sort_unstable();
            names.truncate(5);
            Err(JournalError::Ambiguous(wanted.into(), names.join(", ")).into())
        }
    }
}

/// Returns the error for a command that takes over a run: such commands should have been sent to the server already.
fn held_there() -> Failure {
    server::not_remote("this command does not work with the runs of a server")
}

fn no_runs(place: &str) -> Failure {
    Failure::new("no-such-run", format!("there are no runs {place} yet"))
        .hint("`windlass run FILE` starts one; for the runs of another folder, use --state DIR")
}

impl Held {
    pub fn id(&self) -> &RunId {
        match self {
            Self::Here(run) => run.id(),
            #[cfg(feature = "restate")]
            Self::Restate(run) => run.id(),
        }
    }

    /// Makes the commands in hints name the place of the run, also if its target named it.
    pub fn repeat_where(&self) {
        match self {
            Self::Here(_) => {}
            #[cfg(feature = "restate")]
            Self::Restate(run) => crate::report::repeat("--on", run.name()),
        }
    }

    /// Freezes another edition of the run's files; an [`Event::RunEdited`] must name it.
    pub fn freeze(
        &mut self,
        edition: u32,
        files: &BTreeMap<String, Arc<str>>,
    ) -> Result<(), Failure> {
        match self {
            Self::Here(run) => Ok(run.freeze(edition, files)?),
            #[cfg(feature = "restate")]
            Self::Restate(run) => {
                run.freeze(edition, files);
                Ok(())
            }
        }
    }

    /// Records events that can follow, without driving the run.
    pub(super) fn record(self, events: Vec<Event>, at: Timestamp) -> Result<(), Failure> {
        match self {
            Self::Here(run) => {
                let events = events.into_iter().map(|event| (event, at));
                Ok(run.append(events.collect())?)
            }
            #[cfg(feature = "restate")]
            Self::Restate(run) => run.record(events, at),
        }
    }
}
