//! Runs the steps of a run that has not begun as far as they only read: those that come before any change. Their outputs
//! show in a plan which steps run, where, and what they replace.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future, stream};
use tokio::{runtime::Handle, time::timeout_at};

use super::dry_run::Obstacle;
use crate::decide::{self, Moment, Start, Want};
use windlass_compile::{Action, Workflow};
use windlass_ground::Timestamp;
use windlass_journal::{Event, InstanceId, LockTaken, State, StepSucceeded};
use windlass_script::{
    self as script, Call, Class, EffectKey, Effects, Ended, Host, HostCall, Impact, Interruption,
    Level, Limits, OnStop, Rules, Script, Stop, function,
};
use windlass_world::{
    outside::Clients,
    value::{Redactor, Value},
};

/// Stands in for the id that the run would get.
const RUN: &str = "RUN";
/// How long one script may take. A step that takes longer is left open in the plan.
const LOOK_TIMEOUT: Duration = Duration::from_secs(20);
/// How many scripts run at once: each holds a thread, and the clients need some as well.
const AT_ONCE: usize = 8;
/// The modules whose reads are made. Files, programs and web servers are left out: their answers may depend on earlier
/// steps of the run, and asking some of them changes something.
const ASKED: [&str; 3] = ["kube", "pca", "tls"];

/// The code of an error that a script throws.
const THREW: &str = "script-threw";

/// What a run would find before it changes anything.
pub struct Looked {
    /// Where the run would stand.
    pub state: State,
    /// What led there from its start.
    pub events: Vec<Event>,
    /// The steps that would fail.
    pub obstacles: Vec<Obstacle>,
    /// Whether the time was up before everything had been read.
    pub is_cut_off: bool,
}

impl Looked {
    /// Nothing was looked at: the run would stand where it begins.
    pub fn nothing(begun: &State) -> Self {
        Self {
            state: begun.clone(),
            events: Vec::new(),
            obstacles: Vec::new(),
            is_cut_off: false,
        }
    }
}

/// Follows a run from its start (`begun`) until something has to be changed, and returns its state there. A step that
/// changes something, waits, asks a person or fails stays open, and so does what comes after it, and what has not been
/// read by `until`.
pub async fn look(
    workflow: &Workflow,
    begun: &State,
    clients: &Clients,
    now: Timestamp,
    until: Option<Instant>,
) -> Looked {
    let mut looked = Looked::nothing(begun);
    loop {
        let moment = Moment {
            run_id: RUN,
            now,
            max_parallel: usize::MAX,
        };
        let next = decide::next(workflow, &looked.state, moment);
        let locks = next.wants.into_iter().filter_map(taken);
        let events: Vec<_> = next.events.into_iter().chain(locks).collect();
        let is_over = events
            .iter()
            .any(|event| matches!(event, Event::RunEnded(_) | Event::UndoStarted(_)));
        if events.is_empty() || is_over {
            return looked;
        }
        let reading = read(next.starts, clients);
        let read = match until {
            None => Some(reading.await),
            Some(until) => timeout_at(until.into(), reading).await.ok(),
        };
        let Some(read) = read else {
            looked.is_cut_off = true;
            return looked;
        };
        let mut succeeded = Vec::new();
        for ended in read {
            match ended {
                Ok(event) => succeeded.push(event),
                Err(obstacle) => looked.obstacles.push(obstacle),
            }
        }
        for event in events.into_iter().chain(succeeded) {
            if looked.state.apply(&event, now).is_err() {
                return looked;
            }
            looked.events.push(event);
        }
    }
}

/// Takes a lock in this state only, so no other run is affected.
fn taken(want: Want) -> Option<Event> {
    let lock = want.any_of.into_iter().next()?;
    let step = want.step;
    Some(Event::LockTaken(LockTaken { lock, step }))
}

