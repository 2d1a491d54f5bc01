//! Runs the steps of a run that has not begun as far as they only read: those that come before any change. Their outputs
//! show in a plan which steps run, where, and what they replace.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, future, stream};
use tokio::runtime::Handle;

use crate::{
    compile::{Action, Workflow},
    decide::{self, Moment, Start, Want},
    journal::{Event, InstanceId, LockTaken, State, StepSucceeded},
};
use windlass_ground::Timestamp;
use windlass_script::{
    self as script, Call, EffectKey, Effects, Host, HostCall, Impact, Interruption, Level, Limits,
    OnStop, Script, Stop, function,
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

/// Follows a run from its start (`begun`) until something would be changed, and returns the state at that point. A step that changes
/// something, waits, asks a person or fails stays open, and so do the steps that depend on it.
pub async fn look(workflow: &Workflow, begun: &State, clients: &Clients, now: Timestamp) -> State {
    let mut state = begun.clone();
    loop {
        let moment = Moment {
            run_id: RUN,
            now,
            max_parallel: usize::MAX,
        };
        let next = decide::next(workflow, &state, moment);
        let locks = next.wants.into_iter().filter_map(taken);
        let events: Vec<_> = next.events.into_iter().chain(locks).collect();
        let is_over = events
            .iter()
            .any(|event| matches!(event, Event::RunEnded(_) | Event::UndoStarted(_)));
        if events.is_empty() || is_over {
            return state;
        }
        let read = read(next.starts, clients).await;
        for event in events.into_iter().chain(read) {
            if state.apply(&event, now).is_err() {
                return state;
            }
        }
    }
}

/// Takes a lock in this state only, so no other run is affected.
fn taken(want: Want) -> Option<Event> {
    let lock = want.any_of.into_iter().next()?;
    let step = want.step;
    Some(Event::LockTaken(LockTaken { lock, step }))
}

/// Runs those of these attempts whose scripts only read, and returns the events of those that succeeded.
async fn read(starts: Vec<Start<'_>>, clients: &Clients) -> Vec<Event> {
    let readers = starts.into_iter().filter_map(|start| {
        let Action::Script(script) = &start.step?.action else {
            return None;
        };
        let is_readable = script.run_calls.iter().all(only_reads)
            // A secret that is not read yet can't be used.
            && !start.inputs.values().any(Value::holds_reference);
        let reader = is_readable.then(|| Reader::new(script.clone(), clients))?;
        Some(async move {
            let run = move || reader.run(start.instance, start.inputs);
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
        Impact::Changes(_) => false,
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

    fn run(self, step: InstanceId, inputs: BTreeMap<String, Value>) -> Option<Event> {
        inputs
            .values()
            .for_each(|input| self.gate.redactor.learn(input));
        let limits = Limits {
            timeout: Some(LOOK_TIMEOUT),
            ..Limits::default()
        };
        let host = Host::new(self.gate.clone(), self.clients);
        let outputs = script::run(&self.script, inputs, host, &limits).ok()?;
        let outputs = self.gate.redactor.value(Value::Map(outputs));
        Some(Event::StepSucceeded(StepSucceeded { step, outputs }))
    }
}

struct Gate {
    runtime: Handle,
    /// Knows the secrets that the script receives and reads.
    redactor: Redactor,
}

impl Effects for Gate {
    fn perform(&self, call: Call) -> Result<Value, Interruption> {
        let is_read = function(call.function)
            .is_some_and(|row| !row.is_change() && !matches!(row.module(), "file" | "exec"));
        // Such a call may wait without a limit.
        if !is_read || !matches!(call.on_stop, OnStop::Await) {
            return Err(Interruption::Stopped(Stop::Cancelled));
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
