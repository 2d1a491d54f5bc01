//! Tries steps of a run that has not begun: their scripts run, their reads are real, their changes in Kubernetes are sent as dry
//! runs, and no other call is made.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::{StreamExt, future, stream};
use tokio::runtime::Handle;
use windlass_ground::lock;

use crate::decide::Trial;
use windlass_journal::InstanceId;
use windlass_script::{
    self as script, Call, Class, EffectKey, Effects, Ended, Host, Impact, Interruption, Level,
    Limits, OnStop, Rules, Stop, function, outdates,
};
use windlass_world::{
    outside::Clients,
    value::{Failure, FailureClass, Redactor, StepError, Value},
};

/// The time limit of one script. A trial is only a check, and the run does not depend on it.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(20);
/// Reads of a single object, which a change of another object does not outdate.
const READS_OF_ONE: [&str; 2] = ["kube::find", "kube::get"];
/// The API server's message if a webhook does not support dry runs (HTTP 400).
const NO_DRY_RUN: &str = "does not support dry run";

/// How many steps are tried at once: each of them takes a thread and a connection, and there may be hundreds of clusters.
const AT_ONCE: usize = 32;

/// A reason why a step would fail, found before the run begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Obstacle {
    pub step: InstanceId,
    pub error: StepError,
    /// Whether no earlier step of the run could remove it.
    pub is_sure: bool,
}

/// Tries each step. Skips steps that can't be judged, and failures that say nothing about the change itself, such as an
/// API server that can't be reached.
pub async fn obstacles(trials: Vec<Trial>, clients: &Clients) -> Vec<Obstacle> {
    let clients = Clients {
        kube: clients.kube.dry(),
        ..clients.clone()
    };
    let runtime = Handle::current();
    let start = |trial: Trial| {
        let dry_run = Arc::new(DryRun {
            runtime: runtime.clone(),
            redactor: Redactor::default(),
            seen: Mutex::default(),
        });
        let host = Host::new(dry_run.clone(), clients.clone());
        tokio::task::spawn_blocking(move || trial.run(host, &dry_run))
    };
    let tried = stream::iter(trials).map(start).buffered(AT_ONCE);
    tried
        .filter_map(|found| future::ready(found.ok().flatten()))
        .collect()
        .await
}

impl Trial {
    fn run(self, host: Host, dry_run: &DryRun) -> Option<Obstacle> {
        // A secret that is not read yet can't be judged.
        if self.inputs.values().any(Value::holds_reference) {
            return None;
        }
        let inputs = self.inputs.values();
        inputs.for_each(|input| dry_run.redactor.learn(input));
        let limits = Limits {
            timeout: Some(TRIAL_TIMEOUT),
            ..Limits::default()
        };
        let rules = Rules {
            widens: true,
            is_read: false,
        };
        let error = match script::run(&self.script, self.inputs, rules, host, &limits) {
            Err(Ended::Failed(error)) => error,
            Ok(_) | Err(Ended::Stopped(..)) => return None,
        };
        let refused = dry_run.seen().refused.take();
        let refused = refused.filter(|refused| error.failure.as_ref() == Some(&refused.failure));
        let is_open = match &refused {
            Some(refused) if !refused.is_verdict() => return None,
            Some(refused) => self
                .before
                .iter()
                .any(|call| call.may_change(&refused.object)),
            // The steps before may change the values that were read.
            None if self.before.iter().any(|call| call.is_change()) => return None,
            None if error.failure.as_ref().is_some_and(is_trouble) => return None,
            // The result of a dry run lacks the changes that controllers make.
            None => !dry_run.seen().changed.is_empty(),
        };
        Some(Obstacle {
            step: self.step,
            error: dry_run.redactor.error(error),
            is_sure: self.is_needed && !is_open,
        })
    }
}

/// The gate of a script that is only tried.
struct DryRun {
    runtime: Handle,
    /// Knows the secrets that the script receives and reads.
    redactor: Redactor,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The objects, by cluster, that would have been changed: reading them would return the state before.
    changed: BTreeSet<(String, String)>,
    /// The last change that failed.
    refused: Option<Refused>,
}

/// A change that an API server, or the client itself, rejected.
struct Refused {
    object: String,
    failure: Failure,
}

impl Refused {
    /// Says whether the failure is about the change itself.
    fn is_verdict(&self) -> bool {
        !is_trouble(&self.failure) && !self.failure.message.contains(NO_DRY_RUN)
    }
}

/// Says whether the other side could not be asked.
fn is_trouble(failure: &Failure) -> bool {
    use FailureClass::{Throttled, Timeout, Unavailable};
    matches!(failure.class, Throttled | Timeout | Unavailable)
}

impl DryRun {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Says whether a call may be made; otherwise the script ends there.
    fn allows(&self, call: &Call) -> bool {
        // Such a call may wait without a limit.
        if !matches!(call.on_stop, OnStop::Await) {
            return false;
        }
        let Some(row) = function(call.function) else {
            // This is a part of another call, such as `kube::evict` of `kube::replace_pods`, which waits for pods.
            return false;
        };
        match (&row.does, row.module()) {
            // Earlier steps may write what this reads.
            (_, "file" | "exec") => false,
            (Impact::Changes(_), "kube") => self.is_known(call, true),
            (Impact::Changes(_), _) => false,
            (Impact::Reads, "kube") => self.is_known(call, READS_OF_ONE.contains(&call.function)),
            (Impact::Reads | Impact::Records | Impact::Computes, _) => true,
        }
    }

    /// Says whether the object of a call is still as the run would find it, after the changes that were not made. `is_of_one`
    /// means that the call is about a single object.
    fn is_known(&self, call: &Call, is_of_one: bool) -> bool {
        let (cluster, object) = about(call);
        let seen = self.seen();
        let mut changed = seen.changed.iter().filter(|(of, _)| *of == cluster);
        if is_of_one {
            !changed.any(|(_, changed)| outdates(changed, &object))
        } else {
            changed.next().is_none()
        }
    }
}

/// Returns the cluster and the object in the record of a call to Kubernetes.
fn about(call: &Call) -> (String, String) {
    let text = |name| {
        let field = call.arguments.field(name);
        field.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    (text("cluster"), text("object"))
}

impl Effects for DryRun {
    fn perform(&self, call: Call) -> Result<Value, Interruption> {
        if !self.allows(&call) {
            return Err(Interruption::Stopped(Stop::Cancelled));
        }
        if let Some(failure) = call.refusal {
            return Err(Interruption::Failed(failure));
        }
        self.redactor.learn(&call.arguments);
        let (cluster, object) = about(&call);
        let is_change = call.class != Class::Read;
        let done = self
            .runtime
            .block_on((call.act)(EffectKey::new("0".repeat(32))));
        let mut seen = self.seen();
        match done {
            Ok(value) => {
                self.redactor.learn(&value);
                if is_change {
                    seen.changed.insert((cluster, object));
                }
                Ok(value)
            }
            Err(failure) => {
                seen.refused = Some(Refused {
                    object,
                    failure: failure.clone(),
                })
                .filter(|_| is_change);
                Err(Interruption::Failed(failure))
            }
        }
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
