use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{planted::Planted, remembered::Remembered};
use windlass_compile::{Occasion, Workflow, bind_params};
use windlass_ground::{Timestamp, lock};
use windlass_inventory::{Condition, Inventory};
use windlass_journal::{Outcome, RunId, RunInfo, Via};
use windlass_notify::{FailedStart, Outbox};
use windlass_report as report;
use windlass_runs::{Filter, Person, Runs, RunsError, Shown, StartWanted};
use windlass_script::Names;
use windlass_world::value::{Digest, Value};

/// Starts runs for the scheduler.
pub trait Starter {
    /// Returns what prevents a start now: another run that holds its lock.
    ///
    /// # Errors
    /// A journal that can't be read.
    fn held_by(&self, one: &Planted, due: Timestamp) -> Result<Option<Held>, RunsError>;

    /// Starts a run for a due start; repeated calls start one run. Returns `None` if it was started before and its key is no longer
    /// known.
    ///
    /// # Errors
    /// The reason why it can't be started now.
    fn start(&self, one: &Planted, due: Timestamp) -> Result<Option<String>, RunsError>;

    /// Returns the lifetimes of the certificates in use that this workflow issued on this target.
    fn lives(&self, one: &Planted) -> Vec<Life>;

    /// Says whether a run has succeeded, so that there is nothing of it to resume, and the certificates have been looked at since.
    fn has_succeeded(&self, run: &str) -> bool;

    /// Receives that a start failed for the first time.
    fn failed(&self, one: &Planted, due: Timestamp, error: &RunsError);
}

/// What prevents a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub why: String,
    /// Whether it lasts until a person acts: no process drives the run that has the lock, and the run waits for no answer.
    pub is_stuck: bool,
}

impl Held {
    fn by(why: String) -> Self {
        Self {
            why,
            is_stuck: false,
        }
    }
}

/// The lifetime of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When a run issued it.
    pub made_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Life {
    /// Returns when a certificate is due that must be renewed this long before it expires. If it would already be due when it is issued, it
    /// is due after two thirds of its lifetime; otherwise each run would start the next one at once.
    pub fn due_at(self, before: Duration) -> Timestamp {
        let whole = self.expires_at.since(self.made_at);
        if before < whole {
            self.expires_at - before
        } else {
            self.made_at + whole / 3 * 2
        }
    }

    /// Returns when it is due again if a run has succeeded and has not renewed it, because it was too early for the workflow: each
    /// time half of what is left of its life is over.
    pub fn due_again_at(self, before: Duration) -> impl Iterator<Item = Timestamp> {
        let first = self.due_at(before);
        let left = self.expires_at.since(first);
        (1..=TIMES_AGAIN).map(move |times| self.expires_at - left / (1 << times))
    }
}

/// How often a certificate becomes due again.
const TIMES_AGAIN: u32 = 4;

/// Starts runs through the service over runs.
pub struct ThroughRuns {
    runs: Arc<dyn Runs>,
    outbox: Arc<Outbox>,
    /// The inventory of the last check.
    inventory: Mutex<Inventory>,
    /// When that check began.
    looked_at: Mutex<Timestamp>,
}

impl ThroughRuns {
    pub fn new(runs: Arc<dyn Runs>, outbox: Arc<Outbox>) -> Self {
        Self {
            runs,
            outbox,
            inventory: Mutex::default(),
            looked_at: Mutex::new(Timestamp::EPOCH),
        }
    }

    /// Stores the certificates that there were at a time.
    pub fn look_at(&self, inventory: Inventory, at: Timestamp) {
        *lock(&self.inventory) = inventory;
        *lock(&self.looked_at) = at;
    }

    /// Returns the certificates of the last check.
    pub fn inventory(&self) -> Inventory {
        lock(&self.inventory).clone()
    }
}

