//! Runs on a Restate server: finding the server, starting a run, taking one over.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    rc::Rc,
    sync::Arc,
};

use super::{
    args::{Args, Driving},
    failure::Failure,
    process::now,
    watch::{Watched, too_late},
};
use crate::{
    execute::{Ended, Observer},
    journal::{Event, JournalError, RunId, RunRow, State},
    report,
    restate::{Address, Done, Hastened, Order, Remote},
    targets::{SubstrateTarget, Target, Targets},
    value::Command,
};
use windlass_ground::Timestamp;

/// The value of `--on` for the Restate server at WINDLASS_RESTATE.
const UNNAMED: &str = "restate";
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// As for the runs in a list: how many characters of its id name a run.
const SHORTEST: usize = 6;

/// A Restate server, with a client for it.
#[derive(Clone)]
pub struct RestateServer {
    pub remote: Arc<Remote>,
    /// Its name as a value of `--on`.
    name: Rc<str>,
}

/// A run on a Restate server.
pub struct RestateRun {
    server: RestateServer,
    id: RunId,
    /// How many events it has.
    expects: u64,
    /// The last message to it.
    after_letter: u64,
    files: Option<(u32, BTreeMap<String, String>)>,
    /// The invocation that drives it already, if one does.
    driver: Option<String>,
}

/// Finds the Restate server that the command line or the target names, if one does.
pub fn restate_server(
    args: &Args,
    target: Option<(&str, &Target)>,
) -> Result<Option<RestateServer>, Failure> {
    let of_target = target.and_then(|(name, target)| Some((name, target.substrate.clone()?)));
    let (name, found) = match (args.on.as_deref(), of_target) {
        (None | Some(UNNAMED), Some((name, substrate))) => (name, substrate),
        (None, None) => return Ok(None),
        (Some(UNNAMED), None) => {
            let url = env::var("WINDLASS_RESTATE").unwrap_or(DEFAULT_URL.into());
            let substrate = SubstrateTarget {
                admin: env::var("WINDLASS_RESTATE_ADMIN").ok(),
                ..SubstrateTarget::at(&url)
            };
            (UNNAMED, substrate)
        }
        (Some(name), _) => {
            let (config, was_asked_for) = args.config();
            let targets = Targets::load(config, was_asked_for)?;
            let substrate = targets.find(name)?.and_then(|t| t.substrate.clone());
            let substrate = substrate.ok_or_else(|| {
                let message = format!("the target `{name}` has no Restate server");
                Failure::new("engine", message)
                    .hint("write substrate = { restate = \"http://…\" } in its table")
            })?;
            (name, substrate)
        }
    };
    let remote = Arc::new(Remote::new(address(&found)?, &args.state)?);
    Ok(Some(RestateServer {
        remote,
        name: name.into(),
    }))
}

/// Finds the Restate server whose runs `windlass serve` serves, if the command line names one.
pub fn served(args: &Args) -> Result<Option<Arc<Remote>>, Failure> {
    Ok(restate_server(args, None)?.map(|server| server.remote))
}

/// Returns the address of a Restate server, with the headers that authenticate the caller.
pub fn address(substrate: &SubstrateTarget) -> Result<Address, Failure> {
    let mut headers = substrate.headers.clone();
    if let Some(name) = &substrate.token_env {
        let token = env::var(name).map_err(|_| {
            Failure::new(
                "engine",
                format!("the environment variable {name}, which holds the token, is not set"),
            )
            .hint("`token_env` of the target names an environment variable")
        })?;
        headers.insert("authorization".into(), format!("Bearer {token}"));
    }
    Ok(Address {
        url: substrate.ingress(),
        admin: substrate.admin(),
        headers,
        ca: substrate.ca.clone(),
    })
}

impl RestateServer {
    pub fn find(&self, part: Option<&str>) -> Result<RunId, Failure> {
        let runs = self.remote.runs()?;
        let wanted = part.unwrap_or_default();
        let found: Vec<_> = runs
            .iter()
            .map(|row| &row.id)
            .filter(|id| id.as_str().contains(wanted))
            .collect();
        let exact = found.iter().find(|id| id.as_str() == wanted);
        // The list may be out of date, and a run that no worker has taken up yet is not in it.
        if let (None, [], Some(part)) = (exact, found.as_slice(), part) {
            if let Some(id) = RunId::parse(part)
                && self.remote.has_begun(&id)?
            {
                return Ok(id);
            }
            if let Some(id) = self.not_begun(Some(part))? {
                return Err(self.unbegun(&id)?);
            }
        }
        match (exact, found.as_slice(), part) {
            (Some(id), _, _) => Ok((*id).clone()),
            (None, [], _) => Err(JournalError::NoRun(part.unwrap_or("newest").into()).into()),
            (None, [newest, ..], None) => Ok((*newest).clone()),
            (None, [id], Some(_)) => Ok((*id).clone()),
            (None, several, Some(_)) => {
                let names: Vec<_> = several.iter().take(5).map(|id| id.as_str()).collect();
                Err(JournalError::Ambiguous(wanted.into(), names.join(", ")).into())
            }
        }
    }

