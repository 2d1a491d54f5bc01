use std::{
    path::Path,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::Serialize;
use tokio::sync::Notify;
use utoipa::ToSchema;

use super::notice::Notice;
use windlass_ground::{Durability, Timestamp, lock, open_database};
use windlass_journal::RunId;
use windlass_runs::{Cursor, RunsError, now};
use windlass_targets::{Channel, NoticeKind, ReceiverConfig};
use windlass_world::value::Digest;

/// How long sent notifications are kept.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// Keeps notifications until each receiver has accepted them. Each method returns after its changes are on disk.
pub struct Outbox {
    database: Mutex<Connection>,
    receivers: Vec<ReceiverConfig>,
    /// Signals that there is something new to send.
    pub(super) added: Notify,
}

/// A notification that waits for its receiver.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The notification's id, which is also the order of sending.
    pub id: i64,
    pub notice: Notice,
    pub attempts: u32,
    /// When the next attempt is made.
    pub next_at: Timestamp,
    /// When the first attempt was made.
    pub first_at: Option<Timestamp>,
}

/// A notice and what became of it at one receiver. Times are milliseconds since 1970.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Delivered {
    pub id: i64,
    pub receiver: String,
    /// `queued`, `sent` or `given_up`.
    pub state: String,
    /// `waiting`, `failed`, `succeeded`, `doubt`, `due` or `expiring_approval`.
    pub kind: String,
    /// When it happened.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    pub title: String,
    pub text: String,
    pub attempts: u32,
    /// When the next attempt is made, of one that is queued and failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub next_at: Option<Timestamp>,
    /// When it was sent or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub done_at: Option<Timestamp>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What is queued for a receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReceiverQueue {
    pub receiver: String,
    /// `webhook`, `slack`, `teams`, `pagerduty` or `email`.
    pub channel: String,
    pub queued: u64,
    /// How many attempts to send the first notification have failed.
    pub attempts: u64,
    pub sent: u64,
    pub given_up: u64,
}

/// The position up to which the events of a run have been read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadUpTo {
    pub cursor: Cursor,
    /// When the run had ended, as of that read.
    pub ended_at: Option<Timestamp>,
}

impl Outbox {
    /// Opens the outbox of an existing state folder. Events from before the first call cause no notifications.
    pub fn open(state: &Path, receivers: Vec<ReceiverConfig>) -> Result<Self, RunsError> {
        let database = open_database(&state.join("serve.db"), Durability::Machine)?;
        Self::of(database, receivers)
    }

