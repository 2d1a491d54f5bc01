//! Runs on an engine: finding it, taking a run, following one.

use std::{
    collections::BTreeMap,
    env,
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    args::{Args, Driving},
    drive::{now, requester, runtime, watch_for_interrupts},
    failure::Failure,
};
use crate::{
    execute::{
        Cancel, Ended, Observer,
        restate::{Address, Done, Order, Remote},
    },
    journal::{Event, JournalError, Message, RunId, State, Status},
    targets::{SubstrateTarget, Target, Targets},
};

/// What `--on` calls the engine that no target names.
const UNNAMED: &str = "restate";
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// How often a run is looked at.
const PAUSE: Duration = Duration::from_millis(200);
/// Who watches a run takes this share of the time at most: the engine has other things to do.
const SHARE: u32 = 10;
/// How long an engine may be away: its servers restart, its nodes take over from each other.
const PATIENCE: Duration = Duration::from_secs(300);

/// An engine that can be asked.
#[derive(Clone)]
pub struct Engine {
    pub remote: Rc<Remote>,
    /// What `--on` calls it.
    name: Rc<str>,
}

/// A run of an engine's that nothing drives.
pub struct EngineRun {
    engine: Engine,
    id: RunId,
    /// How many events it has.
    expects: u64,
    files: Option<(u32, BTreeMap<String, String>)>,
}

/// Finds the engine that the command line or the target names, if one does.
pub fn engine(args: &Args, target: Option<(&str, &Target)>) -> Result<Option<Engine>, Failure> {
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
                let message = format!("the target `{name}` has no engine");
                Failure::new("engine", message)
                    .hint("write substrate = { restate = \"http://…\" } in its table")
            })?;
            (name, substrate)
        }
    };
    let remote = Rc::new(Remote::new(address(&found)?, &args.state)?);
    Ok(Some(Engine {
        remote,
        name: name.into(),
    }))
}