impl Starter for ThroughRuns {
    fn held_by(&self, one: &Planted, due: Timestamp) -> Result<Option<Held>, RunsError> {
        let workflow = &one.program;
        if workflow.lock.is_none() && workflow.concurrency.is_none() {
            return Ok(None);
        }
        let brief = Filter {
            is_brief: true,
            ..Filter::default()
        };
        let rows = self.runs.list(&brief)?.rows;
        let open = rows
            .iter()
            // A run that waits for a person holds its lock even if no process drives it.
            .filter(|row| row.run.ended_at.is_none() && row.status != "interrupted");
        let open = open.map(|row| self.runs.run(&row.run.id));
        let open: Vec<Shown> = open.collect::<Result<_, _>>()?;
        if open.iter().any(|shown| is_start_of(&shown.info, one, due)) {
            // It was started for this time, by a process that could not record it.
            return Ok(None);
        }
        let own = lock_of(workflow, params(one)?, &one.trigger.target);
        if let Some(own) = &own
            && let Some(held) = self.holder_of(own, &open, (one, due))?
        {
            return Ok(Some(held));
        }
        let same = open
            .iter()
            .filter(|shown| shown.program.workflow.name == workflow.name);
        let same: Vec<_> = same.map(|shown| shown.id.to_string()).collect();
        Ok(match workflow.concurrency {
            Some(most) if same.len() >= most as usize => Some(Held::by(format!(
                "at most {most} runs of this workflow at once: {}",
                same.join(", ")
            ))),
            _ => None,
        })
    }