    /// Returns the run that an id or a part of one names, if it was sent to Restate and has no events yet, so that it is in no list. Without
    /// a part, it must be newer than all runs that have begun.
    pub fn not_begun(&self, part: Option<&str>) -> Result<Option<RunId>, Failure> {
        let not_begun = self.remote.not_begun()?;
        if not_begun.is_empty() {
            return Ok(None);
        }
        let found: Vec<_> = match part {
            Some(part) if part.len() < SHORTEST => Vec::new(),
            Some(part) => not_begun
                .into_iter()
                .filter(|id| id.as_str().contains(part))
                .collect(),
            None => not_begun.into_iter().max().into_iter().collect(),
        };
        let [id] = found.as_slice() else {
            return Ok(None);
        };
        if part.is_some_and(|part| part == id.as_str()) {
            return Ok(Some(id.clone()));
        }
        let is_other = |row: &RunRow| match part {
            Some(part) => row.id.as_str().contains(part) || row.workflow == part,
            None => row.id.as_str() > id.as_str(),
        };
        let is_it = !self.remote.runs()?.iter().any(is_other);
        Ok(is_it.then(|| id.clone()))
    }

    /// Returns the error for a command that reads a run without events: why it has none, and what to do.
    pub fn unbegun(&self, id: &RunId) -> Result<Failure, Failure> {
        let (why, stuck) = self.remote.why_not_begun(id)?;
        let on_it = |name| report::command(Command::new(name).arg(id));
        let (resume, cancel) = (on_it("resume"), on_it("cancel"));
        let first = match stuck.map(|stuck| stuck.is_paused) {
            Some(true) => format!("fix this, then: {resume}"),
            Some(false) => format!("to try again now: {resume}"),
            None => "it starts when a worker does".to_owned(),
        };
        Ok(Failure::new("engine", why).hint(format!("{first}; to withdraw it: {cancel}")))
    }

    /// Warns of runs that Restate has paused, and of those that have not begun, which are in no list.
    pub fn warn_of_stuck(&self) -> Result<(), Failure> {
        let mut not_begun: BTreeSet<_> = self.remote.not_begun()?.into_iter().collect();
        let mut told = BTreeSet::new();
        let parts = self.remote.all_stuck()?.into_iter();
        for part in parts.filter(|part| part.stuck.is_paused) {
            not_begun.remove(&part.run);
            if told.insert(part.run.clone()) {
                let resume = report::command(Command::new("resume").arg(&part.run));
                let why = report::lines(&part.stuck.to_string()).into_owned();
                say!(
                    "warning: run {}: {why}; to continue, after you have fixed this: {resume}",
                    part.run
                );
            }
        }
        for run in not_begun {
            say!("warning: run {run} has not begun: no worker has taken it up");
        }
        Ok(())
    }

    /// Says whether workers have failed so far to do a part of a run that Restate drives.
    pub fn is_stuck(&self, id: &RunId) -> Result<bool, Failure> {
        Ok(self.remote.driver(id)?.is_some() && !self.remote.stuck(id)?.is_empty())
    }

    /// Lets Restate try again now what workers could not do of a run. Returns `None` if there is nothing.
    pub fn hasten(&self, id: &RunId) -> Result<Option<RestateRun>, Failure> {
        let Some(driver) = self.remote.driver(id)? else {
            return Ok(None);
        };
        let state = self.remote.state_of(id)?;
        let hastened = self.remote.hasten(id)?;
        if hastened == Hastened::default() {
            return Ok(None);
        }
        say!("{}", told(hastened));
        Ok(Some(RestateRun {
            server: self.clone(),
            id: id.clone(),
            expects: state.events,
            after_letter: 0,
            files: None,
            driver: Some(driver),
        }))
    }

    /// Returns a run that does not exist yet.
    pub fn begin(&self, id: RunId, files: &BTreeMap<String, Arc<str>>) -> RestateRun {
        let mut run = RestateRun {
            server: self.clone(),
            id,
            expects: 0,
            after_letter: 0,
            files: None,
            driver: None,
        };
        run.freeze(0, files);
        run
    }