/// The address of an engine, with what proves who asks.
pub fn address(substrate: &SubstrateTarget) -> Result<Address, Failure> {
    let mut headers = substrate.headers.clone();
    if let Some(name) = &substrate.token_env {
        let token = env::var(name).map_err(|_| {
            Failure::new("engine", format!("the token in {name} is not there"))
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

impl Engine {
    pub fn find(&self, part: Option<&str>) -> Result<RunId, Failure> {
        let runs = self.remote.runs()?;
        let wanted = part.unwrap_or_default();
        let found: Vec<_> = runs
            .iter()
            .map(|row| &row.id)
            .filter(|id| id.as_str().contains(wanted))
            .collect();
        let exact = found.iter().find(|id| id.as_str() == wanted);
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

    /// Lets what the engine has paused of a run go on; says whether there was any.
    pub fn resume_paused(&self, id: &RunId) -> Result<bool, Failure> {
        if !self.remote.is_driven(id)? {
            return Ok(false);
        }
        let paused = self.remote.resume_paused(id)?;
        if paused > 0 {
            eprintln!(
                "{paused} paused parts of run {id} go on; watch it with: windlass logs {id} -f"
            );
        }
        Ok(paused > 0)
    }

    /// A run that does not exist yet.
    pub fn begin(&self, id: RunId, files: &BTreeMap<String, Arc<str>>) -> EngineRun {
        let mut run = EngineRun {
            engine: self.clone(),
            id,
            expects: 0,
            files: None,
        };
        run.freeze(0, files);
        run
    }

    pub fn adopt(&self, id: &RunId) -> Result<(EngineRun, State), Failure> {
        if self.remote.is_driven(id)? {
            let message = format!("run {id} is being driven by the engine");
            return Err(Failure::new("run-owned", message).hint("wait for it, or cancel it"));
        }
        let state = self.remote.state_of(id)?;
        let run = EngineRun {
            engine: self.clone(),
            id: id.clone(),
            expects: state.events,
            files: None,
        };
        Ok((run, state))
    }
}

impl EngineRun {
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// What `--on` calls its engine.
    pub fn name(&self) -> String {
        self.engine.name.to_string()
    }

    /// Where it is kept, for people.
    pub fn place(&self) -> String {
        format!("the engine at {}", self.engine.remote.address().url)
    }

    pub fn freeze(&mut self, edition: u32, files: &BTreeMap<String, Arc<str>>) {
        let texts = files.iter().map(|(k, v)| (k.clone(), v.to_string()));
        self.files = Some((edition, texts.collect()));
    }

    pub fn record(self, event: Event, at: i64) -> Result<(), Failure> {
        let order = self.order(vec![event], at, 1, true)?;
        match self.engine.remote.record(&self.id, &order)? {
            Done::Done => Ok(()),
            Done::Void => Err(too_late(&self.id)),
        }
    }

    /// Has the engine drive the run, and tells the observer what happens.
    pub fn drive(
        self,
        events: Vec<Event>,
        driving: &Driving,
        observer: &Arc<dyn Observer>,
    ) -> Result<(Ended, State), Failure> {
        let order = self.order(events, now(), driving.max_parallel, false)?;
        let remote = &self.engine.remote;
        let invocation = remote.send(&self.id, &order)?;
        let threads = runtime(driving.max_parallel)?;
        let cancel = Cancel::default();
        let farewell = format!("the engine has run {} now", self.id);
        threads.block_on(async { watch_for_interrupts(cancel.clone(), farewell) });
        let (mut following, mut state) = (remote.follow(&self.id), State::default());
        let mut has_asked = false;
        let mut silent_since = Instant::now();
        loop {
            let asking = Instant::now();
            let looked = (remote.is_alive(&invocation))
                .and_then(|is_alive| Ok((is_alive, following.read()?)));
            let (is_alive, records) = match looked {
                Ok(looked) => {
                    silent_since = Instant::now();
                    looked
                }
                Err(error) if error.passes() && silent_since.elapsed() < PATIENCE => {
                    thread::sleep(PAUSE);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let mut events = Vec::with_capacity(records.len());
            for record in records {
                state
                    .apply(&record.event, record.at)
                    .map_err(crate::execute::DriveError::from)?;
                if record.seq >= self.expects {
                    events.push(record.event);
                }
            }
            if !events.is_empty() {
                observer.happened(&events, &state);
            }
            let has_begun = state.events > self.expects;
            match state.outcome {
                Some(outcome) if has_begun => return Ok((Ended::Over(outcome), state)),
                None if has_begun && !driving.wait && waits(&state) => {
                    return Ok((Ended::Waiting, state));
                }
                _ if !is_alive => return Err(too_late(&self.id)),
                _ => {}
            }
            if cancel.is_cancelled() && !has_asked {
                let requester = requester();
                remote.post(&self.id, &Message::Cancel { requester }, now())?;
                has_asked = true;
            }
            thread::sleep(PAUSE.max(asking.elapsed() * SHARE));
        }
    }

    fn order(
        &self,
        events: Vec<Event>,
        at: i64,
        max_parallel: u16,
        is_only_record: bool,
    ) -> Result<Order, Failure> {
        Ok(Order {
            at,
            expects: self.expects,
            events: self.engine.remote.seal(events)?,
            files: self.files.clone(),
            max_parallel,
            is_only_record,
        })
    }
}

/// Whether nothing happens before somebody answers.
fn waits(state: &State) -> bool {
    let mut asks = false;
    for instance in state.steps.values().filter(|i| !i.is_composite()) {
        match instance.status {
            Status::Running | Status::Retrying { .. } => return false,
            Status::Waiting => asks = true,
            _ => {}
        }
    }
    asks
}

fn too_late(id: &RunId) -> Failure {
    Failure::new(
        "run-owned",
        format!("run {id} has gone on meanwhile, by another order"),
    )
    .hint(format!("`windlass show {id}` says where it stands"))
}