    fn start(&self, one: &Planted, due: Timestamp) -> Result<Option<String>, RunsError> {
        let params = one.trigger.params(Value::Null, Value::Null);
        let wanted = StartWanted {
            workflow: one.workflow.clone(),
            target: one.trigger.target.clone(),
            params: params.map_err(|why| RunsError::wrong("params", why))?,
            plan: None,
        };
        let started = self
            .runs
            .start(&wanted, Some(&start_key(one, due)), &person(one, due));
        match started {
            Ok(started) => {
                self.made(one);
                Ok(Some(started.run.to_string()))
            }
            // The trigger's params have changed since the start.
            Err(error) if error.code == "idempotency-key" => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lives(&self, one: &Planted) -> Vec<Life> {
        lives(&lock(&self.inventory), one)
    }

    fn has_succeeded(&self, run: &str) -> bool {
        let shown = RunId::parse(run).and_then(|run| self.runs.run(&run).ok());
        let looked_at = *lock(&self.looked_at);
        shown.is_some_and(|shown| {
            // The certificates that are known may be those from before its end.
            let is_seen = shown.state.ended_at.is_some_and(|at| at < looked_at);
            shown.state.outcome == Some(Outcome::Succeeded) && is_seen
        })
    }

    fn failed(&self, one: &Planted, due: Timestamp, error: &RunsError) {
        let text = format!(
            "It was due at {} UTC: {}\nThe start will be retried.",
            report::utc_time(due),
            error.message
        );
        self.tell_failed(one, due, text);
    }
}

impl ThroughRuns {
    /// Returns what is known of the run that has a lock, or will take it before a run that starts now.
    fn holder_of(
        &self,
        lock: &str,
        open: &[Shown],
        (one, due): (&Planted, Timestamp),
    ) -> Result<Option<Held>, RunsError> {
        let held = self.runs.locks()?;
        if let Some(held) = held.iter().find(|held| held.name == lock) {
            let shown = self.runs.run(&held.run)?;
            if is_start_of(&shown.info, one, due) {
                // The start returns this run.
                return Ok(None);
            }
            let why = format!("run {} has the lock `{lock}`", held.run);
            return Ok(Some(if !shown.is_driven && shown.status() != "waiting" {
                Held {
                    why: format!(
                        "{why}, and is {}: resume it, cancel it or undo it",
                        shown.status()
                    ),
                    is_stuck: true,
                }
            } else {
                Held::by(why)
            }));
        }
        let takes_it = |shown: &&Shown| {
            let Value::Map(params) = &shown.info.params else {
                return false;
            };
            let other = lock_of(&shown.program.workflow, params.clone(), &shown.info.target);
            other.as_deref() == Some(lock)
        };
        let next = open.iter().find(takes_it);
        Ok(next.map(|shown| Held::by(format!("run {} takes the lock `{lock}`", shown.id))))
    }

    /// Reports that a signed request could not start a run.
    pub fn hook_failed(&self, one: &Planted, at: Timestamp, error: &RunsError) {
        let text = format!(
            "A signed request to its hook arrived: {}\nThe start is retried only if the request is sent again.",
            error.message
        );
        self.tell_failed(one, at, text);
    }

    /// Reports that a trigger starts nothing, because its workflow can't be read.
    pub fn lost(&self, one: &Remembered, at: Timestamp, text: String) {
        // Each server notices it by itself, at almost the same time.
        let why = Digest::of(&[text.as_bytes()]);
        let hour = at.as_secs() / 3600;
        self.outbox.start_failed(FailedStart {
            file: &one.key.workflow,
            workflow: &one.name,
            trigger: &one.key.trigger,
            target: &one.target,
            occasion: format!("{hour} {why}"),
            text,
        });
    }

    /// Records that a trigger that started nothing can start runs again.
    pub fn is_back(&self, one: &Remembered) {
        self.outbox.start_made(&one.key.workflow, &one.key.trigger);
    }

    /// Records that a trigger started a run, after it may have failed to.
    pub fn made(&self, one: &Planted) {
        let trigger = &one.trigger.name;
        self.outbox.start_made(one.workflow.as_str(), trigger);
    }

    fn tell_failed(&self, one: &Planted, at: Timestamp, text: String) {
        self.outbox.start_failed(FailedStart {
            file: one.workflow.as_str(),
            workflow: &one.program.name,
            trigger: &one.trigger.name,
            target: &one.trigger.target,
            occasion: at.as_millis().to_string(),
            text,
        });
    }
}

/// Returns the lifetimes of the certificates in use that a trigger's workflow, or those that it names, issued on its target.
pub fn lives(inventory: &Inventory, one: &Planted) -> Vec<Life> {
    let used = inventory
        .certificates
        .iter()
        .filter(|entry| entry.condition() == Condition::InUse);
    let lives = used.filter_map(|entry| {
        let by = entry.made_by.as_ref()?;
        let is_its = is_covered(one, &by.workflow) && by.target == one.trigger.target;
        is_its.then_some(Life {
            made_at: by.at,
            expires_at: entry.facts.not_after,
        })
    });
    lives.collect()
}

fn is_covered(one: &Planted, workflow: &String) -> bool {
    let is_named = match &one.trigger.occasion {
        Occasion::WhenDue(_, issuers) => issuers.contains(workflow),
        _ => false,
    };
    is_named || *workflow == one.program.name
}

/// Returns the key of a start. Together with the requester, which names the workflow and the trigger, it is the same for the same time.
fn start_key(one: &Planted, due: Timestamp) -> String {
    format!("{} {}", one.key(), due.as_millis())
}

fn person(one: &Planted, due: Timestamp) -> Person {
    Person {
        name: one.requester(),
        via: Some(Via {
            how: format!("due at {}", report::utc_time(due)),
            from: "windlass serve".into(),
            groups: Vec::new(),
        }),
    }
}

fn is_start_of(info: &RunInfo, one: &Planted, due: Timestamp) -> bool {
    // A start that was still waiting when this one became due was replaced by it.
    info.requester == one.requester() && info.started_at >= due
}

fn params(one: &Planted) -> Result<BTreeMap<String, Value>, RunsError> {
    let params = one.trigger.params(Value::Null, Value::Null);
    let params = params.map_err(|why| RunsError::wrong("params", why))?;
    Ok(bind_params(&one.program, params)?)
}

/// Returns the lock that a run of a workflow takes; `None` if it takes none, or if the lock is only known at the start.
fn lock_of(workflow: &Workflow, params: BTreeMap<String, Value>, target: &str) -> Option<String> {
    let names = Names {
        params: Value::Map(params),
        target: Value::map([("name", Value::from(target)), ("kube", true.into())]),
        ..Names::default()
    };
    match workflow.lock.as_ref()?.evaluate(&names) {
        Ok(Value::String(name)) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_due_when_it_is_made_is_due_later() {
        let life = Life {
            made_at: Timestamp::from_millis(1_000),
            expires_at: Timestamp::from_millis(91_000),
        };
        let due_at = |before: u64| life.due_at(Duration::from_millis(before)).as_millis();
        assert_eq!(due_at(30_000), 61_000);
        assert_eq!(due_at(89_999), 1_001);
        for before in [90_000, 90_001, u64::MAX] {
            assert_eq!(due_at(before), 61_000, "{before}");
        }
        let again = life.due_again_at(Duration::from_secs(80));
        let again: Vec<_> = again.map(Timestamp::as_millis).collect();
        assert_eq!(again, [51_000, 71_000, 81_000, 86_000]);
    }
}