    pub fn adopt(&self, id: &RunId) -> Result<(RestateRun, State), Failure> {
        if self.remote.driver(id)?.is_some() {
            let message = format!("run {id} is being driven by Restate");
            let hint = if self.is_stuck(id)? {
                let resume = report::command(Command::new("resume").arg(id));
                format!(
                    "parts of it have failed or are paused, and only a plain resume has them tried again now: {resume}"
                )
            } else {
                "wait for it, or cancel it".to_owned()
            };
            return Err(Failure::new("run-owned", message).hint(hint));
        }
        let state = self.remote.state_of(id)?;
        let run = RestateRun {
            server: self.clone(),
            id: id.clone(),
            expects: state.events,
            after_letter: self.remote.last_letter(id)?,
            files: None,
            driver: None,
        };
        Ok((run, state))
    }
}

/// Says what was resumed, and what is tried again.
fn told(Hastened { paused, retried }: Hastened) -> String {
    let parts = |count| match count {
        1 => "1 part of the run".to_owned(),
        count => format!("{count} parts of the run"),
    };
    match (paused, retried) {
        (0, 0) => "nothing of the run was paused".to_owned(),
        (paused, 0) => format!("resumed {}, paused by Restate", parts(paused)),
        (0, retried) => format!("Restate tries {} again now", parts(retried)),
        (paused, retried) => format!(
            "resumed {}, paused by Restate; it tries {} again now",
            parts(paused),
            parts(retried)
        ),
    }
}

impl RestateRun {
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Returns the name of its Restate server as a value of `--on`.
    pub fn name(&self) -> String {
        self.server.name.to_string()
    }

    /// Describes where it is recorded, for people.
    pub fn place(&self) -> String {
        format!("Restate at {}", self.server.remote.address().url)
    }

    pub fn freeze(&mut self, edition: u32, files: &BTreeMap<String, Arc<str>>) {
        let texts = files.iter().map(|(k, v)| (k.clone(), v.to_string()));
        self.files = Some((edition, texts.collect()));
    }

    pub fn record(self, events: Vec<Event>, at: Timestamp) -> Result<(), Failure> {
        let order = Order {
            is_only_record: true,
            ..self.order(events, at)?
        };
        match self.server.remote.record(&self.id, &order)? {
            Done::Done => Ok(()),
            Done::Void => Err(too_late(&self.id)),
        }
    }

    /// Makes Restate drive the run, unless it does already, and reports its events to the observer.
    pub fn drive(
        self,
        events: Vec<Event>,
        driving: &Driving,
        observer: &Arc<dyn Observer>,
    ) -> Result<(Ended, State), Failure> {
        let remote = &self.server.remote;
        let has_begun = self.driver.is_some();
        if has_begun && driving.lock_timeout.is_some() {
            let message = format!(
                "Restate already drives run {}, so its lock timeout can't be changed",
                self.id
            );
            return Err(Failure::new("engine", message)
                .hint("remove --lock-timeout; `windlass cancel` ends the wait"));
        }
        let invocation = match &self.driver {
            Some(driver) => driver.clone(),
            None => self.send(events, driving)?,
        };
        let watched = Watched {
            remote,
            run: &self.id,
            invocation,
            known: self.expects,
            has_begun,
        };
        watched.follow(driving, observer)
    }

    /// Makes Restate drive the run, and does not watch it.
    pub fn start(self, events: Vec<Event>, driving: &Driving) -> Result<(), Failure> {
        self.send(events, driving).map(|_| ())
    }

    /// Sends the run to Restate; returns the invocation that drives it.
    fn send(&self, events: Vec<Event>, driving: &Driving) -> Result<String, Failure> {
        let order = Order {
            max_parallel: driving.max_parallel,
            lock_timeout: driving.lock_timeout.map(|most| most.as_millis() as u64),
            ..self.order(events, now())?
        };
        let sent = self.server.remote.send(&self.id, &order);
        let invocation = sent.map_err(|error| {
            let may_have = error.passes();
            let failure = Failure::from(error);
            let show = Command::new("show").arg(&self.id);
            if may_have {
                failure.hint(format!(
                    "run {} may have been sent all the same: {}",
                    self.id,
                    report::command(show)
                ))
            } else {
                failure
            }
        })?;
        say!("run {} is driven by {}", self.id, self.place());
        Ok(invocation)
    }

    fn order(&self, events: Vec<Event>, at: Timestamp) -> Result<Order, Failure> {
        Ok(Order {
            at,
            after_letter: self.after_letter,
            expects: self.expects,
            events: self.server.remote.seal(events)?,
            files: self.files.clone(),
            max_parallel: 1,
            is_only_record: false,
            lock_timeout: None,
        })
    }
}