    pub(super) fn of(
        database: Connection,
        receivers: Vec<ReceiverConfig>,
    ) -> Result<Self, RunsError> {
        database.execute_batch(
            "CREATE TABLE IF NOT EXISTS notices (
                 id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, notice TEXT NOT NULL
             ) STRICT;
             CREATE TABLE IF NOT EXISTS deliveries (
                 receiver TEXT NOT NULL, notice INTEGER NOT NULL REFERENCES notices, state TEXT NOT NULL,
                 attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL DEFAULT 0, first_at INTEGER, done_at INTEGER, error TEXT,
                 PRIMARY KEY (receiver, notice)
             ) STRICT;
             CREATE INDEX IF NOT EXISTS deliveries_queued ON deliveries (receiver, notice) WHERE state = 'queued';
             CREATE TABLE IF NOT EXISTS positions (
                 run TEXT PRIMARY KEY, next INTEGER NOT NULL, digest BLOB NOT NULL, ended_at INTEGER
             ) STRICT;
             CREATE TABLE IF NOT EXISTS notify_facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS alerts (key TEXT PRIMARY KEY, round INTEGER NOT NULL, notice INTEGER) STRICT;
             INSERT INTO alerts (key, round, notice) SELECT key, 1, id FROM notices
                 WHERE (key LIKE 'due %' OR key LIKE 'early %') AND key NOT LIKE '% % %' ON CONFLICT DO NOTHING;",
        )?;
        database.execute(
            "INSERT INTO notify_facts (name, value) VALUES ('since', ?) ON CONFLICT DO NOTHING",
            [now()],
        )?;
        let this = Self {
            database: Mutex::new(database),
            receivers,
            added: Notify::new(),
        };
        this.drop_strangers()?;
        Ok(this)
    }

    /// Gives up deliveries to receivers that are no longer configured.
    fn drop_strangers(&self) -> Result<(), RunsError> {
        let names: Vec<_> = self.receivers.iter().map(|one| one.name.as_str()).collect();
        let names = serde_json::to_string(&names).unwrap_or_default();
        self.database().execute(
            "UPDATE deliveries SET state = 'given_up', done_at = ?, error = 'the receiver is no longer in windlass.toml'
             WHERE state = 'queued' AND receiver NOT IN (SELECT value FROM json_each(?))",
            params![now(), names],
        )?;
        Ok(())
    }

    pub fn receivers(&self) -> &[ReceiverConfig] {
        &self.receivers
    }

    /// Returns the time since which events cause notifications.
    pub(super) fn since(&self) -> Result<Timestamp, RunsError> {
        let since = "SELECT value FROM notify_facts WHERE name = 'since'";
        Ok(self.database().query_row(since, [], |row| row.get(0))?)
    }

    /// Stores notifications, and the positions up to which runs have been read, all or nothing.
    pub(super) fn add(
        &self,
        notices: &[Notice],
        positions: &[(&RunId, ReadUpTo)],
    ) -> Result<(), RunsError> {
        self.change(|all| {
            let mut added = 0;
            for notice in notices {
                added += self.insert(all, notice)?;
            }
            for (run, position) in positions {
                let (next, digest) = position.cursor.parts();
                all.execute(
                    "INSERT INTO positions (run, next, digest, ended_at) VALUES (?, ?, ?, ?)
                     ON CONFLICT DO UPDATE SET next = excluded.next, digest = excluded.digest, ended_at = excluded.ended_at",
                    params![run.as_str(), next, digest.as_bytes(), position.ended_at],
                )?;
            }
            Ok(added)
        })
    }

    fn insert(&self, all: &Transaction, notice: &Notice) -> Result<usize, RunsError> {
        let ended = if notice.ends_run() {
            self.resolve_steps(all, notice)?
        } else {
            0
        };
        Ok(ended + self.queue(all, notice)?)
    }

    /// Ends the alerts about the steps of a run.
    fn resolve_steps(&self, all: &Transaction, ended: &Notice) -> Result<usize, RunsError> {
        let mut statement = all.prepare_cached(
            "SELECT DISTINCT json_extract(notice, '$.about') FROM notices
             WHERE json_extract(notice, '$.run') = ?1 AND json_extract(notice, '$.about') <> ?2",
        )?;
        let of_run = params![ended.run, ended.about];
        let abouts = statement.query_map(of_run, |row| row.get(0))?;
        let abouts: Vec<String> = abouts.collect::<Result<_, _>>()?;
        let mut added = 0;
        for about in abouts {
            let notice = Notice {
                key: format!("{} ends {about}", ended.key),
                about,
                resolves: true,
                ..ended.clone()
            };
            added += self.queue(all, &notice)?;
        }
        Ok(added)
    }

    /// Queues a notification for the receivers that want it, unless it is known.
    fn queue(&self, all: &Transaction, notice: &Notice) -> Result<usize, RunsError> {
        let wanted = self.wanting(all, notice)?;
        let id = store(all, notice, &wanted)?;
        Ok(id.map_or(0, |_| wanted.len()))
    }

    /// Returns the receivers that want a notification.
    pub(super) fn wanting(
        &self,
        all: &Transaction,
        notice: &Notice,
    ) -> Result<Vec<&ReceiverConfig>, RunsError> {
        let mut wanted = Vec::new();
        for receiver in &self.receivers {
            if wants(receiver, notice) || ends_alert(all, receiver, notice)? {
                wanted.push(receiver);
            }
        }
        Ok(wanted)
    }

    /// Makes changes all or nothing, and signals if they queued something: `change` returns how much.
    pub(super) fn change(
        &self,
        change: impl FnOnce(&Transaction) -> Result<usize, RunsError>,
    ) -> Result<(), RunsError> {
        let added = {
            let mut database = self.database();
            let all = database.transaction()?;
            let added = change(&all)?;
            all.commit()?;
            added
        };
        if added > 0 {
            self.added.notify_waiters();
        }
        Ok(())
    }

    /// Returns the position up to which the events of a run have been read.
    pub(super) fn position(&self, run: &RunId) -> Result<Option<ReadUpTo>, RunsError> {
        let found = self
            .database()
            .query_row(
                "SELECT next, digest, ended_at FROM positions WHERE run = ?",
                [run.as_str()],
                |row| {
                    Ok(ReadUpTo {
                        cursor: Cursor::at(row.get(0)?, Digest::from_bytes(row.get(1)?)),
                        ended_at: row.get(2)?,
                    })
                },
            )
            .optional()?;
        Ok(found)
    }

    /// Returns the first notification that a receiver has not accepted.
    pub(super) fn next(&self, receiver: &str) -> Result<Option<Queued>, RunsError> {
        let found = self
            .database()
            .query_row(
                "SELECT n.id, n.notice, d.attempts, d.next_at, d.first_at FROM deliveries d JOIN notices n ON n.id = d.notice
                 WHERE d.receiver = ? AND d.state = 'queued' ORDER BY d.notice LIMIT 1",
                [receiver],
                |row| {
                    let text: String = row.get(1)?;
                    Ok((row.get(0)?, text, row.get(2)?, row.get(3)?, row.get(4)?))
                },
            )
            .optional()?;
        let Some((id, text, attempts, next_at, first_at)) = found else {
            return Ok(None);
        };
        let notice = serde_json::from_str(&text)
            .map_err(|e| RunsError::broken("journal", format!("notice {id} can't be read: {e}")))?;
        Ok(Some(Queued {
            id,
            notice,
            attempts,
            next_at,
            first_at,
        }))
    }

    /// Records that a receiver has accepted a notification.
    pub(super) fn sent(&self, receiver: &str, id: i64, at: Timestamp) -> Result<(), RunsError> {
        self.database().execute(
            "UPDATE deliveries SET state = 'sent', attempts = attempts + 1, done_at = ?, error = NULL WHERE receiver = ? AND notice = ?",
            params![at, receiver, id],
        )?;
        Ok(())
    }

    /// Records that an attempt failed, and when the next one is made.
    pub(super) fn failed(
        &self,
        receiver: &str,
        id: i64,
        error: &str,
        at: Timestamp,
        next_at: Timestamp,
    ) -> Result<(), RunsError> {
        self.database().execute(
            "UPDATE deliveries SET attempts = attempts + 1, error = ?, first_at = coalesce(first_at, ?), next_at = ?
             WHERE receiver = ? AND notice = ?",
            params![error, at, next_at, receiver, id],
        )?;
        Ok(())
    }

    /// Records that a notification is not retried, so that the later ones are sent.
    pub(super) fn give_up(
        &self,
        receiver: &str,
        id: i64,
        error: &str,
        at: Timestamp,
    ) -> Result<(), RunsError> {
        self.database().execute(
            "UPDATE deliveries SET state = 'given_up', attempts = attempts + 1, error = ?, done_at = ? WHERE receiver = ? AND notice = ?",
            params![error, at, receiver, id],
        )?;
        Ok(())
    }

    /// Deletes old deliveries and notifications, unless their alerts are open: those who got one are told when it ends.
    pub(super) fn prune(&self, at: Timestamp) -> Result<(), RunsError> {
        let mut database = self.database();
        let all = database.transaction()?;
        all.execute(
            "DELETE FROM deliveries WHERE state <> 'queued' AND done_at < ?
                 AND notice NOT IN (SELECT notice FROM alerts WHERE notice IS NOT NULL)",
            [at - KEPT],
        )?;
        all.execute(
            "DELETE FROM notices WHERE at < ? AND id NOT IN (SELECT notice FROM deliveries)
                 AND id NOT IN (SELECT notice FROM alerts WHERE notice IS NOT NULL)",
            [at - KEPT],
        )?;
        Ok(all.commit()?)
    }

    /// Lists the deliveries of up to `limit` notifications, newest first, starting before the notification that is given, if any.
    ///
    /// # Errors
    /// A database that can't be read.
    pub fn list(
        &self,
        state: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Delivered>, RunsError> {
        let database = self.database();
        let mut statement = database.prepare_cached(
            "SELECT n.id, d.receiver, d.state, n.notice, d.attempts, d.next_at, d.done_at, d.error
             FROM deliveries d JOIN notices n ON n.id = d.notice
             WHERE (?1 IS NULL OR d.state = ?1) AND n.id IN (
                 SELECT DISTINCT notice FROM deliveries
                 WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR notice < ?2)
                 ORDER BY notice DESC LIMIT ?3)
             ORDER BY n.id DESC, d.receiver",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![state, before, limit], delivered)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Counts what is queued for each configured receiver.
    ///
    /// # Errors
    /// A database that can't be read.
    pub fn queues(&self) -> Result<Vec<ReceiverQueue>, RunsError> {
        let database = self.database();
        let mut statement = database.prepare_cached(
            "SELECT count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'sent'),
                    count(*) FILTER (WHERE state = 'given_up'),
                    coalesce((SELECT attempts FROM deliveries WHERE receiver = ?1 AND state = 'queued' ORDER BY notice LIMIT 1), 0)
             FROM deliveries WHERE receiver = ?1",
        )?;
        let queue = |receiver: &ReceiverConfig| {
            statement.query_row([&receiver.name], |row| {
                Ok(ReceiverQueue {
                    receiver: receiver.name.clone(),
                    channel: receiver.channel.as_str().to_owned(),
                    queued: row.get(0)?,
                    sent: row.get(1)?,
                    given_up: row.get(2)?,
                    attempts: row.get(3)?,
                })
            })
        };
        Ok(self.receivers.iter().map(queue).collect::<Result<_, _>>()?)
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        lock(&self.database)
    }
}

fn delivered(row: &Row) -> rusqlite::Result<Delivered> {
    let text: String = row.get(3)?;
    let state: String = row.get(2)?;
    let next_at: Timestamp = row.get(5)?;
    let notice: Option<Notice> = serde_json::from_str(&text).ok();
    let notice = notice.as_ref();
    Ok(Delivered {
        id: row.get(0)?,
        receiver: row.get(1)?,
        kind: notice.map_or("", |notice| notice.kind.as_str()).to_owned(),
        at: notice.map_or(Timestamp::EPOCH, |notice| notice.at),
        run: notice.and_then(|notice| notice.run.clone()),
        workflow: notice.and_then(|notice| notice.workflow.clone()),
        title: notice.map_or_else(String::new, |notice| notice.title.clone()),
        text: notice.map_or_else(String::new, |notice| notice.text.clone()),
        attempts: row.get(4)?,
        next_at: (state == "queued" && next_at > Timestamp::EPOCH).then_some(next_at),
        done_at: row.get(6)?,
        error: row.get(7)?,
        state,
    })
}

/// Queues a notification for these receivers. Returns its id; `None` if it is known, or for nobody.
pub(super) fn store(
    all: &Transaction,
    notice: &Notice,
    receivers: &[&ReceiverConfig],
) -> Result<Option<i64>, RunsError> {
    if receivers.is_empty() {
        return Ok(None);
    }
    let text =
        serde_json::to_string(notice).map_err(|e| RunsError::broken("journal", e.to_string()))?;
    let is_new = all.execute(
        "INSERT INTO notices (key, at, notice) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        params![notice.key, notice.at, text],
    )? > 0;
    if !is_new {
        return Ok(None);
    }
    let id = all.last_insert_rowid();
    for receiver in receivers {
        all.execute(
            "INSERT INTO deliveries (receiver, notice, state) VALUES (?, ?, 'queued')",
            params![receiver.name, id],
        )?;
    }
    Ok(Some(id))
}

/// Says whether a receiver is configured to receive a notification.
fn wants(receiver: &ReceiverConfig, notice: &Notice) -> bool {
    let workflow = notice.workflow.as_ref();
    !notice.resolves
        && receiver.on.contains(&notice.kind)
        && (receiver.workflows.is_empty()
            || workflow.is_some_and(|name| receiver.workflows.contains(name)))
}

/// Says whether a notification ends an alert that a receiver keeps.
fn ends_alert(
    all: &Transaction,
    receiver: &ReceiverConfig,
    notice: &Notice,
) -> Result<bool, RunsError> {
    let is_end = notice.resolves || notice.kind == NoticeKind::Succeeded;
    if !is_end || !matches!(receiver.channel, Channel::Pagerduty(_)) {
        return Ok(false);
    }
    let mut statement = all.prepare_cached(
        "SELECT 1 FROM deliveries, notices WHERE notices.id = deliveries.notice AND receiver = ?
             AND json_extract(notices.notice, '$.about') = ?",
    )?;
    Ok(statement.exists([&receiver.name, &notice.about])?)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    pub fn receiver(name: &str, channel: &str) -> ReceiverConfig {
        let config = match channel {
            "pagerduty" => json!({ "routing_key_file": "key" }),
            _ => json!({ "url": "https://hooks.example/x" }),
        };
        let on = ["waiting", "failed", "doubt"];
        let receiver = json!({ "name": name, "on": on, channel: config });
        serde_json::from_value(receiver).expect("valid")
    }

    pub fn notice(key: &str, kind: NoticeKind, step: Option<&str>) -> Notice {
        let about = step.map_or_else(|| "run r".to_owned(), |step| format!("run r {step}"));
        Notice {
            key: key.into(),
            kind,
            at: Timestamp::EPOCH,
            about,
            run: Some("r".into()),
            workflow: Some("w".into()),
            target: Some("local".into()),
            step: step.map(str::to_owned),
            title: key.into(),
            text: String::new(),
            path: "/runs/r".into(),
            resolves: false,
        }
    }

    #[test]
    fn every_alert_about_a_run_ends_with_it() {
        let receivers = vec![receiver("pager", "pagerduty"), receiver("chat", "slack")];
        let database = Connection::open_in_memory().expect("memory");
        let outbox = Outbox::of(database, receivers).expect("opened");
        let add = |notice: Notice| outbox.add(&[notice], &[]).expect("added");
        add(notice("asked", NoticeKind::Waiting, Some("gate")));
        add(notice("doubt", NoticeKind::Doubt, Some("post")));
        add(notice("failed", NoticeKind::Failed, None));
        let answered = Notice {
            resolves: true,
            ..notice("answered", NoticeKind::Waiting, Some("gate"))
        };
        add(answered.clone());
        add(answered);
        let other = Notice {
            resolves: true,
            ..notice("other", NoticeKind::Waiting, Some("unknown"))
        };
        add(other);
        add(notice("succeeded", NoticeKind::Succeeded, None));
        let listed = outbox.list(None, None, 100).expect("listed");
        let of = |name: &str| -> BTreeSet<String> {
            let own = listed.iter().filter(|one| one.receiver == name);
            own.map(|one| one.id.to_string()).collect()
        };
        // Three alerts, the answer, and what ends all that is open: the run's own, the doubt and the question.
        assert_eq!(of("pager").len(), 7, "{listed:#?}");
        assert_eq!(of("chat").len(), 3, "{listed:#?}");
    }
}