/// Runs those of these attempts whose scripts only read, and returns what they gave, or why they failed.
async fn read(starts: Vec<Start<'_>>, clients: &Clients) -> Vec<Result<Event, Obstacle>> {
    let readers = starts.into_iter().filter_map(|start| {
        let step = start.step?;
        let Action::Script(script) = &step.action else {
            return None;
        };
        let is_read = step.is_read;
        let is_readable = script.run_calls.iter().all(only_reads)
            // A secret that is not read yet can't be used.
            && !start.inputs.values().any(Value::holds_reference);
        let reader = is_readable.then(|| Reader::new(script.clone(), clients))?;
        Some(async move {
            let run = move || reader.run(start.instance, start.inputs, is_read);
            tokio::task::spawn_blocking(run).await.ok().flatten()
        })
    });
    let read = stream::iter(readers).buffered(AT_ONCE);
    read.filter_map(future::ready).collect().await
}

fn only_reads(call: &HostCall) -> bool {
    let Some(row) = function(call.function) else {
        return false;
    };
    match row.does {
        // A dry run changes nothing.
        Impact::Changes(_) => !call.is_change() && ASKED.contains(&row.module()),
        Impact::Reads => ASKED.contains(&row.module()),
        Impact::Records | Impact::Computes => true,
    }
}

/// A script, with the gate of its calls.
struct Reader {
    script: Arc<Script>,
    clients: Clients,
    gate: Arc<Gate>,
}

impl Reader {
    fn new(script: Arc<Script>, clients: &Clients) -> Self {
        Self {
            script,
            clients: clients.clone(),
            gate: Arc::new(Gate {
                runtime: Handle::current(),
                redactor: Redactor::default(),
            }),
        }
    }

    /// `None` if nothing can be found out: the script makes calls that are not made for a plan.
    fn run(
        self,
        step: InstanceId,
        inputs: BTreeMap<String, Value>,
        is_read: bool,
    ) -> Option<Result<Event, Obstacle>> {
        inputs
            .values()
            .for_each(|input| self.gate.redactor.learn(input));
        let limits = Limits {
            timeout: Some(LOOK_TIMEOUT),
            ..Limits::default()
        };
        let host = Host::new(self.gate.clone(), self.clients);
        let rules = Rules {
            widens: true,
            is_read,
        };
        let redactor = &self.gate.redactor;
        Some(
            match script::run(&self.script, inputs, rules, host, &limits) {
                Ok(outputs) => Ok(Event::StepSucceeded(StepSucceeded {
                    step,
                    outputs: redactor.value(Value::Map(outputs)),
                })),
                Err(Ended::Failed(error)) => Err(Obstacle {
                    step,
                    // An error that the script throws will also occur in the run; a server that can't be reached may be
                    // reachable then.
                    is_sure: error.code == THREW,
                    error: redactor.error(error),
                }),
                Err(Ended::Stopped(..)) => return None,
            },
        )
    }
}

struct Gate {
    runtime: Handle,
    /// Knows the secrets that the script receives and reads.
    redactor: Redactor,
}

impl Effects for Gate {
    fn perform(&self, call: Call) -> Result<Value, Interruption> {
        let is_read = call.class == Class::Read
            && function(call.function).is_some_and(|row| !matches!(row.module(), "file" | "exec"));
        // Such a call may wait without a limit.
        if !is_read || !matches!(call.on_stop, OnStop::Await) {
            return Err(Interruption::Stopped(Stop::Cancelled));
        }
        if let Some(failure) = call.refusal {
            return Err(Interruption::Failed(failure));
        }
        let key = EffectKey::new("0".repeat(32));
        let done = self.runtime.block_on((call.act)(key));
        let value = done.map_err(Interruption::Failed)?;
        self.redactor.learn(&value);
        Ok(value)
    }

    fn sleep(&self, _: Duration) -> Result<(), Interruption> {
        Err(Interruption::Stopped(Stop::Cancelled))
    }

    fn is_replaying(&self) -> bool {
        false
    }

    fn note(&self, _: Level, _: String) {
        // Messages of the script are shown when it really runs.
    }
}
