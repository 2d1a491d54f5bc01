use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    book::{Due, TriggerBook},
    planted::Planted,
    starter::lives,
};
use windlass_compile::Occasion;
use windlass_ground::Timestamp;
use windlass_inventory::Inventory;
use windlass_runs::RunsError;

/// How many of the next starts are shown.
const SHOWN: usize = 5;

/// The status of a trigger. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TriggerStanding {
    /// The name of the workflow's file.
    pub workflow: String,
    pub trigger: String,
    /// When it starts the workflow: `0 3 * * SUN (Europe/Berlin)`, `30d before expiry`, `POST /hooks/deploys`.
    pub when: String,
    /// The time zone of its schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    pub target: String,
    /// How many certificates in use a `when_due` covers: with none, it never starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<usize>,
    /// The next starts, at most five; empty while it is paused.
    #[schema(value_type = Vec<i64>)]
    pub next: Vec<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LastStart>,
    /// The start that is due and has not been made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub paused_at: Option<Timestamp>,
}

/// A start that a trigger made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastStart {
    #[schema(value_type = i64)]
    pub due: Timestamp,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// Whether it was due while no server ran, and was made later.
    pub is_made_up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// A start that is due and has not been made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waits {
    #[schema(value_type = i64)]
    pub due: Timestamp,
    /// What it waits for, or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Returns the status of all triggers at this time.
///
/// # Errors
/// A book that can't be read.
pub fn standings(
    book: &TriggerBook,
    planted: &[Planted],
    inventory: &Inventory,
    now: Timestamp,
) -> Result<Vec<TriggerStanding>, RunsError> {
    let waiting = book.waiting()?;
    planted
        .iter()
        .map(|one| standing(book, one, &waiting, inventory, now))
        .collect()
}

fn standing(
    book: &TriggerBook,
    one: &Planted,
    waiting: &[Due],
    inventory: &Inventory,
    now: Timestamp,
) -> Result<TriggerStanding, RunsError> {
    let key = one.key();
    let paused = book.known(&key)?.and_then(|known| known.paused);
    let covered = match &one.trigger.occasion {
        Occasion::WhenDue(..) => lives(inventory, one),
        _ => Vec::new(),
    };
    let covers = match &one.trigger.occasion {
        Occasion::WhenDue(..) => Some(covered.len()),
        _ => None,
    };
    let next = match (&paused, &one.trigger.occasion) {
        (None, Occasion::Schedule(schedule)) => {
            let first = schedule.next_after(now);
            let all = std::iter::successors(first, |at| schedule.next_after(*at));
            all.take(SHOWN).collect()
        }
        (None, Occasion::WhenDue(before, _)) => {
            let mut dues: Vec<_> = covered
                .iter()
                .flat_map(|life| {
                    std::iter::once(life.due_at(*before)).chain(life.due_again_at(*before))
                })
                .filter(|due| *due > now)
                .collect();
            dues.sort_unstable();
            dues.dedup();
            dues.truncate(SHOWN);
            dues
        }
        _ => Vec::new(),
    };
    let waits = waiting.iter().find(|due| due.key == key);
    Ok(TriggerStanding {
        workflow: key.workflow.clone(),
        trigger: key.trigger.clone(),
        when: one.trigger.occasion_text(),
        time_zone: match &one.trigger.occasion {
            Occasion::Schedule(schedule) => Some(schedule.zone().to_owned()),
            _ => None,
        },
        target: one.trigger.target.clone(),
        covers,
        next,
        last: book.last(&key)?.map(|made| LastStart {
            due: made.due,
            at: made.at,
            is_made_up: made.is_late,
            run: made.run,
        }),
        waits: waits.map(|due| Waits {
            due: due.due,
            why: due.why.clone(),
        }),
        paused_at: paused.as_ref().map(|paused| paused.at),
        paused_by: paused.map(|paused| paused.by),
    })
}
